"""The log of all answers of judges: no question in it is asked again."""

import hashlib
import json
import os
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Optional, get_args

from .prompt import VERSION, Verdict

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None  # type: ignore[assignment]

# An unclear answer is asked once more.
TRIES = 2
# Every line begins so.
START = b'{"key": "'


def question_key(model: str, temperature: float, context: str) -> str:
    """Name a question: the same text is judged once for each model and instruction.

    context (str): The span in its context.
    RETURNS (str): The key.
    """
    parts = json.dumps([model, float(temperature), VERSION, context])
    return hashlib.sha256(parts.encode("utf8")).hexdigest()[:32]


class VerdictLog:
    """Read the answers of earlier runs, and append new ones as they arrive. To be used in
    a `with` statement.

    path (Path): A file of JSON lines, made if need be. A last line that a killed run left
        half written is cut off; ValueError is raised for any other broken line, and while
        another run has the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: dict[str, list[Verdict]] = {}
        self.models: Counter[str] = Counter()
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without a buffer a line is there as soon as it is written.
        self.file = path.open("a+b", buffering=0)
        self.lock()
        self.file.seek(0)
        lines = self.file.read().split(b"\n")
        for number, line in enumerate(lines[:-1], 1):
            self.remember(self.parse_line(line, number))
        if lines[-1]:
            self.repair(lines[-1], len(lines))

    def lock(self) -> None:
        """Keep other runs from the log until it is closed, where the system can."""
        if fcntl is None:
            return
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.file.close()
            raise ValueError(
                f"Another run writes to {self.path}. Wait for it, or name another file "
                "with --log."
            ) from error

    def __enter__(self) -> "VerdictLog":
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.file.close()

    def parse_line(self, line: bytes, number: int) -> dict[str, Any]:
        """Read a line.

        number (int): Its number, from 1.
        RETURNS (dict[str, Any]): The answer.
        """
        try:
            answer = json.loads(line)
            names = (answer["key"], answer["model"])
            named = all(isinstance(name, str) for name in names)
            if named and answer["verdict"] in get_args(Verdict):
                return answer
        except (ValueError, TypeError, KeyError, RecursionError):
            pass
        self.file.close()
        raise ValueError(
            f"Line {number} of {self.path} is no answer of a judge. Remove the line, or "
            "name another file with --log."
        )

    def repair(self, rest: bytes, number: int) -> None:
        """End a last line without its end: keep it if it is whole, or cut it off."""
        if rest.endswith(b"}") or not START.startswith(rest[: len(START)]):
            self.remember(self.parse_line(rest, number))
            self.file.write(b"\n")
        else:
            self.file.truncate(self.file.seek(0, os.SEEK_END) - len(rest))

    def remember(self, answer: dict[str, Any]) -> None:
        """Take in an answer."""
        self.answers.setdefault(answer["key"], []).append(answer["verdict"])
        self.models[answer["model"]] += 1

    def add(self, answer: dict[str, Any]) -> None:
        """Append an answer.

        answer (dict[str, Any]): The answer, with "key", "model" and "verdict".
        """
        line = json.dumps(answer).encode() + b"\n"
        written = self.file.write(line)
        if written != len(line):
            self.file.truncate(self.file.tell() - written)
            raise OSError(f"The disk has no room for {self.path}.")
        self.remember(answer)

    def tries(self, key: str) -> int:
        """Count how often a question was answered.

        key (str): The question.
        RETURNS (int): The number of answers.
        """
        return len(self.answers.get(key, ()))

    def verdict(self, key: str) -> Optional[Verdict]:
        """Look up a verdict.

        key (str): The question.
        RETURNS (Optional[Verdict]): The first clear verdict; "unclear" after the last
            try; None where the question is open.
        """
        answers = self.answers.get(key, [])
        clear = [answer for answer in answers if answer != "unclear"]
        if clear:
            return clear[0]
        return "unclear" if len(answers) >= TRIES else None
