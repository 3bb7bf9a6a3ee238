"""Measure what a pipeline finds in passages, with intervals over passages.

Axis letters: N passages; B resamples.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import Doc

from spacy_tommer.component import Tommer
from spacy_tommer.decoding.mentions import Mentions
from spacy_tommer.evaluation.counts import Scored, bin_edges, measure
from spacy_tommer.evaluation.protocol import Place, add_batch, find_spans, gold_places

RESAMPLES = 1000
INTERVAL = (2.5, 97.5)
SEED = 0


class Passage(NamedTuple):
    """What is marked in a text, and what a pipeline finds there: kinds by place.

    tokens (int): Tokens of the pipeline.
    gold (dict[Place, str]): Gold mentions.
    found (dict[Place, str]): All mentions that the pipeline writes.
    flat (dict[Place, str]): Its entities.
    """

    tokens: int
    gold: dict[Place, str]
    found: dict[Place, str]
    flat: dict[Place, str]


def find(
    nlp: Language, gold: Sequence[Doc], thresholds: Sequence[str]
) -> tuple[dict[str, list[Passage]], Scored]:
    """Let a pipeline find mentions in the texts of gold Docs.

    thresholds (Sequence[str]): Names of pairs of thresholds, such as "recall".
    RETURNS (tuple[dict[str, list[Passage]], Scored]): The passages by name of thresholds;
        and the counts of all spans, to measure any other threshold.
    """
    tommer = nlp.get_pipe("tommer")
    docs, spans = find_spans(nlp, [doc.text for doc in gold])
    scored = Scored(bin_edges())
    add_batch((scored,), gold, docs, (spans,))
    passages = {}
    for name in thresholds:
        tommer.use_thresholds(name)
        all_of_them = spans.above(tommer.threshold).by_doc()
        flat = tommer.entities(spans).above(tommer.flat_threshold).by_doc()
        passages[name] = [
            Passage(len(doc), gold_places(own), *(kinds_of(tommer, doc, m) for m in pair))
            for own, doc, *pair in zip(gold, docs, all_of_them, flat)
        ]
    return passages, scored


def kinds_of(tommer: Tommer, doc: Doc, mentions: Mentions) -> dict[Place, str]:
    """Name the kinds of the mentions of a Doc, by their places."""
    labels = [tommer.label_names[kind] for kind in mentions.kinds.tolist()]
    return dict(zip(mentions.places(doc), labels))


def score(passages: Sequence[Passage]) -> dict[str, Any]:
    """Measure passages.

    RETURNS (dict[str, Any]): "nested" and "flat", exact places of any kind; "kinds", exact
        places with the right kind, of each kind; all as `with_intervals` returns them; and
        mentions in 100 tokens, "gold_per_100" and "found_per_100".
    """
    tokens = sum(one.tokens for one in passages)
    kinds = sorted({kind for one in passages for kind in one.gold.values()})
    gold, found = (sum(len(getattr(p, key)) for p in passages) for key in ("gold", "found"))
    return {
        "passages": len(passages),
        "tokens": tokens,
        "gold_per_100": 100 * gold / max(tokens, 1),
        "found_per_100": 100 * found / max(tokens, 1),
        "nested": with_intervals(counts(passages, "found")),
        "flat": with_intervals(counts(passages, "flat")),
        "kinds": {k: with_intervals(counts(passages, "found", k)) for k in kinds},
    }


def counts(
    passages: Sequence[Passage], decoding: str, kind: Optional[str] = None
) -> NDArray[np.int64]:
    """Count in each passage.

    decoding (str): "found" or "flat".
    kind (Optional[str]): Count only mentions of this kind.
    RETURNS (NDArray[int64]): How many are right, found, and gold. (N, 3)
    """
    rows = []
    for one in passages:
        gold, found = (
            {place for place, own in places.items() if kind in (None, own)}
            for places in (one.gold, getattr(one, decoding))
        )
        rows.append((len(gold & found), len(found), len(gold)))
    return np.array(rows, dtype="int64").reshape(-1, 3)


def with_intervals(rows: NDArray[np.int64]) -> dict[str, Any]:
    """Measure all passages as one, with 95 % intervals.

    rows (NDArray[int64]): How many are right, found, and gold in each passage. (N, 3)
    RETURNS (dict[str, Any]): The measures of `measure`, and in "intervals" the two ends
        for "r", "p" and "f", from passages drawn again with replacement.
    """
    right, found, gold = resample(rows)  # each (B,)
    shares = {
        "r": right / np.maximum(gold, 1),
        "p": right / np.maximum(found, 1),
        "f": 2 * right / np.maximum(found + gold, 1),
    }
    intervals = {key: np.percentile(one, INTERVAL).tolist() for key, one in shares.items()}
    return {**measure(*rows.sum(axis=0).tolist()), "intervals": intervals}


def resample(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Draw passages with replacement, as many as there are, and sum their counts.

    rows (NDArray[int64]): Counts of each passage. (N, 3)
    RETURNS (NDArray[int64]): The sums of each draw. (3, B)
    """
    rng = np.random.default_rng(SEED)
    drawn = rng.integers(len(rows), size=(RESAMPLES, len(rows)))
    return rows[drawn].sum(axis=1).T
