"""Find mentions in what a language model generates, from the states that it computes
meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from queue import SimpleQueue
from threading import Event as Flag
from threading import Thread
from typing import Any, Union

import torch
from spacy.language import Language
from torch import Tensor
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteria,
    StoppingCriteriaList,
)

from ..backbone.language_model import find_blocks
from .catcher import Catcher, Step
from .event import Event
from .generated_texts import GeneratedTexts, News
from .passages import Mask, check_mask
from .same_model import check_model, is_same


class MentionStreamer(GeneratedTexts, Catcher):
    """Find mentions while a model generates, without a second forward pass: the block that
    the head reads hands out its states. A token's state exists once the model has read it,
    so the score of a mention is final two tokens behind its end.

        streamer = MentionStreamer(nlp, tokenizer)
        with streamer.run(model, **inputs, max_new_tokens=200):
            for event in streamer:
                print(event)

    nlp (Language): The pipeline, whose transformer is the model that generates, cut.
    tokenizer (PreTrainedTokenizerBase): The tokenizer of the model.
    prompt (bool): Whether the text begins with the prompt.
    allow_other (bool): Whether another model with states of the same width may generate.
    keep_states (bool): Whether `doc` can return the text with its states.
    """

    def __init__(
        self,
        nlp: Language,
        tokenizer: PreTrainedTokenizerBase,
        *,
        prompt: bool = False,
        allow_other: bool = False,
        keep_states: bool = False,
    ) -> None:
        GeneratedTexts.__init__(self, nlp, tokenizer, keep_states)
        Catcher.__init__(self, prompt)
        self.allow_other = allow_other

    @contextmanager
    def attach(self, model: PreTrainedModel) -> Iterator["MentionStreamer"]:
        """Catch the states of a model as long as the context lasts, in which
        `model.generate(..., streamer=streamer)` is called.

        model (PreTrainedModel): The model. ValueError is raised if it is not the backbone
            of the head, or if the streamer is attached already.
        YIELDS (MentionStreamer): The streamer.
        """
        if self.attached:
            raise ValueError("The streamer is attached to a model already.")
        check_model(model, self.cut, self.layer, self.allow_other)
        if self.allow_other and not is_same(model.base_model, self.cut):
            self.spec = replace(self.spec, sha256="")
        hook = find_blocks(model.base_model)[self.layer].register_forward_hook(self.catch)
        self.attached = True
        self.steps = SimpleQueue()
        try:
            yield self
        finally:
            hook.remove()
            self.attached = False
            self.end()

    @contextmanager
    def run(self, model: PreTrainedModel, **settings: Any) -> Iterator["MentionStreamer"]:
        """Generate in another thread as long as the context lasts. Leaving it early stops
        the model at its next token.

        model (PreTrainedModel): The model, as for `attach`.
        settings (Any): The arguments of `model.generate`.
        YIELDS (MentionStreamer): The streamer. Reading it raises what `generate` raised.
        """
        left = Flag()
        criteria = [*settings.pop("stopping_criteria", ()), Left(left)]

        def generate() -> None:
            try:
                model.generate(
                    **settings,
                    streamer=self,
                    stopping_criteria=StoppingCriteriaList(criteria),
                )
            except BaseException as error:
                self.steps.put(error)

        with self.attach(model):
            thread = Thread(target=generate)
            thread.start()
            try:
                yield self
            finally:
                left.set()
                thread.join()

    def __iter__(self) -> Iterator[Event]:
        """Yield the events until the model has ended."""
        for news in self.read():
            yield from news.events

    def redact(self, mask: Mask) -> Iterator[str]:
        """Yield the text that is final, with its mentions replaced, until the model has
        ended.

        mask (Mask): What replaces a mention: a text with fields of its event, such as
            "[{label}]", or a function of the event. ValueError is raised for several
            sequences.
        """
        check_mask(mask)
        for news in self.read():
            if len(self.texts) > 1:
                raise ValueError("`redact` takes one sequence, and there are several.")
            for passage in news.passages:
                yield passage.redact(mask)

    def read(self) -> Iterator[News]:
        """Find the mentions of all steps that wait, again and again until the model has
        ended.

        YIELDS (News): What was found.
        """
        ended = False
        while not ended:
            ended = self.take(self.steps.get())
            while not ended and not self.steps.empty():
                ended = self.take(self.steps.get())
            yield self.close() if ended else self.step(self.texts)

    def take(self, step: Union[Step, BaseException, None]) -> bool:
        """Add what one step of the model adds. An exception is raised.

        RETURNS (bool): Whether there are no further steps.
        """
        if isinstance(step, BaseException):
            raise step
        if step is None:
            return True
        if step.begins:
            self.begin(len(step.ids))
        for i, text in enumerate(self.texts):
            if step.states is not None:
                text.add_states(step.states[i])
            text.add_ids(step.ids[i])
        return False


class Left(StoppingCriteria):
    """Stop once a flag is set.

    flag (Flag): The flag.
    """

    def __init__(self, flag: Flag) -> None:
        self.flag = flag

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: Any) -> Tensor:
        """Tell for each sequence whether it ends."""
        shape, device = input_ids.shape[:1], input_ids.device
        return torch.full(shape, self.flag.is_set(), dtype=torch.bool, device=device)
