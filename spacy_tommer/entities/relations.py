"""How training types relate: which of them are true of the same mentions."""

from collections.abc import Iterable

from .definitions import TrainingType


class Relations:
    """Tell which types are true of a mention besides its own, or may be.

    types (Iterable[TrainingType]): The types. Those of the same name are one type.
    """

    def __init__(self, types: Iterable[TrainingType]) -> None:
        direct: dict[str, list[str]] = {}
        self.overlaps: dict[str, set[str]] = {}
        for type_ in types:
            direct.setdefault(type_.name, []).extend(type_.broader)
            self.overlaps.setdefault(type_.name, set()).update(type_.overlaps)
        for name in [name for names in direct.values() for name in names]:
            direct.setdefault(name, [])
        self.true = {name: reach(name, direct) for name in direct}

    def broader(self, name: str) -> list[str]:
        """List the types that are broader than a type, directly or through others, nearest
        first."""
        return self.true[name][1:]

    def may_hold(self, name: str, target: str, other: str) -> bool:
        """Tell whether a type may be true of mentions besides their target.

        name (str): The type of the mentions.
        target (str): This type or a broader one.
        other (str): The type in question.
        RETURNS (bool): Whether it is broader than theirs or narrower than the target, or
            one of both overlaps the other or a type that is broader than the other.
        """
        return (
            other in self.true[name]
            or target in self.true[other]
            or not self.overlaps.get(name, set()).isdisjoint(self.true[other])
            or not self.overlaps.get(other, set()).isdisjoint(self.true[name])
        )


def reach(name: str, direct: dict[str, list[str]]) -> list[str]:
    """List a type and those that are broader, nearest first.

    name (str): The type.
    direct (dict[str, list[str]]): The types that each type names as broader.
    """
    reached = [name]
    for one in reached:
        new = [other for other in direct[one] if other not in reached]
        reached += dict.fromkeys(new)
    return reached
