"""Texts that are being written: their pieces come in, and events go out."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Hashable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Optional, Protocol

from starlette.exceptions import HTTPException

from ..streaming.batcher import Batcher
from ..streaming.event import Event
from ..streaming.stream import Streams
from .clock import Clock, Ended, Reason
from .limits import Limits, count_unbroken
from .objects import event_object
from .sse import Answer, write_message
from .worker import Worker

# Characters of a text that are read at once, so that other texts need not wait for long.
MOST_CHARACTERS = 1024


class Write(Protocol):
    """Add to a text."""

    def __call__(self, chunk: str, last: bool = False) -> Awaitable[list[Event]]:
        """Add to the text, and return what has changed."""
        ...


class Texts:
    """Read all texts that are open in one batch.

    worker (Worker): The thread that owns the pipeline.
    limits (Limits): The limits of the server.
    """

    def __init__(self, worker: Worker, limits: Limits) -> None:
        self.worker = worker
        self.limits = limits
        # A text that has been left is forgotten after the batch that runs.
        self.streams = Streams(worker.nlp, 2 * limits.sessions)
        self.batcher = Batcher(self.write, self.discard, worker.executor)

    def write(
        self, chunks: Mapping[Hashable, str], closing: tuple[Hashable, ...] = ()
    ) -> dict[Hashable, list[Event]]:
        """Add to some of the texts, in the worker's thread."""
        return self.worker.call(self.streams.write, chunks, closing)

    def discard(self, key: Hashable) -> None:
        """Forget a text, after what the worker does now."""
        self.worker.executor.submit(self.streams.discard, key)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Write]:
        """Open a text as long as the context lasts.

        YIELDS (Write): Adds to it.
        """
        key = object()
        try:
            await self.worker.run(self.streams.open, key)
            yield partial(self.batcher.write, key)
        finally:
            self.batcher.leave(key)

    async def report(
        self, chunks: AsyncIterator[str], answer: Answer, clock: Clock
    ) -> Reason:
        """Answer a text with its events.

        chunks (AsyncIterator[str]): The text, in pieces of any size.
        answer (Answer): Where the events go.
        clock (Clock): The time that is left.
        RETURNS (Reason): Why the text has ended. Ended is raised if the client has left.
        """
        reason: Reason = "complete"
        word = characters = 0
        async with self.open() as write:
            try:
                async for chunk in chunks:
                    word = check_words(chunk, word, self.limits)
                    characters += len(chunk)
                    for part in split(chunk):
                        await answer.write(*map(write_event, await write(part)))
            except Ended as ended:
                if ended.reason == "left":
                    raise
                reason = ended.reason
            await answer.write(*map(write_event, await write("", last=True)))
        end = {"reason": reason, "characters": characters}
        await answer.write(write_message(end, "end"))
        return reason


class Inbox:
    """Hold the text that was sent to a session in another request.

    text (asyncio.Queue[Optional[str]]): The next piece; None ends the text.
    sending (bool): Whether somebody waits for a place in it.
    """

    def __init__(self) -> None:
        self.text: asyncio.Queue[Optional[str]] = asyncio.Queue(1)
        self.sending = False

    async def put(self, chunk: Optional[str], clock: Clock) -> None:
        """Add to the text as soon as what was sent before is being read. HTTPException is
        raised if somebody else waits for that, too."""
        if self.sending:
            raise HTTPException(409, "What was sent before is still being read.")
        self.sending = True
        try:
            await clock.wait(self.text.put(chunk), clock.idle)
        except Ended as ended:
            raise HTTPException(408, "What was sent before was not read.") from ended
        finally:
            self.sending = False

    async def receive(self, clock: Clock) -> AsyncIterator[str]:
        """Yield the text in pieces. Ended is raised if none come."""
        while (chunk := await clock.wait(self.text.get(), clock.idle)) is not None:
            yield chunk


def check_words(chunk: str, before: int, limits: Limits) -> int:
    """Count the characters of the word at the end of a text.

    chunk (str): The text, or the next piece of it.
    before (int): Characters of the word that it continues.
    RETURNS (int): The number. HTTPException is raised for a word that is too long.
    """
    longest, last = count_unbroken(chunk, before)
    if longest > limits.word:
        raise HTTPException(
            422,
            f"The text has {longest} characters without white space in between, and "
            f"{limits.word} are allowed.",
        )
    return last


def write_event(event: Event) -> bytes:
    """Write what has become of a mention."""
    return write_message(event_object(event), "mention")


def split(chunk: str) -> Iterator[str]:
    """Split a long piece of text."""
    for start in range(0, len(chunk), MOST_CHARACTERS):
        yield chunk[start : start + MOST_CHARACTERS]
