"""Typed texts for the training of an adapter: their order, and spans that are none."""

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from spacy_tommer.entities.definitions import TrainingType
from spacy_tommer.entities.relations import Relations
from spacy_tommer.keys import ENTITIES, IGNORED, MENTIONS
from spacy_tommer.training.chunks import read_chunk
from spacy_tommer.training.corpus import prepare_corpus

# Longest random span, in tokens.
LONGEST = 8


class TypedTexts:
    """Hold the texts of a corpus, whose gold is in doc.spans["entities"].

    corpus (Path): A DocBin, or a folder of them. ValueError is raised for one without
        texts that have entities.
    cache (Path): Folder that keeps the texts in the format of training.
    nlp (Language): The pipeline that tokenizes texts.
    """

    def __init__(self, corpus: Path, cache: Path, nlp: Language) -> None:
        self.nlp = nlp
        self.chunks = [read_chunk(path) for path in prepare_corpus(corpus, cache, nlp)]
        key = f"spans.{ENTITIES}"
        labels: set[str] = set()
        digest = hashlib.sha256()
        self.places: list[tuple[int, int]] = []
        for c, chunk in enumerate(self.chunks):
            table = chunk.spans.get(key, np.zeros((0, 3), "int64"))
            labels.update(chunk.labels[i] for i in np.unique(table[:, 2]))
            annotated = chunk.annotated.get(key, np.zeros(len(chunk), "bool"))
            self.places += [
                (c, i)
                for i in np.flatnonzero(annotated).tolist()
                if not chunk.texts[i].isspace()
            ]
            digest.update(chunk.key.encode("ascii"))
            digest.update(table.tobytes())
        if not labels:
            raise ValueError(
                f"There are no *.spacy files with typed texts in {corpus}. Name a folder "
                'of DocBins whose Docs have doc.spans["entities"] with types as labels.'
            )
        self.labels = sorted(labels)
        self.digest = digest.hexdigest()

    def words(self, place: tuple[int, int]) -> int:
        """Count the tokens of a text."""
        start, end = self.chunks[place[0]].tokens(place[1])
        return end - start

    def batches(self, size: int, seed: int) -> Iterator[list[tuple[int, int]]]:
        """Draw batches without end. Each epoch has an order of its own.

        size (int): Tokens of a batch, which the last text exceeds.
        seed (int): Seed of the orders.
        YIELDS (list[tuple[int, int]]): The places of the texts of a batch.
        """
        batch, words, epoch = [], 0, 0
        while True:
            order = random.Random(f"{seed} {epoch}").sample(self.places, len(self.places))
            for place in order:
                batch.append(place)
                words += self.words(place)
                if words >= size:
                    yield batch
                    batch, words = [], 0
            epoch += 1

    def read(self, places: list[tuple[int, int]]) -> list[Example]:
        """Read the texts of a batch."""
        return [self.chunks[c].example(i, self.nlp) for c, i in places]


def types_in_use(
    types: dict[str, TrainingType], labels: list[str], path: Path
) -> dict[str, TrainingType]:
    """Keep the types that a corpus needs, since embedding many definitions takes long.

    types (dict[str, TrainingType]): The types by label.
    labels (list[str]): The labels of the corpus.
    path (Path): Where the types come from, for the error message.
    RETURNS (dict[str, TrainingType]): Those of the labels, and those that are broader.
        ValueError is raised for a label without a type.
    """
    lacking = [label for label in labels if label not in types]
    if lacking:
        raise ValueError(
            f"The texts have {len(lacking)} labels that {path} lacks, such as "
            f"{lacking[0]!r}. Add their names and definitions."
        )
    true = Relations(types.values()).true
    wanted = {name for label in labels for name in true[types[label].name]}
    return {label: type_ for label, type_ in types.items() if type_.name in wanted}


def draw_spans(gold: Doc, rng: random.Random) -> NDArray[np.intp]:
    """List the gold entities of a text, and about as many spans that are no mentions: half
    of them entities with a moved border, half of them anywhere.

    gold (Doc): The text with its gold.
    rng (Random): Draws the spans.
    RETURNS (NDArray): Start and end (exclusive) of each span, in tokens. (m, 2)
    """
    known = {
        (span.start, span.end)
        for key in (ENTITIES, MENTIONS, IGNORED)
        for span in gold.spans.get(key, [])
    }
    entities = sorted({(span.start, span.end) for span in gold.spans[ENTITIES]})
    wrong: set[tuple[int, int]] = set()
    for start, end in entities or [(0, 0)]:
        if end and rng.random() < 0.5:
            moved = rng.choice([(-1, 0), (1, 0), (0, -1), (0, 1)])
            start, end = start + moved[0], end + moved[1]
        else:
            start = rng.randrange(len(gold))
            end = start + rng.randint(1, LONGEST)
        if 0 <= start < end <= len(gold) and (start, end) not in known:
            wrong.add((start, end))
    return np.array([*entities, *sorted(wrong)], "intp").reshape(-1, 2)
