"""Score typed entities of texts whose labels a pipeline was not trained on."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

import numpy as np
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.util import minibatch

from ..decoding.decode import sigmoid
from ..keys import ENTITIES
from ..training.corpus import CachedCorpus
from .counts import measure
from .pipes import require_pipe

TYPE_CANDIDATES = sigmoid(np.arange(-5.0, 3.01, 0.25)).round(3).tolist()

Reader = Callable[[Language], Iterable[Example]]


@dataclass
class TypedCounts:
    """Counts of exact typed entities, by label.

    right (Counter[str]): Entities that were found.
    wrong (Counter[str]): Entities that are none.
    missed (Counter[str]): Entities that were not found.
    """

    right: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)

    def add(self, predicted: set[tuple], gold: set[tuple]) -> None:
        """Count the entities of one text.

        predicted (set[tuple]): Its entities, the label last.
        gold (set[tuple]): Those of the gold Doc.
        """
        for counter, entities in (
            (self.right, predicted & gold),
            (self.wrong, predicted - gold),
            (self.missed, gold - predicted),
        ):
            counter.update(entity[-1] for entity in entities)

    def measures(self, labels: Optional[Iterable[str]] = None) -> dict[str, float]:
        """Compute micro-averages.

        labels (Optional[Iterable[str]]): The labels that count; all if None.
        RETURNS (dict[str, float]): Precision, recall and F1 as "p", "r" and "f"; 0 where
            they are not defined.
        """
        wanted = None if labels is None else set(labels)
        right, wrong, missed = (
            sum(n for label, n in counter.items() if wanted is None or label in wanted)
            for counter in (self.right, self.wrong, self.missed)
        )
        shares = measure(right, right + wrong, right + missed)
        return {key: shares[key] for key in "prf"}


def count_entities(
    nlp: Language,
    reader: Reader,
    labels: Mapping[str, str],
    thresholds: Sequence[float] = (),
    batch_size: int = 64,
) -> list[TypedCounts]:
    """Let a pipeline find entities of given types, and count them.

    nlp (Language): A pipeline with `tommer_zeroshot`; its own labels come back after.
    reader (Reader): Yields examples whose predicted Docs carry hidden states.
    labels (Mapping[str, str]): Definitions by label. Gold entities of other labels do not
        count.
    thresholds (Sequence[float]): Thresholds of the component; by default its own.
    batch_size (int): Docs at once.
    RETURNS (list[TypedCounts]): The counts at each threshold.
    """
    pipe = nlp.get_pipe("tommer_zeroshot")
    own, texts, attrs = pipe.cfg["threshold"], pipe.label_data, pipe.model.attrs
    known = {key: attrs[key] for key in ("vectors", "precision")}
    pipe.set_labels(labels)
    counts = [TypedCounts() for _ in thresholds or [own]]
    for examples in minibatch(reader(nlp), batch_size):
        docs = [example.predicted for example in examples]
        docs = list(nlp.get_pipe("tommer").pipe(docs, batch_size=batch_size))
        found = pipe.predict(docs)
        untyped = [doc.ents for doc in docs]
        gold = [
            {one for one in gold_entities(example.reference) if one[-1] in labels}
            for example in examples
        ]
        for threshold, count in zip(thresholds or [own], counts):
            pipe.threshold = threshold
            pipe.set_annotations(docs, found)
            for doc, right, ents in zip(docs, gold, untyped):
                count.add(places(doc.ents), right)
                doc.ents = ents
    pipe.cfg["threshold"], pipe.cfg["texts"] = own, texts
    attrs.update(known)
    return counts


def gold_entities(doc: Doc) -> set[tuple[int, int, str]]:
    """List the gold entities of a Doc by characters: doc.spans["entities"] if it has them,
    otherwise doc.ents."""
    return places(doc.spans.get(ENTITIES, doc.ents))


def places(spans: Iterable[Span]) -> set[tuple[int, int, str]]:
    """List spans by characters, with their labels."""
    return {(span.start_char, span.end_char, span.label_) for span in spans}


def is_known(label: str, definition: str, names: set[str]) -> bool:
    """Tell whether a type has a name that training texts have, too.

    definition (str): Its definition, which may begin with its name and a comma.
    names (set[str]): Names of the training types.
    RETURNS (bool): Whether it is among them.
    """
    return not names.isdisjoint({label, definition.partition(",")[0]})


def find_set(corpora: Path, name: str) -> Path:
    """Find the DocBin of a set, or the folder that holds it.

    corpora (Path): The folder with the sets.
    name (str): Name of the set.
    RETURNS (Path): Its test split if it has one.
    """
    for path in (corpora / name / "test.spacy", corpora / f"{name}.spacy", corpora / name):
        if path.exists():
            return path
    raise FileNotFoundError(f"There is no DocBin of {name!r} in {corpora}.")


def write_type_threshold(
    pipeline: Path, output: Path, types: Path, corpora: Path, cache: Path
) -> str:
    """Write a pipeline with the threshold of types that has the best mean F1 of doc.ents.

    pipeline (Path): Folder of a pipeline with `tommer_zeroshot`.
    output (Path): Folder to write.
    types (Path): JSON of definitions by set, by label.
    corpora (Path): Folder with the DocBins of each set.
    cache (Path): Folder that keeps the states of the texts.
    RETURNS (str): A line that shows the threshold and what it reaches.
    """
    nlp = spacy.load(pipeline)
    zeroshot = require_pipe(nlp, "tommer_zeroshot", pipeline)
    sets = read_label_sets(types)
    zeroshot.threshold, line = choose_type_threshold(nlp, sets, corpora, cache)
    nlp.to_disk(output)
    return line


def choose_type_threshold(
    nlp: Language, sets: Mapping[str, Mapping[str, str]], corpora: Path, cache: Path
) -> tuple[float, str]:
    """Find the threshold of types that has the best mean F1 of doc.ents.

    nlp (Language): A pipeline with `tommer_zeroshot`.
    sets (Mapping[str, Mapping[str, str]]): Definitions by set and label.
    corpora (Path): Folder with the DocBins of each set.
    cache (Path): Folder that keeps the states of the texts.
    RETURNS (tuple[float, str]): The threshold, and a line that shows what it reaches.
    """
    scores = {}
    for name, labels in sets.items():
        reader = CachedCorpus(find_set(corpora, name), cache)
        counts = count_entities(nlp, reader, labels, TYPE_CANDIDATES)
        scores[name] = [count.measures()["f"] for count in counts]
    means = np.mean(list(scores.values()), axis=0)
    best = int(means.argmax())
    each = {name: round(100 * values[best], 1) for name, values in scores.items()}
    chosen = TYPE_CANDIDATES[best]
    return chosen, f"threshold = {chosen}: mean F1 {100 * means[best]:.1f} {each}"


def read_label_sets(path: Path) -> dict[str, dict[str, str]]:
    """Read the definitions of the labels of several sets.

    path (Path): A JSON file with an object for each set: definitions by label.
    RETURNS (dict[str, dict[str, str]]): The definitions by set and label.
    RAISES (ValueError): If the file has another form.
    """
    sets = json.loads(path.read_text("utf-8"))
    if (
        not isinstance(sets, dict)
        or not sets
        or not all(isinstance(labels, dict) and labels for labels in sets.values())
    ):
        raise ValueError(
            f"{path} is not a JSON object of sets, each an object of definitions by label. "
            "See assets/types/crossner.json."
        )
    return sets
