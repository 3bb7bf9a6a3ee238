"""One text that grows: its tail, which can still change, and what was reported of it.

Axis letters: T tokens of a tail.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..component import Tommer
from ..decoding.decode import sigmoid
from ..decoding.mentions import Mentions
from .event import Event, What, is_change
from .frontier import before_unclosed_tag, count_scored, find_reach, find_uncrossed
from .passages import Passage
from .surrogates import Joiner
from .tokens import Tokens, Word

Ints = NDArray[np.intp]
Place = tuple[int, int]


class Session:
    """Hold the tail of one text.

    tommer (Tommer): The component that finds mentions.
    tokens (Tokens): What splits the text into tokens.
    sequence (int): The number of the text in its events.
    passages (bool): Whether passages are collected when they are final.
    """

    def __init__(
        self, tommer: Tommer, tokens: Tokens, sequence: int = 0, passages: bool = False
    ) -> None:
        self.tommer = tommer
        self.tokens = tokens
        self.sequence = sequence
        self.joiner = Joiner()
        self.words: list[Word] = []  # complete tokens of the tail
        self.text = ""  # of the last Doc, which would put it together at each use
        self.first_token = 0  # of the tail, in the text
        self.first_char = 0
        self.unread = 0  # tokens that no step has seen
        self.ended = False
        self.open = 0  # first token of the tail whose mentions can still change
        self.passed = 0  # first token of the tail that is in no passage
        # By start and end in tokens of the text, the last events of the mentions that can
        # still change, and of those that are in no passage.
        self.reported: dict[Place, Event] = {}
        self.final: dict[Place, Event] = {}
        self.collects = passages
        self.passages: list[Passage] = []
        self.events: list[Event] = []  # those that nobody has taken

    def write(self, chunk: str, last: bool = False) -> None:
        """Add to the text.

        chunk (str): What follows.
        last (bool): Whether the text ends here.
        """
        words = self.tokens.push(self.joiner.join(chunk, last), last)
        self.words += words
        self.unread += len(words)
        self.ended = last

    def make_doc(self, vocab: Vocab) -> Doc:
        """Make a Doc of the complete tokens of the tail."""
        self.unread = 0
        words, spaces = zip(*self.words) if self.words else ((), ())
        doc = Doc(vocab, words=words, spaces=spaces)
        self.text = doc.text
        return doc

    def report(self, doc: Doc, lengths: Ints, final: int, mentions: Mentions) -> None:
        """Compare the mentions of the tail with what was reported, and keep what has
        changed until `take_events`.

        doc (Doc): The tail, as `make_doc` made it last.
        lengths (Ints): How many units each of its tokens has. (T,)
        final (int): How many tokens at its start have states that do not change.
        mentions (Mentions): Its mentions, in tokens of the tail.
        """
        tommer = self.tommer
        mentions = mentions[mentions.starts >= self.open]
        limit = 1.0 if tommer.flat_threshold is None else tommer.flat_threshold
        entities = mentions.as_entities().above(limit)  # none above 1
        picked = entities.flat(tommer.decoder)
        scored, reach = self.find_limits(doc, lengths, final)
        settled = find_uncrossed(self.open, reach, entities.starts, entities.ends)
        flat, candidates = places(picked), places(entities)

        def is_final(place: Place) -> bool:
            return place[1] <= scored and (place[0] < settled or place not in candidates)

        found = {}
        for place, kind, score in zip(
            zip(mentions.starts.tolist(), mentions.ends.tolist()),
            mentions.kinds.tolist(),
            sigmoid(mentions.logits).tolist(),
        ):
            span = doc[place[0] : place[1]]
            found[self.in_text(place)] = Event(
                "added",
                self.first_char + span.start_char,
                self.first_char + span.end_char,
                span.text,
                tommer.label_names[kind],
                score,
                place in flat,
                is_final(place),
                self.sequence,
            )
        self.compare(found, self.in_text((0, scored))[1])
        self.open = settled
        if self.collects:
            self.add_passage(doc)
        first_open = self.first_token + settled
        self.reported = {
            place: event for place, event in self.reported.items() if place[0] >= first_open
        }

    def find_limits(self, doc: Doc, lengths: Ints, final: int) -> Place:
        """Find the largest end (exclusive) of a span whose score is final, and the first
        token that spans with other scores can start with, in tokens of the tail."""
        if self.ended:
            return len(doc), len(doc)
        rules, longest = self.tommer.border_rules, self.tommer.model.attrs["max_length"]
        scored = count_scored(lengths, final)
        if rules:
            scored = before_unclosed_tag(doc, self.text, scored)
        reach = find_reach(doc, self.text, lengths, scored, longest, rules)
        return scored, max(reach, self.open)

    def in_text(self, place: Place) -> Place:
        """Count start and end, given in tokens of the tail, from the start of the text."""
        return place[0] + self.first_token, place[1] + self.first_token

    def compare(self, found: dict[Place, Event], scored: int) -> None:
        """Remember mentions, and what has changed since the last time, in the order of the
        text.

        found (dict[Place, Event]): The mentions that can still change, or could the last
            time, by start and end in tokens of the text.
        scored (int): Largest end of a span whose score is final.
        """
        for place in sorted(self.reported.keys() | found.keys()):
            before, now = self.reported.get(place), found.get(place)
            if now is None:
                gone = self.reported.pop(place)
                final = place[1] <= scored
                self.events.append(replace(gone, what="removed", flat=False, final=final))
            elif before is None or is_change(before, now):
                what: What = "added" if before is None else "changed"
                self.reported[place] = replace(now, what=what)
                self.events.append(self.reported[place])

    def add_passage(self, doc: Doc) -> None:
        """Collect what has become final, up to a place that no mention crosses."""
        self.final |= {place: one for place, one in self.reported.items() if one.final}
        spans = np.array(sorted(self.final), dtype="int").reshape(-1, 2) - self.first_token
        end = find_uncrossed(self.passed, self.open, *spans.T)
        if end > self.passed:
            start = doc[self.passed].idx
            text = self.text[start : doc[end].idx if end < len(doc) else None]
            limit = self.first_token + end
            inside = sorted(place for place in self.final if place[0] < limit)
            mentions = tuple(self.final.pop(place) for place in inside)
            self.passages.append(Passage(self.first_char + start, text, mentions))
            self.passed = end

    def take_events(self) -> list[Event]:
        """Return what has changed since the last time."""
        taken, self.events = self.events, []
        return taken

    def take_passages(self) -> list[Passage]:
        """Return the passages that were collected since the last time."""
        taken, self.passages = self.passages, []
        return taken

    @property
    def needed(self) -> int:
        """The first token of the tail that is still needed, with the unit before it."""
        return min(self.open, self.passed) if self.collects else self.open

    def drop(self, doc: Doc, start: int) -> None:
        """Drop the tokens at the start of the tail.

        doc (Doc): The tail.
        start (int): The first token that stays.
        """
        if start:
            self.first_char += doc[start].idx
            self.first_token += start
            self.open -= start
            self.passed -= start
            del self.words[:start]


def report_mentions(
    tommer: Tommer, sessions: Sequence[Session], docs: Sequence[Doc], final: Sequence[int]
) -> list[Ints]:
    """Find the mentions of some tails at once. Their sessions have the events.

    tommer (Tommer): The component that finds mentions.
    sessions (Sequence[Session]): The texts.
    docs (Sequence[Doc]): Their tails, with states.
    final (Sequence[int]): How many tokens of each have states that do not change.
    RETURNS (list[Ints]): For each, how many units each token has.
    """
    scores = tommer.predict(docs)
    mentions = tommer.decode(docs, scores, tommer.threshold)
    tommer.tell_cut(mentions.cut)
    lengths = [tommer.model.ops.to_numpy(own.lengths) for own in scores]
    for session, *own in zip(sessions, docs, lengths, final, mentions.by_doc()):
        session.report(*own)
    return lengths


def places(mentions: Mentions) -> set[Place]:
    """Return start and end of each mention."""
    return set(zip(mentions.starts.tolist(), mentions.ends.tolist()))
