"""Write mentions for people and programs: as a table, JSON lines or a page."""

import json
from collections.abc import Iterable
from typing import Any, Optional, TextIO

from spacy.language import Language
from spacy.tokens import Doc, Span

from .render import page_parts


def write_table(docs: Iterable[Doc], stream: TextIO, spans_key: str) -> None:
    """Write each text and, below it, a line for each of its mentions.

    docs (Iterable[Doc]): The Docs.
    stream (TextIO): Where to write.
    spans_key (str): Key of the mentions in doc.spans.
    """
    for doc in docs:
        lines = [visible(doc.text)]
        flat = {(ent.start, ent.end) for ent in doc.ents}
        for span, score in scored(doc, spans_key):
            mark = "*" if (span.start, span.end) in flat else " "
            place = f"{span.start_char}-{span.end_char}"
            lines.append(f"  {score:.3f} {mark} {place:>11}  {visible(span.text)}")
        stream.write("\n".join(lines) + "\n")


def write_jsonl(docs: Iterable[Doc], stream: TextIO, spans_key: str) -> None:
    """Write one JSON object a line: text, mentions, and the flat segmentation.

    docs (Iterable[Doc]): The Docs.
    stream (TextIO): Where to write.
    spans_key (str): Key of the mentions in doc.spans.
    """
    for doc in docs:
        stream.write(json.dumps(record(doc, spans_key), ensure_ascii=False) + "\n")


def write_html(
    docs: Iterable[Doc],
    stream: TextIO,
    spans_key: str,
    matches: Optional[Language] = None,
) -> None:
    """Write a page with the mentions underlined, as `render` makes it.

    docs (Iterable[Doc]): The Docs.
    stream (TextIO): Where to write.
    spans_key (str): Key of the mentions in doc.spans.
    matches (Optional[Language]): A pipeline whose matches and token values are shown.
    """
    stream.writelines(page_parts(docs, spans_key, matches))


def record(doc: Doc, spans_key: str) -> dict[str, Any]:
    """Describe a Doc for JSON.

    doc (Doc): The Doc.
    spans_key (str): Key of the mentions in doc.spans.
    RETURNS (dict[str, Any]): "text"; "mentions" and "flat", each a list of start_char,
        end_char, text and score, which is null for an entity that is no mention.
    """
    mentions = list(scored(doc, spans_key))
    scores = {(span.start, span.end): score for span, score in mentions}
    return {
        "text": doc.text,
        "mentions": [describe(span, score) for span, score in mentions],
        "flat": [describe(ent, scores.get((ent.start, ent.end))) for ent in doc.ents],
    }


def describe(span: Span, score: Optional[float]) -> dict[str, Any]:
    """Describe a span for JSON."""
    return {
        "start_char": span.start_char,
        "end_char": span.end_char,
        "text": span.text,
        "score": score,
    }


def scored(doc: Doc, spans_key: str) -> Iterable[tuple[Span, float]]:
    """Pair the mentions of a Doc with their scores."""
    group = doc.spans[spans_key]
    return zip(group, group.attrs["scores"])


def visible(text: str) -> str:
    """Write a text on one line, with what a terminal can't show escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
