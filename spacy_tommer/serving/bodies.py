"""Read the bodies of requests, within limits."""

import codecs
from collections.abc import AsyncIterator
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.exceptions import HTTPException
from starlette.types import Receive

from .clock import Clock, Ended
from .limits import Limits

Model = TypeVar("Model", bound=BaseModel)
# Bytes that are still read of a body that is too large. A connection that is closed before
# takes the answer along.
RINSED = 16_000_000
UTF_8 = codecs.getincrementaldecoder("utf-8")
LATE = {
    "left": (400, "The client has left."),
    "idle": (408, "The body did not arrive in time."),
    "time": (408, "The body did not arrive in time."),
    "stopped": (503, "The server stops."),
}


class Strict(BaseModel):
    """An object without unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True)


async def receive_bytes(receive: Receive, clock: Clock) -> AsyncIterator[bytes]:
    """Read a body as it arrives.

    receive (Receive): What the server receives.
    clock (Clock): The time that is left.
    YIELDS (bytes): The next bytes, which may be none. Ended is raised if none come.
    """
    more = True
    while more:
        message = await clock.wait(receive(), clock.idle)
        if message["type"] == "http.disconnect":
            raise Ended("left")
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def receive_text(receive: Receive, clock: Clock) -> AsyncIterator[str]:
    """Read a text as it arrives.

    YIELDS (str): The next characters. HTTPException is raised for bytes that are not UTF-8.
    """
    decoder = UTF_8()
    place = 0
    async for part in receive_bytes(receive, clock):
        yield decode(decoder, part, place)
        place += len(part)
    decode(decoder, b"", place, last=True)


def decode(
    decoder: codecs.IncrementalDecoder, part: bytes, place: int, last: bool = False
) -> str:
    """Decode a piece of a text.

    part (bytes): The piece. It may begin and end inside a character.
    place (int): How many bytes are before it.
    last (bool): Whether none are behind it.
    RETURNS (str): The characters that are complete. HTTPException is raised for bytes that
        are not UTF-8.
    """
    try:
        return decoder.decode(part, last)
    except UnicodeDecodeError as error:
        # A character that is not complete waits for the next piece.
        place += error.start - (len(error.object) - len(part))
        raise HTTPException(
            400, f"The text is not UTF-8 at byte {place}: {error.reason}."
        ) from error


def decode_all(body: bytes) -> str:
    """Decode a whole text. HTTPException is raised for bytes that are not UTF-8."""
    return decode(UTF_8(), body, 0, last=True)


async def read_body(request: Request, limits: Limits, clock: Clock) -> bytes:
    """Read a body.

    RETURNS (bytes): The body. HTTPException is raised if it is too large or late.
    """
    parts: list[bytes] = []
    size = 0
    try:
        async for part in receive_bytes(request.receive, clock):
            size += len(part)
            if size <= limits.body:
                parts.append(part)
            elif size > RINSED:
                break
    except Ended as ended:
        raise HTTPException(*LATE[ended.reason]) from ended
    if size > limits.body:
        raise HTTPException(
            413, f"The body has {size} bytes or more, and {limits.body} are allowed."
        )
    return b"".join(parts)


async def read_json(
    request: Request, kind: type[Model], limits: Limits, clock: Clock
) -> Model:
    """Read an object from the body of a request.

    kind (type[Model]): What it is.
    RETURNS (Model): The object. HTTPException is raised for anything else.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await read_body(request, limits, clock)
    if media != "application/json":
        raise HTTPException(
            415, f"The body is JSON, and not {media!r}: send Content-Type: application/json"
        )
    try:
        return kind.model_validate_json(decode_all(body))
    except ValidationError as error:
        raise HTTPException(*describe(error)) from error


def describe(error: ValidationError) -> tuple[int, str]:
    """Say what is wrong with a body.

    RETURNS (tuple[int, str]): A status, and the first thing that is wrong.
    """
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"])) or "the body"
    if first["type"] == "json_invalid":
        return 400, f"The body is not JSON: {first['ctx']['error']}."
    if first["type"] == "extra_forbidden":
        return 422, f"The field {place!r} is not known."
    if first["type"] == "missing":
        return 422, f"The field {place!r} is missing."
    return 422, f"{place}: {first['msg']}."
