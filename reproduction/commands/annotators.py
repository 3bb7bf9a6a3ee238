"""Let people judge a sample of judged spans, and compare them with the judge."""

from pathlib import Path
from typing import Annotated

import typer

from ..annotators.agreement_tables import majority_table, write_annotators
from ..annotators.answers import read_answers
from ..annotators.measures import import_kappa, measure_annotators
from ..annotators.tasks import draw_tasks, read_tasks, write_sample
from .options import Seed

Judged = Annotated[Path, typer.Argument(help="The folder judged/ that a judge wrote.")]
Output = Annotated[Path, typer.Option(help="Folder to write.")]

app = typer.Typer(no_args_is_help=True, help=__doc__)


@app.command()
def sample(
    judged: Judged,
    output: Output = Path("metrics/annotators"),
    size: Annotated[int, typer.Option(min=1, help="Spans of each set.")] = 600,
    seed: Seed = 0,
) -> None:
    """Draw a blind sample of judged spans for people to judge.

    sample.csv has a column "verdict" for yes or no; sample.jsonl is for `prodigy mark
    DATASET sample.jsonl --view-id ner`: the same spans in the same random order, without
    what the judge said.
    """
    paths = write_sample(output, lambda: draw_tasks(read_tasks(judged), size, seed))
    print(f"Written: {', '.join(map(str, paths))}")


@app.command()
def report(
    judged: Judged,
    files: Annotated[
        list[Path],
        typer.Argument(help="A file for each annotator: .csv, or .jsonl of Prodigy."),
    ],
    output: Output = Path("metrics/annotators"),
) -> None:
    """Compare people with each other and with the judge (tables 2 and 7).

    Writes annotators.json and annotators.md.
    """
    import_kappa()  # no reading before it is known that it can be measured
    tasks = read_tasks(judged)
    result = measure_annotators(tasks, read_answers(files, {task.id for task in tasks}))
    write_annotators(output, result)
    print("\n".join(majority_table(result)))
    print(f"All tables: {output / 'annotators.md'}")
