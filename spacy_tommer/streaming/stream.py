"""Find mentions in texts that arrive in pieces."""

from collections.abc import AsyncIterator, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Optional

from spacy.language import Language

from ..locks import COMPUTING
from .batcher import Batcher, Chunks, iterate
from .components import find_tommer, find_transformer
from .event import Event
from .passages import Passage
from .rows import Row
from .session import Session, report_mentions
from .tokens import Tokens
from .window_states import WindowStates

# Characters that are read at once, which bounds the memory.
MOST_CHARACTERS = 4096
# New tokens after which the window of a backbone that is not causal is read again.
STRIDE = 16


@dataclass
class Text:
    """Hold one open text: what was reported of it, and the rows of its tail."""

    session: Session
    rows: list[Row] = field(default_factory=list)


class Streams:
    """Find mentions in several texts at once: what is pushed to them together runs through
    the language model in one batch.

    nlp (Language): The pipeline.
    limit (int): How many texts may be open at once.
    stride (Optional[int]): How many new tokens a text has before it is read again; by
        default 1 for a causal backbone, which reads the new ones only, and 16 for others.
    passages (bool): Whether passages are kept until `take_passages` returns them.
    """

    def __init__(
        self,
        nlp: Language,
        limit: int,
        stride: Optional[int] = None,
        passages: bool = False,
    ) -> None:
        if limit < 1 or (stride is not None and stride < 1):
            raise ValueError(
                f"`limit` ({limit}) and `stride` ({stride}) of a stream are 1 or more."
            )
        self.nlp = nlp
        self.limit = limit
        self.passages = passages
        self.tommer = find_tommer(nlp)
        transformer = find_transformer(nlp, self.tommer)
        self.states = WindowStates(transformer, self.tommer.model.attrs["layer"])
        self.stride = stride or (1 if self.states.causal else STRIDE)
        self.texts: dict[Hashable, Text] = {}
        self.opening = Lock()
        self.closed: dict[Hashable, list[Passage]] = {}
        self.batcher = Batcher(self.write, self.discard)

    def open(self, key: Hashable) -> None:
        """Begin a text.

        key (Hashable): What names it. ValueError is raised if it names an open text, or if
            as many texts are open as may be.
        """
        tokens = Tokens(self.nlp, self.states.separators, not self.states.causal)
        text = Text(Session(self.tommer, tokens, passages=self.passages))
        with self.opening:
            if key in self.texts:
                raise ValueError(f"The stream {key!r} is open already.")
            if len(self.texts) >= self.limit:
                raise ValueError(
                    f"{self.limit} streams are open, and no more are allowed: close one, "
                    "or raise `limit` of spacy_tommer.streams."
                )
            self.texts[key] = text
        self.closed.pop(key, None)

    def push(self, chunks: Mapping[Hashable, str]) -> dict[Hashable, list[Event]]:
        """Add to some of the texts.

        chunks (Mapping[Hashable, str]): What follows in each.
        RETURNS (dict[Hashable, list[Event]]): What has changed in each. ValueError is
            raised for a text that is not open.
        """
        return self.write(chunks)

    def close(self, *keys: Hashable) -> dict[Hashable, list[Event]]:
        """End some of the texts.

        keys (Hashable): Their names.
        RETURNS (dict[Hashable, list[Event]]): What has changed in each. All mentions are
            final. ValueError is raised for a text that is not open.
        """
        return self.write(dict.fromkeys(keys, ""), keys)

    def discard(self, key: Hashable) -> None:
        """End a text, if it is open, whose remaining mentions and passages are of no
        interest."""
        self.texts.pop(key, None)
        self.closed.pop(key, None)

    def take_passages(self, key: Hashable) -> list[Passage]:
        """Return the passages of a text that have become final since the last time, once
        more after it has ended."""
        if key in self.closed:
            return self.closed.pop(key)
        self.check({key: ""})
        return self.texts[key].session.take_passages()

    async def astream(self, chunks: Chunks) -> AsyncIterator[Event]:
        """Find mentions in one text. What arrives in several texts meanwhile is read in one
        batch, in another thread.

        chunks (Union[AsyncIterable[str], Iterable[str]]): The text, in pieces.
        YIELDS (Event): What changes. ValueError is raised if as many texts are open as may
            be.
        """
        key = object()
        self.open(key)
        try:
            async for chunk in iterate(chunks):
                self.check({key: chunk})
                for event in await self.batcher.write(key, chunk):
                    yield event
            for event in await self.batcher.write(key, "", last=True):
                yield event
        finally:
            self.batcher.leave(key)

    def write(
        self, chunks: Mapping[Hashable, str], closing: tuple[Hashable, ...] = ()
    ) -> dict[Hashable, list[Event]]:
        """Add to some of the texts, and end some of these.

        chunks (Mapping[Hashable, str]): What follows in each.
        closing (tuple[Hashable, ...]): The texts that end.
        RETURNS (dict[Hashable, list[Event]]): What has changed in each.
        """
        self.check(chunks)
        # A text that is discarded meanwhile is read to the end of its chunk.
        texts = {key: self.texts[key] for key in chunks}
        parts = {key: split(chunk) for key, chunk in chunks.items()}
        while parts:
            with COMPUTING:
                ready = []
                for key, rest in list(parts.items()):
                    part, more = next(rest)
                    session = texts[key].session
                    session.write(part, last=key in closing and not more)
                    if session.ended or session.unread >= self.stride:
                        ready.append(texts[key])
                    if not more:
                        del parts[key]
                self.step(ready)
        for key in dict.fromkeys(closing):
            if self.texts.get(key) is texts[key]:
                del self.texts[key]
                if self.passages:
                    self.closed[key] = texts[key].session.take_passages()
        return {key: text.session.take_events() for key, text in texts.items()}

    def check(self, chunks: Mapping[Hashable, str]) -> None:
        """Raise ValueError for texts that are not open, and for what is not text."""
        for key, chunk in chunks.items():
            if key not in self.texts:
                raise ValueError(f"The stream {key!r} is not open.")
            if not isinstance(chunk, str):
                raise ValueError(
                    f"A chunk of a stream is a string, and not {chunk!r}. Decode bytes "
                    'with codecs.getincrementaldecoder("utf-8")().'
                )

    def step(self, texts: Sequence[Text]) -> None:
        """Read the new tokens of some texts."""
        made = [(text, text.session.make_doc(self.nlp.vocab)) for text in texts]
        filled = [(text, doc) for text, doc in made if len(doc)]
        if not filled:
            return
        read, docs = zip(*filled)
        for text, rows in zip(read, self.states.read(docs, [text.rows for text in read])):
            text.rows = rows
        final = [self.states.count_final(doc) for doc in docs]
        sessions = [text.session for text in read]
        found = report_mentions(self.tommer, sessions, docs, final)
        for session, doc, lengths in zip(sessions, docs, found):
            start = self.states.find_start(doc, session.text, lengths, session.needed)
            session.drop(doc, start)


