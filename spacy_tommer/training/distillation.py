"""Distillation (section 2.3): trained heads, the teachers, add spans that they are sure of
to the gold mentions of a corpus, and a new head learns from both. Several teachers, each
trained on another corpus, use the mean of their probabilities.

Axis letters: n units of a text; L longest span in units; K kinds and sources.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, Optional

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import minibatch
from thinc.types import Ragged

from ..component import Tommer
from ..decoding.decode import sigmoid
from ..decoding.mentions import Mentions
from ..keys import IGNORED, TARGETS
from .cells import gold_cells

Purpose = Literal["mentions", "ignored", "targets"]
BATCH = 256
TINY = 1e-6


def distil_docs(
    teachers: Sequence[Tommer],
    examples: Iterable[Example],
    purpose: Purpose,
    threshold: float,
    counts: Counter[str],
    gold_share: Optional[float] = None,
) -> Iterator[Doc]:
    """Add the predictions of teachers to gold Docs.

    teachers (Sequence[Tommer]): Components that read the same states.
    examples (Iterable[Example]): Gold Docs as references; predicted Docs with states.
    purpose (str): "mentions" to add spans above the threshold to the gold ones (sparse
        distillation); "ignored" to exclude them from the loss, for a corpus that annotates
        only some kinds of mentions; "targets" to learn the probabilities of all spans
        (dense distillation).
    threshold (float): Mean probability that a span must exceed.
    counts (Counter[str]): Updated with the number of "tokens", of "gold" mentions, and of
        spans that were "added" or are "unaligned" with the tokens of the gold Doc.
    gold_share (Optional[float]): Weight of gold in each target; the teachers' mean has the
        rest. None sets the target of gold mentions to 1 and that of other spans to the
        mean, as in the paper.
    YIELDS (Doc): The gold Docs with the additions.
    """
    tommer = teachers[0]
    for batch in minibatch(examples, BATCH):
        for example in batch:
            counts["tokens"] += len(example.y)
            counts["gold"] += len(example.y.spans.get(tommer.spans_key, []))
        predicted = [example.x for example in batch]
        probabilities = consensus(teachers, predicted)
        if purpose == "targets":
            for example, said in zip(batch, probabilities):
                add_targets(example, said, tommer, gold_share)
        else:
            key = IGNORED if purpose == "ignored" else tommer.spans_key
            scores = [Ragged(log_odds(one.dataXd), one.lengths) for one in probabilities]
            found = tommer.decode(predicted, scores, threshold).by_doc()
            for example, mentions in zip(batch, found):
                add_spans(example, mentions, tommer, key, counts)
        yield from (example.y for example in batch)


def add_targets(
    example: Example, said: Ragged, tommer: Tommer, gold_share: Optional[float]
) -> None:
    """Write the probabilities that a student learns to the gold Doc of an example.

    Gold counts for the kinds and sources that it marks, see `gold_cells`. A gold mention
    that is of one of several kinds is shared among them as the teachers would.

    example (Example): The gold Doc as reference, and the predicted Doc.
    said (Ragged): The teachers' probability of each span (n, L, K), and how many units each
        token has.
    tommer (Tommer): One of the teachers.
    gold_share (Optional[float]): Weight of gold, as in `distil_docs`.
    """
    rows, columns = said.dataXd.shape[:2]
    within = np.arange(columns) <= np.arange(rows)[:, None]  # (n, L)
    outputs = tommer.model.attrs["kinds"], tommer.spans_key, tommer.model.attrs["sources"]
    gold, counted, united = gold_cells(example, within, said.lengths, *outputs)
    mean = said.dataXd
    share = np.where(united, mean + TINY, 0.0)
    share /= np.maximum(share.sum(-1, keepdims=True), TINY)
    gold = np.where(united, share, gold)
    both = (
        np.maximum(mean, gold)
        if gold_share is None
        else (1 - gold_share) * mean + gold_share * gold
    )
    target = np.where(counted | united, both, mean)
    example.reference.user_data[TARGETS] = target.astype("float16")


def consensus(teachers: Sequence[Tommer], docs: Sequence[Doc]) -> list[Ragged]:
    """Average the probabilities of teachers.

    teachers (Sequence[Tommer]): Components that read the same states.
    docs (Sequence[Doc]): Docs with states.
    RETURNS (list[Ragged]): For each Doc, the mean probability of each span (n, L, K), and
        how many units each token has.
    """
    scores = [teacher.predict(docs) for teacher in teachers]
    to_numpy = teachers[0].model.ops.to_numpy
    return [
        Ragged(
            np.mean([sigmoid(to_numpy(s.dataXd)) for s in said], axis=0), said[0].lengths
        )
        for said in zip(*scores)
    ]


def log_odds(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert probabilities of any shape to logits."""
    with np.errstate(divide="ignore"):
        return np.log(probabilities) - np.log1p(-probabilities)


def add_spans(
    example: Example, mentions: Mentions, tommer: Tommer, key: str, counts: Counter[str]
) -> None:
    """Add the teachers' mentions to a gold Doc.

    example (Example): The gold Doc as reference, and the predicted Doc.
    mentions (Mentions): The mentions that the teachers found in the predicted Doc.
    tommer (Tommer): One of the teachers.
    key (str): Key of doc.spans to add them to.
    counts (Counter[str]): Updated with the number of "added" and "unaligned" mentions.
    """
    doc, gold = example.predicted, example.reference
    taken = {
        (span.start_char, span.end_char)
        for group in (tommer.spans_key, key)
        for span in gold.spans.get(group, [])
    }
    spans = list(gold.spans.get(key, []))
    names = tommer.label_names
    for place, kind in zip(mentions.places(doc), mentions.kinds.tolist()):
        if place in taken:
            continue
        span = gold.char_span(*place, label=names[kind])
        counts["added" if span is not None else "unaligned"] += 1
        if span is not None:
            spans.append(span)
    gold.spans[key] = sorted(spans, key=lambda span: (span.start, span.end))
