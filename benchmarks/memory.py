"""Compare the peak memory of streams of long documents.

    python benchmarks/memory.py minilm

Each stream runs in a process of its own.
"""

import random
import resource
import subprocess
import sys

import typer

import spacy_tommer

WORDS = ["Berlin", "the", "of", "Angela", "Merkel", "visited", "a", "company", "in", "May"]


def stream(model: str, documents: int, tokens: int) -> None:
    """Run documents through a pipeline and print the peak memory in MB."""
    nlp = spacy_tommer.load(model)
    rng = random.Random(0)
    texts = (" ".join(rng.choices(WORDS, k=tokens)) for _ in range(documents))
    assert sum(1 for _ in nlp.pipe(texts)) == documents
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main(
    model: str,
    few: int = 20,
    many: int = 200,
    tokens: int = 20000,
    documents: int = typer.Option(0, hidden=True),
) -> None:
    """Print the peak memory for FEW and for MANY documents, and their ratio."""
    if documents:
        stream(model, documents, tokens)
        return
    peaks = []
    for count in (few, many):
        arguments = [model, "--documents", str(count), "--tokens", str(tokens)]
        command = [sys.executable, __file__, *arguments]
        shown = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks.append(float(shown.stdout))
        print(f"{count} documents of {tokens} tokens: {peaks[-1]:.0f} MB")
    print(f"ratio: {peaks[1] / peaks[0]:.2f}")


if __name__ == "__main__":
    typer.run(main)
