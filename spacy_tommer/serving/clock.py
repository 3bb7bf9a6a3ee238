"""Wait no longer than a session may last."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, Literal, Optional, TypeVar

from starlette.types import Receive

from .limits import Limits

T = TypeVar("T")
# The text is complete; the client has left; it was silent, or the session was too long; the
# server stops.
Reason = Literal["complete", "left", "idle", "time", "stopped"]


class Ended(Exception):
    """Tell that a session has ended before its text was complete.

    reason (Reason): Why.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


class Clock:
    """Bound the time of a session.

    limits (Limits): The limits of the server.
    stopping (asyncio.Event): Set when the server stops.
    left (asyncio.Event): Set when the client has left, if somebody watches that.
    """

    def __init__(self, limits: Limits, stopping: asyncio.Event) -> None:
        self.idle = limits.idle
        self.end = asyncio.get_running_loop().time() + limits.seconds
        self.stopping = stopping
        self.left = asyncio.Event()

    async def wait(self, waited: Awaitable[T], idle: Optional[float] = None) -> T:
        """Wait for something.

        waited (Awaitable[T]): What is waited for.
        idle (Optional[float]): How long at most, in seconds; by default as long as the
            session lasts.
        RETURNS (T): Its result. Ended is raised if something else comes first.
        """
        rest = max(self.end - asyncio.get_running_loop().time(), 0.0)
        timeout = rest if idle is None else min(rest, idle)
        task = asyncio.ensure_future(waited)
        signals: dict[asyncio.Future[Any], Reason] = {
            asyncio.ensure_future(self.stopping.wait()): "stopped",
            asyncio.ensure_future(self.left.wait()): "left",
        }
        try:
            await asyncio.wait(
                {task, *signals}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
            )
            if task.done():
                return task.result()
            for signal, reason in signals.items():
                if signal.done():
                    raise Ended(reason)
            raise Ended("time" if timeout == rest else "idle")
        finally:
            for one in (task, *signals):
                one.cancel()


@asynccontextmanager
async def watched(receive: Receive, clock: Clock) -> AsyncIterator[None]:
    """Tell the clock if the client leaves while the context lasts. The body of its request
    has been read."""
    watcher = asyncio.create_task(watch(receive, clock))
    try:
        yield
    finally:
        watcher.cancel()


async def watch(receive: Receive, clock: Clock) -> None:
    """Wait until the client leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass
    clock.left.set()
