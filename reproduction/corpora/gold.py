"""Gold mentions on a Doc, as training and scoring expect them."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Optional

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import filter_spans
from spacy.vocab import Vocab

from .report import Broken, Report

# First token, token behind the last, and type; or the same with characters.
Entity = tuple[int, int, str]


def set_gold(doc: Doc, entities: Iterable[Entity]) -> Doc:
    """Set the gold mentions of a Doc.

    doc (Doc): The Doc.
    entities (Iterable[Entity]): Its entities by tokens, in any order.
    RETURNS (Doc): The same Doc: doc.spans["entities"] has all entities, "mentions" each
        stretch of text once, with its first type, MENTION if that is empty. doc.ents has
        the mentions if none overlaps another, and is left unset otherwise.
    """
    spans = []
    # spaCy drops an entity without a label from doc.ents.
    for start, end, label in dict.fromkeys(entities):
        if not 0 <= start < end <= len(doc):
            raise Broken("mention beyond its text")
        spans.append(Span(doc, start, end, label or "MENTION"))
    spans.sort(key=lambda span: (span.start, span.end))
    mentions: dict[tuple[int, int], Span] = {}
    for span in spans:
        mentions.setdefault((span.start, span.end), span)
    doc.spans["entities"] = spans
    doc.spans["mentions"] = list(mentions.values())
    if len(filter_spans(mentions.values())) == len(mentions):
        doc.set_ents(list(mentions.values()))
    else:
        doc.set_ents([], default="missing")
    return doc


def gold_doc(
    vocab: Vocab,
    words: Sequence[str],
    entities: Iterable[Entity],
    spaces: Optional[Sequence[bool]] = None,
) -> Doc:
    """Make a Doc of tokens, with its gold mentions.

    vocab (Vocab): The vocabulary.
    words (Sequence[str]): The tokens.
    entities (Iterable[Entity]): The entities by tokens.
    spaces (Optional[Sequence[bool]]): Whether a space stands behind each token; if
        None, one stands between any two.
    RETURNS (Doc): The Doc.
    """
    if not all(words):
        raise Broken("empty token")
    if spaces is None:
        spaces = [i + 1 < len(words) for i in range(len(words))]
    return set_gold(Doc(vocab, words=list(words), spaces=list(spaces)), entities)


def gold_text(nlp: Language, text: str, entities: Iterable[Entity], report: Report) -> Doc:
    """Make a Doc of a text, with its gold mentions. Tokens are those of the pipeline,
    split further where a mention begins or ends inside one, so that none is lost.

    nlp (Language): The pipeline whose tokenizer is used.
    text (str): The text.
    entities (Iterable[Entity]): The entities by characters. White space at their edges
        is not theirs.
    report (Report): Where split tokens are counted.
    RETURNS (Doc): The Doc.
    """
    found = [trim(text, entity) for entity in entities]
    edges = {edge for start, end, _ in found for edge in (start, end)}
    words: list[str] = []
    spaces: list[bool] = []
    index: dict[int, int] = {}  # of the token that begins or ends at a character
    last: dict[int, int] = {}
    for token in nlp.make_doc(text):
        end = token.idx + len(token)
        cuts = [token.idx, *(i for i in range(token.idx + 1, end) if i in edges), end]
        report.count("token split where a mention's edge is inside", len(cuts) > 2)
        for start, stop in pairwise(cuts):
            index[start] = len(words)
            words.append(text[start:stop])
            last[stop] = len(words)
            spaces.append(stop == end and bool(token.whitespace_))
    tokens = [(index[start], last[end], label) for start, end, label in found]
    return gold_doc(nlp.vocab, words, tokens, spaces)


def trim(text: str, entity: Entity) -> Entity:
    """Take white space off the edges of an entity.

    text (str): The text.
    entity (Entity): The entity by characters.
    RETURNS (Entity): The entity without it.
    RAISES (Broken): If the entity is not in the text, or nothing remains of it.
    """
    start, end, label = entity
    if not 0 <= start < end <= len(text):
        raise Broken("mention beyond its text")
    inner = text[start:end]
    start += len(inner) - len(inner.lstrip())
    end -= len(inner) - len(inner.rstrip())
    if start >= end:
        raise Broken("mention of white space")
    return start, end, label
