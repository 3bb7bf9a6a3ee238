"""Ceilings of a run: nothing is sent whose answer could exceed one. Tokens of answers that
are lost on the way are not known, and not counted."""

from dataclasses import dataclass, field
from typing import Optional


@dataclass(frozen=True)
class Usage:
    """What requests use.

    requests (int): Requests, those that are sent again after a failure included.
    input (int): Tokens of the questions.
    output (int): Tokens of the answers.
    """

    requests: int = 0
    input: int = 0
    output: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.requests + other.requests,
            self.input + other.input,
            self.output + other.output,
        )

    def __sub__(self, other: "Usage") -> "Usage":
        return self + Usage(-other.requests, -other.input, -other.output)


@dataclass
class Budget:
    """What a run may use, has used, and has set aside for requests under way.

    max_requests (Optional[int]): Most requests; None for any number.
    max_tokens (Optional[int]): Most tokens of questions and answers together.
    max_cost (Optional[float]): Highest cost.
    input_price (float): Price of a million tokens of questions.
    output_price (float): Price of a million tokens of answers.
    """

    max_requests: Optional[int] = None
    max_tokens: Optional[int] = None
    max_cost: Optional[float] = None
    input_price: float = 0.0
    output_price: float = 0.0
    spent: Usage = field(default=Usage(), init=False)
    reserved: Usage = field(default=Usage(), init=False)
    reached: str = field(default="", init=False)

    def __post_init__(self) -> None:
        if self.max_cost is not None and not self.input_price + self.output_price:
            raise ValueError(
                "A ceiling on the cost needs prices: set --input-price and --output-price, "
                "for a million tokens each."
            )

    def cost(self, usage: Usage) -> float:
        """Compute a cost.

        usage (Usage): What was used.
        RETURNS (float): Its cost, in the currency of the prices.
        """
        prices = usage.input * self.input_price + usage.output * self.output_price
        return prices / 1e6

    def reserve(self, most: Usage) -> Optional[Usage]:
        """Set aside what a question may use.

        most (Usage): The most it may use, with all retries.
        RETURNS (Optional[Usage]): What it may use, perhaps with fewer retries; None where
            a ceiling leaves too little, whose setting `reached` then names.
        """
        taken = self.spent + self.reserved
        requests = most.requests
        if self.max_requests is not None:
            requests = min(requests, self.max_requests - taken.requests)
        granted = Usage(requests, most.input, most.output)
        after = taken + granted
        self.reached = ""
        if requests < 1:
            self.reached = "--max-requests"
        elif self.max_tokens is not None and after.input + after.output > self.max_tokens:
            self.reached = "--max-tokens"
        elif self.max_cost is not None and self.cost(after) > self.max_cost:
            self.reached = "--max-cost"
        if self.reached:
            return None
        self.reserved += granted
        return granted

    def settle(self, granted: Usage, used: Usage) -> None:
        """Count what a question used instead of what was set aside for it.

        granted (Usage): What `reserve` returned.
        used (Usage): What was used.
        """
        self.reserved -= granted
        self.spent += used
