"""Files and folders that appear whole or not at all."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_aside(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a file under another name and then rename it.

    path (Path): The file.
    write (Callable[[Path], Any]): Writes to the path that it is given.
    """
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    write(aside)
    os.replace(aside, path)


def write_text_aside(path: Path, text: str) -> None:
    """Write a text in UTF-8 under another name and then rename it.

    path (Path): The file.
    text (str): The text.
    """
    write_aside(path, lambda aside: aside.write_text(text, "utf-8"))


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Make a folder that appears whole or not at all, in place of the one that is there.

    folder (Path): The folder.
    YIELDS (Path): A folder beside it to write to, which takes its name at the end of the
        `with` block. One that a killed run left is removed. Its name begins with a dot:
        spaCy does not read such folders.
    """
    aside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)
