"""The fine types of OpenMentions, with the coarse class of each mention."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from spacy.tokens import Span

from spacy_tommer.entities.definitions import TrainingType, read_labels

from .records import read_records
from .report import Report


@dataclass
class FineTypes:
    """Hold the fine types of OpenMentions and their coarse classes.

    definitions (dict[str, str]): Definitions of fine types and of classes, by name. Most
        fine types that occur once have none.
    broader (dict[str, list[str]]): Broader types of each fine type.
    classes (list[str]): Names of the coarse classes.
    mentions (dict[str, dict[tuple[int, int], str]]): By text, the class of each mention by
        start and end (exclusive), in characters.
    """

    definitions: dict[str, str]
    broader: dict[str, list[str]]
    classes: list[str]
    mentions: dict[str, dict[tuple[int, int], str]]

    def class_of(self, span: Span) -> str:
        """Find the class of a gold mention. ValueError is raised for a mention that
        OpenMentions lacks."""
        place = (span.start_char, span.end_char)
        found = self.mentions.get(span.doc.text, {}).get(place)
        if found is None:
            raise ValueError(
                f"OpenMentions has no mention {span.text!r} at {place} of the passage "
                f"{span.doc.text[:40]!r}. Name a folder that `python -m reproduction "
                "convert training` wrote from it."
            )
        return found

    def texts(self, names: Iterable[str]) -> list[list[str]]:
        """List the texts that represent each type as a label, with its definition if it has
        one."""
        return [
            read_labels(
                {name: self.definitions[name]} if name in self.definitions else [name]
            )[name]
            for name in names
        ]

    def training_types(self) -> list[TrainingType]:
        """List the fine types with those that are broader, without definitions."""
        return [TrainingType(name, [], above) for name, above in self.broader.items()]


def read_fine_types(folder: Path) -> FineTypes:
    """Read the fine types and classes of all parts of OpenMentions.

    folder (Path): The folder with openmentions.jsonl and types.json.
    """
    described = json.loads((folder / "types.json").read_text("utf-8"))
    classes, entries = described["classes"], described["fine"]
    definitions = {name: entry["definition"] for name, entry in entries.items()}
    definitions |= {name: entry["definitions"][0] for name, entry in classes.items()}
    types = FineTypes(definitions, {}, list(classes), {})
    for _, record in read_records(folder / "openmentions.jsonl", Report()):
        own = types.mentions.setdefault(record["text"], {})
        for start, end, _, fine, coarse in record["mentions"]:
            own[start, end] = coarse
            entry = entries.get(fine, {"broader": coarse, "class": coarse})
            above = dict.fromkeys((entry["broader"], entry["class"]))
            types.broader[fine] = [name for name in above if name != fine]
    return types
