"""Write Docs to a folder of DocBins, each file whole or not there."""

from pathlib import Path
from types import TracebackType
from typing import Optional

from spacy.tokens import Doc, DocBin

from .aside import write_aside


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
