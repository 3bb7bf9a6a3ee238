"""Join neighbouring sentences of a document into passages, so that a head sees spans across
the borders of sentences."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc

from .gold import gold_doc, mention_labels, set_gold
from .phrases import Reader
from .report import Report

# In doc.user_data: what tells the document of a sentence from those beside it.
DOCUMENT = "document"


def of_documents(reader: Reader) -> Reader:
    """Let a reader name the document of each sentence, unless it does: the file.

    reader (Reader): A reader of files whose sentences stand in the order of their text.
    RETURNS (Reader): A reader of the same files.
    """

    def read_documents(path: Path, nlp: Language, report: Report) -> Iterator[Doc]:
        for doc in reader(path, nlp, report):
            doc.user_data.setdefault(DOCUMENT, str(path))
            yield doc

    return read_documents


def join_sentences(docs: Iterable[Doc], most: int) -> Iterator[Doc]:
    """Join neighbouring sentences of one document. Texts of no document stay alone.

    docs (Iterable[Doc]): Sentences with gold mentions, those of a document in its order.
    most (int): Most tokens of a passage; a longer sentence makes a passage of its own.
    YIELDS (Doc): A passage with the gold mentions of its sentences.
    """
    waiting: list[Doc] = []
    for doc in docs:
        document = doc.user_data.get(DOCUMENT)
        fits = sum(map(len, waiting)) + len(doc) <= most
        if waiting and not (fits and waiting[-1].user_data[DOCUMENT] == document):
            yield join(waiting)
            waiting = []
        if document is None:
            yield doc
        else:
            waiting.append(doc)
    if waiting:
        yield join(waiting)


def join(docs: list[Doc]) -> Doc:
    """Make one Doc of several, with their gold mentions, a space between any two."""
    words = [token.text for doc in docs for token in doc]
    spaces: list[bool] = []
    entities, labels = [], {}
    start = 0
    for doc in docs:
        spaces += [bool(token.whitespace_) for token in doc]
        spaces[-1] = True
        for span in doc.spans["entities"]:
            entities.append((start + span.start, start + span.end, span.label_))
        for (first, end), label in mention_labels(doc).items():
            labels[start + first, start + end] = label
        start += len(doc)
    spaces[-1] = False
    return set_gold(gold_doc(docs[0].vocab, words, [], spaces), entities, labels)
