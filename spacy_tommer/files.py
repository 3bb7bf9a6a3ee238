"""Write files and folders that appear complete or not at all."""

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Optional

from spacy.tokens import Doc, DocBin


def aside_of(path: Path) -> Path:
    """Name the file or folder that is written before it is renamed to a path.

    path (Path): The path.
    RETURNS (Path): One beside it. Its name starts with a dot, so that readers of the folder
        pass over it, and tells the machine and the process, so that none writes what
        another writes.
    """
    return path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}.part")


def write_aside(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a file under another name and then rename it.

    path (Path): The file.
    write (Callable[[Path], Any]): Function that writes to the path passed to it.
    """
    aside = aside_of(path)
    try:
        write(aside)
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def write_text_aside(path: Path, text: str) -> None:
    """Write a text file in UTF-8 under another name and then rename it."""
    write_aside(path, lambda aside: aside.write_text(text, "utf-8"))


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Create a folder that appears complete or not at all, and replaces an existing one.

    folder (Path): The folder.
    YIELDS (Path): A temporary folder to write to, which is renamed at the end of the
        `with` block. One that a killed run left is removed first. Its name starts with a
        dot, so that spaCy does not read it.
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


class ShardWriter:
    """Collect Docs and write them in shards. Use it in a `with` statement.

    folder (Path): The folder, created if necessary. FileExistsError is raised if it has
        shards.
    size (int): Docs in a shard.
    """

    def __init__(self, folder: Path, size: int = 1000) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.glob("*.spacy")):
            raise FileExistsError(
                f"The folder {folder} already holds *.spacy files. Remove them or "
                "write to another folder."
            )
        self.folder = folder
        self.size = size
        self.count = 0
        self.docs = DocBin()

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.flush()

    def add(self, doc: Doc) -> None:
        """Add a Doc, with its spans, scores and entities."""
        self.docs.add(doc)
        if len(self.docs) >= self.size:
            self.flush()

    def flush(self) -> None:
        """Write the Docs that are not written yet."""
        if len(self.docs):
            write_aside(self.folder / f"{self.count:06}.spacy", self.docs.to_disk)
            self.count += 1
            self.docs = DocBin()
