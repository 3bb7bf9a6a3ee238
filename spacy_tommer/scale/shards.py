"""The inputs of a run, the shards that they are cut into, and the rows of these."""

import glob
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Union

from .job import Job, Shard
from .lines import cut_lines, read_lines
from .parquet import cut_parquet, read_parquet
from .rows import Row, as_row

Inputs = Union[str, Path, Iterable[Union[str, Path]]]
PARQUET = ".parquet"
PACKED = (".bz2", ".gz", ".xz", ".zip", ".zst")


def find_inputs(inputs: Inputs) -> list[Path]:
    """Find the input files.

    inputs (Inputs): A path, or a pattern such as "in/*.parquet"; or several.
    RETURNS (list[Path]): The absolute paths of the files, each once, in the order given;
        those of a pattern are sorted. ValueError is raised if there are none, and for
        folders and packed files.
    """
    given = [inputs] if isinstance(inputs, (str, Path)) else list(inputs)
    found: dict[Path, None] = {}
    for one in given:
        pattern = str(one)
        exists = Path(pattern).exists()
        paths = [pattern] if exists else sorted(glob.glob(pattern, recursive=True))
        if not paths:
            raise ValueError(f"There is no file {one}.")
        found.update(dict.fromkeys(Path(path).absolute() for path in paths))
    for path in found:
        if path.is_dir():
            raise ValueError(f"{path} is a folder. Name its files: {path / '*.parquet'}")
        if path.suffix in PACKED:
            raise ValueError(f"{path} is packed. Unpack it first.")
    if not found:
        raise ValueError("No input is given.")
    return list(found)


def find_shards(inputs: Iterable[Path], job: Job) -> list[Shard]:
    """Cut inputs into shards. The same inputs and settings give the same shards.

    inputs (Iterable[Path]): The input files.
    job (Job): The run.
    RETURNS (list[Shard]): The shards: one named NAME for a file NAME.*, or several, named
        NAME-00000 and so on. ValueError is raised if two have the same name.
    """
    shards: dict[str, Shard] = {}
    for path in inputs:
        parts = (cut_parquet if path.suffix == PARQUET else cut_lines)(path, job)
        for i, part in enumerate(parts):
            name = path.stem if len(parts) == 1 else f"{path.stem}-{i:05}"
            if name in shards:
                raise ValueError(
                    f"{shards[name].path} and {path} would both write {name}.{job.format}. "
                    "Give each of them an output folder of its own."
                )
            shards[name] = replace(part, name=name)
    return list(shards.values())


def shards_of_texts(texts: Iterable[str], rows: int) -> Iterator[Shard]:
    """Collect texts in shards, as they come.

    texts (Iterable[str]): The texts.
    rows (int): Most rows in a shard.
    YIELDS (Shard): A shard that carries its texts.
    """
    texts, first = iter(texts), 0
    while part := tuple(islice(texts, rows)):
        yield Shard(f"texts-{first // rows:05}", len(part), first, texts=part)
        first += len(part)


def read_rows(shard: Shard, job: Job) -> Iterator[Row]:
    """Read the rows of a shard.

    YIELDS (Row): The rows, in order.
    """
    if shard.path is None:
        numbered = enumerate(shard.texts, shard.first)
        return (as_row(number, text, job.max_chars) for number, text in numbered)
    return (read_parquet if shard.path.suffix == PARQUET else read_lines)(shard, job)
