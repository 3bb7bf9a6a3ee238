"""Spans to be judged: those that pipelines find, and the gold ones."""

import hashlib
import heapq
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from spacy.language import Language
from spacy.tokens import Doc

from spacy_tommer.backbone.pipe import batch_by_tokens
from spacy_tommer.evaluation.protocol import BATCH, find_spans, gold_places
from spacy_tommer.keys import MENTIONS

# Set, number of the text in it, start and end (exclusive) in characters.
Key = tuple[str, int, int, int]
Docs = Mapping[str, Sequence[Doc]]

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass
class Candidate:
    """A span of a text.

    key (Key): Where it is.
    tokens (int): Its length in tokens.
    gold (bool): Whether it is a gold mention.
    logits (dict[str, float]): Its logit for each pipeline that found it; inf where a
        pipeline has no scores.
    """

    key: Key
    tokens: int
    gold: bool = False
    logits: dict[str, float] = field(default_factory=dict)

    def found(self, pipeline: str, logit: float) -> bool:
        """Tell whether a pipeline finds the span.

        pipeline (str): Name of the pipeline.
        logit (float): The logit that must be exceeded.
        RETURNS (bool): Whether it is.
        """
        return self.logits.get(pipeline, -math.inf) > logit


Pool = dict[Key, Candidate]


def gold_candidates(docs: Docs) -> Pool:
    """Take the gold mentions.

    docs (Docs): The gold Docs of each set.
    RETURNS (Pool): Each stretch of text once.
    """
    pool: Pool = {}
    for name, part in docs.items():
        for number, doc in enumerate(part):
            if MENTIONS not in doc.spans:
                raise ValueError(
                    f"A Doc of {name!r} has no doc.spans[{MENTIONS!r}]. Write gold Docs "
                    "with `python -m reproduction convert`."
                )
            for start, end in gold_places(doc):
                key = (name, number, start, end)
                span = doc.char_span(start, end)
                pool[key] = Candidate(key, len(span), gold=True)
    return pool


def add_found(
    pool: Pool, docs: Docs, nlp: Language, pipeline: str, floor: Optional[float]
) -> None:
    """Add the spans that a pipeline finds.

    pool (Pool): Where they are added.
    docs (Docs): The gold Docs of each set.
    nlp (Language): The pipeline. Without a tommer component it has to write
        doc.spans["mentions"].
    pipeline (str): Its name.
    floor (Optional[float]): Probability that a span must exceed; None for a pipeline that
        has no scores.
    """
    for name, part in docs.items():
        number = 0
        for batch in batch_by_tokens(part, BATCH):
            texts = [doc.text for doc in batch]
            predicted, spans = find_spans(nlp, texts)
            if floor is not None:
                spans = spans.above(floor)
            for doc, found in zip(predicted, spans.by_doc()):
                tokens = (found.ends - found.starts).tolist()
                scored = zip(found.places(doc), tokens, found.logits.tolist())
                for place, length, score in scored:
                    key = (name, number, *place)
                    one = pool.setdefault(key, Candidate(key, length))
                    one.logits[pipeline] = score
                number += 1


def choose_thresholds(
    nlp: Language, floor: Optional[float], wanted: Sequence[float] = ()
) -> tuple[Optional[float], list[Optional[float]]]:
    """Choose from which threshold on a pipeline's spans are candidates, and the thresholds
    that are measured.

    floor (Optional[float]): The least threshold; None for the pipeline's own.
    wanted (Sequence[float]): The thresholds to measure; if empty, the floor, the
        pipeline's own and THRESHOLDS, as far as they are not below the floor.
    RETURNS (tuple[Optional[float], list[Optional[float]]]): The floor, and the rising
        thresholds; None for a pipeline without scores.
    """
    if not nlp.has_pipe("tommer"):
        return None, [None]
    own = nlp.get_pipe("tommer").threshold
    least = own if floor is None else floor
    if wanted and min(wanted) < least:
        raise ValueError(
            f"Spans are candidates above {least:g}, so nothing can be measured at "
            f"{min(wanted):g}. Set --floor {min(wanted):g}."
        )
    every = wanted or [one for one in (least, own, *THRESHOLDS) if one >= least]
    return least, [*sorted(set(every))]


def rank(key: Key, seed: Hashable) -> bytes:
    """Place a span in a random order. It does not depend on the other spans, so
    that samples of different sizes and candidates share what they can.

    key (Key): The span.
    seed (Hashable): Another seed means another order.
    RETURNS (bytes): To be compared with those of other spans.
    """
    return hashlib.sha256(repr((seed, *key)).encode("utf8")).digest()


def draw_sample(candidates: Iterable[Candidate], size: int, seed: int) -> list[Candidate]:
    """Draw a random sample, every candidate with the same probability.

    size (int): How many to draw at most.
    RETURNS (list[Candidate]): The sample in random order.
    """
    return heapq.nsmallest(size, candidates, key=lambda one: rank(one.key, seed))


def asking_order(keys: Iterable[Key], seed: int) -> list[Key]:
    """Put spans into a random order that does not follow that of the sample, so that what
    is judged before a ceiling is a sample of candidates and of control spans alike.

    keys (Iterable[Key]): The spans.
    RETURNS (list[Key]): The spans in the order in which they are asked about.
    """
    return sorted(keys, key=lambda key: rank(key, (seed, "order")))


def show(text: str, start: int, end: int, width: int) -> str:
    """Show a span in its context.

    start (int): Start of the span in characters.
    end (int): Its end, exclusive.
    width (int): Characters on each side.
    RETURNS (str): The span in double square brackets, and dots where the text is cut.
    """
    left, right = max(start - width, 0), end + width
    before = ("..." if left else "") + text[left:start]
    after = text[end:right] + ("..." if right < len(text) else "")
    return f"{before}[[{text[start:end]}]]{after}"
