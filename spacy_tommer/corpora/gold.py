"""Gold mentions on a Doc, as training and scoring expect them."""

from collections.abc import Iterable, Sequence

from spacy.tokens import Doc, Span
from spacy.util import filter_spans
from spacy.vocab import Vocab


def gold_doc(
    vocab: Vocab, words: Sequence[str], entities: Iterable[tuple[int, int, str]]
) -> Doc:
    """Make a Doc of tokens joined by single spaces, with its gold mentions.

    vocab (Vocab): The vocabulary.
    words (Sequence[str]): The tokens.
    entities (Iterable[tuple[int, int, str]]): First token, token behind the last, and
        type of each entity, MENTION where that is empty.
    RETURNS (Doc): The Doc: doc.spans["entities"] has all entities, "mentions" each
        stretch of text once, and doc.ents the entities if none is inside another.
    """
    spaces = [True] * (len(words) - 1) + [False]
    doc = Doc(vocab, words=list(words), spaces=spaces)
    # spaCy drops an entity without a label from doc.ents.
    spans = [Span(doc, start, end, label or "MENTION") for start, end, label in entities]
    spans.sort(key=lambda span: (span.start, span.end))
    mentions = {(span.start, span.end): span for span in reversed(spans)}
    doc.spans["entities"] = spans
    doc.spans["mentions"] = list(reversed(mentions.values()))
    if len(filter_spans(spans)) == len(spans):
        doc.set_ents(spans)
    return doc
