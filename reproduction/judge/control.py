"""Random spans, which a judge must mostly reject."""

import random
from collections.abc import Collection, Sequence
from typing import Optional

from spacy.tokens import Doc, Span

from .candidates import Candidate, Docs, Key

# Tries for each span; short texts may have few spans that nobody found.
TRIES = 100


def draw_control(
    docs: Docs, taken: Collection[Key], sample: Sequence[Candidate], size: int, seed: int
) -> list[Candidate]:
    """Draw spans with the lengths of a sample, from the same texts.

    docs (Docs): The Docs of each set.
    taken (Collection[Key]): The spans that must not be drawn.
    sample (Sequence[Candidate]): The sample, whose lengths in tokens are taken.
    size (int): How many spans to draw.
    RETURNS (list[Candidate]): The spans, each once and none that begins or ends with
        white space or punctuation; fewer where the texts have no more. They may overlap
        mentions.
    """
    generator = random.Random(seed)
    control: dict[Key, Candidate] = {}
    for _ in range(size * TRIES if sample else 0):
        if len(control) == size:
            break
        name, number, _, _ = generator.choice(sample).key
        length = generator.choice(sample).tokens
        span = random_span(docs[name][number], length, generator)
        if span is not None:
            key = (name, number, span.start_char, span.end_char)
            if key not in taken:
                control[key] = Candidate(key, length)
    return list(control.values())


def random_span(doc: Doc, length: int, generator: random.Random) -> Optional[Span]:
    """Draw a span of a length from a text.

    doc (Doc): The text.
    length (int): Its length in tokens.
    generator (random.Random): The source of randomness.
    RETURNS (Optional[Span]): The span; None where the text is too short, or white space or
        punctuation stands at an edge.
    """
    if length > len(doc):
        return None
    start = generator.randrange(len(doc) - length + 1)
    span = doc[start : start + length]
    edges = span[0], span[-1]
    return None if any(edge.is_space or edge.is_punct for edge in edges) else span
