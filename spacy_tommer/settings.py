"""Settings of a component that can be changed at any time and are saved with it."""

from collections.abc import Callable
from typing import Any, Optional

from spacy.pipeline.trainable_pipe import TrainablePipe


class Setting:
    """A setting of a component, kept in its `cfg` so that it is saved with it.

    check (Optional[Callable]): Raises where a new value is not allowed.
    """

    def __init__(self, check: Optional[Callable[[Any], Any]] = None) -> None:
        self.check = check

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, pipe: Optional[TrainablePipe], owner: type) -> Any:
        return self if pipe is None else pipe.cfg[self.name]

    def __set__(self, pipe: TrainablePipe, value: Any) -> None:
        if self.check is not None:
            self.check(value)
        pipe.cfg[self.name] = value
