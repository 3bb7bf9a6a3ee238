"""Workers on many machines: actors of Ray."""

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Optional

import spacy
import torch

from .extras import need
from .job import Job, Shard
from .local import Result
from .pipeline import Packed, unpack
from .worker import Done, Worker

# How often a shard is done again when its actor dies.
RETRIES = 3


class ShardActor:
    """Do shards in an actor.

    place (Sequence[Any]): The reference to the pipeline, a `Packed` in the object store of
        Ray. In a list, since Ray would fetch a bare one before the actor begins, and could
        not start that again.
    job (Job): The run.
    gpus (float): GPUs of the actor.
    """

    def __init__(self, place: Sequence[Any], job: Job, gpus: float) -> None:
        self.place = place
        self.job = job
        self.gpus = gpus
        self.worker: Optional[Worker] = None

    def load(self) -> Worker:
        """Load the pipeline, unless it is loaded. An actor that was started again has
        none."""
        if self.worker is None:
            torch.set_num_threads(1)
            if self.gpus:
                spacy.require_gpu()
            packed: Packed = need("ray", "ray").get(self.place[0])
            self.worker = Worker(unpack(packed), self.job)
        return self.worker

    def prepare(self) -> None:
        """Load the pipeline before the first shard."""
        self.load()

    def annotate(self, shard: Shard) -> Done:
        """Do a shard."""
        return self.load().annotate(shard)


@contextmanager
def connected(address: str, workers: int) -> Iterator[None]:
    """Connect to Ray, unless this process is connected already.

    address (str): Address of a cluster, or "local" for one on this machine.
    workers (int): CPUs of a cluster on this machine.
    """
    if address == "local":
        # Ray would write a token into the user's home, and send statistics.
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = need("ray", "ray")
    if ray.is_initialized():
        yield
        return
    settings: dict[str, Any] = {"address": address, "log_to_driver": False}
    if address == "local":
        settings |= {"num_cpus": workers, "include_dashboard": False}
    ray.init(logging_level=logging.ERROR, **settings)
    try:
        yield
    finally:
        ray.shutdown()


def run_ray(
    packed: Packed,
    job: Job,
    shards: Iterable[Shard],
    workers: int,
    address: str,
    gpus: float,
) -> Iterator[Result]:
    """Do shards in actors of Ray.

    packed (Packed): The pipeline.
    job (Job): The run.
    shards (Iterable[Shard]): The shards.
    workers (int): How many actors.
    address (str): Address of a cluster, or "local" for one on this machine.
    gpus (float): GPUs of each actor.
    YIELDS (Result): The results, as they come.
    """
    with connected(address, workers):
        # The object store brings the weights to each node once.
        place = [need("ray", "ray").put(packed)]
        yield from run_actors(shards, workers, gpus, ShardActor, place, job, gpus)


def run_actors(
    shards: Iterable[Shard], workers: int, gpus: float, actor: type, *given: Any
) -> Iterator[Result]:
    """Do shards in a pool of actors: one task for each shard. An actor that dies is started
    again, and its shard done again, up to `RETRIES` times.

    shards (Iterable[Shard]): The shards.
    workers (int): How many actors, of one CPU each. Those without a place join later.
    gpus (float): GPUs of each actor.
    actor (type): Class of the actors, such as ShardActor.
    given (Any): What it is initialized with.
    YIELDS (Result): The results, as they come.
    """
    ray = need("ray", "ray")
    settings = {"num_cpus": 1, "num_gpus": gpus, "max_restarts": -1}
    remote = ray.remote(actor).options(max_task_retries=RETRIES, **settings)
    actors = [remote.remote(*given) for _ in range(workers)]
    shards = iter(shards)
    # What each actor is doing: at first it loads the pipeline, which is no shard.
    running: dict[Any, tuple[Any, Optional[Shard]]] = {
        one.prepare.remote(): (one, None) for one in actors
    }
    waiting = next(shards, None)
    try:
        while waiting is not None or any(shard for _, shard in running.values()):
            (ready, *_), _ = ray.wait(list(running), num_returns=1)
            one, shard = running.pop(ready)
            done = outcome(ready)
            if shard is not None:
                yield shard, done
            elif isinstance(done, Exception):
                raise ChildProcessError(
                    f"An actor cannot load the pipeline: {done}"
                ) from done
            if waiting is not None:
                running[one.annotate.remote(waiting)] = (one, waiting)
                waiting = next(shards, None)
    finally:
        for one in actors:
            ray.kill(one)


def outcome(ready: Any) -> Any:
    """Get the result of a task, or its error."""
    ray = need("ray", "ray")
    try:
        return ray.get(ready)
    except ray.exceptions.RayTaskError as error:
        return error.cause if isinstance(error.cause, Exception) else error
    except ray.exceptions.RayError as error:
        return ChildProcessError(
            f"its process died {RETRIES + 1} times, perhaps since memory was short "
            f"({type(error).__name__})"
        )
