"""Score names and terms apart, on benchmarks whose types are kinds of names or of terms."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import spacy_tommer
from spacy_tommer.evaluation.pipes import require_pipe
from spacy_tommer.evaluation.sets import find_sets
from spacy_tommer.evaluation.tables import DECODINGS, begin_report, rpf, table
from spacy_tommer.keys import NAME, TERM

from ..corpora.kinds import BENCHMARK_MARKS
from .kind_counts import RECALL, evaluate_kinds
from .protocol_files import write_report

KINDS = (NAME, TERM)
MEASURES = ("threshold R", "P", "F1", "greedy R", "P", "F1", f"P at R {100 * RECALL:g}")
NOTES = f"""\
Gold mentions whose type is a kind of name (persons, organizations, places, works, events,
awards) are compared with what the head finds as NAME, those whose type is a kind of term
(diseases, algorithms, fields, genres, chemicals) with what it finds as TERM: exact spans,
in per cent. Types that have both (misc, product, protein, DNA) are neither: spans that
equal their gold mentions do not count. Means are over the sets that have gold of the kind.

Threshold decoding takes every span above `threshold`, greedy decoding those above
`flat_threshold` that do not overlap. "P at R {100 * RECALL:g}" is the precision at that
recall, 0 if it is not reached; in the means with one threshold for all sets.

Precision is a lower bound. The benchmarks mark only some names, and fewer terms: what is
right and not marked counts as wrong. It compares heads on the same set, but neither sets
nor kinds."""


def score_kinds(
    pipelines: list[str],
    benchmarks: Path,
    output: Path,
    limit: int = 0,
    cache: Optional[Path] = None,
) -> tuple[list[str], dict[str, str]]:
    """Score the names and the terms that pipelines find, and write kinds.json and kinds.md.

    Recall means what it says. Precision is a lower bound: no benchmark marks all names or
    terms of its texts, nor those inside others, and what is right and not marked counts as
    wrong. It compares heads on the same benchmark. It compares neither benchmarks, which
    mark more or less of their texts, nor kinds: it is lowest for terms, of which CrossNER
    marks those of one domain, NCBI-disease diseases, and GENIA cell types and RNA.

    pipelines (list[str]): Names of shipped models, or folders of pipelines.
    benchmarks (Path): Folder with DocBins of each set.
    output (Path): Folder to write.
    limit (int): First texts of each set; 0 for all.
    cache (Optional[Path]): Folder that keeps the states of the texts.
    RETURNS (tuple[list[str], dict[str, str]]): The lines of an overview; and what was left
        out, with the reason: sets that BENCHMARK_MARKS lacks, which is a ValueError if no
        other is there, and kinds that a head does not tell.
    """
    found = find_sets(benchmarks)
    sets = {name: path for name, path in found.items() if name in BENCHMARK_MARKS}
    unknown = "It is not known which of its types are names, and which terms."
    left_out = {name: unknown for name in found if name not in sets}
    if not sets:
        raise ValueError(
            f"{benchmarks} has no set whose types are known to be names or terms: name a "
            f"folder with some of {', '.join(BENCHMARK_MARKS)}."
        )
    results: dict[str, Any] = {}
    for name in pipelines:
        nlp = spacy_tommer.load(name)
        told = require_pipe(nlp, "tommer", name).label_names
        kinds = [kind for kind in KINDS if kind in told]
        missing = [kind for kind in KINDS if kind not in told]
        if missing:
            reason = f"Its head tells only {', '.join(told)}."
            left_out[f"{' and '.join(missing)} of {name}"] = reason
        if kinds:
            results[name] = evaluate_kinds(nlp, kinds, sets, limit, name, cache)
    markdown = to_markdown(results, left_out, limit)
    write_report(output / "kinds", results, left_out, limit, markdown)
    return overview(results), left_out


def to_markdown(
    results: Mapping[str, dict[str, Any]], left_out: Mapping[str, str], limit: int = 0
) -> str:
    """Write the report of an evaluation by kinds.

    results (Mapping[str, dict]): What `evaluate_kinds` returned for each pipeline.
    left_out (Mapping[str, str]): Why a kind or a set was left out.
    limit (int): How many texts of each set were taken; 0 for all.
    RETURNS (str): An overview, and a table for each pipeline and kind.
    """
    title = "# Names and terms apart"
    lines = begin_report(title, NOTES, overview(results), left_out, limit)
    for name, result in results.items():
        settings = ", ".join(f"{key} = {one}" for key, one in result["settings"].items())
        lines += ["", f"## {name}", "", settings]
        for kind, scores in result["kinds"].items():
            rows = [
                [key, one["nested"]["gold"], *cells(one)]
                for key, one in scores["sets"].items()
            ]
            rows.append(["mean", "", *cells(scores["means"])])
            lines += ["", f"### {kind}", "", *table(["set", "gold", *MEASURES], rows)]
    return "\n".join(lines) + "\n"


def overview(results: Mapping[str, dict[str, Any]]) -> list[str]:
    """Write a line of means for each kind of each pipeline."""
    rows = [
        [name, kind, len(scores["sets"]), *cells(scores["means"])]
        for name, result in results.items()
        for kind, scores in result["kinds"].items()
    ]
    return table(["pipeline", "kind", "sets", *MEASURES], rows)


def cells(measures: Mapping[str, Any]) -> list[Any]:
    """List the measures of a set, or their means, as MEASURES names them."""
    shown: list[Any] = []
    for decoding in DECODINGS:
        shown += rpf(measures[decoding]) if decoding in measures else [""] * 3
    return [*shown, measures["precision_at_recall"][str(RECALL)]]
