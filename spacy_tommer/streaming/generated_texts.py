"""Find mentions in texts that any engine generates, from the states of one block that it
hands out.

Axis letters: n wordpieces; d width of a state.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Optional

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc
from transformers import PreTrainedTokenizerBase

from ..backbone.model import cut_model, is_backbone, spec_of
from ..locks import COMPUTING
from .event import Event
from .generated import GeneratedText
from .passages import Passage
from .pieces import Floats
from .pipeline import find_tommer, find_transformer
from .separators import BLANKS
from .session import Session, find_events
from .tokens import Tokens


class News(NamedTuple):
    """Hold what a step has found."""

    events: list[Event]
    passages: list[Passage]


class GeneratedTexts:
    """Find mentions in texts whose wordpieces and states are fed by an engine.

    nlp (Language): The pipeline, whose transformer is the model that generates, cut.
        ValueError is raised for a pipeline whose head does not read one pass of it.
    tokenizer (PreTrainedTokenizerBase): The tokenizer of the model.
    keep_states (bool): Whether `doc` can return the text with its states.
    """

    def __init__(
        self, nlp: Language, tokenizer: PreTrainedTokenizerBase, keep_states: bool = False
    ) -> None:
        self.nlp = nlp
        self.tokenizer = tokenizer
        self.keep_states = keep_states
        self.tommer = find_tommer(nlp)
        model = find_transformer(nlp, self.tommer).model
        if not is_backbone(model):
            raise ValueError(
                "The transformer of the pipeline is not spacy_tommer.Backbone.v1, which "
                'knows its block and weights. Use spacy_tommer.load("smollm2").'
            )
        spec = spec_of(model)
        if spec.passes != 1:
            raise ValueError(
                f"The head reads the last of {spec.passes} passes of its backbone, and a "
                "model generates in one. Use a pipeline with `passes = 1`."
            )
        layer = self.tommer.model.attrs["layer"]
        self.layer: int = spec.layers[-1] if layer is None else layer
        self.cut = cut_model(model)
        self.spec = replace(
            spec, layers=(self.layer,), window=0, stride=0, attention=None, max_length=0
        )
        self.texts: list[GeneratedText] = []

    def begin(self, count: int = 1) -> None:
        """Begin texts, and forget those before.

        count (int): How many.
        """
        self.texts = [
            GeneratedText(
                Session(self.tommer, Tokens(self.nlp, BLANKS), i, passages=True),
                self.tokenizer,
                self.keep_states,
            )
            for i in range(count)
        ]

    def feed(
        self, ids: Sequence[int], states: Optional[Floats] = None, sequence: int = 0
    ) -> list[Event]:
        """Add to a text. `begin` begins it, and `finish` ends it.

        ids (Sequence[int]): The next ids, in order; none if only states are new.
        states (Optional[Floats]): Outputs of the block of the oldest ids that have none.
            (n, d)
        sequence (int): The number of the text.
        RETURNS (list[Event]): What has changed. ValueError is raised for a text that has
            not begun.
        """
        if not 0 <= sequence < len(self.texts) or self.texts[sequence].session.ended:
            raise ValueError(
                f"Text {sequence} has not begun, or has ended. Call `begin` first."
            )
        text = self.texts[sequence]
        if states is not None:
            text.add_states(np.asarray(states, dtype="float32"))
        text.add_ids(ids)
        return self.step([text]).events

    def finish(self) -> list[Event]:
        """End all texts.

        RETURNS (list[Event]): What has changed. All mentions are final.
        """
        return self.close().events

    def close(self) -> News:
        """End all texts that have not ended."""
        texts = [text for text in self.texts if not text.session.ended]
        for text in texts:
            text.close()
        return self.step(texts)

    def step(self, texts: Sequence[GeneratedText]) -> News:
        """Read what is new in some texts."""
        due = [text for text in texts if text.is_due]
        news = News([], [])
        with COMPUTING:
            ops = self.tommer.model.ops
            made = [text.make_doc(self.nlp.vocab, self.spec, ops) for text in due]
            filled = [(text, *both) for text, both in zip(due, made) if len(both[0])]
            if filled:
                read, docs, final = zip(*filled)
                sessions = [text.session for text in read]
                found = find_events(self.tommer, sessions, docs, final)
                for text, doc, (lengths, events) in zip(read, docs, found):
                    text.drop(doc, lengths)
                    news.events.extend(events)
                    news.passages.extend(text.session.take_passages())
        return news

    def doc(self, sequence: int = 0) -> Doc:
        """Make a Doc of a text, with mentions and with the states that later components
        read, such as tommer_zeroshot.

        sequence (int): The number of the text.
        RETURNS (Doc): The Doc. ValueError is raised if the states were not kept.
        """
        text = self.texts[sequence]
        doc = text.whole_doc(self.nlp.vocab, self.spec, self.tommer.model.ops)
        self.tommer.set_annotations([doc], self.tommer.predict([doc]))
        return doc
