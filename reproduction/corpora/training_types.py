"""The types of the training corpora: those of a file, and those of OpenMentions with their
classes."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from spacy_tommer.entities.definitions import read_types
from spacy_tommer.files import write_text_aside

from .records import read_records
from .report import Report

Types = dict[str, dict[str, Any]]


def write_training_types(given: Path, folder: Path, output: Path) -> int:
    """Write the types of a file and those of OpenMentions as one file. A label that both
    have is one type.

    given (Path): JSON of types, as training reads them.
    folder (Path): The folder of OpenMentions.
    output (Path): The file to write.
    RETURNS (int): How many types it has.
    """
    types = read_openmentions_types(folder)
    for label, type_ in read_types(given).items():
        known = types.get(label, {})
        both = {
            key: getattr(type_, key) + known.get(key, [])
            for key in ("definitions", "broader", "overlaps")
        }
        types[label] = {"name": type_.name, **both}
    output.parent.mkdir(parents=True, exist_ok=True)
    write_text_aside(output, json.dumps(types, indent=1, ensure_ascii=False) + "\n")
    return len(types)


def read_openmentions_types(folder: Path) -> Types:
    """Read the types that the training passages of OpenMentions have.

    folder (Path): The folder with openmentions.jsonl and types.json.
    RETURNS (Types): By name of the type "name", "definitions" and "broader": the broader
        type that types.json names, and the class of most of its mentions. Most types that
        occur once have no definition.
    """
    described = json.loads((folder / "types.json").read_text("utf-8"))
    classes: dict[str, Counter[str]] = {}
    for _, record in read_records(folder / "openmentions.jsonl", Report()):
        if record["part"] == "train":
            for *_, fine, coarse in record["mentions"]:
                classes.setdefault(fine, Counter())[coarse] += 1
    types: Types = {
        name: {"name": name, "definitions": list(entry["definitions"]), "broader": []}
        for name, entry in described["classes"].items()
    }
    for name, counts in classes.items():
        entry = described["fine"].get(name, {})
        [(coarse, _)] = counts.most_common(1)
        above = dict.fromkeys([entry.get("broader", coarse), coarse])
        broader = [other for other in above if other != name]
        new = {"name": name, "definitions": [], "broader": broader}
        definitions = types.setdefault(name, new)["definitions"]
        definitions += [entry["definition"]] if entry else []
    return types
