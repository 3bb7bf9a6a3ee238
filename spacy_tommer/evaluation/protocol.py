"""The evaluation protocol: exact, untyped spans, compared by characters, for threshold and
greedy decoding (section 4.1).

Axis letters: S scored spans of a corpus; P spans that greedy decoding picks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import minibatch

from ..decoding import logit

# Spans below this probability are not looked at.
FLOOR = 1e-4
BATCH = 256


@dataclass
class Scored:
    """Spans by falling score, and how many of the first ones are right.

    logits (NDArray): Their logits. (S,)
    right (NDArray): Number of gold mentions among the first ones. (S,)
    gold (int): Number of gold mentions.
    """

    logits: NDArray[np.floating]
    right: NDArray[np.intp]
    gold: int

    @classmethod
    def build(
        cls, logits: NDArray[np.floating], is_gold: NDArray[np.bool_], gold: int
    ) -> "Scored":
        """Sort spans by score.

        logits (NDArray): Logits of the spans. (S,)
        is_gold (NDArray[bool]): Whether each is a gold mention. (S,)
        gold (int): Number of gold mentions, with those that have no score.
        RETURNS (Scored): The sorted spans.
        """
        order = np.argsort(-logits, kind="stable")
        return cls(logits[order], np.cumsum(is_gold[order]), gold)

    def at(self, threshold: float) -> dict[str, float]:
        """Measure the spans above a threshold.

        threshold (float): Probability that a span must exceed.
        RETURNS (dict[str, float]): Recall, precision, F1, and the counts behind them.
        """
        found = int(np.searchsorted(-self.logits, -logit(threshold), side="left"))
        right = int(self.right[found - 1]) if found else 0
        return measure(right, found, self.gold)

    def average_precision(self) -> float:
        """Compute the area under the precision-recall curve, by steps.

        RETURNS (float): The average precision.
        """
        steps = np.diff(self.right, prepend=0) / max(self.gold, 1)
        return float((steps * self.right / np.arange(1, len(self.right) + 1)).sum())


def measure(right: int, found: int, gold: int) -> dict[str, float]:
    """Compute recall, precision and F1 from counts.

    right (int): Spans that are gold mentions.
    found (int): Spans.
    gold (int): Gold mentions.
    RETURNS (dict[str, float]): The three, between 0 and 1, and the counts.
    """
    return {
        "r": right / gold if gold else 0.0,
        "p": right / found if found else 0.0,
        "f": 2 * right / (found + gold) if found + gold else 0.0,
        "right": right,
        "found": found,
        "gold": gold,
    }


def score_docs(
    nlp: Language, docs: Iterable[Doc], name: str = "tommer"
) -> tuple[Scored, Scored]:
    """Score all spans of the texts of gold Docs.

    nlp (Language): A pipeline, which tokenizes the texts itself.
    docs (Iterable[Doc]): The gold Docs, their mentions in doc.spans["mentions"].
    name (str): Name of the tommer component.
    RETURNS (tuple[Scored, Scored]): All spans, and those of the greedy segmentation.
    """
    pipe = nlp.get_pipe(name)
    before = nlp.pipe_names[: nlp.pipe_names.index(name)]
    logits: list[NDArray] = []
    is_gold: list[NDArray] = []
    picked: list[NDArray] = []
    gold, spans = 0, 0
    with nlp.select_pipes(enable=before):
        for batch in minibatch(docs, BATCH):
            predicted = list(nlp.pipe(doc.text for doc in batch))
            found = pipe.decode(predicted, pipe.predict(predicted), FLOOR)
            everywhere = np.ones(found.offsets[-1], dtype="bool")
            picked.append(spans + found.greedy(everywhere))
            logits.append(found.logits)
            spans += len(found.logits)
            for doc, reference, own in zip(predicted, batch, found.by_doc()):
                mentions = {
                    (span.start_char, span.end_char) for span in reference.spans["mentions"]
                }
                first = [token.idx for token in doc]
                last = [token.idx + len(token) for token in doc]
                places = ((first[s], last[e]) for s, e in zip(own.starts, own.ends))
                is_gold.append(np.array([place in mentions for place in places], bool))
                gold += len(mentions)
    if not logits:
        raise ValueError("There are no gold texts to score.")
    all_logits, all_gold = np.concatenate(logits), np.concatenate(is_gold)
    flat = np.concatenate(picked)
    return (
        Scored.build(all_logits, all_gold, gold),
        Scored.build(all_logits[flat], all_gold[flat], gold),
    )


def mean(measures: Sequence[dict[str, float]]) -> dict[str, float]:
    """Take the plain mean of measures over corpora.

    measures (Sequence[dict]): The measures of each corpus.
    RETURNS (dict[str, float]): Their mean recall, precision and F1.
    """
    return {key: float(np.mean([one[key] for one in measures])) for key in "rpf"}


def precision_at_recall(corpora: Sequence[Scored], recall: float) -> float:
    """Find the mean precision at which the mean recall has a value, with one threshold
    for all corpora, interpolated on the curve.

    corpora (Sequence[Scored]): The scored spans of each corpus.
    recall (float): The mean recall.
    RETURNS (float): The mean precision; 0 where the recall is not reached.
    """
    thresholds = np.linspace(np.log(FLOOR), -np.log(FLOOR), 2001)
    points = []
    for z in thresholds[::-1]:
        scores = [corpus.at(float(1 / (1 + np.exp(-z)))) for corpus in corpora]
        points.append((mean(scores)["r"], mean(scores)["p"]))
        if points[-1][0] >= recall:
            break
    recalls, precisions = zip(*points)
    return float(np.interp(recall, recalls, precisions, right=0.0))
