"""Read what a language model writes: its text, and the events of its mentions."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Optional

from ..streaming.catcher import Step
from ..streaming.detokenizer import Detokenizer
from ..streaming.event import Event
from ..streaming.mention_streamer import MentionStreamer
from .stops import StopStrings

# The text has ended by itself or with a stop string; it has its most wordpieces; the server
# ended it.
Finish = Literal["stop", "length", "abort"]


class Part(NamedTuple):
    """Hold what is new in a text.

    text (str): What follows.
    events (list[Event]): What has become of its mentions.
    finish (Optional[Finish]): Why it has ended, if it has.
    tokens (int): How many wordpieces it has.
    """

    text: str
    events: list[Event]
    finish: Optional[Finish]
    tokens: int


@dataclass
class Order:
    """Say what is to be written.

    prompt (list[int]): What stands before it, in wordpieces.
    tokens (int): How many wordpieces it has at most.
    temperature (float): The temperature of sampling; 0 for the likeliest wordpieces.
    seed (Optional[int]): The seed of sampling.
    stop (Sequence[str]): Strings at which it ends.
    """

    prompt: list[int]
    tokens: int
    temperature: float = 1.0
    seed: Optional[int] = None
    stop: Sequence[str] = ()


class Reader:
    """Read what a model writes. It runs in the worker's thread.

    streamer (MentionStreamer): Catches what the model computes.
    order (Order): What is written.
    ends (frozenset[int]): The wordpieces that end a text.
    """

    def __init__(
        self, streamer: MentionStreamer, order: Order, ends: frozenset[int]
    ) -> None:
        self.streamer = streamer
        self.order = order
        self.ends = ends
        self.stops = StopStrings(order.stop)
        self.detokenizer = Detokenizer(streamer.tokenizer)
        self.ids: list[int] = []
        self.finish: Optional[Finish] = None
        self.ended = threading.Event()  # nothing more is needed of the model

    def read(self) -> Part:
        """Read all steps of the model that wait."""
        text = ""
        while self.finish is None and not self.streamer.catcher.steps.empty():
            step = self.streamer.catcher.steps.get()
            assert not isinstance(step, BaseException)
            text += self.take(step)
        events = self.streamer.step(self.streamer.texts)
        return Part(text, events, self.finish, len(self.ids))

    def take(self, step: Optional[Step]) -> str:
        """Add what one step of the model adds, and return its text."""
        if step is None:
            return self.close()
        if step.begins:
            self.streamer.begin()
            return ""
        [text] = self.streamer.texts
        if step.states is not None:
            text.add_states(step.states[0])
        shown = ""
        for id_ in step.ids[0]:
            self.ids.append(id_)
            released = self.stops.push(id_, self.detokenizer.push(id_))
            text.add_ids(released.ids)
            shown += released.text
            if released.found:
                text.write(released.rest, int(bool(released.rest)), last=True)
                self.finish = "stop"
                self.ended.set()
                return shown + released.rest
        return shown

    def close(self) -> str:
        """End the text where the model has ended it, and return what was held back."""
        [text] = self.streamer.texts
        released = self.stops.close()
        text.add_ids(released.ids)
        text.close()
        if self.ids and self.ids[-1] in self.ends:
            self.finish = "stop"
        else:
            self.finish = "length" if len(self.ids) >= self.order.tokens else "abort"
        return released.text + self.detokenizer.close()
