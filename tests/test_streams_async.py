"""Several texts at once: in an event loop, beside other threads, and after an error."""

import asyncio
import random
import threading
from contextlib import aclosing

import pytest
from conftest import TEXTS

import spacy_tommer
from benchmarks.stream import Folded, difference
from spacy_tommer.locks import COMPUTING
from spacy_tommer.streaming.batcher import Batcher

WORDS = " ".join(TEXTS * 3)


async def words(text):
    for word in text.split(" "):
        yield f"{word} "
        await asyncio.sleep(0)


@pytest.mark.parametrize("family", ["gpt2", "bert"])
def test_texts_of_an_event_loop_are_read_together(family, random_nlp):
    nlp = random_nlp(family)
    streams = spacy_tommer.streams(nlp, limit=3, stride=4)
    batches = []
    write = streams.batcher.write_batch

    def watched(chunks, closing):
        batches.append(len(chunks))
        return write(chunks, closing)

    streams.batcher.write_batch = watched
    texts = [WORDS, TEXTS[0], TEXTS[1] * 2]

    async def fold(text):
        folded = Folded()
        async for event in streams.astream(words(text)):
            folded.add([event])
        return folded

    async def run():
        return await asyncio.gather(*map(fold, texts))

    for text, folded in zip(texts, asyncio.run(run())):
        assert difference(folded, nlp(f"{text} ")) < 1e-4
    assert max(batches) == 3
    assert not streams.texts


def test_a_text_that_is_left_is_forgotten(random_nlp):
    nlp = random_nlp("gpt2", threshold=0.0, flat_threshold=None)
    streams = spacy_tommer.streams(nlp, limit=1, passages=True)

    async def run():
        async with aclosing(streams.astream(words(WORDS))) as events:
            async for _ in events:
                break
        async for _ in streams.astream(TEXTS):
            pass
        with pytest.raises(ValueError, match="a string, and not b'x'"):
            async for _ in streams.astream([b"x"]):
                pass

    asyncio.run(run())
    assert not streams.texts and not streams.closed


def test_a_cancelled_batch_forgets_what_was_left():
    discarded = []
    started, released = threading.Event(), threading.Event()

    def write(chunks, closing):
        started.set()
        released.wait(10)
        return {key: [] for key in chunks}

    async def run():
        batcher = Batcher(write, discarded.append)
        waiting = asyncio.create_task(batcher.write("a", "x"))
        while not started.is_set():
            await asyncio.sleep(0.01)
        batcher.leave("a")
        assert not discarded
        batcher.running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        released.set()

    asyncio.run(run())
    assert discarded == ["a"]


def test_opening_and_discarding_wait_for_no_computation(random_nlp):
    streams = spacy_tommer.streams(random_nlp("gpt2"), limit=2)
    taken, released = threading.Event(), threading.Event()

    def compute():
        with COMPUTING:
            taken.set()
            released.wait(10)

    thread = threading.Thread(target=compute)
    thread.start()
    taken.wait(10)
    done = threading.Thread(target=lambda: (streams.open("a"), streams.discard("a")))
    done.start()
    done.join(5)
    waited = done.is_alive()
    released.set()
    thread.join()
    assert not waited


def test_a_text_may_be_discarded_while_it_is_read(random_nlp, monkeypatch):
    streams = spacy_tommer.streams(random_nlp("gpt2"), limit=2)
    for key in ("a", "b"):
        streams.open(key)
    read = streams.states.read

    def discarding(*given):
        streams.discard("a")
        return read(*given)

    monkeypatch.setattr(streams.states, "read", discarding)
    assert streams.push({"a": TEXTS[0], "b": TEXTS[0]}).keys() == {"a", "b"}
    assert streams.texts.keys() == {"b"}


def test_an_error_in_one_text_loses_no_events_of_others(random_nlp, monkeypatch):
    nlp = random_nlp("gpt2")
    streams = spacy_tommer.streams(nlp, limit=2)
    folded = {"a": Folded(), "b": Folded()}
    for key in folded:
        streams.open(key)
    session = streams.texts["b"].session
    report = session.report

    def fails(*given):
        monkeypatch.setattr(session, "report", report)
        raise MemoryError

    monkeypatch.setattr(session, "report", fails)
    with pytest.raises(MemoryError):
        streams.push({"a": WORDS, "b": WORDS})
    for key, events in streams.close("a", "b").items():
        folded[key].add(events)
    for found in folded.values():
        assert difference(found, nlp(WORDS)) < 1e-4


def test_passages_of_closed_texts(random_nlp):
    streams = spacy_tommer.streams(random_nlp("gpt2"), limit=2, passages=True)
    streams.open("a")
    streams.push({"a": TEXTS[0]})
    streams.close("a", "a")
    assert "".join(part.text for part in streams.take_passages("a")) == TEXTS[0]
    with pytest.raises(ValueError, match="'a' is not open"):
        streams.take_passages("a")
    for end in (streams.discard, streams.open):
        streams.open("a")
        streams.close("a")
        end("a")
        assert not streams.closed
        streams.discard("a")


def test_states_of_a_batch_are_kept_by_row(random_nlp):
    streams = spacy_tommer.streams(random_nlp("gpt2"), limit=4)
    for key in range(4):
        streams.open(key)
    streams.push(dict.fromkeys(range(4), f"{TEXTS[0]} "))
    for text in streams.texts.values():
        for row in text.rows:
            size = row.states.numel() * row.states.element_size()
            assert row.states.untyped_storage().nbytes() == size


def test_best_flat_segmentation_does_not_depend_on_what_stands_before(random_nlp):
    decoder = {"@misc": "spacy_tommer.best_flat.v1"}
    nlp = random_nlp("gpt2", threshold=0.3, flat_threshold=0.3, decoder=decoder)
    stream, folded = spacy_tommer.stream(nlp), Folded()
    rng = random.Random(0)
    text = "\n\n".join(rng.choices(TEXTS, k=8))
    for word in text.split(" "):
        folded.add(stream.push(f"{word} "))
    folded.add(stream.close())
    assert difference(folded, nlp(f"{text} ")) < 1e-4
