"""List and drop cached hidden states and converted weights."""

import shutil
from pathlib import Path
from typing import Annotated, Optional

import typer

from ..backbone.sources import weights_cache


def cache(
    folder: Annotated[
        Path, typer.Argument(help="Folder that a corpus keeps its states in.")
    ] = Path("cache"),
    drop: Annotated[
        Optional[list[str]],
        typer.Option(
            "--drop", "-d", help="A name of the list to remove; may be given several times."
        ),
    ] = None,
) -> None:
    """List what is kept on disk, with sizes: states of a corpus, and weights that were
    converted or unpacked. What is dropped is made again when it is needed.
    """
    entries = find_entries(folder)
    for name in drop or ():
        if name not in entries:
            raise ValueError(
                f"There is no {name!r} to drop. Choose one of "
                f"{', '.join(entries) or 'no entries: nothing is cached'}."
            )
    for name in drop or ():
        size = size_of(entries[name])
        shutil.rmtree(entries.pop(name))
        typer.echo(f"dropped {name} ({shown_size(size)})")
    for name, path in entries.items():
        typer.echo(f"{shown_size(size_of(path)):>9}  {name}")
    if not entries:
        typer.echo(f"Nothing is kept in {folder} and {weights_cache()}.")


def find_entries(folder: Path) -> dict[str, Path]:
    """Find the entries of the cache.

    folder (Path): Folder that a corpus keeps its states in.
    RETURNS (dict[str, Path]): Folders by name: states/..., texts/... and weights/...
    """
    entries = {
        f"{path.parent.name}/{path.name}": path
        for kind in ("states", "texts")
        for path in sorted((folder / kind).glob("*"))
        if path.is_dir()
    }
    for path in sorted(weights_cache().glob("*")):
        if path.is_dir():
            entries[f"weights/{path.name}"] = path
    return entries


def size_of(folder: Path) -> int:
    """Compute the total size of the files in a folder, in bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def shown_size(size: int) -> str:
    """Format a number of bytes in MB or GB."""
    return f"{size / 1e9:.2f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
