"""Find mentions in texts that any engine generates, from the states of one block that it
hands out.

Axis letters: n wordpieces; d width of a state.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Optional, Union

import torch
from spacy.language import Language
from spacy.tokens import Doc
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from ..backbone.model import cut_model, is_backbone, spec_of
from ..locks import COMPUTING
from .components import find_tommer, find_transformer
from .event import Event
from .generated_text import GeneratedText
from .growing_pieces import Floats
from .separators import BLANKS
from .session import Session, report_mentions
from .tokens import Tokens


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

    def begin(self, count: int = 1, passages: bool = False) -> None:
        """Begin texts, and forget those before.

        count (int): How many.
        passages (bool): Whether their passages are collected.
        """
        self.texts = [
            GeneratedText(
                Session(self.tommer, Tokens(self.nlp, BLANKS, letters=True), i, passages),
                self.tokenizer,
                self.keep_states,
            )
            for i in range(count)
        ]

    def feed(
        self,
        ids: Sequence[int],
        states: Optional[Union[Floats, Tensor]] = None,
        sequence: int = 0,
    ) -> list[Event]:
        """Add to a text. `begin` begins it, and `finish` ends it.

        ids (Sequence[int]): The next ids, in order; none if only states are new.
        states (Optional[Union[Floats, Tensor]]): Outputs of the block, of the oldest ids
            that have none, these included. (n, d)
        sequence (int): The number of the text.
        RETURNS (list[Event]): What has changed. ValueError is raised for a text that has
            not begun, and for states that do not fit.
        """
        text = self.find_open(sequence)
        if states is not None:
            states = torch.as_tensor(states).detach().float().cpu().numpy()
            self.check_states(states, text.waiting + len(ids))
        text.add_ids(ids)
        if states is not None:
            text.add_states(states)
        return self.step([text])

    def find_open(self, sequence: int) -> GeneratedText:
        """Find a text. ValueError is raised if it has not begun, or has ended."""
        if not 0 <= sequence < len(self.texts) or self.texts[sequence].session.ended:
            raise ValueError(
                f"Text {sequence} has not begun, or has ended. Call `begin` first."
            )
        return self.texts[sequence]

    def check_states(self, states: Floats, waiting: int) -> None:
        """Raise ValueError for states of another shape than (n, d), or of more ids than
        wait for them."""
        width = self.cut.config.hidden_size
        if states.ndim != 2 or states.shape[1] != width or len(states) > waiting:
            raise ValueError(
                f"The states have the shape {states.shape}, and {waiting} ids of the text "
                f"have none yet. Write those of the oldest ones, of shape (n, {width}): "
                "one row for each id, and one text at a time."
            )

    def finish(self, sequence: Optional[int] = None) -> list[Event]:
        """End texts.

        sequence (Optional[int]): The number of the text; by default all that have not
            ended.
        RETURNS (list[Event]): What has changed. All mentions are final. ValueError is
            raised for a text that has not begun, or has ended.
        """
        texts = self.texts if sequence is None else [self.find_open(sequence)]
        for text in texts:
            if not text.session.ended:
                text.close()
        return self.step(texts)

    def step(self, texts: Sequence[GeneratedText]) -> list[Event]:
        """Read what is new in some texts, and return what has changed."""
        with COMPUTING:
            self.read([text for text in texts if text.is_due])
        return [event for text in texts for event in text.session.take_events()]

    def read(self, texts: Sequence[GeneratedText]) -> None:
        """Find the mentions in the tails of some texts."""
        ops = self.tommer.model.ops
        made = [text.make_doc(self.nlp.vocab, self.spec, ops) for text in texts]
        filled = [(text, *both) for text, both in zip(texts, made) if len(both[0])]
        if not filled:
            return
        read, docs, final = zip(*filled)
        sessions = [text.session for text in read]
        found = report_mentions(self.tommer, sessions, docs, final)
        for text, doc, lengths in zip(read, docs, found):
            text.drop(doc, lengths)

    def doc(self, sequence: int = 0) -> Doc:
        """Make a Doc of a text, with mentions and with the states that later components
        read, such as tommer_zeroshot.

        sequence (int): The number of the text.
        RETURNS (Doc): The Doc. ValueError is raised if the states were not kept, or if the
            text has not begun.
        """
        if not 0 <= sequence < len(self.texts):
            raise ValueError(f"Text {sequence} has not begun: there is no Doc of it.")
        text = self.texts[sequence]
        doc = text.whole_doc(self.nlp.vocab, self.spec, self.tommer.model.ops)
        self.tommer.set_annotations([doc], self.tommer.predict([doc]))
        return doc
