"""The thresholds of the `tommer` component, and the named pairs of them."""

from typing import Any, Optional

from spacy.pipeline.trainable_pipe import TrainablePipe

from .settings import Setting, as_optional_probability, as_points, as_probability


class Thresholds(TrainablePipe):
    """Keep the thresholds of a component in `cfg`."""

    operating_points = Setting(as_points)

    def set_thresholds(self, threshold: float, flat_threshold: Optional[float]) -> None:
        """Set both thresholds. Setting `threshold` alone then moves both."""
        self.flat_threshold = flat_threshold
        self.cfg["threshold"] = as_probability("threshold", threshold)
        self.flat_follows = True

    @property
    def scores_entities(self) -> bool:
        """Whether the head scores entities apart, by the mean of its sources."""
        return bool(self.model.attrs["sources"])

    @property
    def threshold(self) -> float:
        """Probability that a mention in doc.spans must exceed.

        Setting it also sets `flat_threshold`, unless that was set separately or is None, or
        the head scores entities apart.
        """
        return self.cfg["threshold"]

    @threshold.setter
    def threshold(self, value: float) -> None:
        self.cfg["threshold"] = as_probability("threshold", value)
        apart = self.scores_entities or self.flat_threshold is None
        if self.flat_follows and not apart:
            self.cfg["flat_threshold"] = self.cfg["threshold"]

    @property
    def flat_threshold(self) -> Optional[float]:
        """Probability that a mention in doc.ents must exceed as an entity. With None,
        doc.ents is not written.

        If the head scores entities apart, this does not depend on `threshold`. Otherwise it
        is never below that, since an entity is always a mention.
        """
        own = self.cfg["flat_threshold"]
        if own is None or self.scores_entities:
            return own
        return max(own, self.threshold)

    @flat_threshold.setter
    def flat_threshold(self, value: Optional[float]) -> None:
        self.cfg["flat_threshold"] = as_optional_probability("flat_threshold", value)
        self.flat_follows = False

    def use_thresholds(self, name: str) -> None:
        """Set both thresholds to a named pair, such as "balanced" or "recall".

        name (str): One of `operating_points`. ValueError is raised for any other name.
        """
        if name not in self.operating_points:
            raise ValueError(
                f"There are no thresholds {name!r}. The component has "
                f"{', '.join(map(repr, self.operating_points)) or 'no named ones'}."
            )
        point: dict[str, Any] = self.operating_points[name]
        self.set_thresholds(point["threshold"], point["flat_threshold"])
