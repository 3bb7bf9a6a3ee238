"""Arrays of a file of the cache, and the error for a file that is damaged."""

from pathlib import Path

from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open


class Damaged(ValueError):
    """Report a file of the cache that is damaged or has other content than expected."""


def open_arrays(path: Path) -> dict[str, NDArray]:
    """Map the arrays of a safetensors file into memory.

    RETURNS (dict[str, NDArray]): Arrays by name, read from disk when they are accessed.
    RAISES (Damaged): If the file is truncated or not in this format.
    """
    try:
        with safe_open(path, framework="pt") as file_:
            return {name: file_.get_tensor(name).numpy() for name in file_.keys()}  # noqa: SIM118
    except (SafetensorError, TypeError) as error:  # bfloat16 is a TypeError
        raise Damaged(f"The file {path} of the cache is damaged ({error}).") from error


def unfit(path: Path, found: str, expected: str) -> Damaged:
    """Make the error for a file with unexpected content."""
    return Damaged(
        f"The file {path} of the cache does not fit its texts and backbone: it holds "
        f"{found} instead of {expected}."
    )
