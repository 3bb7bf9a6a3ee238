"""Ask a judge about many spans at a time."""

import asyncio
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Optional

from tqdm import tqdm

from .budget import Budget, Usage
from .prompt import VERSION, messages, parse
from .server import (
    ANSWER_TOKENS,
    Server,
    advise,
    import_openai,
    most_usage,
    read_api_key,
    read_content,
    read_json,
    read_usage,
)
from .verdicts import VerdictLog, question_key

SIGNALS = (signal.SIGINT, signal.SIGTERM)
WAITING = b"\nWaiting for the answers under way; once more to stop at once.\n"
# How much of a response without an answer is kept.
EXCERPT = 500


class JudgeError(Exception):
    """A failure that ends a run; all answers so far are in the log."""


@dataclass
class Outcome:
    """How a run ended.

    left (int): Questions without a verdict.
    ceiling (str): The setting that ended the run, or nothing.
    interrupted (bool): Whether a signal to stop ended it.
    estimated (int): Answers without usage, which was estimated at its most.
    """

    left: int
    ceiling: str
    interrupted: bool
    estimated: int


def judge_contexts(
    server: Server, contexts: Iterable[str], log: VerdictLog, budget: Budget
) -> Outcome:
    """Ask about all spans that have no verdict yet.

    server (Server): The judge.
    contexts (Iterable[str]): The spans in their contexts.
    log (VerdictLog): The log, which has all answers in the end.
    budget (Budget): Ceilings of the run.
    RETURNS (Outcome): How the run ended: it may end early at a ceiling, or at a signal to
        stop. JudgeError is raised for a failure that the client's retries don't mend. In
        each case the answers under way are awaited and kept.
    """
    wanted = list(dict.fromkeys(contexts))
    run = Inquiry(server, log, budget, read_api_key())
    run.queue.extend(filter(run.is_open, wanted))
    known = len(wanted) - len(run.queue)
    run.bar = tqdm(
        total=len(wanted), initial=known, desc="judge", unit="span", disable=None
    )
    with run.bar, stopping(run):
        asyncio.run(run.work())
    if run.failure is not None:
        raise run.failure
    left = sum(map(run.is_open, wanted))
    interrupted = run.stopped and left > 0
    ceiling = budget.reached if left and not interrupted else ""
    return Outcome(left, ceiling, interrupted, run.estimated)


class Inquiry:
    """A run of questions to a judge.

    server (Server): The judge.
    budget (Budget): Ceilings of the run.
    """

    def __init__(
        self, server: Server, log: VerdictLog, budget: Budget, api_key: str
    ) -> None:
        self.server = server
        self.log = log
        self.budget = budget
        self.api_key = api_key
        self.queue: deque[str] = deque()
        self.stopped = False
        self.failure: Optional[Exception] = None
        self.estimated = 0
        self.seen = Usage()
        self.bar: tqdm[None] = tqdm(disable=True)

    def key(self, context: str) -> str:
        """Name the question about a span."""
        return question_key(self.server.model, self.server.temperature, context)

    def is_open(self, context: str) -> bool:
        """Tell whether a span has no verdict yet."""
        return self.log.verdict(self.key(context)) is None

    async def work(self) -> None:
        """Ask until the queue is empty, a ceiling is reached or the run is stopped, and
        wait for the answers under way."""
        client = import_openai().AsyncOpenAI(
            api_key=self.api_key, base_url=self.server.base_url, timeout=self.server.timeout
        )
        pending: set[asyncio.Task[None]] = set()
        async with client:
            while True:
                while len(pending) < self.server.concurrency and self.queue:
                    granted = None if self.stopped else self.reserve(self.queue[0])
                    if granted is None:
                        break
                    task = self.ask(client, self.queue.popleft(), granted)
                    pending.add(asyncio.create_task(task))
                if not pending:
                    break
                _, pending = await asyncio.wait(
                    pending, return_when=asyncio.FIRST_COMPLETED
                )

    def questions(self, context: str) -> list[dict[str, str]]:
        """Write the messages of the first question about a span, or of the second."""
        return messages(context, again=self.log.tries(self.key(context)) > 0)

    def reserve(self, context: str) -> Optional[Usage]:
        """Set aside what a question and its retries may use, if the ceilings let it."""
        requests = self.server.max_retries + 1
        return self.budget.reserve(most_usage(self.questions(context), requests, self.seen))

    async def ask(self, client: Any, context: str, granted: Usage) -> None:
        """Ask about a span, and log the answer.

        context (str): The span in its context.
        granted (Usage): What was set aside for the question.
        """
        used = granted
        try:
            response = await client.with_options(
                max_retries=granted.requests - 1
            ).chat.completions.with_raw_response.create(
                model=self.server.model,
                messages=self.questions(context),
                temperature=self.server.temperature,
                max_tokens=ANSWER_TOKENS,
            )
            used = self.record(context, response.text, response.retries_taken + 1)
        except Exception as error:
            if isinstance(error, import_openai().APIStatusError):
                # A refusal costs nothing; what a lost answer costs is not known.
                used = Usage(granted.requests)
            if granted.requests <= self.server.max_retries and is_passing(error):
                # A ceiling left too few retries.
                self.queue.appendleft(context)
            else:
                self.fail(error)
        finally:
            self.budget.settle(granted, used)

    def record(self, context: str, text: str, requests: int) -> Usage:
        """Log an answer. The first unclear one to a question lets it be asked again.

        context (str): The span in its context.
        text (str): The body of the response.
        requests (int): How often the question was sent.
        RETURNS (Usage): What it used.
        """
        body = read_json(text)
        content = read_content(body)
        usage = read_usage(body, requests)
        used = usage or most_usage(self.questions(context), requests, self.seen)
        self.estimated += usage is None
        self.seen = Usage(
            0, max(self.seen.input, used.input), max(self.seen.output, used.output)
        )
        self.log.add(
            {
                "key": self.key(context),
                "try": self.log.tries(self.key(context)) + 1,
                "verdict": "unclear" if content is None else parse(content),
                "answer": text[:EXCERPT] if content is None else content,
                "context": context,
                "model": self.server.model,
                "temperature": self.server.temperature,
                "instruction": VERSION,
                "input_tokens": used.input,
                "output_tokens": used.output,
                "estimated": usage is None,
            }
        )
        if self.is_open(context):
            self.queue.append(context)
        else:
            self.bar.update()
        cost = self.budget.cost(self.budget.spent + used)
        self.bar.set_postfix(left=self.bar.total - self.bar.n, cost=f"{cost:.4f}")
        return used

    def fail(self, error: Exception) -> None:
        """Stop the run for an error; the first one counts."""
        self.stopped = True
        if isinstance(error, import_openai().OpenAIError):
            advice = advise(error, self.api_key)
            kept = f"All answers so far are kept in {self.log.path}"
            error = JudgeError(f"{advice} {kept}: the same command goes on from there.")
        self.failure = self.failure or error


def is_passing(error: Exception) -> bool:
    """Tell whether the client retries after an error."""
    openai = import_openai()
    kinds = (openai.APIConnectionError, openai.RateLimitError, openai.InternalServerError)
    return isinstance(error, kinds)


@contextmanager
def stopping(run: Inquiry) -> Iterator[None]:
    """Let a signal to stop end a run in good order; a second one ends it at once."""
    # Python lets no other thread handle signals.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def stop(number: int, frame: Optional[FrameType]) -> None:
        run.stopped = True
        # A print could come in the middle of another one.
        os.write(2, WAITING)
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in SIGNALS:
        signal.signal(number, stop)
    try:
        yield
    finally:
        restore()
