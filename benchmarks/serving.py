"""Send many texts at once to a server, and compare what it answers with `nlp(text)`.

python -m benchmarks.serving run minilm --sessions 50 --seconds 300
"""

import asyncio
import codecs
import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
import typer
from spacy.language import Language

import spacy_tommer
from benchmarks.process_memory import process_memory
from benchmarks.stream import Folded, difference, passages, random_text
from spacy_tommer import Event

ROOT = Path(__file__).resolve().parents[1]
app = typer.Typer(help=__doc__, pretty_exceptions_enable=False)

HEAD = (
    "POST /stream HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
    "Transfer-Encoding: chunked\r\n\r\n"
)


class Connection:
    """Send a text and receive its events at the same time.

    port (int): The port of the server.
    buffer (Optional[int]): Bytes that are received before they are read.
    """

    def __init__(self, port: int, buffer: Optional[int] = None) -> None:
        self.port = port
        self.buffer = buffer
        self.status = 0

    async def open(self, head: str = HEAD) -> None:
        """Begin a request."""
        connected = socket.socket()
        if self.buffer:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.buffer)
        connected.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connected, ("127.0.0.1", self.port))
        limit = self.buffer or 2**16
        self.reader, self.writer = await asyncio.open_connection(
            sock=connected, limit=max(limit, 2**12)
        )
        self.writer.write(head.encode())

    async def send(self, part: bytes) -> None:
        """Send a part of the text; nothing ends it."""
        self.writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        await self.writer.drain()

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield the parts of the answer. `status` is known before the first one."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.status = int(head.split()[1])
        if b"transfer-encoding: chunked" not in head.lower():
            yield await self.reader.read()
            return
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            yield (await self.reader.readexactly(size + 2))[:-2]

    async def messages(self) -> AsyncIterator[tuple[str, Any]]:
        """Yield names and objects of server-sent events."""
        rest = ""
        async for part in self.parts():
            *whole, rest = (rest + part.decode()).split("\n\n")
            for message in whole:
                name, data = message.split("\n")
                yield name.removeprefix("event: "), json.loads(data.removeprefix("data: "))

    def vanish(self) -> None:
        """Close the connection at once, as a client that is killed."""
        self.writer.transport.abort()


def read_event(value: dict[str, Any]) -> Event:
    """Read an event of a server."""
    return Event(**value)


@dataclass
class Session:
    """Hold what was sent and received in one session.

    kind (str): "plain", "slow" or "vanishing".
    text (str): What was sent.
    chunks (list[tuple[float, bytes]]): When, and in which pieces.
    events (list[tuple[float, Event]]): What was received.
    end (Any): The last message.
    wrong (str): What went wrong.
    """

    kind: str
    text: str = ""
    chunks: list[tuple[float, bytes]] = field(default_factory=list)
    events: list[tuple[float, Event]] = field(default_factory=list)
    end: Any = None
    wrong: str = ""


class Load:
    """Run sessions for a while.

    port (int): The port of the server.
    pause (float): Mean of the seconds between two pieces of a text.
    until (float): When no new text is sent.
    """

    def __init__(self, port: int, pause: float, until: float) -> None:
        self.port = port
        self.pause = pause
        self.until = until
        self.words = " ".join(passages()[:500]).split()
        self.done: list[Session] = []

    async def one_after_the_other(self, place: int, kind: str) -> None:
        """Run sessions of a kind until the time is up."""
        number = 0
        while time.time() < self.until:
            rng = random.Random(f"{place} {number}")
            text = random_text(rng, self.words)
            session = Session(kind)
            try:
                await self.run(session, text, rng)
            except Exception as error:
                session.wrong = f"{type(error).__name__}: {error}"
            self.done.append(session)
            number += 1

    async def run(self, session: Session, text: str, rng: random.Random) -> None:
        """Run a session."""
        slow = session.kind == "slow"
        connection = Connection(self.port, 2048 if slow else None)
        await connection.open()
        sender = asyncio.create_task(self.send(session, connection, text, rng))
        try:
            async for name, value in connection.messages():
                if name == "mention":
                    session.events.append((time.time(), read_event(value)))
                else:
                    session.end = value
                if slow and time.time() < self.until:
                    await asyncio.sleep(rng.random() * self.pause * 8)
            await sender
        except (asyncio.IncompleteReadError, ConnectionError):
            if session.kind != "vanishing":
                raise
        finally:
            sender.cancel()
            connection.vanish()

    async def send(
        self, session: Session, connection: Connection, text: str, rng: random.Random
    ) -> None:
        """Send a text in pieces, which are cut inside characters, too."""
        data = text.encode()
        leave = rng.randrange(len(data)) if session.kind == "vanishing" else len(data)
        start = 0
        while start < leave and time.time() < self.until:
            end = min(start + rng.randint(1, 40), leave)
            session.chunks.append((time.time(), data[start:end]))
            await connection.send(data[start:end])
            start = end
            await asyncio.sleep(rng.random() * 2 * self.pause)
        if session.kind == "vanishing":
            connection.vanish()
            return
        while start < len(data) and data[start] & 0xC0 == 0x80:  # inside a character
            start += 1
        sent = b"".join(part for _, part in session.chunks)
        session.chunks.append((time.time(), data[len(sent) : start]))
        session.text = data[:start].decode()
        if start > len(sent):
            await connection.send(data[len(sent) : start])
        await connection.send(b"")


