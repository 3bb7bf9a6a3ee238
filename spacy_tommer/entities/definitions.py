"""Labels, their definitions, and the vectors of both."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Optional, Union

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc
from spacy.vocab import Vocab
from spacy_transformers import Transformer

from ..backbone.pipe import annotate_at
from ..backbone.states import read_states

Labels = Union[Mapping[str, str], Sequence[str]]
Vectors = NDArray[np.float32]


def read_labels(labels: Labels) -> dict[str, list[str]]:
    """Build the texts that represent each label.

    labels (Union[Mapping[str, str], Sequence[str]]): Definitions by label, or labels that
        need no definition.
    RETURNS (dict[str, list[str]]): By label, its name, its name with its definition, and
        the definition alone. A label without a definition has its name only; a label in
        capitals with a definition is an abbreviation and has its definition only.
        ValueError is raised for empty or repeated labels and for empty definitions.
    """
    if isinstance(labels, str):
        raise ValueError(
            f"`labels` is {labels!r}, expected a list of labels or a definition for each. "
            f'Write ["{labels}"] or {{"{labels}": "what it means"}}.'
        )
    texts: dict[str, list[str]] = {}
    for label in labels:
        if not isinstance(label, str) or not label.strip():
            raise ValueError(f"A label is {label!r}, expected a text that is not empty.")
        if label in texts:
            raise ValueError(f"The label {label!r} is given twice. Write each label once.")
        name = spoken(label)
        texts[label] = [name]
        if isinstance(labels, Mapping):
            definition = labels[label]
            if not isinstance(definition, str) or not definition.strip():
                raise ValueError(
                    f"The label {label!r} has an empty definition. Write what it means, or "
                    "write `labels` as a list to do without definitions."
                )
            definition = definition.strip()
            named = [name, f"{name}: {definition}"]
            texts[label] = [*([] if label.isupper() else named), definition]
    return texts


def spoken(label: str) -> str:
    """Convert a label to words."""
    return " ".join(label.replace("_", " ").replace("-", " ").split()) or label


def embed(
    texts: Iterable[str], transformer: Transformer, layer: Optional[int]
) -> dict[str, Vectors]:
    """Embed texts: compute the mean of the states of their wordpieces.

    texts (Iterable[str]): The texts.
    transformer (Transformer): The pipe whose model computes the states.
    layer (Optional[int]): The block that is read, counted from 0; by default the last that
        the pipe returns. It may be deeper.
    RETURNS (dict[str, Vectors]): The vector of each text. (d,) ValueError is raised for a
        text without wordpieces.
    """
    vocab = Vocab()
    texts = list(dict.fromkeys(texts))
    docs = (Doc(vocab, words=text.split()) for text in texts)
    vectors = {}
    for text, doc in zip(texts, annotate_at(docs, transformer, layer)):
        states = transformer.model.ops.to_numpy(read_states(doc, layer, "piece").dataXd)
        if not len(states):
            raise ValueError(
                f"The transformer finds no wordpiece in {text!r}. Write the label or its "
                "definition in words."
            )
        vectors[text] = states.astype("float32").mean(axis=0)
    return vectors


def embed_labels(
    labels: Iterable[Sequence[str]],
    known: dict[str, Vectors],
    embed: Callable[[Iterable[str]], dict[str, Vectors]],
) -> dict[str, Vectors]:
    """Embed labels: compute the mean of the vectors of their texts.

    labels (Iterable[Sequence[str]]): The texts of each label.
    known (dict[str, Vectors]): Vectors computed before, by the texts of a label, joined by
        line feeds.
    embed (Callable[[Iterable[str]], dict[str, Vectors]]): Returns the vector of each text.
    RETURNS (dict[str, Vectors]): The vector of each label (d,), by the same keys.
    """
    by_lines = {"\n".join(texts): texts for texts in labels}
    if by_lines.keys() == known.keys():
        return known
    new = {lines: texts for lines, texts in by_lines.items() if lines not in known}
    vectors = embed(chain.from_iterable(new.values()))
    means = {
        lines: np.mean([vectors[text] for text in texts], axis=0)
        for lines, texts in new.items()
    }
    both = {**known, **means}
    return {lines: both[lines] for lines in by_lines}


@dataclass
class TrainingType:
    """Hold an entity type of training texts.

    name (str): Its name. Labels with the same name are one type.
    definitions (list[str]): Alternative definitions; empty if the name needs none.
    broader (list[str]): Names of broader types, which are true of its mentions as well.
    overlaps (list[str]): Names of types that some of its mentions have as well, and with
        them those that are narrower.
    """

    name: str
    definitions: list[str]
    broader: list[str] = field(default_factory=list)
    overlaps: list[str] = field(default_factory=list)

    @property
    def description(self) -> str:
        """Definition of a label of this type."""
        return ", ".join([self.name, *self.definitions[:1]])

    def texts(self, other: str) -> list[str]:
        """List the texts that represent the type in training: definitions with its name,
        without it, and with a wrong name, so that the head learns to read definitions.

        other (str): Name of another type, used as the wrong name.
        """
        named = [f"{self.name}: {definition}" for definition in self.definitions]
        misnamed = [f"{other}: {definition}" for definition in self.definitions[-1:]]
        return [self.name, *named, *self.definitions, *misnamed]


def as_types(labels: Mapping[str, Sequence[str]]) -> dict[str, TrainingType]:
    """Convert labels to types of training texts.

    labels (Mapping[str, Sequence[str]]): The texts of each label, as `read_labels` returns
        them.
    RETURNS (dict[str, TrainingType]): The types by label.
    """
    return {
        label: TrainingType(texts[0], list(texts[2:])) for label, texts in labels.items()
    }


def read_types(path: Path) -> dict[str, TrainingType]:
    """Read the types of training texts.

    path (Path): A JSON file that has "name" and "definitions" for each label, and "broader"
        and "overlaps" where types have them: names of other types.
    RETURNS (dict[str, TrainingType]): The types by label. ValueError is raised for JSON
        that is no object, for a label without a name or a list of definitions, and for an
        empty text in a list.
    """
    entries = json.loads(path.read_text("utf-8"))
    if not isinstance(entries, dict):
        raise ValueError(
            f"{path} is no JSON object. Write one with an entry for each label, such as "
            '{"PER": {"name": "person", "definitions": ["a human being"]}}.'
        )
    types = {}
    for label, entry in entries.items():
        fields = {
            "broader": [],
            "overlaps": [],
            **(entry if isinstance(entry, dict) else {}),
        }
        texts = [fields.get(key) for key in ("definitions", "broader", "overlaps")]
        lists = [one for one in texts if isinstance(one, list) and all(one)]
        if not fields.get("name") or len(lists) < len(texts):
            raise ValueError(
                f'In {path}, {label!r} lacks its "name" or its list of "definitions", or '
                f'one is empty. Write "{label}": {{"name": "...", "definitions": ["..."]}}'
                ', and if it has them, "broader" and "overlaps" with names of types.'
            )
        types[label] = TrainingType(fields["name"], *lists)
    return types
