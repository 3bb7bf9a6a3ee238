"""Read the JSON of InstructUIE: sentences, and entities by characters. A broken record is
left out as a whole."""

from collections.abc import Iterator
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc

from .gold import gold_text
from .records import read_records
from .report import Broken, Report


def read_instruct_uie(path: Path, nlp: Language, report: Report) -> Iterator[Doc]:
    """Read a file of InstructUIE.

    nlp (Language): The pipeline whose tokenizer is used.
    report (Report): Where broken records are counted.
    YIELDS (Doc): A sentence with its gold mentions.
    """
    for line, record in read_records(path, report):
        with report.skipping(path, line):
            text = record["sentence"]
            entities = []
            for entity in record["entities"]:
                start, end = entity["pos"]
                if not 0 <= start < end <= len(text):
                    raise Broken("mention beyond its text")
                if text[start:end] != entity["name"]:
                    raise Broken("mention that does not stand at its place")
                entities.append((start, end, entity["type"]))
            yield gold_text(nlp, text, entities, report)
