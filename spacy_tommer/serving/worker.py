"""The thread that owns a pipeline."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from spacy.language import Language

T = TypeVar("T")


class Worker:
    """Run what reads texts in one thread, one thing after the other.

    nlp (Language): The pipeline. Nothing else may use it.
    """

    def __init__(self, nlp: Language) -> None:
        self.nlp = nlp
        self.executor = ThreadPoolExecutor(1, "spacy_tommer-reads")

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function in the thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.executor, self.call, function, *arguments)

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function, and forget the words that are new to the vocabulary: it would
        grow with each text."""
        with self.nlp.memory_zone():
            return function(*arguments)

    def close(self) -> None:
        """End the thread."""
        self.executor.shutdown()
