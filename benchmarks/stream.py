"""Compare streams with whole texts, and measure what they take.

python -m benchmarks.stream equal smollm2
python -m benchmarks.stream latency smollm2
python -m benchmarks.stream endless minilm --chunk 400
python -m benchmarks.stream generation
"""

import json
import random
import statistics
import time
from collections.abc import Iterable, Iterator
from itertools import cycle
from pathlib import Path

import numpy as np
import torch
import typer
from spacy.language import Language
from spacy.tokens import Doc

import spacy_tommer
from benchmarks.process_memory import process_memory
from spacy_tommer import Event

ROOT = Path(__file__).resolve().parents[1]
PASSAGES = ROOT / "assets/openmentions/openmentions.jsonl"
# What random texts are made of, beside words: signs that rules on tokens look at, and
# characters of several scripts, planes and widths.
PARTS = [
    *("<b>", "</b>", '<a href="x y">', "<", "p > 3", "a<b", "\n", "\n\n", "\r\n", "\t"),
    *("\n- ", "\n1. ", "2024-05-12", "2024-05-1", "@tara", "#Oslo", "|", "||", "("),
    *(
        "can't",
        "U.S.",
        "$5.00",
        ":-)",
        "http://x.org/a?b=c",
        "...",
        "\u2014",
        "\u201cso\u201d",
    ),
    *("\u00a0", "\u3000", "\u2028", "\x0b", "\x1c", "\x85", "  ", "\u200b", "\ufeff"),
    *("日本語の", "テキスト。", "मुंबई", "القاهرة", "ไทย", "Ελλάδα", "Київ", "İ", "ß", "ﬁ"),
    *(
        "\U0001f600",
        "\U0001f469\u200d\U0001f467",
        "\U00020bb7",
        "e\u0301",
        "é",
        "\U0001d54f",
    ),
]

app = typer.Typer(help=__doc__, pretty_exceptions_enable=False)


