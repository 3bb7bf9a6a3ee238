"""The kinds of mentions that the `tommer` component writes, and their labels."""

from collections.abc import Sequence
from typing import Optional

from spacy.pipeline.trainable_pipe import TrainablePipe

from .keys import PHRASE
from .settings import Setting, as_key, as_kinds


class Kinds(TrainablePipe):
    """Keep the wanted kinds of a component in `cfg`, and the label of a head without
    kinds."""

    label = Setting(as_key)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that the component assigns: the wanted kinds, or the one label of a
        head without kinds."""
        return tuple(self.kinds)

    @property
    def label_names(self) -> tuple[str, ...]:
        """The label of each kind of the head, also of those that are not wanted."""
        every = self.model.attrs["kinds"]
        return tuple(every) if len(every) > 1 else (self.label,)

    @property
    def kinds(self) -> list[str]:
        """The kinds of mentions that are written. By default all but PHRASE, the noun
        phrases of any kind; None stands for these."""
        every = self.model.attrs["kinds"]
        if len(every) == 1:
            return [self.label]
        own = self.cfg["kinds"]
        return [kind for kind in every if (kind != PHRASE if own is None else kind in own)]

    @kinds.setter
    def kinds(self, value: Optional[Sequence[str]]) -> None:
        self.cfg["kinds"] = as_kinds("kinds", value, self.label_names)
