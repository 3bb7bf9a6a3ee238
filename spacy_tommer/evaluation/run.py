"""Run a pipeline on sets of texts, and collect the protocol's measures (section 4.1)."""

import time
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any, Optional

from spacy.language import Language
from spacy.tokens import Doc
from tqdm import tqdm

from .counts import Scored
from .means import curve_points, mean, micro, precision_at_recall, weighted_mean
from .protocol import open_cache, score_docs, thresholds_of
from .sets import read_docs, read_gold

RECALLS = (0.94, 0.956)
TIMED_TEXTS = 1000


def evaluate_pipeline(
    nlp: Language,
    sets: dict[str, Path],
    limit: int = 0,
    desc: str = "",
    cache: Optional[Path] = None,
) -> dict[str, Any]:
    """Score a pipeline on sets of gold Docs.

    sets (dict[str, Path]): The folder of each set.
    limit (int): How many of the first texts of each set to take; 0 for all.
    desc (str): Description on the progress bar.
    cache (Optional[Path]): Folder that keeps the states of the texts.
    RETURNS (dict[str, Any]): "settings", the two thresholds; "sets", with "texts",
        "tokens", "words_per_second" and the `Scored.details` of each decoding, "nested" and
        "flat"; "means" for each decoding, "plain", "micro" and "weighted" by texts; and
        for a tommer component "average_precision", "precision_at_recall" and "curve".
    """
    scored: dict[str, dict[str, Scored]] = {}
    results: dict[str, Any] = {"settings": {}, "sets": {}, "means": {}}
    states = open_cache(nlp, cache)
    # Spans without a score have the score 1.
    thresholds = {"nested": 0.5}
    if nlp.has_pipe("tommer"):
        tommer = nlp.get_pipe("tommer")
        results["settings"] = {
            "threshold": tommer.threshold,
            "flat_threshold": tommer.flat_threshold,
        }
        thresholds = thresholds_of(tommer)
    for name, folder in tqdm(sets.items(), desc=desc, disable=None):
        both = score_docs(nlp, read_gold(folder, nlp.vocab, limit), states=states)
        scored[name] = dict(zip(("nested", "flat"), both))
        results["sets"][name] = {
            "texts": both[0].texts,
            "tokens": both[0].tokens,
            "words_per_second": words_per_second(nlp, read_docs(folder, nlp.vocab, limit)),
        }
    texts = [corpora["nested"].texts for corpora in scored.values()]
    for decoding, threshold in thresholds.items():
        reports = [corpora[decoding].details(threshold) for corpora in scored.values()]
        for entry, report in zip(results["sets"].values(), reports):
            entry[decoding] = report
        results["means"][decoding] = {
            "plain": mean(reports),
            "micro": micro(reports),
            "weighted": weighted_mean(reports, texts),
        }
    if results["settings"]:
        results.update(threshold_free([corpora["nested"] for corpora in scored.values()]))
    return results


def threshold_free(corpora: list[Scored]) -> dict[str, Any]:
    """Measure scores without a threshold.

    corpora (list[Scored]): The scored spans of each set.
    RETURNS (dict[str, Any]): "average_precision", the plain mean; "precision_at_recall",
        the mean precision at mean recalls; and the mean "curve".
    """
    areas = [corpus.average_precision() for corpus in corpora]
    return {
        "average_precision": sum(areas) / len(areas),
        "precision_at_recall": {
            str(recall): precision_at_recall(corpora, recall) for recall in RECALLS
        },
        "curve": curve_points(corpora),
    }


def words_per_second(nlp: Language, docs: Iterable[Doc]) -> float:
    """Time a whole pipeline, once, on the first texts of a set.

    docs (Iterable[Doc]): The gold Docs of the texts.
    RETURNS (float): Tokens per second.
    """
    texts = [doc.text for doc in islice(docs, TIMED_TEXTS)]
    start = time.perf_counter()
    words = sum(len(doc) for doc in nlp.pipe(texts))
    return words / (time.perf_counter() - start)
