"""Read what annotators answered, from spreadsheets and from Prodigy."""

import csv
import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

from .tasks import FORMULA, Answer

WORDS: dict[Any, Optional[Answer]] = {"yes": "yes", "no": "no", "": None}
PRODIGY: dict[Any, Optional[Answer]] = {
    "accept": "yes",
    "reject": "no",
    "ignore": None,
    None: None,
}
# Spreadsheets write one of these between cells, by the country's habit.
DELIMITERS = ",;\t"

Answers = dict[str, Answer]
# Line, id and answer.
Row = tuple[int, str, Optional[Answer]]


def read_answers(paths: Sequence[Path], ids: Collection[str]) -> dict[str, Answers]:
    """Read the answers of all annotators.

    paths (Sequence[Path]): The file of each: a CSV file, or JSONL as Prodigy writes it.
    ids (Collection[str]): The ids of the judged spans.
    RETURNS (dict[str, Answers]): The answers by id, for each name of a file without its
        ending. Spans without an answer are left out. ValueError is raised for unknown and
        repeated ids and for other answers.
    """
    answers: dict[str, Answers] = {}
    for path in paths:
        if path.stem in answers:
            raise ValueError(
                f"Two files are called {path.stem!r}. Name each after its annotator."
            )
        answers[path.stem] = read_file(path, ids)
    return answers


def read_file(path: Path, ids: Collection[str]) -> Answers:
    """Read the answers of one annotator.

    ids (Collection[str]): The ids of the judged spans.
    RETURNS (Answers): The answers by id.
    """
    rows_of = {".csv": read_csv, ".jsonl": read_prodigy}.get(path.suffix.lower())
    if rows_of is None:
        raise ValueError(f"{path} is neither a .csv file nor a .jsonl file of Prodigy.")
    answers: Answers = {}
    lines: dict[str, int] = {}
    try:
        for line, id_, answer in rows_of(path):
            if id_ not in ids:
                raise ValueError(
                    f"{path}, line {line}: no judged span has the id {id_!r}. Name the "
                    "folder of judged Docs that the sample was drawn from."
                )
            if id_ in lines:
                raise ValueError(
                    f"{path}, line {line}: the id {id_!r} stands in line {lines[id_]}, "
                    "too. Keep one of them, and a file for each annotator."
                )
            lines[id_] = line
            if answer is not None:
                answers[id_] = answer
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8. Save it as 'CSV UTF-8'.") from None
    return answers


def read_csv(path: Path) -> Iterator[Row]:
    """Read a spreadsheet.

    path (Path): The file, with the columns id and verdict.
    """
    with path.open(encoding="utf-8-sig", newline="") as file_:
        header = file_.readline()
        delimiter = max(DELIMITERS, key=header.count)
        file_.seek(0)
        rows = csv.DictReader(file_, delimiter=delimiter)
        if not {"id", "verdict"} <= set(rows.fieldnames or ()):
            raise ValueError(f"{path} has no columns 'id' and 'verdict' in its first line.")
        for row in rows:
            id_ = row["id"] or ""
            if not any(row.values()):
                continue
            if id_.startswith("'") and FORMULA.match(id_[1:]):
                id_ = id_[1:]
            word = (row["verdict"] or "").strip().lower()
            yield rows.line_num, id_, understood(WORDS, word, path, rows.line_num)


def read_prodigy(path: Path) -> Iterator[Row]:
    """Read tasks that Prodigy exported.

    YIELDS (Row): Its tasks.
    """
    with path.open(encoding="utf-8-sig") as file_:
        for number, line in enumerate(file_, 1):
            if not line.strip():
                continue
            try:
                task = json.loads(line)
                id_, word = task["meta"]["id"], task.get("answer")
            except (ValueError, LookupError, TypeError, AttributeError):
                raise ValueError(
                    f"{path}, line {number}: no task with an id in its meta. Export the "
                    "answers with `prodigy db-out`."
                ) from None
            yield number, id_, understood(PRODIGY, word, path, number)


def understood(
    words: dict[Any, Optional[Answer]], word: Any, path: Path, line: int
) -> Optional[Answer]:
    """Read an answer.

    words (dict[Any, Optional[Answer]]): The words of the format.
    word (Any): The answer.
    RETURNS (Optional[Answer]): The answer, None for none.
    """
    if not isinstance(word, (str, type(None))) or word not in words:
        known = ", ".join(repr(one) for one in words if one)
        raise ValueError(f"{path}, line {line}: {word!r} is none of {known}, or nothing.")
    return words[word]
