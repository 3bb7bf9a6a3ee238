"""Settings of a component, which are checked when they are set and saved with it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional

import numpy as np
from spacy.pipeline.trainable_pipe import TrainablePipe


class Setting:
    """Check a setting of a component and keep it in `cfg`.

    convert (Callable[[str, Any], Any]): Takes the name of the setting and a new value, and
        returns the value to keep. It raises ValueError if the value is not allowed.
    """

    def __init__(self, convert: Callable[[str, Any], Any]) -> None:
        self.convert = convert

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, pipe: Optional[TrainablePipe], owner: type) -> Any:
        return self if pipe is None else pipe.cfg[self.name]

    def __set__(self, pipe: TrainablePipe, value: Any) -> None:
        pipe.cfg[self.name] = self.convert(self.name, value)


def as_probability(name: str, value: Any) -> float:
    """Check a threshold.

    name (str): Name of the setting.
    value (Any): A number of Python or numpy, from 0 to 1.
    RETURNS (float): The number. ValueError is raised for anything else.
    """
    number = isinstance(value, (int, float, np.integer, np.floating))
    if isinstance(value, bool) or not number or not 0 <= value <= 1:
        raise ValueError(
            f"`{name}` is a number between 0 and 1, such as 0.5, and not {value!r}."
        )
    return float(value)


def as_optional_probability(name: str, value: Any) -> Optional[float]:
    """Check a threshold that may be None."""
    return None if value is None else as_probability(name, value)


def as_key(name: str, value: Any) -> str:
    """Check a key of doc.spans, or a label.

    name (str): Name of the setting.
    value (Any): A string that is not empty.
    RETURNS (str): The string. ValueError is raised for anything else.
    """
    if not isinstance(value, str) or not value:
        raise ValueError(f"`{name}` is a string that is not empty, and not {value!r}.")
    return str(value)


def as_flag(name: str, value: Any) -> bool:
    """Check a setting that is true or false."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"`{name}` is True or False, and not {value!r}.")
    return bool(value)


def as_points(name: str, value: Any) -> dict[str, dict[str, Any]]:
    """Check operating points: names, each with a threshold and a flat threshold."""
    if not isinstance(value, Mapping) or not all(
        isinstance(one, Mapping) and set(one) == {"threshold", "flat_threshold"}
        for one in value.values()
    ):
        raise ValueError(
            f"`{name}` has a `threshold` and a `flat_threshold` by name, such as "
            '{"recall": {"threshold": 0.1, "flat_threshold": 0.3}}, and is not '
            f"{value!r}."
        )
    return {
        as_key(name, key): {
            "threshold": as_probability("threshold", one["threshold"]),
            "flat_threshold": as_optional_probability(
                "flat_threshold", one["flat_threshold"]
            ),
        }
        for key, one in value.items()
    }


def as_kinds(name: str, value: Any, known: Sequence[str]) -> Optional[list[str]]:
    """Check kinds of mentions.

    name (str): Name of the setting.
    value (Any): Names of kinds, or None for the default.
    known (Sequence[str]): The kinds that the head tells apart.
    RETURNS (Optional[list[str]]): The names. ValueError is raised for anything else.
    """
    if value is None:
        return None
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not names:
        names = [None]
    if not all(one in known for one in names):
        raise ValueError(
            f"`{name}` is a list of kinds of mentions, of {', '.join(known)}, and not "
            f"{value!r}."
        )
    return list(names)
