"""The evaluation protocol: exact, untyped spans, compared by characters, for threshold and
greedy decoding (section 4.1).

Axis letters: S spans of a batch; G gold mentions of a batch.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Optional

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import minibatch

from ..backbone.pipe import batch_by_tokens
from ..component import Tommer
from ..decoding.mentions import Mentions
from ..gold import visible_part
from ..keys import MENTIONS
from ..training.state_cache import StateCache
from .counts import FLOOR, Scored, bin_edges

BATCH = 256

Place = tuple[int, int]


def score_docs(
    nlp: Language,
    docs: Iterable[Doc],
    name: str = "tommer",
    thresholds: Iterable[float] = (),
    states: Optional[StateCache] = None,
) -> tuple[Scored, Scored]:
    """Score the spans that a pipeline finds in the texts of gold Docs.

    nlp (Language): A pipeline, which tokenizes the texts itself. Without a tommer
        component it has to write doc.spans["mentions"], and every span there has the
        score 1.
    docs (Iterable[Doc]): The gold Docs, their mentions in doc.spans["mentions"].
    name (str): Name of the tommer component.
    thresholds (Iterable[float]): Thresholds that are to be measured exactly, next to
        those of the component.
    states (Optional[StateCache]): Where the states of the texts are kept, in half
        precision, for other heads on the same backbone.
    RETURNS (tuple[Scored, Scored]): All spans; and those of the greedy segmentation, which
        are all again without a tommer component.
    """
    has_scores = name in nlp.pipe_names
    if has_scores:
        thresholds = [*thresholds, *thresholds_of(nlp.get_pipe(name)).values()]
    edges = bin_edges(thresholds)
    nested, flat = Scored(edges), Scored(edges)
    for batch in batch_by_tokens(docs, BATCH):
        texts = [doc.text for doc in batch]
        predicted, spans = find_spans(nlp, texts, name, states)
        picked = nlp.get_pipe(name).entities(spans) if has_scores else spans
        add_batch((nested, flat), batch, predicted, (spans, picked))
    if not nested.texts:
        raise ValueError("There are no gold texts to score.")
    return nested, flat


def thresholds_of(tommer: Tommer) -> dict[str, float]:
    """Return the thresholds of a component by decoding: "nested", and "flat" if it has
    one."""
    both = {"nested": tommer.threshold, "flat": tommer.flat_threshold}
    return {decoding: one for decoding, one in both.items() if one is not None}


def open_cache(nlp: Language, folder: Optional[Path]) -> Optional[StateCache]:
    """Open the cache for the states that a pipeline's tommer component reads.

    folder (Optional[Path]): The folder of the cache.
    RETURNS (Optional[StateCache]): The cache; None without a folder or a component.
    """
    if folder is None or not nlp.has_pipe("tommer"):
        return None
    unit = nlp.get_pipe("tommer").model.attrs["unit"]
    return StateCache(folder, nlp.get_pipe("transformer"), unit)


def score_examples(
    tommer: Tommer, examples: Iterable[Example], thresholds: Iterable[float] = ()
) -> tuple[Scored, Scored]:
    """Score the spans that a component finds in Docs that carry their states.

    tommer (Tommer): The component.
    examples (Iterable[Example]): Gold Docs as references, and predicted Docs with states.
    thresholds (Iterable[float]): Thresholds that are to be measured exactly.
    RETURNS (tuple[Scored, Scored]): All spans, and those of the greedy segmentation.
    """
    edges = bin_edges(thresholds)
    nested, flat = Scored(edges), Scored(edges)
    for batch in minibatch(examples, BATCH):
        docs = [example.x for example in batch]
        spans = tommer.decode(docs, tommer.predict(docs), FLOOR)
        picked = tommer.entities(spans)
        gold = [example.y for example in batch]
        add_batch((nested, flat), gold, docs, (spans, picked))
    return nested, flat


def add_batch(
    scored: Sequence[Scored],
    gold: Sequence[Doc],
    docs: Sequence[Doc],
    spans: Sequence[Mentions],
) -> None:
    """Count what was found in a batch of texts.

    scored (Sequence[Scored]): Counts of each decoding, such as all spans, and the greedy
        segmentation.
    docs (Sequence[Doc]): The tokens of the texts.
    spans (Sequence[Mentions]): The spans of each decoding, in order. (S,)
    """
    places = [gold_places(doc) for doc in gold]
    labels = [label for one in places for label in one.values()]
    inner = [inside for one in places for inside in inside_another(one)]
    for one, found in zip(scored, spans):
        one.add(found.logits, logits_of(places, docs, found), labels, inner)
        one.texts += len(docs)
        one.tokens += int(found.offsets[-1])


def find_spans(
    nlp: Language,
    texts: Sequence[str],
    name: str = "tommer",
    states: Optional[StateCache] = None,
) -> tuple[list[Doc], Mentions]:
    """Find the spans of texts: those that a tommer component scores, whatever its
    thresholds, or without one those that the pipeline writes.

    name (str): Name of the component.
    states (Optional[StateCache]): Where the states of the texts are kept.
    RETURNS (tuple[list[Doc], Mentions]): The Docs, and their spans in order.
    """
    if name in nlp.pipe_names:
        return scored_spans(nlp, name, texts, states)
    return written_spans(nlp, texts)


def scored_spans(
    nlp: Language, name: str, texts: Sequence[str], states: Optional[StateCache]
) -> tuple[list[Doc], Mentions]:
    """Let a tommer component score spans, whatever its thresholds.

    name (str): Name of the component.
    states (Optional[StateCache]): Where their states are kept.
    RETURNS (tuple[list[Doc], Mentions]): The Docs, and their spans in order.
    """
    pipe = nlp.get_pipe(name)
    docs = docs_with_states(nlp, name, texts, states)
    return docs, pipe.decode(docs, pipe.predict(docs), FLOOR)


def docs_with_states(
    nlp: Language, name: str, texts: Sequence[str], states: Optional[StateCache]
) -> list[Doc]:
    """Make Docs as a tommer component gets them.

    name (str): Name of the component.
    states (Optional[StateCache]): Where their states are kept.
    RETURNS (list[Doc]): The Docs, with hidden states.
    """
    if states is None:
        after = nlp.pipe_names[nlp.pipe_names.index(name) :]
        return list(nlp.pipe(texts, disable=after))
    docs = [nlp.make_doc(text) for text in texts]
    states.attach(docs)
    return docs


def written_spans(nlp: Language, texts: Sequence[str]) -> tuple[list[Doc], Mentions]:
    """Take the spans that a pipeline writes to doc.spans["mentions"].

    RETURNS (tuple[list[Doc], Mentions]): The Docs, and their spans in order, each once.
    """
    docs = list(nlp.pipe(texts))
    if not all(MENTIONS in doc.spans for doc in docs):
        raise ValueError(
            f"The pipeline {', '.join(nlp.pipe_names)} has no component 'tommer' and does "
            f"not write doc.spans[{MENTIONS!r}], so there is nothing to score. For a "
            f'span_finder, set spans_key = "{MENTIONS}".'
        )
    offsets = np.cumsum([0, *map(len, docs)])
    places = {
        (offset + span.start, offset + span.end)
        for doc, offset in zip(docs, offsets.tolist())
        for span in doc.spans[MENTIONS]
    }
    starts, ends = np.array(sorted(places), dtype="int").reshape(-1, 2).T
    sure = np.full(len(starts), np.inf)
    return docs, Mentions(starts, ends, sure, 0 * starts, sure, offsets)


def gold_places(doc: Doc) -> dict[Place, str]:
    """Get the gold mentions of a Doc, each once.

    doc (Doc): The gold Doc.
    RETURNS (dict[Place, str]): Their types, by start and end (exclusive) of their visible
        text, in characters.
    """
    places: dict[Place, str] = {}
    for span in doc.spans[MENTIONS]:
        place = visible_part(doc.text, span.start_char, span.end_char)
        if place is not None:
            places.setdefault(place, span.label_)
    return places


def inside_another(places: Iterable[Place]) -> list[bool]:
    """Tell which places lie inside another one.

    places (Iterable[Place]): Different places of one text.
    RETURNS (list[bool]): Whether each does, in their order.
    """
    places = list(places)
    inside, furthest = {}, -1
    for start, end in sorted(places, key=lambda place: (place[0], -place[1])):
        inside[start, end] = end <= furthest
        furthest = max(furthest, end)
    return [inside[place] for place in places]


def logits_of(
    places: Sequence[Iterable[Place]], docs: Sequence[Doc], spans: Mentions
) -> NDArray[np.floating]:
    """Look up the logits of gold mentions.

    places (Sequence[Iterable[Place]]): The gold mentions of each text, by characters.
    docs (Sequence[Doc]): The tokens of the texts.
    spans (Mentions): The spans found, in order. (S,)
    RETURNS (NDArray): The logit of the span at each place, or -inf. (G,)
    """
    return np.append(spans.logits, -np.inf)[indices_of(places, docs, spans)]


def indices_of(
    places: Sequence[Iterable[Place]], docs: Sequence[Doc], spans: Mentions
) -> NDArray[np.intp]:
    """Look up the spans found at places.

    places (Sequence[Iterable[Place]]): Places in each text, by characters.
    docs (Sequence[Doc]): The tokens of the texts.
    spans (Mentions): The spans found, in order. (S,)
    RETURNS (NDArray[intp]): The index of the span at each place, or -1. (G,)
    """
    width = int(spans.offsets[-1]) + 1
    wanted = []
    for some, doc, offset in zip(places, docs, spans.offsets.tolist()):
        first = {token.idx: offset + token.i for token in doc}
        last = {token.idx + len(token): offset + token.i + 1 for token in doc}
        for start, end in some:
            fits = start in first and end in last
            wanted.append(first[start] * width + last[end] if fits else -1)
    # One number for each span, with one more in front that no place has.
    numbers = np.concatenate([[-2], spans.starts * width + spans.ends])
    at = np.searchsorted(numbers, wanted, side="right") - 1
    return np.where(numbers[at] == wanted, at - 1, -1)
