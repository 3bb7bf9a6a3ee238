"""Files and folders that appear whole or not at all."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Optional

from spacy.tokens import Doc, DocBin


def write_aside(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a file under another name and then rename it.

    path (Path): The file.
    write (Callable[[Path], Any]): Writes to the path that it is given.
    """
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        write(aside)
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


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


class ShardWriter:
    """Collect Docs and write them in shards. To be used in a `with` statement.

    folder (Path): The folder, made if need be; it must not hold shards yet.
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
        """Add a Doc.

        doc (Doc): The Doc; its spans, scores and entities are kept.
        """
        self.docs.add(doc)
        if len(self.docs) >= self.size:
            self.flush()

    def flush(self) -> None:
        """Write the Docs that are not written yet."""
        if len(self.docs):
            write_aside(self.folder / f"{self.count:06}.spacy", self.docs.to_disk)
            self.count += 1
            self.docs = DocBin()
