"""Rows of an input: an id, and a text or the reason why there is none."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Optional


class Row(NamedTuple):
    """Hold a row of an input.

    id (Any): Its id, or its number in the input.
    text (str): Its text; empty for a bad row.
    error (Optional[str]): What is wrong with a bad row.
    """

    id: Any
    text: str
    error: Optional[str] = None


def as_row(id: Any, value: Any, max_chars: int) -> Row:
    """Check the text of a row.

    id (Any): Its id, or its number in the input.
    value (Any): What stands in the column of the texts.
    max_chars (int): Most characters of a text.
    RETURNS (Row): The row, with an error if the value is not a text that can be read.
    """
    if value is None:
        return Row(id, "", "null")
    if not isinstance(value, str):
        return Row(id, "", f"not a string: {type(value).__name__}")
    if len(value) > max_chars:
        return Row(id, "", f"longer than {max_chars} characters: {len(value)}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        return Row(id, "", f"not valid Unicode: character {error.start}")
    return Row(id, value)


def check_column(origin: Any, column: str, columns: Sequence[str]) -> None:
    """Raise ValueError if an input does not have the column of the texts."""
    if column not in columns:
        have = ", ".join(map(repr, columns)) or "none"
        raise ValueError(
            f"{origin} has no column {column!r}. Name the column of the texts; the columns "
            f"are: {have}."
        )
