"""Let people judge a sample of judged spans, and compare them with the judge."""

from pathlib import Path
from typing import Annotated

import typer

from spacy_tommer.files import write_aside

from ..annotators.answers import read_answers
from ..annotators.measures import import_kappa, measure_annotators
from ..annotators.report import majority_table, write_agreement
from ..annotators.tasks import (
    draw_tasks,
    read_tasks,
    write_csv,
    write_prodigy,
)

app = typer.Typer(help=__doc__, pretty_exceptions_show_locals=False)


@app.command()
def sample(
    judged: Annotated[Path, typer.Argument(help="The folder judged/ of a judge.")],
    output: Path = Path("metrics/annotators"),
    size: Annotated[int, typer.Option(min=1, help="Spans of each set.")] = 600,
    seed: int = 0,
) -> None:
    """Write sample.csv, with a column "verdict" for yes or no, and sample.jsonl for
    `prodigy mark DATASET sample.jsonl --view-id ner` to OUTPUT: the same spans in the same
    random order, without what the judge said."""
    try:
        if (output / "sample.csv").exists():
            raise FileExistsError(
                f"{output / 'sample.csv'} is there, and may hold verdicts of people. Name "
                "another --output, or remove it."
            )
        tasks = draw_tasks(read_tasks(judged), size, seed)
        output.mkdir(parents=True, exist_ok=True)
        write_aside(output / "sample.csv", lambda path: write_csv(path, tasks))
        write_aside(output / "sample.jsonl", lambda path: write_prodigy(path, tasks))
    except (OSError, ValueError) as error:
        fail(error)
    print(f"{len(tasks)} spans: {output / 'sample.csv'}, {output / 'sample.jsonl'}")


@app.command()
def report(
    judged: Annotated[Path, typer.Argument(help="The folder judged/ of a judge.")],
    files: Annotated[
        list[Path],
        typer.Argument(help="A file for each annotator: .csv, or .jsonl of Prodigy."),
    ],
    output: Path = Path("metrics/annotators"),
) -> None:
    """Compare the annotators with each other and with the judge, and write annotators.json
    and annotators.md to OUTPUT."""
    try:
        import_kappa()
        tasks = read_tasks(judged)
        answers = read_answers(files, {task.id for task in tasks})
        result = measure_annotators(tasks, answers)
        write_agreement(output, result)
    except (ImportError, OSError, ValueError) as error:
        fail(error)
    print("\n".join(majority_table(result)))
    print(f"All tables: {output / 'annotators.md'}")


def fail(error: Exception) -> None:
    """End with an error message."""
    typer.echo(f"Error: {error}", err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
