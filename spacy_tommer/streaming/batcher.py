"""Read what arrives in several streams of an event loop in one batch, in another thread."""

import asyncio
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Hashable,
    Iterable,
    Mapping,
)
from concurrent.futures import Executor
from typing import NamedTuple, Optional, Union

from .event import Event

Chunks = Union[AsyncIterable[str], Iterable[str]]


# Add to some texts by their keys, end some of these, and return what has changed in each.
Write = Callable[
    [Mapping[Hashable, str], tuple[Hashable, ...]], dict[Hashable, list[Event]]
]


class Waiting(NamedTuple):
    """Hold what one text waits for."""

    chunk: str
    last: bool
    events: "asyncio.Future[list[Event]]"


class Batcher:
    """Write to texts together that are written to while a batch runs.

    write_batch (Write): Adds to texts.
    discard (Callable[[Hashable], None]): Forgets a text.
    executor (Optional[Executor]): Where batches run; by default in any other thread.
    """

    def __init__(
        self,
        write_batch: Write,
        discard: Callable[[Hashable], None],
        executor: Optional[Executor] = None,
    ) -> None:
        self.write_batch = write_batch
        self.discard = discard
        self.executor = executor
        self.waiting: dict[Hashable, Waiting] = {}
        self.left: list[Hashable] = []
        self.running: Optional[asyncio.Task[None]] = None

    async def write(self, key: Hashable, chunk: str, last: bool = False) -> list[Event]:
        """Add to a text.

        key (Hashable): What names it.
        chunk (str): What follows.
        last (bool): Whether the text ends here.
        RETURNS (list[Event]): What has changed.
        """
        events: asyncio.Future[list[Event]] = asyncio.get_running_loop().create_future()
        self.waiting[key] = Waiting(chunk, last, events)
        if self.running is None:
            self.running = asyncio.create_task(self.run())
        return await events

    def leave(self, key: Hashable) -> None:
        """Forget a text, as soon as no batch runs."""
        self.waiting.pop(key, None)
        if self.running is None:
            self.discard(key)
        else:
            self.left.append(key)

    async def run(self) -> None:
        """Write batches until none waits."""
        try:
            while self.waiting:
                batch, self.waiting = self.waiting, {}
                await self.run_batch(batch)
                self.discard_left()
        finally:
            self.running = None
            self.discard_left()

    def discard_left(self) -> None:
        """Forget the texts that were left while a batch ran."""
        while self.left:
            self.discard(self.left.pop())

    async def run_batch(self, batch: dict[Hashable, Waiting]) -> None:
        """Write one batch, and hand out what has changed. An exception is raised in all
        that wait for it."""
        chunks = {key: one.chunk for key, one in batch.items()}
        closing = tuple(key for key, one in batch.items() if one.last)
        try:
            events = await asyncio.get_running_loop().run_in_executor(
                self.executor, self.write_batch, chunks, closing
            )
        except asyncio.CancelledError:
            for one in batch.values():
                one.events.cancel()
            raise
        except Exception as error:
            for one in batch.values():
                if not one.events.done():
                    one.events.set_exception(error)
        else:
            for key, one in batch.items():
                if not one.events.done():  # cancelled if its reader has gone
                    one.events.set_result(events[key])


async def iterate(chunks: Chunks) -> AsyncIterator[str]:
    """Yield the chunks of an iterable of either kind."""
    if isinstance(chunks, AsyncIterable):
        async for chunk in chunks:
            yield chunk
    else:
        for chunk in chunks:
            yield chunk