class Stream:
    """Find mentions in one text that arrives in pieces.

    nlp (Language): The pipeline.
    stride (Optional[int]): As for `Streams`.
    passages (bool): Whether passages are kept until `take_passages` returns them.
    """

    def __init__(
        self, nlp: Language, stride: Optional[int] = None, passages: bool = False
    ) -> None:
        self.streams = Streams(nlp, 1, stride, passages)
        self.streams.open(0)

    def push(self, chunk: str) -> list[Event]:
        """Add to the text.

        chunk (str): What follows. It may be cut anywhere, also inside a word or between the
            halves of a surrogate pair.
        RETURNS (list[Event]): What has changed. ValueError is raised if the text has ended.
        """
        return self.streams.push({0: chunk})[0]

    def close(self) -> list[Event]:
        """End the text.

        RETURNS (list[Event]): What has changed. All mentions are final.
        """
        return self.streams.close(0)[0]

    def take_passages(self) -> list[Passage]:
        """Return the passages that have become final since the last time."""
        return self.streams.take_passages(0)


def split(chunk: str) -> Iterator[tuple[str, bool]]:
    """Split a long chunk.

    YIELDS (tuple[str, bool]): A part, and whether more follow.
    """
    for start in range(0, max(len(chunk), 1), MOST_CHARACTERS):
        end = start + MOST_CHARACTERS
        yield chunk[start:end], end < len(chunk)
