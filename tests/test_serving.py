"""The server: its answers fit whole texts, and it survives its clients."""

import asyncio
import json
import logging
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest
import spacy
from conftest import TEXTS, load_whole, make_pipeline, needs_smollm2

for name in ("fastapi", "httpx", "uvicorn"):
    pytest.importorskip(name, reason=f"{name} is missing")

import httpx  # noqa: E402
import uvicorn  # noqa: E402

from benchmarks.serving import Connection, read_event  # noqa: E402
from benchmarks.stream import Folded, chunks, difference  # noqa: E402
from spacy_tommer.serving import Limits, create_app  # noqa: E402
from spacy_tommer.serving.stops import StopStrings  # noqa: E402

CHAT = "/v1/chat/completions"
TEXT = " ".join(TEXTS * 3) + " Zürich 日本語 \U0001f600 \U00020bb7."
TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }} {% endfor %}"


class Running:
    """A server in a thread, with clients."""

    def __init__(self, app):
        config = uvicorn.Config(app, port=0, log_level="warning", access_log=False)
        self.app = app
        self.own = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.own.run)
        self.thread.start()
        while not self.own.started:
            time.sleep(0.01)
        [place] = self.own.servers[0].sockets
        self.port = place.getsockname()[1]
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)

    @property
    def server(self):
        return self.app.state.server

    def stop(self):
        self.client.close()
        self.own.should_exit = True
        self.thread.join(30)
        assert not self.thread.is_alive()

    def post(self, path, body, **settings):
        return self.client.post(path, json=body, **settings)

    def wait_until_free(self):
        """Wait until no session holds anything."""
        end = time.time() + 20
        while time.time() < end:
            health = self.client.get("/health").json()
            if health["sessions"] == health["streams"] == health["waiting"] == 0:
                return
            time.sleep(0.02)
        raise AssertionError(health)


@pytest.fixture(scope="module")
def writer(tiny):
    """The folder of a pipeline's backbone, the whole model, and its tokenizer."""
    folder = tiny("llama")
    model, tokenizer = load_whole(folder)
    model.config.max_position_embeddings = 2048
    tokenizer.chat_template = TEMPLATE
    return folder, model, tokenizer


@contextmanager
def serving(writer, model=True, **limits):
    folder, *full = writer
    nlp = make_pipeline(folder)
    running = Running(create_app(nlp, *(full if model else ()), limits=Limits(**limits)))
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def running(writer):
    with serving(writer, tokens=64) as running:
        yield running


@pytest.fixture(scope="module")
def whole(tiny):
    """A pipeline like that of the server, which has its own."""
    return make_pipeline(tiny("llama"))


