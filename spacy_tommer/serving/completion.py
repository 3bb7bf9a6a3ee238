"""Let a language model write, and find the mentions in what it writes."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Optional

import torch
from jinja2 import TemplateError
from starlette.exceptions import HTTPException
from torch import Tensor
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteria,
    StoppingCriteriaList,
)

from ..streaming.mention_streamer import MentionStreamer
from .clock import Clock, Ended
from .errors import full
from .limits import Limits
from .reader import Order, Part, Reader
from .worker import Worker


@dataclass
class Completions:
    """Let a model write one text after the other. Those that wait stand in a queue.

    worker (Worker): The thread that owns the pipeline.
    model (PreTrainedModel): The model that writes: the pipeline's backbone as a whole.
    tokenizer (PreTrainedTokenizerBase): Its tokenizer, with a chat template.
    limits (Limits): The limits of the server.
    """

    worker: Worker
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    limits: Limits
    waiting: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        """Raise ValueError for a model that is not the backbone, and for a tokenizer
        without a chat template."""
        if self.tokenizer.chat_template is None:
            raise ValueError(
                "The tokenizer has no chat template. Write one: tokenizer.chat_template = "
                '"{% for message in messages %}..."'
            )
        with MentionStreamer(self.worker.nlp, self.tokenizer).attach(self.model):
            pass
        self.executor = ThreadPoolExecutor(1, "spacy_tommer-writes")
        self.room: int = self.model.config.max_position_embeddings
        ends = self.model.generation_config.eos_token_id
        own = ends if isinstance(ends, list) else [ends]
        self.ends = frozenset({*own, self.tokenizer.eos_token_id} - {None})

    async def encode(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """Write the messages of a chat as the model has learnt to read them.

        RETURNS (list[int]): The prompt. HTTPException is raised for messages that the
            model's template does not take, and for too many.
        """
        try:
            prompt: list[int] = await self.worker.run(
                lambda: self.tokenizer.apply_chat_template(
                    list(messages), add_generation_prompt=True
                )
            )
        except TemplateError as error:
            raise HTTPException(
                422, f"The model's chat template refuses the messages: {error}."
            ) from error
        if len(prompt) >= self.room:
            raise HTTPException(
                422,
                f"The messages have {len(prompt)} wordpieces, and the model reads "
                f"{self.room}.",
            )
        return prompt

    async def write(self, order: Order, clock: Clock) -> AsyncGenerator[Part, None]:
        """Write a text. The model does not wait for whoever reads it.

        order (Order): What is to be written.
        clock (Clock): The time that is left.
        YIELDS (Part): What is new. HTTPException is raised if too many wait; Ended, if the
            client has left.
        """
        parts: asyncio.Queue[Optional[Part]] = asyncio.Queue()  # one for each token at most

        async def produce() -> None:
            try:
                await self.take_turn(order, clock, parts)
            finally:
                parts.put_nowait(None)

        producer = asyncio.create_task(produce())
        try:
            while (part := await parts.get()) is not None:
                yield part
            await producer
        finally:
            producer.cancel()
            await asyncio.wait({producer})

    async def take_turn(
        self, order: Order, clock: Clock, parts: "asyncio.Queue[Optional[Part]]"
    ) -> None:
        """Write a text when it is its turn."""
        if self.turn.locked() and self.waiting >= self.limits.waiting:
            raise full(f"{self.waiting} texts wait for the model. Come back later.")
        self.waiting += 1
        try:
            await clock.wait(self.turn.acquire())
        except Ended as ended:
            if ended.reason == "left":
                raise
            raise full("It was not the text's turn in time. Come back later.") from ended
        finally:
            self.waiting -= 1
        try:
            await self.generate(order, clock, parts)
        finally:
            self.turn.release()

    async def generate(
        self, order: Order, clock: Clock, parts: "asyncio.Queue[Optional[Part]]"
    ) -> None:
        """Write a text, whose turn it is."""
        loop = asyncio.get_running_loop()
        streamer = MentionStreamer(self.worker.nlp, self.tokenizer)
        reader = Reader(streamer, order, self.ends)
        new = asyncio.Event()
        each = EachStep(reader.ended, lambda: loop.call_soon_threadsafe(new.set))
        run = loop.run_in_executor(self.executor, self.run_model, streamer, order, each)
        run.add_done_callback(lambda _: new.set())
        try:
            while reader.finish is None:
                try:
                    await clock.wait(new.wait())
                except Ended as ended:
                    if ended.reason == "left":
                        raise
                    reader.ended.set()
                    await asyncio.wait({run})
                new.clear()
                if run.done():
                    run.result()
                parts.put_nowait(await self.worker.run(reader.read))
        finally:
            reader.ended.set()
            await asyncio.wait({run})

    def run_model(self, streamer: MentionStreamer, order: Order, each: "EachStep") -> None:
        """Run the model, in its own thread."""
        ids = torch.tensor([order.prompt], device=self.model.device)
        sampling: dict[str, Any] = {"do_sample": False}
        if order.temperature:
            sampling = {"do_sample": True, "temperature": order.temperature, "top_k": 0}
        with streamer.attach(self.model), torch.random.fork_rng():
            if order.seed is None:
                torch.seed()
            else:
                torch.manual_seed(order.seed)
            self.model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=order.tokens,
                eos_token_id=sorted(self.ends) or None,
                streamer=streamer,
                stopping_criteria=StoppingCriteriaList([each]),
                **sampling,
            )

    def close(self) -> None:
        """End the model's thread."""
        self.executor.shutdown()


class EachStep(StoppingCriteria):
    """Tell that a step is done, and stop when nothing more is needed.

    ended (threading.Event): Set when nothing more is needed.
    call (Callable[[], Any]): Called at each step.
    """

    def __init__(self, ended: threading.Event, call: Callable[[], Any]) -> None:
        self.ended = ended
        self.call = call

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: Any) -> Tensor:
        """Tell for each sequence whether it ends."""
        self.call()
        shape, device = input_ids.shape[:1], input_ids.device
        return torch.full(shape, self.ended.is_set(), dtype=torch.bool, device=device)
