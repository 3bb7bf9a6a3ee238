"""A blind sample of judged spans for annotators, as a spreadsheet or for Prodigy."""

import csv
import json
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import spacy
from spacy.tokens import Doc

from spacy_tommer.evaluation.sets import find_sets, read_docs
from spacy_tommer.files import write_aside

from ..judge.candidates import show
from ..judge.judged import GROUPS

Answer = Literal["yes", "no"]

# Characters that annotators see on each side of a span.
WIDTH = 300
# A spreadsheet runs what begins so as a formula, also after blanks and separators. What
# begins with the mark of a text is marked, too, so that marks can be taken away again.
FORMULA = re.compile(r"'*[\s;,]*[=+\-@]|'*[\t\r]")
COLUMNS = ("id", "text", "verdict")


@dataclass(frozen=True)
class Task:
    """A judged span.

    id (str): Its name in the files of the annotators.
    set (str): The set that its text is from.
    text (str): The whole text.
    start (int): Start of the span in characters.
    end (int): Its end, exclusive.
    verdict (Answer): What the judge said.
    """

    id: str
    set: str
    text: str
    start: int
    end: int
    verdict: Answer


def read_tasks(folder: Path) -> list[Task]:
    """Read the spans that a judge accepted or rejected.

    folder (Path): The judged Docs.
    RETURNS (list[Task]): The spans, in the order of the texts.
    """
    vocab = spacy.blank("en").vocab
    tasks = [
        task
        for name, place in find_sets(folder).items()
        for number, doc in enumerate(read_docs(place, vocab))
        for task in tasks_of(doc, name, number)
    ]
    if not tasks:
        raise ValueError(
            f"{folder} has no judged spans. Name the folder judged/ that "
            "`python -m reproduction judge` wrote."
        )
    return tasks


def tasks_of(doc: Doc, name: str, number: int) -> Iterator[Task]:
    """Take the judged spans of a Doc.

    doc (Doc): The judged Doc.
    name (str): Its set.
    number (int): Its number in the set.
    YIELDS (Task): The spans.
    """
    verdicts: dict[tuple[int, int], Answer] = {}
    for answer in ("yes", "no"):
        for span in doc.spans.get(GROUPS[answer], ()):
            verdicts[span.start_char, span.end_char] = answer
    for (start, end), verdict in sorted(verdicts.items()):
        id_ = f"{name}-{number}-{start}-{end}"
        yield Task(id_, name, doc.text, start, end, verdict)


def draw_tasks(tasks: Iterable[Task], size: int, seed: int) -> list[Task]:
    """Draw a random sample of the spans of each set.

    tasks (Iterable[Task]): The spans.
    size (int): How many of each set to draw at most.
    RETURNS (list[Task]): The sample, in random order.
    """
    generator = random.Random(seed)
    sets: dict[str, list[Task]] = {}
    for task in tasks:
        sets.setdefault(task.set, []).append(task)
    drawn = []
    for part in sets.values():
        drawn += generator.sample(part, min(size, len(part)))
    generator.shuffle(drawn)
    return drawn


def write_sample(folder: Path, draw: Callable[[], Sequence[Task]]) -> tuple[Path, Path]:
    """Write a sample as sample.csv and sample.jsonl.

    folder (Path): Where to write, made if need be.
    draw (Callable): Draws the sample.
    RETURNS (tuple[Path, Path]): Both files.
    RAISES (FileExistsError): If there is a spreadsheet, which people may have filled in.
    """
    sheet, lines = folder / "sample.csv", folder / "sample.jsonl"
    if sheet.exists():
        raise FileExistsError(
            f"{sheet} is there, and may hold verdicts of people. Name another --output, or "
            "remove it."
        )
    tasks = draw()
    folder.mkdir(parents=True, exist_ok=True)
    write_aside(sheet, lambda path: write_csv(path, tasks))
    write_aside(lines, lambda path: write_prodigy(path, tasks))
    return sheet, lines


def write_csv(path: Path, tasks: Iterable[Task]) -> None:
    """Write a spreadsheet with an empty column for the verdicts.

    tasks (Iterable[Task]): The spans. Neither verdicts nor sources are written.
    """
    # Excel takes a file for UTF-8 only with a byte order mark.
    with path.open("w", encoding="utf-8-sig", newline="") as file_:
        # In quotes, cells stay whole in programs that split at semicolons, too.
        writer = csv.writer(file_, quoting=csv.QUOTE_ALL)
        writer.writerow(COLUMNS)
        for task in tasks:
            shown = show(task.text, task.start, task.end, WIDTH)
            writer.writerow([plain(task.id), plain(shown), ""])


def plain(cell: str) -> str:
    """Write a cell so that a spreadsheet shows it as text."""
    return f"'{cell}" if FORMULA.match(cell) else cell


def write_prodigy(path: Path, tasks: Sequence[Task]) -> None:
    """Write tasks for Prodigy, to be accepted or rejected.

    tasks (Sequence[Task]): The spans. Neither verdicts nor sources are written.
    """
    with path.open("w", encoding="utf8") as file_:
        for task in tasks:
            left = max(task.start - WIDTH, 0)
            span = {
                "start": task.start - left,
                "end": task.end - left,
                "label": "MENTION",
            }
            line = {
                "text": task.text[left : task.end + WIDTH],
                "spans": [span],
                "meta": {"id": task.id},
            }
            file_.write(json.dumps(line, ensure_ascii=False) + "\n")
