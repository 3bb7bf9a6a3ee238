"""Training batches for types: mentions are compared with the types in the batch, with a
sample of other types, and with none.

Axis letters: M mentions; C types of the batch, C+1 with a first column for none; F texts of
all types; d width of a state.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Optional

import numpy as np
from numpy.typing import NDArray
from spacy.training import Example, validate_examples

from .definitions import (
    TrainingType,
    Vectors,
    as_types,
    read_labels,
    read_types,
)
from .relations import Relations

# How many types are sampled for a batch, in addition to those that occur in it.
OTHERS = 64
# How many examples are read to find the labels.
SAMPLE = 1000


@dataclass
class TypedBatch:
    """Hold the targets of the mentions of a batch.

    definitions (Vectors): The vector of each type. (C, d)
    targets (NDArray): Column of each mention's type, 0 for none. (M,)
    counted (NDArray): Whether a mention is compared with a type. (M, C+1)
    """

    definitions: Vectors
    targets: NDArray[np.intp]
    counted: NDArray[np.bool_]

    def loss(self, logits: NDArray[np.float32]) -> tuple[float, NDArray[np.float32]]:
        """Compute the cross-entropy over the types and none, whose logit is 0.

        logits (NDArray): Logits of each type against none. (M, C)
        RETURNS (tuple[float, NDArray]): The mean loss, and its gradient with respect to the
            logits. (M, C)
        """
        rows = np.arange(len(logits))
        scores = np.concatenate([np.zeros_like(logits[:, :1]), logits], axis=1)
        scores = np.where(self.counted, scores, -np.inf)
        scores -= scores.max(axis=1, keepdims=True)
        shares = np.exp(scores)
        shares /= shares.sum(axis=1, keepdims=True)
        loss = -np.log(np.maximum(shares[rows, self.targets], 1e-12)).mean()
        shares[rows, self.targets] -= 1
        return float(loss), (shares[:, 1:] / len(rows)).astype("float32")


def training_types(
    get_examples: Callable[[], Iterable[Example]],
    definitions: Optional[str],
    spans_key: str,
) -> dict[str, TrainingType]:
    """Find the types of training texts.

    get_examples (Callable[[], Iterable[Example]]): Returns a sample of the examples.
    definitions (Optional[str]): Path of a JSON file with the types; by default the labels
        of the first examples are used without definitions.
    spans_key (str): Key of doc.spans with the gold mentions.
    RETURNS (dict[str, TrainingType]): The types by label.
    """
    if definitions is not None:
        return read_types(Path(definitions))
    sample = list(islice(get_examples(), SAMPLE))
    validate_examples(sample, "ZeroShot.initialize")
    gold = (example.reference.spans.get(spans_key, []) for example in sample)
    return as_types(read_labels(sorted({s.label_ for group in gold for s in group})))


class TypeSampler:
    """Sample the types that the mentions of a batch are compared with.

    types (dict[str, TrainingType]): The types by label of the training texts. ValueError is
        raised if there are none.
    embed (Callable[[Iterable[str]], dict[str, Vectors]]): Returns the vector of each of
        their texts. (d,)
    spans_key (str): Key of doc.spans with the gold mentions.
    seed (int): Seed of the sampling.
    """

    def __init__(
        self,
        types: dict[str, TrainingType],
        embed: Callable[[Iterable[str]], dict[str, Vectors]],
        spans_key: str,
        seed: int = 0,
    ) -> None:
        if not types:
            raise ValueError(
                "tommer_zeroshot has no training types. Write in the config:\n"
                "    [initialize.components.tommer_zeroshot]\n"
                '    definitions = "types.json"\n'
                "or use training texts whose gold mentions have labels."
            )
        self.rng = random.Random(seed)
        self.spans_key = spans_key
        self.marked_names: dict[tuple[str, ...], set[str]] = {}
        self.names = {label: type_.name for label, type_ in types.items()}
        self.relations = Relations(types.values())
        texts = {name: [name] for name in self.relations.true}
        names = sorted(texts)
        for type_ in types.values():
            drawn = self.rng.sample(names, min(2, len(names)))
            other = next((name for name in drawn if name != type_.name), type_.name)
            texts[type_.name].extend(type_.texts(other))
        vectors = embed(text for forms in texts.values() for text in forms)
        self.vectors = {
            name: [vectors[text] for text in dict.fromkeys(forms)]
            for name, forms in texts.items()
        }

    def all_vectors(self) -> Vectors:
        """Return the vectors of all texts of all types. (F, d)"""
        return np.array([vector for forms in self.vectors.values() for vector in forms])

    def batch(
        self, examples: Sequence[Example], spans: Sequence[NDArray[np.intp]]
    ) -> TypedBatch:
        """Build the targets of mentions.

        A type that occurs takes part itself, or one of its broader types does, so that some
        types are narrow and others broad, as labels of users are. The target of a mention
        is its most specific type that takes part. Others that may be true of it are not
        compared.

        A mention without a gold label is compared only with the types that its corpus
        annotates, if `attrs["labels"]` of the gold spans lists them, and else with all.

        examples (Sequence[Example]): The examples.
        spans (Sequence[NDArray]): For each example, start and end (exclusive) of its
            mentions, in tokens. (m, 2)
        RETURNS (TypedBatch): The targets. Each definition is one of the type's texts,
            chosen at random.
        """
        gold = [self.gold_types(example) for example in examples]
        present = sorted({name for types in gold for name in types.values()})
        drawn = {self.draw_level(name) for name in present}
        others = self.rng.sample(sorted(self.vectors), min(OTHERS, len(self.vectors)))
        columns = {name: i for i, name in enumerate(sorted(drawn.union(others)), 1)}
        rows = {name: self.compared(name, columns) for name in present}
        targets, counted = [], []
        for example, types, places in zip(examples, gold, spans):
            marked = self.marked(example, columns)
            for start, end in places.tolist():
                name = types.get((start, end))
                target, row = (0, marked) if name is None else rows[name]
                targets.append(target)
                counted.append(row)
        forms = [self.rng.choice(self.vectors[name]) for name in columns]
        return TypedBatch(np.array(forms), np.array(targets), np.array(counted))

    def draw_level(self, name: str) -> str:
        """Draw a type itself or one of its broader types, with equal chances of both."""
        broader = self.relations.broader(name)
        return self.rng.choice(broader) if broader and self.rng.random() < 0.5 else name

    def compared(self, name: str, columns: dict[str, int]) -> tuple[int, NDArray[np.bool_]]:
        """Find the target of mentions of a type, and what they are compared with.

        name (str): The type.
        columns (dict[str, int]): Columns of the types that take part, from 1.
        RETURNS (tuple[int, NDArray]): The column of the most specific one that is true, and
            for none and each type, whether it is compared. (C+1,)
        """
        target = next(one for one in self.relations.true[name] if one in columns)
        row = [
            one == target or not self.relations.may_hold(name, target, one)
            for one in columns
        ]
        return columns[target], np.array([True, *row])

    def gold_types(self, example: Example) -> dict[tuple[int, int], str]:
        """Find the types of the gold mentions, by start and end (exclusive) in the
        predicted Doc. ValueError is raised for a label that is not a training type."""
        types: dict[tuple[int, int], str] = {}
        gold = example.reference.spans.get(self.spans_key, [])
        for span in example.get_aligned_spans_y2x(gold, allow_overlap=True):
            if span.label_ not in self.names:
                raise ValueError(
                    f"The training texts have the label {span.label_!r}, which is not one "
                    f"of the {len(self.names)} training types. Add it to the file that "
                    "`definitions` of [initialize.components.tommer_zeroshot] names. "
                    "Without such a file, only the labels of spaCy's sample are known: 100 "
                    "texts if `max_epochs = -1`."
                )
            types.setdefault((span.start, span.end), self.names[span.label_])
        return types

    def marked(self, example: Example, columns: dict[str, int]) -> NDArray[np.bool_]:
        """Mark none and the types that are annotated in a text, with their broader ones.
        (C+1,)"""
        gold = example.reference.spans.get(self.spans_key)
        labels = [] if gold is None else gold.attrs.get("labels")
        if labels is None:
            return np.ones(len(columns) + 1, dtype="bool")
        key = tuple(labels)
        if key not in self.marked_names:
            names = {self.names[label] for label in labels if label in self.names}
            self.marked_names[key] = {
                one for name in names for one in self.relations.true[name]
            }
        names = self.marked_names[key]
        return np.array([True, *(name in names for name in columns)])
