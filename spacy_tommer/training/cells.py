"""Gold mentions as arrays with a cell for each span and kind, which the loss reads.

Axis letters: N units of all texts, concatenated; n units of a text; L longest span in
units; K kinds, and sources behind them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import SpanGroup
from spacy.training import Example

from ..decoding.units import mark_spans
from ..gold import fit_spans
from ..keys import IGNORED, TARGETS

Targets = NDArray[np.float32]
Marks = NDArray[np.bool_]


def batch_cells(
    examples: Sequence[Example],
    within: Marks,
    lengths: Sequence[NDArray[np.intp]],
    kinds: Sequence[str],
    spans_key: str,
    sources: Sequence[str] = (),
) -> tuple[Targets, Marks, Marks]:
    """Mark the cells of the gold mentions of all Docs of a batch, as `gold_cells` does.

    examples (Sequence[Example]): The examples.
    within (NDArray[bool]): Whether a cell is a span inside its text. (N, L)
    lengths (Sequence[NDArray[int]]): For each Doc, how many units each token has.
    kinds (Sequence[str]): The kinds of the head.
    spans_key (str): Key of the gold mentions.
    sources (Sequence[str]): The sources of the head.
    RETURNS (tuple): What `gold_cells` returns, concatenated. (N, L, K) each
    """
    ends = np.cumsum([own.sum() for own in lengths])
    texts = zip(examples, np.split(within, ends[:-1]), lengths)
    cells = [gold_cells(*text, kinds, spans_key, sources) for text in texts]
    targets, counted, united = map(np.concatenate, zip(*cells))
    return targets, counted, united


def gold_cells(
    example: Example,
    within: Marks,
    lengths: NDArray[np.intp],
    kinds: Sequence[str],
    spans_key: str,
    sources: Sequence[str] = (),
) -> tuple[Targets, Marks, Marks]:
    """Mark the cells of the gold mentions of a Doc.

    Gold is reference.spans[spans_key]. Its `attrs["kinds"]` names the kinds of which it has
    every mention, by default all: its mentions, and that other spans are none, count for
    these only. The label of a mention is its kind; with any other label it is of one of
    the marked kinds. Where there is one kind, labels do not matter. `attrs["source"]` names
    the corpus that it is from: all its mentions count for the output of that source, and
    without a name for all sources.

    If reference.user_data["mention_targets"] has a teacher's probabilities, these are the
    targets, and count for all outputs where they are not NaN.

    example (Example): The example.
    within (NDArray[bool]): Whether a cell is a span inside the text. (n, L)
    lengths (NDArray[int]): How many units each token has.
    kinds (Sequence[str]): The kinds of the head.
    spans_key (str): Key of the gold mentions.
    sources (Sequence[str]): The sources of the head, whose outputs follow the kinds.
    RETURNS (tuple): Targets; which cells count; and the kinds that mentions of no known
        kind may be of. (n, L, K) each
    """
    shape = (*within.shape, len(kinds) + len(sources))
    target, united = np.zeros(shape, dtype="f"), np.zeros(shape, dtype="bool")
    gold = example.reference.spans
    if spans_key not in gold:
        return target, np.zeros(shape, dtype="bool"), united
    marked = marked_outputs(gold[spans_key], kinds, sources)
    of_source = np.arange(len(marked)) >= len(kinds)
    counted = within[..., None] & marked
    mentions = fit_spans(example, gold[spans_key])
    known = [span for span in mentions if len(kinds) == 1 or span.label_ in kinds]
    unknown = [span for span in mentions if len(kinds) > 1 and span.label_ not in kinds]
    ignored = fit_spans(example, gold.get(IGNORED, []))
    mark_spans(counted, ignored, lengths, False)
    mark_spans(counted, unknown, lengths, marked & of_source)
    mark_spans(united, unknown, lengths, marked & ~of_source)
    # A mention of a known kind wins over others at its place.
    mark_spans(counted, known, lengths, marked)
    mark_spans(united, known, lengths, False)
    for i, kind in enumerate(kinds):
        own = [span for span in known if len(kinds) == 1 or span.label_ == kind]
        mark_spans(target[..., i], own, lengths, 1)
    for i in np.flatnonzero(of_source).tolist():
        mark_spans(target[..., i], mentions, lengths, 1)
    if TARGETS in example.reference.user_data:
        # Those of earlier versions have no axis of kinds.
        target[:] = np.reshape(example.reference.user_data[TARGETS], shape)
        counted = within[..., None] & ~np.isnan(target)
        spared = np.zeros(within.shape, dtype="bool")
        mark_spans(spared, ignored, lengths, True)
        mark_spans(spared, mentions, lengths, False)
        return np.nan_to_num(target), counted & ~spared[..., None], united & False
    return target, counted, united


def marked_outputs(gold: SpanGroup, kinds: Sequence[str], sources: Sequence[str]) -> Marks:
    """Tell for which kinds and sources a group of gold mentions counts. (K,)"""
    named = gold.attrs.get("kinds")
    source = gold.attrs.get("source")
    all_kinds = named is None or len(kinds) == 1
    return np.array(
        [all_kinds or kind in named for kind in kinds]
        + [source in (None, one) for one in sources]
    )
