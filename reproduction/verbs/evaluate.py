"""Score pipelines on benchmarks by the evaluation protocol."""

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

import spacy_tommer
from spacy_tommer.evaluation.run import evaluate_pipeline
from spacy_tommer.evaluation.sets import find_sets
from spacy_tommer.evaluation.tables import overview

from ..evaluation.baselines import BASELINES, load_baseline
from ..evaluation.reports import write_reports


def evaluate(
    pipelines: Annotated[
        Optional[list[str]], typer.Argument(help="Shipped models, or folders.")
    ] = None,
    benchmarks: Path = Path("corpus/benchmarks"),
    output: Path = Path("metrics"),
    limit: Annotated[int, typer.Option(help="First texts of each set; 0: all.")] = 0,
    cache: Annotated[
        Optional[Path], typer.Option(help="Keep the hidden states of the texts here.")
    ] = None,
    baselines: Annotated[bool, typer.Option(help="Score spaCy's too.")] = False,
) -> None:
    """Score PIPELINES on each folder of DocBins in BENCHMARKS, and write protocol.json,
    protocol.md and curves.png to OUTPUT."""
    sets = find_sets(benchmarks)
    results: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    for name in pipelines or []:
        results[name] = evaluate_pipeline(spacy_tommer.load(name), sets, limit, name, cache)
    for name in BASELINES if baselines else ():
        try:
            nlp = load_baseline(name)
        except ImportError as error:
            left_out[name] = str(error)
        else:
            results[name] = evaluate_pipeline(nlp, sets, limit, name)
    if not results:
        raise typer.BadParameter(f"There is no pipeline to score. {left_out or ''}")
    try:
        write_reports(output, results, left_out, limit)
    except ImportError as error:
        left_out["curves.png"] = str(error)
    print("\n".join(overview(results)))
    for name, reason in left_out.items():
        typer.echo(f"Left out: {name}. {reason}", err=True)
    print(f"All tables: {output / 'protocol.md'}")


if __name__ == "__main__":
    typer.run(evaluate)
