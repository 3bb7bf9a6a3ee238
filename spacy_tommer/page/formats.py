"""Write mentions as a table, as JSON lines or as an HTML page."""

import json
from collections.abc import Iterable
from typing import Any, Optional, TextIO

from spacy.language import Language
from spacy.tokens import Doc

from .listing import Listed, list_spans
from .render import page_parts


def write_table(docs: Iterable[Doc], stream: TextIO, spans_key: str) -> None:
    """Write each text and, below it, a line for each of its mentions.

    docs (Iterable[Doc]): The Docs.
    stream (TextIO): The output stream.
    spans_key (str): Key of the mentions in doc.spans.
    """
    for doc in docs:
        lines = [visible(doc.text)]
        rows = sorted(list_spans(doc, spans_key), key=in_text)
        width = max((len(one.type) + 2 for one in rows if one.type), default=0)
        for one in rows:
            score = "     " if one.score is None else f"{one.score:.3f}"
            place = f"{one.span.start_char}-{one.span.end_char}"
            label = f"{visible(one.type):{width}}"
            mark = "*" if one.flat else " "
            text = visible(one.span.text)
            lines.append(f"  {score} {mark} {place:>11}  {label}{text}")
        stream.write("\n".join(lines) + "\n")


def in_text(one: Listed) -> tuple[int, int]:
    """Return the sort key for text order."""
    return one.span.start, one.span.end


def write_jsonl(docs: Iterable[Doc], stream: TextIO, spans_key: str) -> None:
    """Write one JSON object per line: text, mentions, and the flat segmentation.

    docs (Iterable[Doc]): The Docs.
    stream (TextIO): The output stream.
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
    """Write an HTML page with the mentions underlined, as `render` makes it.

    docs (Iterable[Doc]): The Docs.
    stream (TextIO): The output stream.
    spans_key (str): Key of the mentions in doc.spans.
    matches (Optional[Language]): A pipeline whose matches and token values are shown.
    """
    stream.writelines(page_parts(docs, spans_key, matches))


def record(doc: Doc, spans_key: str) -> dict[str, Any]:
    """Describe a Doc for JSON.

    doc (Doc): The Doc.
    spans_key (str): Key of the mentions in doc.spans.
    RETURNS (dict[str, Any]): "text"; and "mentions" and "flat", each a list of objects with
        start_char, end_char (exclusive), text, label and score, which is null if unknown.
    """
    listed = list_spans(doc, spans_key)
    flat = sorted((one for one in listed if one.flat), key=lambda one: one.span.start)
    return {
        "text": doc.text,
        "mentions": [describe(one) for one in listed if one.nested],
        "flat": [describe(one) for one in flat],
    }


def describe(one: Listed) -> dict[str, Any]:
    """Describe a mention or an entity for JSON."""
    return {
        "start_char": one.span.start_char,
        "end_char": one.span.end_char,
        "text": one.span.text,
        "label": one.label,
        "score": one.score,
    }


def visible(text: str) -> str:
    """Escape the characters of a text that a terminal cannot print."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
