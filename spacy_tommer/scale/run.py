"""Annotate a collection of texts: plan the shards, do those that are missing, and show the
progress."""

import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional, Union

from spacy.language import Language
from tqdm import tqdm

from ..pipelines import load
from .job import MAX_CHARS, SHARD_ROWS, Job, Shard, check_count
from .local import Result, run_here, run_processes
from .pipeline import describe, pack
from .ray_pool import run_ray
from .record import open_folder, remove_leftovers
from .shards import Inputs, find_inputs, find_shards
from .worker import Done, ShardsFailed, Worker

# How many of the shards that failed are named in the error.
NAMED = 10


@dataclass
class Summary(Done):
    """Count what a run did.

    rows (int): Rows that this run did.
    words (int): Tokens of their texts.
    errors (int): Bad rows among them.
    shards (int): Shards that this run wrote.
    skipped (int): Shards that were there already.
    seconds (float): How long it took, from starting the workers on.
    """

    shards: int = 0
    skipped: int = 0
    seconds: float = 0.0

    @property
    def words_per_second(self) -> float:
        """The words that this run did in a second, on the mean."""
        return self.words / self.seconds if self.seconds else 0.0


def annotate(
    inputs: Inputs,
    output: Union[str, Path],
    *,
    model: Union[str, Path, Language] = "minilm",
    text: str = "text",
    id: str = "id",
    workers: int = 1,
    address: Optional[str] = None,
    gpus: float = 0,
    format: str = "parquet",
    keep_text: bool = False,
    shard_rows: int = SHARD_ROWS,
    max_chars: int = MAX_CHARS,
    encoding: str = "utf-8",
) -> Summary:
    """Find the mentions of all texts of files, and write them to a folder, in shards. A
    shard that the folder has is skipped, so that a run that was stopped goes on where it
    was.

    inputs (Inputs): A path, or a pattern such as "in/*.parquet"; or several. Files that end
        with .parquet, .jsonl, .ndjson and .csv are tables, others have a text on each
        line.
    output (Union[str, Path]): The folder. A file NAME.* makes NAME.parquet in it, or
        several files NAME-00000.parquet and so on.
    model (Union[str, Path, Language]): Name of a shipped model, folder of a pipeline, or a
        pipeline, whose settings are kept.
    text (str): Column of the texts.
    id (str): Column of the ids. Row numbers take its place where a file has none such.
    workers (int): How many processes, or actors of Ray; each computes with one thread.
    address (Optional[str]): Address of a cluster of Ray, or "local" for Ray on this
        machine; by default processes of this machine without Ray.
    gpus (float): GPUs of each actor of Ray.
    format (str): "parquet", "jsonl" or "spacy", which are DocBins.
    keep_text (bool): Whether the texts are written, too. DocBins always have them.
    shard_rows (int): Most rows in a shard.
    max_chars (int): Most characters of a text. A longer one is a bad row.
    encoding (str): Encoding of files other than parquet.
    RETURNS (Summary): What the run did. ValueError is raised for inputs that cannot be
        read, and if the folder has shards of other inputs or settings; ShardsFailed, at the
        end, for shards that cannot be done.
    """
    job = Job(Path(output), format, text, id, keep_text, shard_rows, max_chars, encoding)
    paths = find_inputs(inputs)
    shards = find_shards(paths, job)
    return annotate_shards(shards, job, model, paths, workers, address, gpus)


def annotate_shards(
    shards: Iterable[Shard],
    job: Job,
    model: Union[str, Path, Language],
    inputs: Sequence[Path] = (),
    workers: int = 1,
    address: Optional[str] = None,
    gpus: float = 0,
) -> Summary:
    """Find the mentions of shards, and write them. The arguments are those of `annotate`,
    but for:

    shards (Iterable[Shard]): The shards; a list unless they come from a stream.
    inputs (Sequence[Path]): The files that they were cut from.
    """
    check_count("workers", workers)
    if gpus and address is None:
        raise ValueError(
            '`gpus` are for actors of Ray. Write an `address`, such as "local"; on the '
            "command line --ray local."
        )
    nlp = model if isinstance(model, Language) else load(model)
    about = describe(nlp)
    # Workers on other machines have another working directory.
    output, spans_key = job.output.absolute(), nlp.get_pipe("tommer").spans_key
    job = replace(job, output=output, spans_key=spans_key, about=about)
    open_folder(job, inputs)
    summary, total = Summary(), None
    if isinstance(shards, list):
        missing = [shard for shard in shards if not job.path_of(shard).exists()]
        summary.skipped = len(shards) - len(missing)
        total = sum(shard.rows for shard in missing)
        shards = missing
        workers = min(workers, len(missing))
    if shards:
        results = run_shards(nlp, job, shards, workers, address, gpus)
        with closing(results):
            follow(results, summary, total)
    remove_leftovers(job.output)
    return summary


def run_shards(
    nlp: Language,
    job: Job,
    shards: Iterable[Shard],
    workers: int,
    address: Optional[str],
    gpus: float,
) -> Generator[Result, None, None]:
    """Do shards in this process, in others, or in actors of Ray.

    YIELDS (Result): The results, as they come.
    """
    if address is not None:
        yield from run_ray(pack(nlp), job, shards, workers, address, gpus)
    elif workers > 1:
        yield from run_processes(pack(nlp), job, shards, workers)
    else:
        yield from run_here(Worker(nlp, job), shards)


def follow(results: Iterable[Result], summary: Summary, total: Optional[int]) -> None:
    """Follow a run, with a progress bar on standard error.

    results (Iterable[Result]): The results, as they come.
    summary (Summary): The summary, updated in place.
    total (Optional[int]): How many rows there are to do; None for a stream. ShardsFailed is
        raised at the end if some shards could not be done.
    """
    failed: list[tuple[Shard, Exception]] = []
    begun = time.monotonic()
    # With None, tqdm shows nothing if standard error is not a terminal.
    with tqdm(total=total, unit=" rows", smoothing=0, disable=None) as bar:
        for shard, done in results:
            summary.seconds = time.monotonic() - begun
            if isinstance(done, Exception):
                failed.append((shard, done))
                continue
            summary.shards += 1
            summary.rows += done.rows
            summary.words += done.words
            summary.errors += done.errors
            bar.set_postfix_str(f"{summary.words_per_second:,.0f} words/s", refresh=False)
            bar.update(done.rows)
    if failed:
        named = "".join(f"\n  {shard}: {error}" for shard, error in failed[:NAMED])
        raise ShardsFailed(
            f"{len(failed)} shards failed; the others are written. Run the same again to "
            f"do these once more:{named}"
        ) from failed[0][1]
