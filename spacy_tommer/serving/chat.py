"""Chat completions in OpenAI's form, with mentions."""

import time
from contextlib import aclosing
from typing import Any, Literal, Optional, Union
from uuid import uuid4

from pydantic import Field
from starlette.exceptions import HTTPException

from .bodies import Strict
from .clock import Clock
from .completion import Completions
from .folding import Folded
from .limits import Limits
from .objects import event_object
from .reader import Finish, Order
from .sse import Answer, write_message


class ChatMessage(Strict):
    """A message of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str = Field(min_length=1)


class Chat(Strict):
    """A chat to complete."""

    messages: list[ChatMessage] = Field(min_length=1)
    model: Optional[str] = None
    stream: bool = False
    max_tokens: Optional[int] = Field(None, ge=1)
    max_completion_tokens: Optional[int] = Field(None, ge=1)
    temperature: float = Field(1.0, ge=0.0, le=2.0, allow_inf_nan=False)
    seed: Optional[int] = Field(None, ge=0, lt=2**63)
    stop: Union[str, list[str], None] = None


def stop_strings(chat: Chat) -> list[str]:
    """Return the stop strings of a chat. HTTPException is raised for empty ones, for more
    than four, and for those of more than 100 characters."""
    stop = chat.stop or []
    strings = [stop] if isinstance(stop, str) else stop
    if len(strings) > 4 or chat.stop == "" or not all(0 < len(s) <= 100 for s in strings):
        raise HTTPException(422, "stop: up to four strings of 1 to 100 characters.")
    return strings


async def take_order(
    chat: Chat, name: str, completions: Completions, limits: Limits
) -> Order:
    """Find what is to be written.

    chat (Chat): The chat.
    name (str): The name of the model.
    RETURNS (Order): What is to be written. HTTPException is raised for a chat that is too
        long, or for another model.
    """
    if chat.model not in (None, name):
        raise HTTPException(404, f"The model {chat.model!r} is not here; {name!r} is.")
    characters = sum(len(message.content) for message in chat.messages)
    if characters > limits.characters:
        raise HTTPException(
            422,
            f"The messages have {characters} characters, and {limits.characters} are "
            "allowed.",
        )
    stop = stop_strings(chat)
    wanted = chat.max_completion_tokens or chat.max_tokens or limits.tokens
    if wanted > limits.tokens:
        raise HTTPException(
            422, f"max_tokens is {wanted}, and {limits.tokens} are allowed."
        )
    prompt = await completions.encode([message.model_dump() for message in chat.messages])
    tokens = min(wanted, completions.room - len(prompt))
    return Order(prompt, tokens, chat.temperature, chat.seed, stop)


class Completion:
    """Complete a chat.

    name (str): The name of the model.
    order (Order): What is to be written.
    completions (Completions): What lets the model write.
    """

    def __init__(self, name: str, order: Order, completions: Completions) -> None:
        self.name = name
        self.order = order
        self.completions = completions
        self.id = f"chatcmpl-{uuid4().hex}"
        self.created = int(time.time())

    async def stream(self, answer: Answer, clock: Clock) -> str:
        """Answer with a chunk for each piece of text.

        RETURNS (str): Why the text has ended.
        """
        finish: Optional[Finish] = None
        first = {"role": "assistant"}
        async with aclosing(self.completions.write(self.order, clock)) as parts:
            async for text, events, finish, _ in parts:
                if text or events or finish:
                    chunk = self.chunk({**first, "content": text}, finish)
                    mentions = [event_object(event) for event in events]
                    await answer.write(write_message({**chunk, "mentions": mentions}))
                    first = {}
        await answer.write(write_message("[DONE]"))
        return str(finish)

    async def whole(self, clock: Clock) -> dict[str, Any]:
        """Return the whole answer."""
        async with aclosing(self.completions.write(self.order, clock)) as parts:
            every = [part async for part in parts]
        folded = Folded()
        folded.add(event for part in every for event in part.events)
        written = "".join(part.text for part in every)
        message = {"role": "assistant", "content": written}
        choice = {"index": 0, "message": message, "finish_reason": every[-1].finish}
        prompt, own = len(self.order.prompt), every[-1].tokens
        return {
            **self.head("chat.completion"),
            "choices": [choice],
            "mentions": folded.mentions(),
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": own,
                "total_tokens": prompt + own,
            },
        }

    def head(self, kind: str) -> dict[str, Any]:
        """Return what each answer begins with."""
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.name,
        }

    def chunk(self, delta: dict[str, str], finish: Optional[Finish]) -> dict[str, Any]:
        """Return a piece of the answer, without mentions."""
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {**self.head("chat.completion.chunk"), "choices": [choice]}
