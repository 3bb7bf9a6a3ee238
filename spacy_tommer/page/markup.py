"""HTML markup of a Doc: its text with mentions as elements, and its tokens with their
values and matches; and of the switches for its labels."""

import json
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import takewhile
from typing import NamedTuple, Optional

from spacy.tokens import Doc

from ..keys import MENTION
from .colors import color_style, label_order
from .listing import Listed, list_spans

Place = tuple[int, int]


class Bar(NamedTuple):
    """Hold a mention or an entity on the page.

    listed (Listed): The mention or entity.
    row (int): The row of its bar below the text, counted from 0.
    """

    listed: Listed
    row: int


def text_markup(doc: Doc, bars: Sequence[Bar]) -> str:
    """Mark the mentions in a text.

    doc (Doc): The Doc.
    bars (Sequence[Bar]): Its mentions, as `get_bars` returns them.
    RETURNS (str): The markup.
    """
    content = "".join(nested_elements(doc.text, bars))
    return f'<div class="text" {language(doc)}>{content}</div>'


def get_bars(doc: Doc, spans_key: str) -> list[Bar]:
    """Place the bars of the mentions and entities of a Doc.

    doc (Doc): The Doc.
    spans_key (str): Key of the mentions in doc.spans.
    RETURNS (list[Bar]): The bars, in the order of `list_spans`.
    """
    listed = [one for one in list_spans(doc, spans_key) if len(one.span)]
    rows = stack([(one.span.start, one.span.end) for one in listed])
    return [Bar(one, row) for one, row in zip(listed, rows)]


def stack(places: Sequence[Place]) -> list[int]:
    """Assign a row to the bar of each place: the first one that is free after all shorter
    places have a row. So the bar of a place is below those of all places inside it.

    places (Sequence[Place]): Start and end (exclusive) of each place, in tokens.
    RETURNS (list[int]): The rows, counted from 0.
    """
    taken = [0] * max((end for _, end in places), default=0)  # rows of a token, as bits
    rows = [0] * len(places)
    for i in sorted(range(len(places)), key=lambda i: places[i][1] - places[i][0]):
        tokens = range(*places[i])
        above = 0
        for token in tokens:
            above |= taken[token]
        row = ~above & (above + 1)
        for token in tokens:
            taken[token] |= row
        rows[i] = row.bit_length() - 1
    return rows


def nested_elements(text: str, bars: Sequence[Bar]) -> Iterator[str]:
    """Write a text with its mentions as elements, each inside those with lower bars.
    A mention that crosses another has several elements, of which the first describes it.

    text (str): The text.
    bars (Sequence[Bar]): Its mentions.
    YIELDS (str): Tags and parts of the text, in order.
    """
    starting: dict[int, list[int]] = {}
    ends = [bar.listed.span.end_char for bar in bars]
    edges = {0, len(text), *ends}
    for i, bar in enumerate(bars):
        starting.setdefault(bar.listed.span.start_char, []).append(i)
    begin = 0
    opened: list[int] = []
    described: set[int] = set()
    for edge in sorted(edges | starting.keys()):
        yield escape_text(text[begin:edge])
        begin = edge
        going_on = [i for i in opened if ends[i] > edge]
        wanted = sorted(
            going_on + starting.get(edge, []), key=lambda i: bars[i].row, reverse=True
        )
        kept = sum(
            1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(opened, wanted))
        )
        yield "</span>" * (len(opened) - kept)
        for i in wanted[kept:]:
            description = "" if i in described else describe(bars[i].listed)
            described.add(i)
            style = look(bars[i])
            yield f'<span class="mention" data-i="{i}"{description} style="{style}">'
        opened = wanted


def look(bar: Bar) -> str:
    """Return the style of an element: the row of its bar, its shade and its colour."""
    score, color = bar.listed.score, color_style(bar.listed.type)
    style = f"--row: {bar.row}; --score: {1 if score is None else score:.2f}"
    return f"{style}; {color}" if color else style


def describe(listed: Listed) -> str:
    """Return the HTML attributes that describe a mention."""
    span, score, type_ = listed.span, listed.score, escape_text(listed.type)
    tip = ", ".join(filter(None, [type_, "" if score is None else f"score {score:.2f}"]))
    text = escape_text(span.text)
    views = " ".join(view for view in ("nested", "flat") if getattr(listed, view))
    return (
        f' tabindex="0" role="group" aria-label="{f"{text}, {tip}" if tip else text}"'
        f' data-tip="{tip or "no score"}" data-start="{span.start}" data-end="{span.end}"'
        f' data-score="{"Infinity" if score is None else score}" data-views="{views}"'
        + (f' data-label="{type_}"' if type_ else "")
    )


def switch_markup(types: Iterable[str]) -> str:
    """Mark up a legend: a button for each label, which hides and shows its mentions.

    types (Iterable[str]): The labels that occur, as `Listed.type` returns them.
    RETURNS (str): The markup; empty if there are only plain mentions, or none.
    """
    names = sorted(set(types), key=label_order)
    if names in ([], [""]):
        return ""
    return "".join(
        f'<button type="button" class="switch" aria-pressed="true" '
        f'data-label="{escape_text(name)}" style="{color_style(name)}">'
        f"{escape_text(name or MENTION)}</button>\n"
        for name in names
    )


def token_markup(
    doc: Doc,
    values: Sequence[Optional[float]],
    matches: Sequence[Sequence[Optional[float]]],
) -> str:
    """Mark up the tokens of a Doc, which the reader can choose as the end of spans.

    doc (Doc): The Doc.
    values (Sequence[Optional[float]]): The value of each token. (T,)
    matches (Sequence[Sequence[Optional[float]]]): For each token, its match as the last
        token of a span with itself, and with the tokens before it, as the first.
    RETURNS (str): The markup.
    """
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    tokens = []
    for token, value, row in zip(doc, values, matches):
        text = escape_text(token.text)
        if value is None:
            tokens.append(f"<span>{text}</span>{token.whitespace_}")
            continue
        share = value / largest if largest else 0.0
        rounded = json.dumps([m if m is None else round(m, 4) for m in row])
        tokens.append(
            f'<span class="token" role="button" tabindex="-1" '
            f'aria-label="{text}, value {value:.2f}" data-tip="value {value:.2f}" '
            f'data-i="{token.i}" data-matches="{rounded}" '
            f'style="--share: {share:.3f}">{text}</span>{token.whitespace_}'
        )
    return (
        "<p>The value of each token. Choose one to see how well spans that end there match "
        "with each start.</p>\n"
        f'<div class="tokens" role="toolbar" aria-label="Tokens" {language(doc)}>'
        f'{"".join(tokens)}</div>\n<ol class="matches" aria-live="polite" hidden></ol>'
    )


def language(doc: Doc) -> str:
    """Return the HTML attributes for the language and direction of a text."""
    code = "mul" if doc.lang_ == "xx" else doc.lang_
    return f'lang="{escape(code)}" dir="auto"'


def escape_text(text: str) -> str:
    """Escape a text for HTML."""
    # HTML has no NUL, and reads a bare carriage return as a line feed.
    return escape(text).replace("\0", "\ufffd").replace("\r", "&#13;")
