"""Find mentions in what a language model generates, from the states that it computes
meanwhile."""

from collections.abc import Iterator, Mapping
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
from .generated_texts import GeneratedTexts
from .passages import Mask, check_mask
from .same_model import check_model, is_same


class MentionStreamer(GeneratedTexts):
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
        super().__init__(nlp, tokenizer, keep_states)
        self.catcher = Catcher(prompt)
        self.allow_other = allow_other
        self.attached = False
        self.ended = False  # whether the end of the model has been read
        self.ends: frozenset[int] = frozenset()  # wordpieces that end a sequence

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
        network = check_model(model, self.cut, self.layer, self.allow_other)
        if self.allow_other and not is_same(network, self.cut):
            self.spec = replace(self.spec, sha256="")
        self.catcher.steps = SimpleQueue()
        hook = find_blocks(network)[self.layer].register_forward_hook(self.catcher.catch)
        self.attached, self.ended = True, False
        try:
            yield self
        finally:
            hook.remove()
            self.catcher.end()
            self.attached = False
            self.ends = frozenset()

    def put(self, value: Tensor) -> None:
        """Take ids from `generate`, as `Catcher.put` does. ValueError is raised if the
        streamer is not attached to a model."""
        if not self.attached:
            raise ValueError(
                "The streamer is not attached to the model. Write:\n"
                "    with streamer.attach(model):\n"
                "        model.generate(..., streamer=streamer)"
            )
        self.catcher.put(value)

    def end(self) -> None:
        """Take the end of `generate`."""
        self.catcher.end()

    @contextmanager
    def run(self, model: PreTrainedModel, **settings: Any) -> Iterator["MentionStreamer"]:
        """Generate in another thread as long as the context lasts. Leaving it early stops
        the model at its next token. Of several sequences, one that has ended is final while
        the others go on.

        model (PreTrainedModel): The model, as for `attach`.
        settings (Any): The arguments of `model.generate`.
        YIELDS (MentionStreamer): The streamer. Reading it raises what `generate` raised;
            if nobody reads it, the context does.
        """
        left = Flag()
        criteria = [*(settings.pop("stopping_criteria", None) or ()), Left(left)]
        failed: list[BaseException] = []

        def generate() -> None:
            try:
                model.generate(
                    **settings,
                    streamer=self,
                    stopping_criteria=StoppingCriteriaList(criteria),
                )
            except BaseException as error:
                failed.append(error)
                self.catcher.steps.put(error)

        with self.attach(model):
            self.ends = find_ends(model, settings)
            thread = Thread(target=generate)
            thread.start()
            try:
                yield self
            finally:
                left.set()
                thread.join()
            if failed and not self.ended:
                raise failed[0]

    def __iter__(self) -> Iterator[Event]:
        """Yield the events until the model has ended."""
        for events in self.read_steps():
            yield from events

    def redact(self, mask: Mask = "[{label}]") -> Iterator[str]:
        """Return the text that is final, with its mentions replaced, until the model has
        ended.

        mask (Mask): What replaces a mention: a text with fields of its event, such as
            "[{label}]", or a function of the event. ValueError is raised for unknown
            fields.
        RETURNS (Iterator[str]): The text in pieces. ValueError is raised for several
            sequences, and for a text of which events have been read.
        """
        check_mask(mask)
        return self.replace_mentions(mask)

    def replace_mentions(self, mask: Mask) -> Iterator[str]:
        """Yield the text with its mentions replaced."""
        for _ in self.read_steps(passages=True):
            if len(self.texts) > 1:
                raise ValueError("`redact` takes one sequence, and there are several.")
            for text in self.texts:
                if not text.session.collects:
                    raise ValueError(
                        "Events of the text have been read already. `redact` reads a text "
                        "from its start."
                    )
                for passage in text.session.take_passages():
                    yield passage.redact(mask)

    def read_steps(self, passages: bool = False) -> Iterator[list[Event]]:
        """Find the mentions of all steps that wait, again and again until the model has
        ended.

        passages (bool): Whether passages of the texts are collected.
        YIELDS (list[Event]): What has changed. ValueError is raised if no model has been
            attached.
        """
        steps = self.catcher.steps
        while not (self.ended and self.catcher.prompts is None and steps.empty()):
            if not self.attached and steps.empty():
                raise ValueError(
                    "No model has been attached, so that there is nothing to read. Write:\n"
                    "    with streamer.run(model, **inputs):\n"
                    "        for event in streamer: ..."
                )
            self.ended = self.take(steps.get(), passages)
            while not self.ended and not steps.empty():
                self.ended = self.take(steps.get(), passages)
            yield self.finish() if self.ended else self.step(self.texts)
            if self.ended:
                return

    def take(self, step: Union[Step, BaseException, None], passages: bool = False) -> bool:
        """Add what one step of the model adds. An exception is raised.

        passages (bool): Whether passages of new texts are collected.
        RETURNS (bool): Whether there are no further steps.
        """
        if isinstance(step, BaseException):
            self.ended = True
            raise step
        if step is None:
            return True
        if step.begins:
            self.begin(len(step.ids), passages)
        for i, text in enumerate(self.texts):
            if text.session.ended:
                continue
            if step.states is not None:
                text.add_states(step.states[i])
            text.add_ids(step.ids[i])
            if not step.begins and not self.ends.isdisjoint(step.ids[i]):
                text.close()
        return False


def find_ends(model: PreTrainedModel, settings: Mapping[str, Any]) -> frozenset[int]:
    """Find the wordpieces at which `generate` ends a sequence.

    settings (Mapping[str, Any]): The arguments of `model.generate`.
    """
    config = settings.get("generation_config") or model.generation_config
    ends = settings.get("eos_token_id", config.eos_token_id)
    if ends is None:
        return frozenset()
    return frozenset(torch.as_tensor(ends).reshape(-1).tolist())


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
