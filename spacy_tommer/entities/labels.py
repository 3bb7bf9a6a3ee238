"""The labels of the `tommer_zeroshot` component."""

from typing import Optional

from spacy.pipeline.trainable_pipe import TrainablePipe

from .definitions import Labels, read_labels


class DefinedLabels(TrainablePipe):
    """Keep the labels of a component in `cfg`, each with the texts that represent it."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels that the component assigns."""
        return tuple(self.cfg["texts"])

    @property
    def label_data(self) -> dict[str, list[str]]:
        """Texts that represent each label."""
        return dict(self.cfg["texts"])

    def set_labels(self, labels: Labels) -> None:
        """Replace the labels that the component assigns.

        labels (Union[Mapping[str, str], Sequence[str]]): Definitions by label, or labels
            that need no definition. ValueError is raised for empty labels or definitions.
        """
        self.cfg["texts"] = read_labels(labels)

    def add_label(self, label: str, definition: Optional[str] = None) -> int:
        """Add a label to those that the component assigns, or redefine it.

        label (str): The label.
        definition (Optional[str]): What the label means.
        RETURNS (int): 0 if the label exists with this definition, otherwise 1.
        """
        new = read_labels([label] if definition is None else {label: definition})
        if self.cfg["texts"].get(label) == new[label]:
            return 0
        self.cfg["texts"] = {**self.cfg["texts"], **new}
        return 1