@app.command()
def serve(model: str, port: int, sessions: int = 64) -> None:
    """Serve a model."""
    import uvicorn

    from spacy_tommer.serving import Limits, create_app

    torch.set_num_threads(1)
    server = create_app(spacy_tommer.load(model), limits=Limits(sessions=sessions))
    uvicorn.run(server, port=port, log_level="warning", access_log=False)


@app.command()
def run(
    model: str = typer.Argument("minilm"),
    sessions: int = 50,
    seconds: float = 300.0,
    pause: float = 1.0,
    latencies: int = 20,
) -> None:
    """Run SESSIONS at once for SECONDS against a server in another process: four of five
    read at once, one of ten slowly, and one of ten vanishes. Each has its own text, which
    comes in pieces of 1 to 40 bytes with a PAUSE between them. Then compare the events
    with the mentions of the whole texts, and measure the delays in LATENCIES sessions."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, __file__, "serve", model, str(port), "--sessions"]
    server = subprocess.Popen([*command, str(sessions + 8)])
    try:
        wait_for(port)
        memory = [process_memory("VmRSS", server.pid)]
        start = time.time()
        load = Load(port, pause, start + seconds)
        kinds = ["slow", "vanishing", *["plain"] * 8]
        asyncio.run(run_all(load, sessions, kinds, server.pid, memory))
        took = time.time() - start
        health = get(port, "/health")
    finally:
        server.terminate()
        server.wait(60)
    report(model, load.done, took, latencies)
    print(
        f"{health['streams']} texts left open; memory of the server from start to end, MB:"
    )
    print(*(f"{size:.0f}" for size in memory))


async def run_all(
    load: Load, sessions: int, kinds: list[str], process: int, memory: list[float]
) -> None:
    """Run all sessions, and note the memory of the server."""
    tasks = [
        asyncio.create_task(load.one_after_the_other(i, kinds[i % len(kinds)]))
        for i in range(sessions)
    ]
    step = (load.until - time.time()) / 10
    for _ in range(10):
        await asyncio.sleep(step)
        memory.append(process_memory("VmRSS", process))
    await asyncio.gather(*tasks)
    await asyncio.sleep(1)
    memory.append(process_memory("VmRSS", process))


def report(model: str, done: list[Session], took: float, latencies: int) -> None:
    """Compare the sessions with whole texts, and print what was found."""
    torch.set_num_threads(1)
    nlp = spacy_tommer.load(model)
    whole = [session for session in done if session.kind != "vanishing"]
    wrong = [session for session in done if session.wrong or not check(nlp, session)]
    for session in wrong:
        print(f"{session.kind}: {session.wrong}")
    events = sum(len(session.events) for session in done)
    slow = sum(session.kind == "slow" for session in done)
    print(
        f"{model}: {len(done)} sessions in {took:.0f} s, {slow} of them slow, "
        f"{len(done) - len(whole)} vanished; {sum(len(s.text) for s in whole)} characters; "
        f"{events} events; {len(wrong)} sessions with lost, crossed or wrong events"
    )
    plain = [session for session in whole if session.kind == "plain"][:latencies]
    delays = [delay for session in plain for delay in find_delays(nlp, session)]
    parts = ", ".join(
        f"{share} %: {1000 * np.percentile(delays, share):.0f} ms"
        for share in (50, 90, 99, 100)
    )
    print(f"from a piece of text to its mention, {len(delays)} mentions: {parts}")


def check(nlp: Language, session: Session) -> bool:
    """Check the events of a session. What is wrong is noted."""
    text = session.text or b"".join(part for _, part in session.chunks).decode(
        errors="ignore"
    )
    folded = Folded()
    try:
        for _, event in session.events:
            assert text[event.start : event.end] == event.text, f"crossed: {event}"
            folded.add([event])
        if session.kind != "vanishing":
            end = {"reason": "complete", "characters": len(text)}
            assert session.end == end, f"ended with {session.end}, and not {end}"
            far = difference(folded, nlp(text))
            assert far < 1e-4, f"scores differ by {far}"
    except AssertionError as error:
        session.wrong = str(error)
    return not session.wrong


def find_delays(nlp: Language, session: Session) -> list[float]:
    """Find the seconds between sending the piece of text with which a mention appears in a
    stream of our own, and its arrival."""
    stream, sent = spacy_tommer.stream(nlp), {}
    decoder = codecs.getincrementaldecoder("utf-8")()
    for when, part in session.chunks:
        for event in stream.push(decoder.decode(part)):
            sent.setdefault((event.start, event.end), when)
    seen: dict[tuple[int, int], float] = {}
    for when, event in session.events:
        seen.setdefault((event.start, event.end), when)
    return [seen[place] - when for place, when in sent.items() if place in seen]


def get(port: int, path: str) -> Any:
    """Get an object from a server."""
    import httpx

    return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=30).json()


def wait_for(port: int, seconds: float = 180.0) -> None:
    """Wait until a server answers."""
    import httpx

    end = time.time() + seconds
    while time.time() < end:
        try:
            get(port, "/health")
            return
        except httpx.TransportError:
            time.sleep(0.2)
    raise TimeoutError(f"The server did not answer for {seconds} seconds.")


if __name__ == "__main__":
    app()
