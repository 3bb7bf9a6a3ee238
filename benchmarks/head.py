"""Time the head alone, to see that its cost is linear in the units.

python benchmarks/head.py
"""

import time
from statistics import median

import torch
import typer

from spacy_tommer.head.head import MentionHead
from spacy_tommer.head.matching import ToM


def main(width: int = 384, few: int = 1024, many: int = 8192, runs: int = 15) -> None:
    """Print the median time for FEW and for MANY units, and their ratio."""
    head = MentionHead(width, ToM(width, 64, 25), hidden=128)
    seconds: dict[int, list[float]] = {few: [], many: []}
    with torch.inference_mode():
        for _ in range(runs):
            for units in seconds:
                states, lengths = torch.randn(units, width), torch.tensor([units])
                head(states, lengths)
                start = time.perf_counter()
                head(states, lengths)
                seconds[units].append(time.perf_counter() - start)
    times = {units: median(each) for units, each in seconds.items()}
    for units, time_ in times.items():
        print(f"{units} units: {1000 * time_:.2f} ms")
    print(f"ratio: {times[many] / times[few]:.2f} for {many / few:.0f} times the units")


if __name__ == "__main__":
    typer.run(main)
