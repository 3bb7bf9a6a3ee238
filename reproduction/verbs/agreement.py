"""Compare the mentions that pipelines find in the same texts."""

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

import spacy_tommer
from spacy_tommer.evaluation.sets import find_sets
from spacy_tommer.evaluation.tables import table, write_csv
from spacy_tommer.files import write_aside

from ..analyses.agreement import draw_dice, measure_agreement


def agreement(
    pipelines: Annotated[list[str], typer.Argument(help="Shipped models, or folders.")],
    benchmarks: Path = Path("corpus/benchmarks"),
    sets: Annotated[Optional[str], typer.Option(help="Some only: NAME,NAME.")] = None,
    output: Path = Path("metrics/agreement"),
    limit: Annotated[int, typer.Option(help="First texts of each set; 0: all.")] = 0,
    threshold: Annotated[
        Optional[float], typer.Option(help="One for all, in place of their own.")
    ] = None,
    cache: Annotated[
        Optional[Path], typer.Option(help="Keep the hidden states of the texts here.")
    ] = None,
) -> None:
    """Write to OUTPUT the Dice and IoU of the mentions of each two PIPELINES, in each
    folder of DocBins in BENCHMARKS: agreement.csv and dice.png."""
    places = find_sets(benchmarks)
    if sets is not None:
        wanted = sets.split(",")
        if unknown := set(wanted) - set(places):
            raise typer.BadParameter(
                f"{benchmarks} has no set {', '.join(sorted(unknown))}, but "
                f"{', '.join(places)}."
            )
        places = {name: places[name] for name in wanted}
    loaded = {name: spacy_tommer.load(name) for name in pipelines}
    results = {
        name: measure_agreement(loaded, folder, limit, threshold, cache)
        for name, folder in places.items()
    }
    rows: list[dict[str, Any]] = [
        {"set": name, "decoding": decoding, **row}
        for name, both in results.items()
        for decoding, one in both.items()
        for row in one.rows()
    ]
    output.mkdir(parents=True, exist_ok=True)
    write_aside(output / "agreement.csv", lambda path: write_csv(path, rows))
    pairs = [row for row in rows if row["a"] < row["b"]]
    print("\n".join(table(rows[0], (row.values() for row in pairs))))
    try:
        figure = draw_dice(results)
    except ImportError as error:
        typer.echo(f"Left out: dice.png. {error}", err=True)
    else:
        write_aside(output / "dice.png", lambda path: figure.savefig(path, format="png"))


if __name__ == "__main__":
    typer.run(agreement)
