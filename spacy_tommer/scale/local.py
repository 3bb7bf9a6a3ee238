"""Workers on this machine: this process, or several others."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing.connection import Connection
from typing import Union

import torch

from .job import Job, Shard
from .pipeline import Packed, unpack
from .worker import Done, Worker

# A shard, and what it holds or why it could not be done.
Result = tuple[Shard, Union[Done, Exception]]


def run_here(worker: Worker, shards: Iterable[Shard]) -> Iterator[Result]:
    """Do shards in this process.

    YIELDS (Result): The results, in order.
    """
    for shard in shards:
        try:
            yield shard, worker.annotate(shard)
        except Exception as error:
            yield shard, error


def run_processes(
    packed: Packed, job: Job, shards: Iterable[Shard], workers: int
) -> Iterator[Result]:
    """Do shards in other processes, which compute with one thread each.

    packed (Packed): The pipeline.
    job (Job): The run.
    shards (Iterable[Shard]): The shards.
    workers (int): How many processes.
    YIELDS (Result): The results, as they come. ChildProcessError is raised if a process
        dies.
    """
    shards = iter(shards)
    ending, lifeline = multiprocessing.Pipe(duplex=False)
    given = (packed, job, ending, lifeline)
    executor = ProcessPoolExecutor(workers, initializer=begin, initargs=given)
    try:
        # One more for each process, so that none waits for this one.
        running = {
            executor.submit(annotate, shard): shard for shard in islice(shards, 2 * workers)
        }
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                try:
                    done: Union[Done, Exception] = future.result()
                except BrokenProcessPool as error:
                    names = ", ".join(shard.name for shard in running.values())
                    raise ChildProcessError(
                        "A process died, perhaps since memory was short. What is finished "
                        "is kept: run the same again, with fewer processes if need be. "
                        f"One of these shards was being done: {names}."
                    ) from error
                except Exception as error:
                    done = error
                yield running.pop(future), done
                for shard in islice(shards, 1):
                    running[executor.submit(annotate, shard)] = shard
        executor.shutdown()
    finally:
        lifeline.close()
        executor.shutdown(cancel_futures=True)


def begin(packed: Packed, job: Job, ending: Connection, lifeline: Connection) -> None:
    """Begin a process of the pool.

    ending (Connection): It ends when the first process closes `lifeline` or dies, in
        whatever way, and this process ends with it.
    lifeline (Connection): The other end, which only the first process keeps open.
    """
    global worker
    lifeline.close()
    threading.Thread(target=end_with, args=(ending,), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # which the first process handles
    torch.set_num_threads(1)
    worker = Worker(unpack(packed), job)


def end_with(ending: Connection) -> None:
    """End this process when a connection ends."""
    with contextlib.suppress(EOFError, OSError):
        ending.recv()
    os._exit(1)


def annotate(shard: Shard) -> Done:
    """Do a shard in a process of the pool."""
    return worker.annotate(shard)


worker: Worker
