"""Gold mentions on a Doc, as training and scoring expect them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Optional

import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training.corpus import FILE_TYPE, Corpus, walk_corpus
from spacy.util import filter_spans
from spacy.vocab import Vocab

from spacy_tommer.gold import BLANK, PROBLEMS, TRIMMED, visible_part, visible_span
from spacy_tommer.keys import ENTITIES, MENTIONS

from .report import Broken, Report

# Start, end (exclusive) and type, by tokens or by characters.
Entity = tuple[int, int, str]


def set_gold(
    doc: Doc,
    entities: Iterable[Entity],
    labels: Optional[Mapping[tuple[int, int], str]] = None,
) -> Doc:
    """Set the gold mentions of a Doc.

    entities (Iterable[Entity]): Its entities by tokens, in any order.
    labels (Optional[Mapping[tuple[int, int], str]]): Labels of mentions by start and end
        (exclusive), where they are not the first type of their entities.
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
        place = (span.start, span.end)
        label = (labels or {}).get(place) or span.label_
        mentions.setdefault(place, Span(doc, *place, label=label))
    doc.spans[ENTITIES] = spans
    doc.spans[MENTIONS] = list(mentions.values())
    if len(filter_spans(mentions.values())) == len(mentions):
        doc.set_ents(list(mentions.values()))
    else:
        doc.set_ents([], default="missing")
    return doc


def mention_labels(doc: Doc) -> dict[tuple[int, int], str]:
    """RETURNS (dict[tuple[int, int], str]): Labels of the mentions by start and end
    (exclusive), to keep them where gold is set anew."""
    return {(span.start, span.end): span.label_ for span in doc.spans[MENTIONS]}


def check_gold(docs: Iterable[Doc], report: Report) -> Iterator[Doc]:
    """Cut the gold of Docs to its visible text, and keep the first text for the summary.

    docs (Iterable[Doc]): Docs with gold mentions.
    report (Report): Where spans are counted that are cut or left out.
    YIELDS (Doc): The same Docs.
    """
    for doc in docs:
        if report.first_text is None:
            report.first_text = doc.text
        kept, labels = [], mention_labels(doc)
        spans = doc.spans[ENTITIES]
        for span in spans:
            inner = visible_span(span)
            if inner is not None:
                kept.append((inner.start, inner.end, span.label_))
                label = labels[span.start, span.end]
                labels.setdefault((inner.start, inner.end), label)
            report.count(PROBLEMS[BLANK], inner is None)
            report.count(PROBLEMS[TRIMMED], inner is not None and inner is not span)
        if kept != [(span.start, span.end, span.label_) for span in spans]:
            set_gold(doc, kept, labels)
        yield doc


def gold_doc(
    vocab: Vocab,
    words: Sequence[str],
    entities: Iterable[Entity],
    spaces: Optional[Sequence[bool]] = None,
) -> Doc:
    """Make a Doc of tokens, with its gold mentions.

    words (Sequence[str]): The tokens.
    entities (Iterable[Entity]): The entities by tokens.
    spaces (Optional[Sequence[bool]]): Whether a space follows each token; if None, one
        stands between any two.
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
    entities (Iterable[Entity]): The entities by characters. White space and invisible
        characters at their edges are cut off.
    report (Report): Where split tokens are counted, and entities that are cut or left out.
    RAISES (Broken): If an entity is not in the text.
    """
    found = list(cut_entities(text, entities, report))
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


def cut_entities(text: str, entities: Iterable[Entity], report: Report) -> Iterator[Entity]:
    """Cut entities by characters to their visible text, and leave out those without any."""
    for start, end, label in entities:
        if not 0 <= start < end <= len(text):
            raise Broken("mention beyond its text")
        place = visible_part(text, start, end)
        report.count(PROBLEMS[BLANK], place is None)
        if place is not None:
            report.count(PROBLEMS[TRIMMED], place != (start, end))
            yield (*place, label)


def labels_in(folder: Path) -> set[str]:
    """Find the labels in doc.spans["entities"] of DocBins."""
    vocab = spacy.blank("en").vocab
    docs = Corpus(folder).read_docbin(vocab, walk_corpus(folder, FILE_TYPE))
    return {span.label_ for doc in docs for span in doc.spans[ENTITIES]}
