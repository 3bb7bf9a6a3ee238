"""Hide installed packages from spaCy, as if they were not installed."""

import importlib.metadata as metadata
from collections.abc import Iterable


def hide(names: Iterable[str]) -> None:
    """Let nothing find the entry points of some packages, in this process. Call it before
    spaCy is imported.

    names (Iterable[str]): Names of the packages, as pip knows them.
    """
    hidden = set(names)
    kept = [one for one in metadata.distributions() if one.name not in hidden]
    metadata.distributions = lambda **_: iter(kept)
