"""Measure each kind of mentions apart, on sets that mark some mentions of it."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import Doc
from tqdm import tqdm

from spacy_tommer.backbone.pipe import batch_by_tokens
from spacy_tommer.decoding.mentions import Mentions
from spacy_tommer.evaluation.counts import FLOOR, Scored, bin_edges
from spacy_tommer.evaluation.means import mean, precision_at_recall
from spacy_tommer.evaluation.protocol import (
    BATCH,
    Place,
    docs_with_states,
    gold_places,
    indices_of,
    logits_of,
    open_cache,
    thresholds_of,
)
from spacy_tommer.evaluation.sets import read_gold
from spacy_tommer.keys import MENTION
from spacy_tommer.training.state_cache import StateCache

from ..corpora.kinds import BENCHMARK_MARKS, set_kinds

RECALL = 0.9


def evaluate_kinds(
    nlp: Language,
    kinds: Sequence[str],
    sets: dict[str, Path],
    limit: int = 0,
    desc: str = "",
    cache: Optional[Path] = None,
) -> dict[str, Any]:
    """Score kinds of mentions apart on benchmarks, at the thresholds of the pipeline.

    kinds (Sequence[str]): Kinds that its tommer component tells.
    sets (dict[str, Path]): The folder of each benchmark, one of BENCHMARK_MARKS.
    limit (int): How many of the first texts of each set to take; 0 for all.
    desc (str): Description on the progress bar.
    cache (Optional[Path]): Folder that keeps the states of the texts.
    RETURNS (dict[str, Any]): "settings", the two thresholds; and by kind in "kinds" the
        "sets" that have gold of it and their plain "means", each with the measures of
        "nested" and "flat" and the "precision_at_recall", which is 0 if the recall is not
        reached; that of the means has one threshold for all sets.
    """
    tommer = nlp.get_pipe("tommer")
    states = open_cache(nlp, cache)
    scored: dict[str, dict[str, dict[str, Scored]]] = {kind: {} for kind in kinds}
    for name, folder in tqdm(sets.items(), desc=desc, disable=None):
        docs = read_gold(folder, nlp.vocab, limit)
        marks = BENCHMARK_MARKS[name]
        counts = count_kinds(nlp, (set_kinds(doc, marks) for doc in docs), kinds, states)
        for kind, one in counts.items():
            if one["nested"].gold.total:
                scored[kind][name] = one
    thresholds = thresholds_of(tommer)
    return {
        "settings": {
            "threshold": tommer.threshold,
            "flat_threshold": tommer.flat_threshold,
        },
        "kinds": {
            kind: measure_kind(one, thresholds) for kind, one in scored.items() if one
        },
    }


def measure_kind(
    scored: dict[str, dict[str, Scored]], thresholds: dict[str, float]
) -> dict[str, Any]:
    """Measure one kind.

    scored (dict[str, dict[str, Scored]]): The counts of each set, by decoding.
    thresholds (dict[str, float]): The threshold of each decoding.
    RETURNS (dict[str, Any]): Its "sets" and "means", see `evaluate_kinds`.
    """

    def at_recall(corpora: list[Scored]) -> dict[str, dict[str, float]]:
        return {"precision_at_recall": {str(RECALL): precision_at_recall(corpora, RECALL)}}

    sets = {
        name: {key: one[key].at(threshold) for key, threshold in thresholds.items()}
        for name, one in scored.items()
    }
    means = {key: mean([one[key] for one in sets.values()]) for key in thresholds}
    nested = {name: one["nested"] for name, one in scored.items()}
    return {
        "sets": {name: {**one, **at_recall([nested[name]])} for name, one in sets.items()},
        "means": {**means, **at_recall(list(nested.values()))},
    }


def count_kinds(
    nlp: Language,
    docs: Iterable[Doc],
    kinds: Sequence[str],
    states: Optional[StateCache] = None,
) -> dict[str, dict[str, Scored]]:
    """Count the spans that a pipeline finds in the texts of gold Docs, for each kind as if
    it were the only one in the setting `kinds`.

    A span whose place is that of a gold mention with the label MENTION, which may be of any
    kind, does not count: it is neither right nor wrong. At the place of a gold mention of
    another kind it is wrong.

    docs (Iterable[Doc]): The gold Docs, their mentions with kinds as labels.
    kinds (Sequence[str]): The kinds.
    states (Optional[StateCache]): Where the states of the texts are kept.
    RETURNS (dict[str, dict[str, Scored]]): By kind, all spans as "nested", and those of the
        greedy segmentation as "flat".
    """
    tommer = nlp.get_pipe("tommer")
    wanted, edges = tommer.kinds, bin_edges(thresholds_of(tommer).values())
    counts = {kind: {key: Scored(edges) for key in ("nested", "flat")} for kind in kinds}
    for batch in batch_by_tokens(docs, BATCH):
        texts = [doc.text for doc in batch]
        predicted = docs_with_states(nlp, "tommer", texts, states)
        scores = tommer.predict(predicted)
        unsure = places_of(batch, MENTION)
        for kind, scored in counts.items():
            tommer.kinds = [kind]
            spans = tommer.decode(predicted, scores, FLOOR)
            gold = places_of(batch, kind)
            for key, found in (("nested", spans), ("flat", tommer.entities(spans))):
                judged = without(found, indices_of(unsure, predicted, found))
                scored[key].add(judged.logits, logits_of(gold, predicted, judged))
    tommer.kinds = wanted
    return counts


def places_of(docs: Sequence[Doc], label: str) -> list[list[Place]]:
    """List the gold mentions with a label in each Doc, by characters."""
    return [
        [place for place, own in gold_places(doc).items() if own == label] for doc in docs
    ]


def without(spans: Mentions, indices: NDArray[np.intp]) -> Mentions:
    """Leave out the spans with some indices; those of -1 are no spans."""
    return spans[np.setdiff1d(np.arange(len(spans.starts)), indices)]