def reason(answer, status):
    """Check the form of an error, and return its reason."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["request_id"] == answer.headers["x-request-id"]
    assert set(error) == {"message", "type", "request_id"}
    return error["message"]


def wait_until(check, seconds=20):
    end = time.time() + seconds
    while not (found := check()):
        assert time.time() < end, found
        time.sleep(0.05)


async def send_text(port, text, rng, longest=20):
    """Send a text in pieces, while events are received."""
    connection = Connection(port)
    await connection.open()

    async def send():
        # One character for each byte.
        for part in chunks(list(text.encode().decode("latin-1")), rng, longest):
            await connection.send(part.encode("latin-1"))
            await asyncio.sleep(rng.random() * 0.01)
        await connection.send(b"")

    sender = asyncio.create_task(send())
    events = [message async for message in connection.messages()]
    await sender
    connection.vanish()
    return events


def fold(messages, text):
    """Fold the events of a stream that is complete."""
    *events, end = messages
    assert end == ("end", {"reason": "complete", "characters": len(text)})
    folded = Folded()
    for name, value in events:
        assert name == "mention"
        assert text[value["start"] : value["end"]] == value["text"]
        folded.add([read_event(value)])
    return folded


def test_mentions_of_texts(running, whole):
    texts = [*TEXTS, "", " ", TEXT]
    answer = running.post("/mentions", {"texts": texts})
    assert answer.status_code == 200
    found = answer.json()["mentions"]
    assert len(found) == len(texts)
    for text, mentions in zip(texts, found):
        doc = whole(text)
        group = doc.spans["mentions"]
        flat = {(ent.start_char, ent.end_char) for ent in doc.ents}
        assert len(mentions) == len(group)
        for one, span, score in zip(mentions, group, group.attrs["scores"]):
            place = span.start_char, span.end_char
            assert one.pop("score") == pytest.approx(score, abs=1e-4)
            assert one == {
                "start": place[0],
                "end": place[1],
                "text": span.text,
                "label": span.label_,
                "flat": place in flat,
            }
    assert sum(map(len, found)) > 20


def test_streams_are_as_whole_texts_and_never_cross(running, whole):
    texts = [TEXT, " ".join(TEXTS[::-1] * 2), "", "Ada", TEXT[::-1]]

    async def send_all():
        rngs = map(random.Random, range(len(texts)))
        sent = (send_text(running.port, text, rng) for text, rng in zip(texts, rngs))
        return await asyncio.gather(*sent)

    found = 0
    for text, messages in zip(texts, asyncio.run(send_all())):
        folded = fold(messages, text)
        assert difference(folded, whole(text)) < 1e-4
        found += len(folded.mentions)
    assert found > 20
    running.wait_until_free()


def test_events_come_while_the_text_is_sent(running):
    async def talk():
        connection = Connection(running.port)
        await connection.open()
        seen = []

        async def receive():
            async for message in connection.messages():
                seen.append(message)

        receiver = asyncio.create_task(receive())
        for word in TEXT.split():
            await connection.send(f"{word} ".encode())
            await asyncio.sleep(0.02)
        before = len(seen)
        await connection.send(b"")
        await receiver
        return before, len(seen)

    before, after = asyncio.run(talk())
    assert 5 < before < after


def test_the_form_of_events(running):
    answer = running.client.post("/stream", content=TEXTS[0].encode())
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    *messages, rest = answer.text.split("\n\n")
    assert rest == "" and len(messages) > 3
    for message in messages[:-1]:
        name, data = message.split("\n")
        assert name == "event: mention"
        value = json.loads(data.removeprefix("data: "))
        assert list(value) == [
            *("what", "start", "end", "text", "label", "score", "flat", "final")
        ]
    assert messages[-1].startswith("event: end\ndata: {")


WRONG = [
    ("/mentions", b"{", 400, "The body is not JSON: EOF while parsing an object"),
    ("/mentions", b"", 400, "The body is not JSON"),
    ("/mentions", b'{"texts": ["\xff"]}', 400, "not UTF-8 at byte 12: invalid start byte"),
    ("/mentions", b"[" * 100_000, 400, "The body is not JSON: recursion limit exceeded"),
    (
        "/mentions",
        {"texts": ["\ud83d"]},
        400,
        "unexpected end of hex escape",
    ),
    ("/mentions", b"[]", 422, "the body: Input should be"),
    ("/mentions", {}, 422, "The field 'texts' is missing"),
    ("/mentions", {"texts": []}, 422, "texts: List should have at least 1 item"),
    ("/mentions", {"texts": "Ada"}, 422, "texts: Input should be a valid array"),
    ("/mentions", {"texts": [1]}, 422, "texts.0: Input should be a valid string"),
    ("/mentions", {"texts": ["a"], "x": 1}, 422, "The field 'x' is not known"),
    ("/mentions", {"texts": ["a"] * 65}, 422, "There are 65 texts, and 64 are allowed"),
    ("/mentions", {"texts": ["a " * 6000]}, 422, "texts.0 has 12000 characters, and 10000"),
    ("/mentions", {"texts": ["a" * 1001]}, 422, "1001 characters without white space"),
    ("/mentions", b" " * 1_000_001, 413, "The body has 1000001 bytes or more, and 1000000"),
    ("/stream", "a" * 1001, 422, "1001 characters without white space"),
    ("/stream", b"Ada \xff", 400, "not UTF-8 at byte 4: invalid start byte"),
    ("/stream/x", b"Ada", 404, "no such stream"),
    (CHAT, {}, 422, "The field 'messages' is missing"),
    (CHAT, {"messages": []}, 422, "messages: List should have at least 1 item"),
    (CHAT, {"messages": [{"role": "user"}]}, 422, "'messages.0.content' is missing"),
]
CHATS = [
    ({"content": ""}, {}, 422, "messages.0.content: String should have at least 1"),
    ({"role": "robot"}, {}, 422, "messages.0.role: Input should be 'system', 'user' or"),
    ({"content": "a " * 6000}, {}, 422, "The messages have 12000 characters, and 10000"),
    ({"content": "a b " * 1200}, {}, 422, "wordpieces, and the model reads 2048"),
    ({}, {"temperature": 3}, 422, "temperature: Input should be less than or equal to 2"),
    ({}, {"temperature": "hot"}, 422, "temperature: Input should be a valid number"),
    ({}, {"max_tokens": 0}, 422, "max_tokens: Input should be greater than or equal to 1"),
    ({}, {"max_tokens": 65}, 422, "max_tokens is 65, and 64 are allowed"),
    ({}, {"seed": -1}, 422, "seed: Input should be greater than or equal to 0"),
    ({}, {"stop": ""}, 422, "stop: up to four strings"),
    ({}, {"stop": list("abcde")}, 422, "stop: up to four strings"),
    ({}, {"n": 2}, 422, "The field 'n' is not known"),
    ({}, {"model": "gpt-4"}, 404, "The model 'gpt-4' is not here"),
]


@pytest.mark.parametrize("path, body, status, expected", WRONG)
def test_wrong_requests(path, body, status, expected, running):
    if isinstance(body, dict):
        body = json.dumps(body)
    headers = {} if path == "/stream" else {"Content-Type": "application/json"}
    answer = running.client.post(path, content=body, headers=headers)
    assert expected in reason(answer, status)


@pytest.mark.parametrize("message, body, status, expected", CHATS)
def test_wrong_chats(message, body, status, expected, running):
    messages = [{"role": "user", "content": "Hi", **message}]
    answer = running.post(CHAT, {"messages": messages, **body})
    assert expected in reason(answer, status)


def test_other_wrong_requests(running, writer):
    client = running.client
    assert reason(client.get("/nothing"), 404) == "Not Found"
    assert reason(client.put("/mentions"), 405) == "Method Not Allowed"
    answer = client.post("/mentions", content=b"{}", headers={"Content-Type": "text/plain"})
    assert "send Content-Type: application/json" in reason(answer, 415)
    with serving(writer, model=False) as other:
        body = {"messages": [{"role": "user", "content": "Hi"}]}
        assert "no model that writes" in reason(other.post(CHAT, body), 404)
        assert "hidden" in other.client.get("/").text.partition('id="write"')[2][:20]


def test_what_is_wrong_later_is_an_event(running, whole):
    async def send(last):
        connection = Connection(running.port)
        await connection.open()
        messages = connection.messages()
        await connection.send(TEXTS[0].encode())
        await anext(messages)  # the answer has begun
        await connection.send(last)
        await connection.send(b"")
        return [message async for message in messages][-1]

    for last, expected in (
        (b"\xff", "not UTF-8 at byte 60: invalid start"),
        (b"Z\xc3", "not UTF-8 at byte 61: unexpected end"),
        (b"a" * 2000, "2005 characters without white space"),
    ):
        name, value = asyncio.run(send(last))
        assert name == "error" and expected in value["error"]["message"]
    running.wait_until_free()


def test_places_are_limited_and_become_free(writer):
    async def hold(port):
        connection = Connection(port)
        await connection.open()
        await connection.send(TEXTS[0].encode())
        messages = connection.messages()
        await anext(messages)
        return connection

    async def fill(running):
        held = [await hold(running.port) for _ in range(2)]
        refused = [
            await asyncio.to_thread(running.client.post, "/stream", content=b"Ada"),
            await asyncio.to_thread(running.post, "/mentions", {"texts": ["Ada"]}),
        ]
        assert (await asyncio.to_thread(running.client.get, "/health")).status_code == 200
        for connection in held:
            connection.vanish()
        return refused

    with serving(writer, sessions=2) as running:
        for answer in asyncio.run(fill(running)):
            assert "2 sessions are open" in reason(answer, 503)
            assert int(answer.headers["retry-after"]) > 0
        running.wait_until_free()
        assert running.post("/mentions", {"texts": ["Ada"]}).status_code == 200


@pytest.mark.parametrize(
    "limits, expected", [({"idle": 0.3}, "idle"), ({"seconds": 0.3}, "time")]
)
def test_time_is_limited(limits, expected, writer, whole):
    async def wait(port):
        connection = Connection(port)
        await connection.open()
        await connection.send(b"Ada met Bob in Paris")
        return [message async for message in connection.messages()]

    with serving(writer, **limits) as running:
        *events, end = asyncio.run(wait(running.port))
        assert end == ("end", {"reason": expected, "characters": 20})
        folded = Folded()
        folded.add(read_event(value) for _, value in events)
        assert difference(folded, whole("Ada met Bob in Paris")) < 1e-4

        with socket.create_connection(("127.0.0.1", running.port)) as slow:
            slow.sendall(
                b"POST /mentions HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
                b"Content-Type: application/json\r\n\r\n{"
            )
            slow.settimeout(20)
            assert b" 408 " in slow.recv(1000)
        running.wait_until_free()


def test_clients_that_vanish_leave_nothing(writer, running):
    async def vanish(seed):
        rng = random.Random(seed)
        connection = Connection(running.port)
        await connection.open()
        data = TEXT.encode()
        for start in range(0, rng.randrange(len(data)), 30):
            await connection.send(data[start : start + 30])
            await asyncio.sleep(0.002)
        connection.vanish()

    async def vanish_all():
        await asyncio.gather(*map(vanish, range(20)))

    ask(running, max_tokens=1)
    threads = threading.active_count()
    asyncio.run(vanish_all())
    with running.client.stream("GET", "/stream") as answer:
        next(answer.iter_raw())
    body = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}
    for _ in range(3):
        with running.client.stream("POST", CHAT, json=body) as answer:
            next(answer.iter_raw())
    running.wait_until_free()
    assert not running.server.texts.streams.texts and not running.server.inboxes
    assert not any(module._forward_hooks for module in writer[1].modules())
    assert threading.active_count() <= threads


def test_who_does_not_read_keeps_no_one_waiting(writer):
    """The answer of one client blocks: no more of its text is read, and its place is free
    after a while. Others do not notice."""
    app = create_app(make_pipeline(writer[0]), limits=Limits(idle=1.0))
    read, sent = [], []

    async def receive():
        await asyncio.sleep(0)
        read.append(len(read))
        return {"type": "http.request", "body": TEXT.encode(), "more_body": True}

    async def block(message):
        sent.append(message["type"])
        if message["type"] == "http.response.body" and message["body"]:
            await asyncio.Event().wait()

    async def run():
        server = app.state.server
        head = {"type": "http", "method": "POST", "headers": [], "query_string": b""}
        scope = {**head, "path": "/stream", "raw_path": b"/stream", "root_path": ""}
        deaf = asyncio.create_task(app(scope, receive, block))
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://server"
        ) as client:
            while len(sent) < 2:
                await asyncio.sleep(0.01)
            answer = await client.post("/stream", content=TEXT.encode())
        assert fold_answer(answer.text, TEXT).mentions
        assert server.places.taken == len(read) == 1
        await asyncio.wait_for(deaf, 20)
        await server.worker.run(int)
        assert server.places.taken == 0 and not server.texts.streams.texts
        assert len(read) == 1
        server.worker.close()

    asyncio.run(run())


def fold_answer(answer, text):
    """Fold the events of an answer."""
    messages = []
    for message in answer.strip().split("\n\n"):
        name, data = message.split("\n")
        value = json.loads(data.removeprefix("data: "))
        messages.append((name.removeprefix("event: "), value))
    return fold(messages, text)


def test_a_text_in_several_requests(running, whole):
    text = "Zoë \U0001d54f " + TEXT
    with running.client.stream("GET", "/stream") as answer:
        lines = answer.iter_lines()
        assert next(lines) == "event: open"
        key = json.loads(next(lines).removeprefix("data: "))["id"]
        for start in range(0, len(text), 40):
            part = text[start : start + 40].encode()
            assert running.client.post(f"/stream/{key}", content=part).status_code == 204
        wrong = running.client.post(f"/stream/{key}", content=b"\xff")
        assert "not UTF-8" in reason(wrong, 400)
        assert running.client.delete(f"/stream/{key}").status_code == 204
        rest = "\n".join(lines)
    assert difference(fold_answer(rest, text), whole(text)) < 1e-4
    assert "no such stream" in reason(running.client.delete(f"/stream/{key}"), 404)


def ask(running, **settings):
    """Complete a chat, and check the form of the answer."""
    body = {"messages": [{"role": "user", "content": "Hi"}], **settings}
    answer = running.post(CHAT, body)
    assert answer.status_code == 200, answer.text
    value = answer.json()
    [choice] = value["choices"]
    assert value["object"] == "chat.completion" and value["model"] == running.server.name
    assert choice["message"]["role"] == "assistant"
    text = choice["message"]["content"]
    for one in value["mentions"]:
        assert text[one["start"] : one["end"]] == one["text"]
    return text, choice["finish_reason"], value["mentions"], value["usage"]


def test_chats(running):
    text, finish, mentions, usage = ask(running, seed=3, max_tokens=30, temperature=2)
    assert finish in ("length", "stop") and mentions
    assert usage["completion_tokens"] <= 30
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    again = ask(running, seed=3, max_completion_tokens=30, temperature=2)
    assert again[0] == text and again[2] == mentions
    assert ask(running, seed=4, max_tokens=30, temperature=2)[0] != text
    greedy = {ask(running, max_tokens=8, temperature=0)[0] for _ in range(2)}
    assert len(greedy) == 1


@pytest.mark.parametrize("cut", [3, 10, 17])
def test_stop_strings(cut, running):
    settings = {"seed": 3, "max_tokens": 30, "temperature": 2}
    text, *_ = ask(running, **settings)
    stop = text[cut : cut + 4]
    short, finish, mentions, _ = ask(running, **settings, stop=["never seen", stop])
    assert short == text[: text.index(stop)] and finish == "stop"
    assert all(one["end"] <= len(short) for one in mentions)


def test_stop_strings_are_held_back():
    stops = StopStrings(["abc", "cd"])
    assert stops.push(1, "xa") == ([], "", "", False)
    assert stops.push(2, "b") == ([], "", "", False)
    assert stops.push(3, "x") == ([1, 2, 3], "xabx", "", False)
    assert stops.push(4, "ab") == ([], "", "", False)
    assert stops.push(5, "yc") == ([4], "ab", "", False)
    assert stops.push(6, "dz") == ([], "", "y", True)
    stops = StopStrings(["abc"])
    assert stops.push(1, "x") == ([1], "x", "", False)
    stops.push(2, "a")
    stops.push(3, "")
    assert stops.close() == ([2, 3], "a", "", False)
    assert StopStrings([]).push(1, "a") == ([1], "a", "", False)


def test_chunks_of_a_chat(running):
    settings = {"seed": 3, "max_tokens": 30, "temperature": 2}
    text, finish, mentions, _ = ask(running, **settings)
    body = {"messages": [{"role": "user", "content": "Hi"}], "stream": True, **settings}
    answer = running.post(CHAT, body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    *messages, done, rest = answer.text.split("\n\n")
    assert done == "data: [DONE]" and rest == ""
    parts = [json.loads(message.removeprefix("data: ")) for message in messages]
    assert {part["object"] for part in parts} == {"chat.completion.chunk"}
    assert len({part["id"] for part in parts}) == 1 and len(parts) > 5
    assert parts[0]["choices"][0]["delta"]["role"] == "assistant"
    assert parts[-1]["choices"][0]["finish_reason"] == finish
    shown, folded = "", Folded()
    for part in parts:
        shown += part["choices"][0]["delta"]["content"]
        for value in part["mentions"]:
            assert shown[value["start"] : value["end"]] == value["text"]
            folded.add([read_event(value)])
    assert shown == text
    assert sorted(folded.mentions) == [(one["start"], one["end"]) for one in mentions]
    assert all(event.final for event in folded.mentions.values())


def test_a_client_of_openai_works(running):
    openai = pytest.importorskip("openai", reason="openai is missing")
    url = f"http://127.0.0.1:{running.port}/v1"
    client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
    chat = {
        "model": running.server.name,
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 10,
        "seed": 1,
    }
    whole = client.chat.completions.create(**chat)
    text = "".join(
        part.choices[0].delta.content
        for part in client.chat.completions.create(**chat, stream=True)
    )
    assert text == whole.choices[0].message.content
    assert isinstance(whole.mentions, list)
    with pytest.raises(openai.UnprocessableEntityError, match="max_tokens is 9999"):
        client.chat.completions.create(**{**chat, "max_tokens": 9999})


def test_chats_wait_in_a_queue_and_others_do_not(writer):
    body = {"messages": [{"role": "user", "content": "Hi"}], "temperature": 2}
    go = threading.Event()
    with serving(writer, waiting=1, tokens=16) as running:
        hook = writer[1].lm_head.register_forward_pre_hook(
            lambda *args: go.wait(20) and None
        )
        answers = []

        def chat():
            client = httpx.Client(base_url=running.client.base_url, timeout=60)
            answers.append(client.post(CHAT, json=body))

        try:
            threads = [threading.Thread(target=chat) for _ in range(2)]
            for i, thread in enumerate(threads):
                thread.start()
                while running.client.get("/health").json()["waiting"] < i:
                    time.sleep(0.01)
                time.sleep(0.2)
            refused = running.post(CHAT, body)
            assert "1 texts wait for the model" in reason(refused, 503)
            assert refused.headers["retry-after"]
            assert running.post("/mentions", {"texts": ["Ada"]}).status_code == 200
        finally:
            go.set()
            for thread in threads:
                thread.join(60)
            hook.remove()
        assert [answer.status_code for answer in answers] == [200, 200]


def test_who_does_not_read_a_chat_does_not_keep_the_model(writer):
    app = create_app(make_pipeline(writer[0]), *writer[1:], limits=Limits(tokens=8))
    body = {"messages": [{"role": "user", "content": "Hi"}], "temperature": 2, "seed": 1}
    asked, sent = [json.dumps({**body, "stream": True}).encode()], []

    async def receive():
        if asked:
            return {"type": "http.request", "body": asked.pop()}
        return await asyncio.Event().wait()

    async def block(message):
        sent.append(message)
        if len(sent) == 2:
            await asyncio.Event().wait()

    async def run():
        head = {"type": "http", "method": "POST", "path": CHAT, "query_string": b""}
        headers = [(b"content-type", b"application/json")]
        scope = {**head, "headers": headers, "raw_path": b"", "root_path": ""}
        deaf = asyncio.create_task(app(scope, receive, block))
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://server"
        ) as client:
            while len(sent) < 2:
                await asyncio.sleep(0.01)
            answer = await client.post(CHAT, json=body, timeout=60)
        assert answer.status_code == 200 and len(sent) == 2
        deaf.cancel()
        await asyncio.wait({deaf})
        assert app.state.server.places.taken == 0
        app.state.server.completions.close()
        app.state.server.worker.close()

    asyncio.run(run())


def test_numbers_of_requests(running, caplog):
    caplog.set_level(logging.INFO, "spacy_tommer.serving")
    taken = running.client.get("/health", headers={"X-Request-ID": "proxy-7.a_b"})
    assert taken.headers["x-request-id"] == "proxy-7.a_b"
    made = []
    for wrong in (b"", b"a b", b"x" * 65, b"\xc3\xa9"):
        answer = running.client.get("/health", headers={b"X-Request-ID": wrong})
        made.append(answer.headers["x-request-id"])
    assert len(set(made)) == 4 and all(len(one) == 32 for one in made)
    running.client.get("/a%0ab", headers={"X-Request-ID": "broken-line"})
    running.client.post("/stream", content=b"Ada", headers={"X-Request-ID": "stream-1"})

    def logged(begin, end=""):
        lines = [record.getMessage() for record in caplog.records]
        return any(one.startswith(begin) and one.endswith(end) for one in lines)

    # A line is written once the answer has been sent.
    wait_until(lambda: logged("proxy-7.a_b GET /health 200 "))
    wait_until(lambda: logged("broken-line GET /a%0Ab 404 "))
    wait_until(lambda: logged("stream-1 POST /stream 200 ", "complete"))


def test_what_fails_is_answered_and_the_server_goes_on(writer, whole, monkeypatch):
    with serving(writer) as running:
        streams = running.server.texts.streams

        def fail(*args):
            raise RuntimeError("secret")

        with monkeypatch.context() as patch:
            patch.setattr(streams, "write", fail)
            answer = running.client.post("/stream", content=b"Ada")
            assert "The server failed (RuntimeError)" in reason(answer, 500)
            assert "secret" not in answer.text
        running.wait_until_free()
        folded = fold(asyncio.run(send_text(running.port, TEXT, random.Random(0))), TEXT)
        assert difference(folded, whole(TEXT)) < 1e-4


def test_threads_end_with_the_server(writer):
    before = set(threading.enumerate())
    with serving(writer) as running:
        running.post("/mentions", {"texts": ["Ada"]})
        ask(running, max_tokens=2)
        assert set(threading.enumerate()) - before
    assert not set(threading.enumerate()) - before


def test_streams_end_cleanly_when_the_server_is_told_to_stop(tiny, whole, tmp_path):
    whole.to_disk(tmp_path / "pipeline")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = (
        "import spacy, uvicorn; from spacy_tommer.serving import create_app; "
        f"uvicorn.run(create_app(spacy.load({str(tmp_path / 'pipeline')!r})), port={port}, "
        "timeout_graceful_shutdown=20)"
    )
    process = subprocess.Popen([sys.executable, "-c", code])

    async def talk():
        connection = Connection(port)
        end = time.time() + 120
        while time.time() < end:
            try:
                await connection.open()
                break
            except ConnectionError:
                await asyncio.sleep(0.1)
        await connection.send(b"Ada met Bob in Paris and ")
        messages = connection.messages()
        first = await anext(messages)
        process.send_signal(signal.SIGTERM)
        return [first] + [message async for message in messages]

    try:
        *events, end = asyncio.run(talk())
        assert end == ("end", {"reason": "stopped", "characters": 25})
        folded = Folded()
        folded.add(read_event(value) for _, value in events)
        assert difference(folded, whole("Ada met Bob in Paris and ")) < 1e-4
        process.wait(30)
    finally:
        process.kill()


def test_chats_end_when_the_server_stops(writer):
    body = {"messages": [{"role": "user", "content": "Hi"}], "temperature": 2}
    with serving(writer) as running:
        writer[1].generation_config.eos_token_id = None
        with running.client.stream("POST", CHAT, json={**body, "stream": True}) as answer:
            raw = answer.iter_text()
            text = next(raw)
            running.server.stopping.set()
            text += "".join(raw)
        *_, last, _, _ = text.split("\n\n")
        [choice] = json.loads(last.removeprefix("data: "))["choices"]
        assert choice["finish_reason"] in ("abort", "length")
        assert "The server stops" in reason(running.post(CHAT, body), 503)
        assert running.client.get("/health").json()["status"] == "stopping"


def test_what_cannot_be_served(writer, whole):
    _, model, tokenizer = writer
    with pytest.raises(ValueError, match="give both, or none"):
        create_app(whole, model)
    with pytest.raises(ValueError, match="The limit `sessions` is above 0, and not 0"):
        Limits(sessions=0)
    tokenizer.chat_template = None
    try:
        with pytest.raises(ValueError, match="has no chat template"):
            create_app(whole, model, tokenizer)
    finally:
        tokenizer.chat_template = TEMPLATE
    with pytest.raises(ValueError, match="has no component that finds mentions"):
        create_app(spacy.blank("en"))


def test_limits_are_documented():
    page = (Path(__file__).parents[1] / "docs/serving.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", page, re.MULTILINE)
    assert rows == [(name, str(value)) for name, value in asdict(Limits()).items()]


@needs_smollm2
def test_the_example(monkeypatch):
    import runpy

    served = []
    monkeypatch.setattr(uvicorn, "run", lambda app, **settings: served.append(app))
    path = Path(__file__).parents[1] / "examples/serve.py"
    runpy.run_path(str(path), run_name="__main__")
    running = Running(served[0])
    try:
        text, finish, *_ = ask(running, max_tokens=12, temperature=0)
        assert text and finish in ("length", "stop")
        answer = running.post("/mentions", {"texts": ["Ada Lovelace met Bob in London."]})
        found = [one["text"] for one in answer.json()["mentions"][0] if one["flat"]]
        assert found == ["Ada Lovelace", "Bob", "London"]
    finally:
        running.stop()


# In a browser.


@pytest.fixture(scope="module")
def browser():
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is missing")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if None in (chromium, driver):
        pytest.skip("chromium or chromedriver is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


SHOWN = """
return [...document.querySelectorAll('#' + arguments[0] + ' .mention[data-start]')].map(
  (one) => [
    one.ariaLabel.replace(/, [A-Z]+, score .*/, ''),
    one.classList.contains('open'),
  ])
