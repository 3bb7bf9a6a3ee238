"""Catch what a model computes in `generate`: the ids that it chooses, and the states of one
block.

Axis letters: B sequences of a batch; n wordpieces; d width of a state.
"""

from queue import SimpleQueue
from threading import get_ident
from typing import Any, NamedTuple, Optional, Union

import torch
from torch import Tensor, nn

from .growing_pieces import Floats


class Step(NamedTuple):
    """Hold what one step of a model adds to each sequence.

    begins (bool): Whether the sequences begin.
    states (Optional[Floats]): States of the wordpieces that have none yet. (B, n, d)
    ids (list[list[int]]): The next wordpieces of each sequence, without states.
    """

    begins: bool
    states: Optional[Floats]
    ids: list[list[int]]


class Catcher:
    """Put each step into a queue, for whoever reads it, so that the model need not wait.

    prompt (bool): Whether the sequences begin with their prompts.
    """

    def __init__(self, prompt: bool = False) -> None:
        self.prompt = prompt
        self.caught: list[Tensor] = []  # since the last ids, (B, n, d) each
        self.prompts: Optional[Tensor] = None
        self.thread: Optional[int] = None  # in which the model generates
        self.chosen = 0  # ids of each sequence
        # An exception, or None, ends the steps.
        self.steps: SimpleQueue[Union[Step, BaseException, None]] = SimpleQueue()

    def catch(self, block: nn.Module, inputs: Any, output: Any) -> None:
        """Keep the output of a block until the next ids are chosen: a forward hook, which
        other threads with the same model call, too."""
        if get_ident() == self.thread:
            self.caught.append(output[0] if isinstance(output, tuple) else output)

    def put(self, value: Tensor) -> None:
        """Take ids from `generate`: those of the prompts (B, n), and then the next one of
        each sequence (B,). ValueError is raised for another search than greedy search and
        sampling, and for prompts that are needed and have no ids."""
        if self.prompts is None:
            self.begin(torch.atleast_2d(value))
            return
        if value.dim() != 1:
            raise ValueError(
                f"The model chose ids of the shape {tuple(value.shape)} in one step. A "
                "streamer of mentions follows greedy search and sampling: no beams, no "
                "assistant model, and no prompt lookup."
            )
        ids = value.reshape(-1, 1)
        if not self.chosen:
            self.steps.put(Step(True, None, self.read_prompts(len(ids))))
        length = 1 if self.chosen else self.prompts.shape[1] if self.prompt else 0
        self.steps.put(Step(False, self.take_states(len(ids), length), ids.tolist()))
        self.chosen += 1

    def begin(self, prompts: Tensor) -> None:
        """Begin sequences with their prompts. (B, n)"""
        if self.prompt and not prompts.shape[1]:
            raise ValueError(
                "The prompt has no ids. With `prompt=True` write "
                "model.generate(input_ids=...), and not inputs_embeds."
            )
        self.prompts = prompts
        self.thread = get_ident()
        self.chosen = 0
        self.caught.clear()

    def read_prompts(self, count: int) -> list[list[int]]:
        """Return the prompts, or empty ones.

        count (int): How many sequences are generated, of one prompt each or of several.
        """
        assert self.prompts is not None
        if not self.prompt:
            return [[]] * count
        times = count // len(self.prompts)
        return self.prompts.repeat_interleave(times, dim=0).tolist()

    def take_states(self, count: int, length: int) -> Optional[Floats]:
        """Take the states that were caught since the last ids.

        count (int): How many sequences there are, B.
        length (int): How many wordpieces of each have no state yet, n.
        RETURNS (Optional[Floats]): The states (B, n, d), or None.
        """
        caught, self.caught = self.caught, []
        if not length:
            return None
        states = torch.cat(caught, dim=1) if caught else torch.zeros(0, 0, 0)
        # Without a cache, all wordpieces are computed again.
        every = self.prompts.shape[1] + self.chosen  # type: ignore[union-attr]
        if len(states) != count or states.shape[1] not in (length, every):
            raise ValueError(
                f"The model computed states of the shape {tuple(states.shape[:2])} for "
                f"{count} sequences of {length} new wordpieces. A streamer of mentions "
                "follows greedy search and sampling: no beams, no assistant model, and no "
                "cached prompt with `prompt=True`."
            )
        return states[:, -length:].float().cpu().numpy()

    def end(self) -> None:
        """End the sequences: `generate` has ended, or never began."""
        self.prompts = self.thread = None
        self.caught.clear()
        self.steps.put(None)
