"""Server-sent events: the answer of a request that goes on."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Union

from fastapi import Response
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from .clock import Ended
from .errors import error_body

# Seconds in which a client whose stream has ended may go on to send.
GRACE = 2.0


def write_message(data: Union[Mapping[str, Any], str], event: str = "") -> bytes:
    """Write a server-sent event.

    data (Union[Mapping[str, Any], str]): An object for JSON, or a line.
    event (str): Its name.
    """
    line = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {line}\n\n".encode()


class Answer:
    """Write an answer piece by piece. It waits while the client does not read, and so does
    whoever writes it.

    send (Send): What takes the answer.
    idle (float): How long the client may read nothing, in seconds.
    headers (list): Headers of the answer.
    """

    def __init__(self, send: Send, idle: float, headers: list[tuple[bytes, bytes]]) -> None:
        self.send = send
        self.idle = idle
        self.headers = headers
        self.begun = False

    async def begin(self) -> None:
        """Send the status and headers, unless they are sent."""
        if not self.begun:
            self.begun = True
            await self.put(
                {"type": "http.response.start", "status": 200, "headers": self.headers}
            )

    async def write(self, *messages: bytes) -> None:
        """Send messages. Ended is raised if the client does not read."""
        await self.begin()
        if messages:
            body = b"".join(messages)
            await self.put({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self) -> None:
        """End the answer."""
        await self.put({"type": "http.response.body", "body": b"", "more_body": False})

    async def put(self, message: Message) -> None:
        """Send a message."""
        try:
            await asyncio.wait_for(self.send(message), self.idle)
        except (asyncio.TimeoutError, OSError) as error:
            raise Ended("left") from error


class EventStream(Response):
    """Answer with server-sent events. What is wrong with a request is answered with a
    status before the first event, and with an event "error" later.

    write (Callable[[Receive, Answer], Awaitable[str]]): Writes the events, and returns why
        they have ended, for the log.
    idle (float): How long the client may read nothing, in seconds.
    """

    media_type = "text/event-stream"

    def __init__(
        self, write: Callable[[Receive, Answer], Awaitable[str]], idle: float
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self.write = write
        self.idle = idle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        answer = Answer(send, self.idle, self.raw_headers)
        body = Body(receive)
        state = scope["state"]
        try:
            try:
                state["outcome"] = await self.write(body.receive, answer)
            except HTTPException as error:
                await self.fail(error.status_code, error.detail, answer, state, body)
                if not answer.begun:
                    raise
            except Exception as error:
                reason = f"The server failed ({type(error).__name__}). Its log says why."
                await self.fail(500, reason, answer, state, body)
                raise
            await body.rinse()
            await answer.end()
        except Ended as ended:
            state["outcome"] = ended.reason

    async def fail(
        self, status: int, reason: str, answer: Answer, state: dict[str, Any], body: "Body"
    ) -> None:
        """Say in an event what is wrong, if the answer has begun."""
        state["outcome"] = f"error {status}"
        if answer.begun:
            error = error_body(status, reason, state["request_id"])
            await answer.write(write_message(error, "error"))
        else:
            await body.rinse()


class Body:
    """Receive a request, and know whether all of it has come.

    receive (Receive): What the server receives.
    """

    def __init__(self, receive: Receive) -> None:
        self.receive_next = receive
        self.more = False

    async def receive(self) -> Message:
        """Receive the next message."""
        message = await self.receive_next()
        self.more = message.get("more_body", False)
        return message

    async def rinse(self) -> None:
        """Read on for a while what a client sends whose stream has ended. A connection that
        is closed before takes the last events along."""

        async def read() -> None:
            while self.more:
                await self.receive()

        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(read(), GRACE)
