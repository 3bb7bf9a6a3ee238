"""Hashes of the files of a saved component, which detect damage when it is loaded."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Union

FILE = "hashes.json"


class Sealed:
    """Write hashes when a component is saved, and check them when it is loaded. This class
    must precede the class of spaCy among the bases."""

    def to_disk(self, path: Union[str, Path], *, exclude: Iterable[str] = ()) -> None:
        """Save the component, and the hash of each of its files.

        path (Union[str, Path]): The folder to write.
        exclude (Iterable[str]): Names of parts that are not saved, such as "vocab".
        """
        super().to_disk(path, exclude=exclude)  # type: ignore[misc]
        seal(Path(path))

    def from_disk(self, path: Union[str, Path], *, exclude: Iterable[str] = ()) -> Any:
        """Load the component. ValueError, with the name of the file, is raised for damage.

        path (Union[str, Path]): The folder to read.
        exclude (Iterable[str]): Names of parts that are not loaded, such as "vocab".
        RETURNS (Any): The component.
        """
        check_seal(Path(path))
        try:
            return super().from_disk(path, exclude=exclude)  # type: ignore[misc]
        except Exception as error:  # a parser of damaged files raises errors of all kinds
            raise ValueError(
                f"The files in {path} are damaged, or from another version: "
                f"{type(error).__name__}: {error}"
            ) from error


def file_hashes(folder: Path) -> dict[str, str]:
    """Hash the files of a folder.

    RETURNS (dict[str, str]): SHA-256 in hexadecimal by file name.
    """
    return {
        path.name: hash_file(path)
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != FILE
    }


def hash_file(path: Path) -> str:
    """Compute the SHA-256 of a file, in hexadecimal, without holding all of it."""
    with path.open("rb") as file_:
        digest = hashlib.sha256()
        while chunk := file_.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def seal(folder: Path) -> None:
    """Write the hashes of the files of a folder to a file in it."""
    content = json.dumps(file_hashes(folder), indent=2)
    (folder / FILE).write_text(content, encoding="utf-8")


def check_seal(folder: Path) -> None:
    """Compare the files of a folder with their hashes, if it has any.

    folder (Path): The folder. ValueError, with the name of the file, is raised for damage.
    """
    path = folder / FILE
    if not path.is_file():
        return
    try:
        wanted = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"The file {path} is damaged ({error}). Copy the pipeline again."
        ) from error
    have = file_hashes(folder)
    for name, digest in wanted.items():
        if have.get(name) != digest:
            state = "is damaged: it is not what was saved" if name in have else "is missing"
            raise ValueError(f"The file {folder / name} {state}. Copy the pipeline again.")
