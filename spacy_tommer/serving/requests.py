"""What all requests have in common: a number, a line in the log, and a place."""

import logging
import re
import time
from asyncio import Event
from dataclasses import dataclass
from urllib.parse import quote
from uuid import uuid4

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import error_body

LOG = logging.getLogger("spacy_tommer.serving")
HEADER = b"x-request-id"
SANE = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
# Requests that take one of the places.
COUNTED = frozenset(("/mentions", "/stream", "/v1/chat/completions"))


@dataclass
class Places:
    """Count the requests that take a place.

    most (int): How many may be open.
    taken (int): How many are open.
    """

    most: int
    taken: int = 0


class Requests:
    """Give each request a number, log it, and refuse it if too many are open.

    app (ASGIApp): What answers the requests.
    places (Places): Where those that are open are counted.
    stopping (Event): Set when the server stops.
    """

    def __init__(self, app: ASGIApp, places: Places, stopping: Event) -> None:
        self.app = app
        self.places = places
        self.stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        number = find_id(scope)
        state = scope.setdefault("state", {})
        state.update(request_id=number, outcome="")
        status = 0

        async def send_numbered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), (HEADER, number.encode())]
                message = {**message, "headers": headers}
            await send(message)

        begin = time.perf_counter()
        try:
            await self.admit(scope, receive, send_numbered)
        except Exception as error:
            LOG.exception("%s failed", number)
            reason = f"The server failed ({type(error).__name__}). Its log says why."
            if not status:
                await refuse(500, reason, scope, receive, send_numbered)
        finally:
            LOG.info(
                "%s %s %s %s %.3f s %s",
                number,
                scope["method"],
                quote(scope["path"]),
                status or "-",
                time.perf_counter() - begin,
                state["outcome"],
            )

    async def admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request if there is a place."""
        if scope["path"] not in COUNTED:
            await self.app(scope, receive, send)
        elif self.stopping.is_set():
            await refuse(503, "The server stops.", scope, receive, send)
        elif self.places.taken >= self.places.most:
            reason = f"{self.places.taken} sessions are open, and no more are allowed."
            await refuse(503, reason, scope, receive, send)
        else:
            self.places.taken += 1
            try:
                await self.app(scope, receive, send)
            finally:
                self.places.taken -= 1


async def refuse(
    status: int, reason: str, scope: Scope, receive: Receive, send: Send
) -> None:
    """Answer with an error."""
    body = error_body(status, reason, scope["state"]["request_id"])
    headers = {"Retry-After": "5"} if status == 503 else None
    await JSONResponse(body, status, headers)(scope, receive, send)


def find_id(scope: Scope) -> str:
    """Return the number that a client or a proxy has chosen, or make one."""
    given = dict(scope["headers"]).get(HEADER, b"")
    return given.decode() if SANE.fullmatch(given) else uuid4().hex
