"""What the server answers."""

import asyncio
from typing import Any, Optional
from uuid import uuid4

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import Receive

from ..version import __version__
from .bodies import decode_all, read_body, read_json, receive_text
from .chat import Chat, Completion, take_order
from .clock import Clock, Ended, watched
from .completion import Completions
from .limits import Limits
from .mentions import Batch, check, find
from .page import make_page
from .requests import Places
from .sessions import Inbox, Texts
from .sse import Answer, EventStream, write_message
from .worker import Worker


class Server:
    """Answer requests.

    worker (Worker): The thread that owns the pipeline.
    completions (Optional[Completions]): A model that writes.
    limits (Limits): The limits.
    stopping (asyncio.Event): Set when the server stops.
    """

    def __init__(
        self,
        worker: Worker,
        completions: Optional[Completions],
        limits: Limits,
        stopping: asyncio.Event,
    ) -> None:
        self.worker = worker
        self.completions = completions
        self.limits = limits
        self.stopping = stopping
        self.places = Places(limits.sessions)
        self.texts = Texts(worker, limits)
        self.inboxes: dict[str, Inbox] = {}
        self.name: str = worker.nlp.meta["name"]
        self.page = make_page(worker.nlp, completions is not None)

    async def show(self) -> HTMLResponse:
        """Return the page."""
        return HTMLResponse(self.page)

    async def health(self) -> dict[str, Any]:
        """Tell how the server is."""
        return {
            "status": "stopping" if self.stopping.is_set() else "ok",
            "version": __version__,
            "model": self.name,
            "writes": self.completions is not None,
            "sessions": self.places.taken,
            "streams": len(self.texts.streams.texts),
            "waiting": self.completions.waiting if self.completions else 0,
        }

    async def mentions(self, request: Request) -> dict[str, Any]:
        """Find the mentions of texts."""
        batch = await read_json(request, Batch, self.limits, self.clock())
        check(batch, self.limits)
        return {"mentions": await find(batch, self.worker)}

    async def stream(self, request: Request) -> EventStream:
        """Answer a text with events while it still arrives."""

        async def write(receive: Receive, answer: Answer) -> str:
            clock = self.clock()
            return await self.texts.report(receive_text(receive, clock), answer, clock)

        return EventStream(write, self.limits.idle)

    async def open(self) -> EventStream:
        """Begin a text that other requests send. The first event names it."""

        async def write(receive: Receive, answer: Answer) -> str:
            clock, key = self.clock(), uuid4().hex
            inbox = self.inboxes[key] = Inbox()
            try:
                async with watched(receive, clock):
                    await answer.write(write_message({"id": key}, "open"))
                    return await self.texts.report(inbox.receive(clock), answer, clock)
            finally:
                del self.inboxes[key]

        return EventStream(write, self.limits.idle)

    async def push(self, key: str, request: Request) -> Response:
        """Add to a text."""
        clock = self.clock()
        chunk = decode_all(await read_body(request, self.limits, clock))
        await self.inbox(key).put(chunk, clock)
        return Response(status_code=204)

    async def end(self, key: str) -> Response:
        """End a text. Its last events follow where it was begun."""
        await self.inbox(key).put(None, self.clock())
        return Response(status_code=204)

    def inbox(self, key: str) -> Inbox:
        """Find a text. HTTPException is raised if it has ended."""
        if key not in self.inboxes:
            raise HTTPException(404, "There is no such stream, or it has ended.")
        return self.inboxes[key]

    async def chat(self, request: Request) -> Response:
        """Complete a chat."""
        if self.completions is None:
            raise HTTPException(404, "The server has no model that writes.")
        chat = await read_json(request, Chat, self.limits, self.clock())
        order = await take_order(chat, self.name, self.completions, self.limits)
        completion = Completion(self.name, order, self.completions)
        if chat.stream:

            async def write(receive: Receive, answer: Answer) -> str:
                clock = self.clock()
                async with watched(receive, clock):
                    return await completion.stream(answer, clock)

            return EventStream(write, self.limits.idle)
        clock = self.clock()
        async with watched(request.receive, clock):
            try:
                return JSONResponse(await completion.whole(clock))
            except Ended as ended:
                request.state.outcome = ended.reason
                raise HTTPException(400, "The client has left.") from ended

    def clock(self) -> Clock:
        """Begin to measure the time of a session."""
        return Clock(self.limits, self.stopping)