def passages() -> list[str]:
    """Read the passages of OpenMentions."""
    lines = PASSAGES.read_text("utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


def random_text(rng: random.Random, words: list[str]) -> str:
    """Mix words with other parts, of which every text has another share."""
    share, parts = rng.random() / 2, []
    for _ in range(rng.randint(1, 300)):
        parts.append(rng.choice(PARTS if rng.random() < share else words))
        parts.append(rng.choice(["", "\n", " ", " ", " ", " "]))
    return "".join(parts)


def halves(text: str) -> list[str]:
    """Split a text into UTF-16 units, so that some are the halves of a character."""
    units = np.frombuffer(text.encode("utf-16-le"), "<u2")
    return [chr(unit) for unit in units]


def chunks(units: list[str], rng: random.Random, longest: int) -> Iterator[str]:
    """Cut a text at random into chunks of 1 to LONGEST units."""
    start = 0
    while start < len(units):
        end = start + rng.randint(1, longest)
        yield "".join(units[start:end])
        start = end


class Folded:
    """Hold the mentions that events leave. An event after a final one is an error."""

    def __init__(self) -> None:
        self.mentions: dict[tuple[int, int], Event] = {}
        self.final: set[tuple[int, int]] = set()

    def add(self, events: Iterable[Event]) -> None:
        """Add events, in their order."""
        for event in events:
            place = event.start, event.end
            assert place not in self.final, f"after a final event: {event}"
            assert (place in self.mentions) == (event.what != "added"), event
            if event.final:
                self.final.add(place)
            if event.what == "removed":
                del self.mentions[place]
            else:
                self.mentions[place] = event


def difference(folded: Folded, doc: Doc) -> float:
    """Compare mentions with those of a whole text. AssertionError is raised for others.

    RETURNS (float): The largest difference of scores.
    """
    group = doc.spans["mentions"]
    spans = {(span.start_char, span.end_char): span for span in group}
    scores = dict(zip(spans, group.attrs["scores"]))
    assert folded.mentions.keys() == spans.keys(), folded.mentions.keys() ^ spans.keys()
    assert all(event.final for event in folded.mentions.values())
    for place, event in folded.mentions.items():
        assert (event.text, event.label) == (spans[place].text, spans[place].label_)
    flat = {place for place, event in folded.mentions.items() if event.flat}
    assert flat == {(ent.start_char, ent.end_char) for ent in doc.ents}
    return max((abs(e.score - scores[p]) for p, e in folded.mentions.items()), default=0.0)


@app.command()
def equal(model: str, texts: int = 300, longest: int = 40) -> None:
    """Cut random TEXTS into chunks of 1 to LONGEST characters, and compare the events with
    the mentions of the whole texts."""
    nlp = spacy_tommer.load(model)
    known = passages()
    words = " ".join(known[:500]).split()
    same, mentions, largest = 0, 0, 0.0
    for seed in range(texts):
        rng = random.Random(seed)
        text = rng.choice(known) if seed % 3 == 0 else random_text(rng, words)
        stream, folded = spacy_tommer.stream(nlp), Folded()
        try:
            for chunk in chunks(halves(text), rng, longest):
                folded.add(stream.push(chunk))
            folded.add(stream.close())
            largest = max(largest, difference(folded, nlp(text)))
            same += 1
        except AssertionError as error:
            print(f"text {seed}: {error}")
        mentions += len(folded.mentions)
    print(
        f"{model}: {same} of {texts} texts have the same {mentions} mentions; "
        f"scores differ by {largest:.1g} at most"
    )


@app.command()
def latency(model: str, texts: int = 60) -> None:
    """Push TEXTS passages, a spaCy token at a time, and print how many characters and
    tokens behind its end a mention is first seen, and is final."""
    nlp = spacy_tommer.load(model)
    seen: list[tuple[int, int]] = []
    final: list[tuple[int, int]] = []
    for text in passages()[:texts]:
        doc = nlp(text)
        places = {(s.start_char, s.end_char): s.end for s in doc.spans["mentions"]}
        stream = spacy_tommer.stream(nlp)
        first: set[tuple[int, int]] = set()
        for token in doc:
            for event in stream.push(token.text_with_ws):
                place = event.start, event.end
                if place not in places:
                    continue
                known = token.idx + len(token.text_with_ws)
                behind = known - event.end, token.i + 1 - places[place]
                if place not in first:
                    first.add(place)
                    seen.append(behind)
                if event.final:
                    final.append(behind)
    for name, found in (("first seen", seen), ("final", final)):
        for unit, values in zip(("characters", "tokens"), zip(*found)):
            parts = ", ".join(
                f"{share} %: {np.percentile(values, share, method='higher'):.0f}"
                for share in (50, 90, 99, 100)
            )
            print(f"{model}: {name}, {unit} behind the end of {len(values)}: {parts}")


@app.command()
def endless(
    model: str, characters: int = 1_000_000, chunk: int = 200, stride: int = 0
) -> None:
    """Push a text of CHARACTERS, and print time and memory for each tenth of it."""
    nlp = spacy_tommer.load(model)
    stream = spacy_tommer.stream(nlp, stride=stride or None)
    source = cycle(passages())
    text, pushed, events = "", 0, 0
    for tenth in range(1, 11):
        start, before = time.perf_counter(), pushed
        while pushed < characters * tenth // 10:
            while len(text) < chunk:
                text += next(source) + "\n\n"
            # New words would stay in the vocabulary of the pipeline.
            with nlp.memory_zone():
                events += len(stream.push(text[:chunk]))
            pushed += chunk
            text = text[chunk:]
        seconds = time.perf_counter() - start
        print(
            f"{model}: {pushed} characters, {events} events, "
            f"{process_memory('VmRSS'):.0f} MB, "
            f"{1e6 * seconds / max(pushed - before, 1):.0f} microseconds a character",
            flush=True,
        )


@app.command()
def generation(
    model: str = "smollm2",
    tokens: int = 200,
    runs: int = 10,
    threads: int = 1,
    prompt: str = "The history of London begins with",
) -> None:
    """Generate TOKENS with and without a streamer, in turn, and print the ratio of times.
    The weights are those of the backbone's own files."""
    torch.set_num_threads(threads)
    nlp = spacy_tommer.load(model)
    full, tokenizer = load_full(nlp)
    inputs = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
    settings = {"max_new_tokens": tokens, "min_new_tokens": tokens, "do_sample": False}
    settings |= inputs
    streamer = spacy_tommer.MentionStreamer(nlp, tokenizer)

    def plain() -> int:
        full.generate(**settings)
        return 0

    def streamed() -> int:
        with streamer.run(full, **settings):
            return sum(1 for _ in streamer)

    def afterwards() -> int:
        with streamer.attach(full):
            full.generate(**settings, streamer=streamer)
        return sum(1 for _ in streamer)

    ways = {"in a thread": streamed, "afterwards": afterwards}
    ratios: dict[str, list[float]] = {name: [] for name in ways}
    times: list[float] = []
    timed(plain)
    for _ in range(runs):
        for name, way in ways.items():
            before, _ = timed(plain)
            with_streamer, events = timed(way)
            after, _ = timed(plain)
            times += [before, after]
            ratios[name].append(with_streamer / ((before + after) / 2))
    print(f"{tokens} tokens without a streamer: {statistics.median(times):.2f} s")
    for name, found in ratios.items():
        print(
            f"events {name}: {statistics.median(found):.3f} times as long "
            f"({min(found):.3f} to {max(found):.3f}), {events} events"
        )


def timed(run) -> tuple[float, int]:
    """Run a function, and return its seconds and its result."""
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def load_full(nlp: Language):
    """Load all blocks of the model that the transformer of a pipeline has the first of."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from spacy_tommer.backbone.sources import find_folder

    name = nlp.get_pipe("transformer").model.shims[0].name
    folder = find_folder(name, 30)
    full = AutoModelForCausalLM.from_pretrained(
        folder, torch_dtype=torch.float32, tie_word_embeddings=True
    )
    return full.eval(), AutoTokenizer.from_pretrained(folder)


if __name__ == "__main__":
    app()
