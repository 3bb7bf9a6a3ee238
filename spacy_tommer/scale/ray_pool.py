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
    """Do shards in an actor. Each call brings the place of the pipeline along: what an
    actor got before it died is gone when it is started again.

    job (Job): The run.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.worker: Optional[Worker] = None

    def prepare(self, place: Sequence[Any]) -> None:
        """Load the pipeline, unless it is loaded.

        place (Sequence[Any]): The reference to a `Packed` in the object store of Ray; in a
            list, since Ray would fetch a bare one with each call.
        """
        if self.worker is None:
            ray = need("ray", "ray")
            torch.set_num_threads(1)
            if ray.get_gpu_ids():
                spacy.require_gpu()
            packed: Packed = ray.get(place[0])
            self.worker = Worker(unpack(packed), self.job)

    def annotate(self, place: Sequence[Any], shard: Shard) -> Done:
        """Do a shard."""
        self.prepare(place)
        assert self.worker is not None
        return self.worker.annotate(shard)


@contextmanager
def connected(address: str, workers: int) -> Iterator[None]:
    """Connect to Ray, unless this process is connected already.

    address (str): Address of a cluster, or "local" for one on this machine.
    workers (int): CPUs of a cluster on this machine. ConnectionError is raised if Ray
        cannot be started or reached.
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
    try:
        ray.init(logging_level=logging.ERROR, **settings)
    except Exception as error:
        raise ConnectionError(f"Ray ({address}) cannot be used: {error}") from error
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
        yield from run_actors(start_actors(ShardActor, workers, gpus, job), place, shards)


def start_actors(actor: type, workers: int, gpus: float, *given: Any) -> list[Any]:
    """Start actors that are started again whenever they die, and then do again what they
    were doing, up to `RETRIES` times.

    actor (type): Their class, such as ShardActor.
    workers (int): How many, of one CPU each. Those without a place join later.
    gpus (float): GPUs of each.
    given (Any): What each is initialized with.
    RETURNS (list[Any]): Their handles.
    """
    remote = need("ray", "ray").remote(actor)
    settings = {"max_restarts": -1, "max_task_retries": RETRIES}
    options = remote.options(num_cpus=1, num_gpus=gpus, **settings)
    return [options.remote(*given) for _ in range(workers)]


def run_actors(
    actors: Sequence[Any], place: Sequence[Any], shards: Iterable[Shard]
) -> Iterator[Result]:
    """Do shards in actors: one task for each shard. An actor is ended when no shard
    waits any more, since one that died may wait for its CPU.

    actors (Sequence[Any]): The actors, with the methods of ShardActor.
    place (Sequence[Any]): The place of the pipeline, for each call.
    shards (Iterable[Shard]): The shards.
    YIELDS (Result): The results, as they come. ChildProcessError is raised if an actor
        cannot load the pipeline.
    """
    ray = need("ray", "ray")
    shards = iter(shards)
    # What each actor is doing: at first it loads the pipeline, which is no shard.
    running: dict[Any, tuple[Any, Optional[Shard]]] = {
        one.prepare.remote(place): (one, None) for one in actors
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
            if waiting is None:
                ray.kill(one)
            else:
                running[one.annotate.remote(place, waiting)] = (one, waiting)
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
            f"its process died, and again when it was started up to {RETRIES} times more, "
            f"perhaps since memory was short ({type(error).__name__})"
        )
