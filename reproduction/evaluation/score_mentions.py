"""Score mentions on benchmarks by the evaluation protocol, with spaCy's own beside."""

from pathlib import Path
from typing import Any, Optional

import spacy_tommer
from spacy_tommer.evaluation.run import evaluate_pipeline
from spacy_tommer.evaluation.sets import find_sets
from spacy_tommer.evaluation.tables import overview

from .baselines import BASELINES, load_baseline
from .protocol_files import write_protocol


def score_mentions(
    pipelines: list[str],
    benchmarks: Path,
    output: Path,
    limit: int = 0,
    cache: Optional[Path] = None,
    baselines: bool = False,
) -> tuple[list[str], dict[str, str]]:
    """Score pipelines on each set, and write protocol.json, protocol.md and curves.png.

    pipelines (list[str]): Names of shipped models, or folders of pipelines.
    benchmarks (Path): Folder with DocBins of each set.
    output (Path): Folder to write.
    limit (int): First texts of each set; 0 for all.
    cache (Optional[Path]): Folder that keeps the states of the texts.
    baselines (bool): Whether spaCy's own pipelines are scored, too.
    RETURNS (tuple[list[str], dict[str, str]]): The lines of an overview; and what was left
        out, with the reason.
    """
    sets = find_sets(benchmarks)
    results: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    for name in pipelines:
        results[name] = evaluate_pipeline(spacy_tommer.load(name), sets, limit, name, cache)
    for name in BASELINES if baselines else ():
        try:
            nlp = load_baseline(name)
        except ImportError as error:
            left_out[name] = str(error)
        else:
            results[name] = evaluate_pipeline(nlp, sets, limit, name)
    if not results:
        reasons = " ".join(f"{name}: {reason}." for name, reason in left_out.items())
        raise ValueError(
            f"There is no pipeline to score. Name some, or --baselines. {reasons}"
        )
    try:
        write_protocol(output, results, left_out, limit)
    except ImportError as error:
        left_out["curves.png"] = str(error)
    return overview(results), left_out