"""


def test_the_page_in_a_browser(browser, running, whole):
    browser.get(f"http://127.0.0.1:{running.port}/")
    find = lambda name: browser.find_element("id", name)  # noqa: E731
    shown = lambda name: browser.execute_script(SHOWN, name)  # noqa: E731
    text = f"{TEXTS[2]} {TEXTS[0]}"
    find("own").send_keys(text[:40])
    wait_until(lambda: any(is_open for _, is_open in shown("typed")))
    find("own").send_keys(text[40:])
    find("end").click()

    def is_whole():
        doc = whole(find_value())
        spans = sorted(span.text for span in doc.spans["mentions"])
        return sorted(name for name, is_open in shown("typed") if not is_open) == spans

    find_value = lambda: find("own").get_property("value")  # noqa: E731
    wait_until(is_whole)
    assert find_value() == find("typed").get_property("innerText") == text
    assert find("state").text == "All are final."

    # After a change in the middle, the text begins again.
    browser.execute_script(
        "const own = document.getElementById('own');"
        "own.value = '\U0001d54f ' + own.value + ' \U0001f600 <b>Ada</b>';"
        "own.dispatchEvent(new Event('input'))"
    )
    wait_until(lambda: find("typed").get_property("innerText") == find_value())
    find("end").click()
    wait_until(is_whole)

    find("write").click()
    wait_until(lambda: shown("written"))
    wait_until(lambda: find("write").is_enabled())
    assert not any(is_open for _, is_open in shown("written"))
    for view, label in (("nested", "mentions"), ("flat", "mentions")):
        browser.find_element("css selector", f"[value={view}]").click()
        assert label in find("count").text
    assert not browser.get_log("browser")
