"""Read Re-DocRED: documents as JSON, with the mentions of each entity by sentence. A broken
document is left out as a whole."""

from collections.abc import Iterator
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc

from .gold import Entity, gold_doc
from .passages import DOCUMENT
from .records import Record, read_records
from .report import Broken, Report

Sentence = tuple[list[str], list[Entity]]


def read_redocred(path: Path, nlp: Language, report: Report) -> Iterator[Doc]:
    """Read a file of Re-DocRED.

    nlp (Language): Pipeline whose vocabulary the Docs get.
    report (Report): Where broken documents are counted.
    YIELDS (Doc): A sentence with its gold mentions.
    """
    # All of a file may stand in one line.
    for number, (line, record) in enumerate(read_records(path, report)):
        with report.skipping(path, line):
            for words, entities in document_sentences(record):
                doc = gold_doc(nlp.vocab, words, entities)
                doc.user_data[DOCUMENT] = f"{path} {number}"
                yield doc


def document_sentences(record: Record) -> list[Sentence]:
    """Sort the mentions of a document by sentence.

    record (Record): The document.
    RETURNS (list[Sentence]): The words and entities of each sentence.
    RAISES (Broken): If a mention is not in the document.
    """
    sentences: list[Sentence] = [(words, []) for words in record["sents"]]
    for entity in record["vertexSet"]:
        for mention in entity:
            (start, end), number = mention["pos"], mention["sent_id"]
            if not (0 <= number < len(sentences) and end <= len(sentences[number][0])):
                raise Broken("mention beyond its text")
            sentences[number][1].append((start, end, mention["type"]))
    return sentences
