"""From a Doc to markup: its text with the mentions as elements, and its tokens with their
values and matches."""

import json
from collections.abc import Iterator, Sequence
from html import escape
from itertools import takewhile
from typing import NamedTuple, Optional

from spacy.tokens import Doc, Span

Place = tuple[int, int]


class Mention(NamedTuple):
    """A mention on the page.

    span (Span): Its place.
    score (Optional[float]): Its score, if it has one.
    row (int): The row of its bar below the text, counted from 0.
    """

    span: Span
    score: Optional[float]
    row: int


def text_markup(doc: Doc, spans_key: str) -> str:
    """Mark the mentions in a text.

    doc (Doc): The Doc.
    spans_key (str): Key of the mentions in doc.spans.
    RETURNS (str): The markup.
    """
    mentions = get_mentions(doc, spans_key)
    rows = max((mention.row + 1 for mention in mentions), default=0)
    content = "".join(nested_elements(doc.text, mentions))
    return f'<div class="text" {language(doc)} style="--rows: {rows}">{content}</div>'


def get_mentions(doc: Doc, spans_key: str) -> list[Mention]:
    """Get the mentions of a Doc, each with the row of its bar.

    doc (Doc): The Doc.
    spans_key (str): Key of the mentions in doc.spans.
    RETURNS (list[Mention]): The mentions, in their order there.
    """
    if spans_key not in doc.spans:
        have = ", ".join(map(repr, doc.spans)) or "none"
        raise ValueError(
            f"The Doc has no spans under the key {spans_key!r}; its keys are: {have}. Let "
            "a pipeline with a tommer component find them, or name a key that the Doc has:"
            '\n    spacy_tommer.render(doc, spans_key="...")'
        )
    group = doc.spans[spans_key]
    scores = group.attrs.get("scores", [None] * len(group))
    if len(scores) != len(group):
        raise ValueError(
            f"doc.spans[{spans_key!r}] has {len(group)} spans and {len(scores)} scores. "
            f'Write as many to doc.spans[{spans_key!r}].attrs["scores"], or none.'
        )
    filled = [(span, score) for span, score in zip(group, scores) if len(span)]
    rows = stack([(span.start, span.end) for span, _ in filled])
    return [
        Mention(span, None if score is None else float(score), row)
        for (span, score), row in zip(filled, rows)
    ]


def stack(places: Sequence[Place]) -> list[int]:
    """Find a row for the bar of each place: the first one that is free when all shorter
    places have theirs. So a place has its bar below those of all places inside it.

    places (Sequence[Place]): First token of each place, and the one behind its last.
    RETURNS (list[int]): Their rows, counted from 0.
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


def nested_elements(text: str, mentions: Sequence[Mention]) -> Iterator[str]:
    """Write a text with its mentions as elements, each inside those with lower bars.

    A mention that crosses another has several elements, of which the first describes it.

    text (str): The text.
    mentions (Sequence[Mention]): Its mentions.
    YIELDS (str): Tags and parts of the text, in order.
    """
    starting: dict[int, list[int]] = {}
    edges = {0, len(text)}
    for i, mention in enumerate(mentions):
        starting.setdefault(mention.span.start_char, []).append(i)
        edges |= {mention.span.start_char, mention.span.end_char}
    begin, opened, described = 0, [], set()
    for edge in sorted(edges):
        yield escape_text(text[begin:edge])
        begin = edge
        going_on = [i for i in opened if mentions[i].span.end_char > edge]
        wanted = sorted(
            going_on + starting.get(edge, []), key=lambda i: mentions[i].row, reverse=True
        )
        kept = sum(
            1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(opened, wanted))
        )
        yield "</span>" * (len(opened) - kept)
        for i in wanted[kept:]:
            description = "" if i in described else describe(mentions[i])
            described.add(i)
            score = 1 if mentions[i].score is None else mentions[i].score
            yield (
                f'<span class="mention" data-i="{i}"{description} '
                f'style="--row: {mentions[i].row}; --score: {score:.2f}">'
            )
        opened = wanted


def describe(mention: Mention) -> str:
    """Write what the page has to know of a mention, as attributes."""
    span, score = mention.span, mention.score
    said = [] if score is None else [f"score {score:.2f}"]
    if span.label_ != "MENTION":
        said.insert(0, span.label_)
    tip = ", ".join(filter(None, said))
    name = f"{span.text}, {tip}" if tip else span.text
    return (
        f' tabindex="0" role="group" aria-label="{escape_text(name)}"'
        f' data-tip="{escape_text(tip or "no score")}"'
        f' data-start="{span.start}" data-end="{span.end}"'
        f' data-score="{"Infinity" if score is None else score}"'
    )


def token_markup(
    doc: Doc,
    values: Sequence[Optional[float]],
    matches: Sequence[Sequence[Optional[float]]],
) -> str:
    """Write the tokens of a Doc, to be chosen as the end of spans.

    doc (Doc): The Doc.
    values (Sequence[Optional[float]]): The value of each token.
    matches (Sequence[Sequence[Optional[float]]]): The match of each token, as the end of a
        span, with itself and the tokens before it as the start.
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
    """Write the language and direction of a text, as attributes."""
    code = "mul" if doc.lang_ == "xx" else doc.lang_
    return f'lang="{escape(code)}" dir="auto"'


def escape_text(text: str) -> str:
    """Write a text as markup."""
    # HTML has no NUL, and reads a bare carriage return as a line feed.
    return escape(text).replace("\0", "\ufffd").replace("\r", "&#13;")
