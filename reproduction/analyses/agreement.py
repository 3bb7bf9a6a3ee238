"""Agreement between pipelines: how far they find the same mentions (section 4.3).

Axis letters: P pipelines.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import Doc

import spacy_tommer
from spacy_tommer.backbone.pipe import batch_by_tokens
from spacy_tommer.decoding.mentions import Mentions
from spacy_tommer.evaluation.protocol import BATCH, Place, find_spans, open_cache
from spacy_tommer.evaluation.sets import find_sets, read_docs
from spacy_tommer.evaluation.tables import table, write_csv
from spacy_tommer.files import write_aside
from spacy_tommer.training.state_cache import StateCache

from ..evaluation.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DECODINGS = {"nested": "threshold decoding", "flat": "greedy decoding"}

Counts = NDArray[np.int64]


@dataclass
class Agreement:
    """How many mentions pipelines find, alone and in pairs.

    names (list[str]): The pipelines.
    shared (Counts): Mentions that both of a pair find, their own number on the diagonal.
        (P, P)
    """

    names: list[str]
    shared: Counts = field(init=False)

    def __post_init__(self) -> None:
        self.shared = np.zeros((len(self.names), len(self.names)), dtype="int64")

    def add(self, found: Sequence[set[Any]]) -> None:
        """Count what the pipelines find in some texts.

        found (Sequence[set]): The mentions of each pipeline. (P,)
        """
        self.shared += np.array([[len(a & b) for b in found] for a in found])

    def dice(self) -> NDArray[np.float64]:
        """Compute 2 |A and B| / (|A| + |B|).

        RETURNS (NDArray): 1 where neither finds anything. (P, P)
        """
        own = self.shared.diagonal()
        total = own[:, None] + own
        return np.where(total, 2 * self.shared / np.maximum(total, 1), 1.0)

    def iou(self) -> NDArray[np.float64]:
        """Compute |A and B| / |A or B|.

        RETURNS (NDArray): 1 where neither finds anything. (P, P)
        """
        own = self.shared.diagonal()
        union = own[:, None] + own - self.shared
        return np.where(union, self.shared / np.maximum(union, 1), 1.0)

    def rows(self) -> Iterator[dict[str, Any]]:
        """List the pairs for a table.

        YIELDS (dict[str, Any]): Names, counts, Dice and IoU of a pair of pipelines.
        """
        dice, iou, own = self.dice(), self.iou(), self.shared.diagonal()
        for i, a in enumerate(self.names):
            for j, b in enumerate(self.names):
                yield {
                    "a": a,
                    "b": b,
                    "found_a": int(own[i]),
                    "found_b": int(own[j]),
                    "shared": int(self.shared[i, j]),
                    "dice": float(dice[i, j]),
                    "iou": float(iou[i, j]),
                }


def compare_pipelines(
    pipelines: Sequence[str],
    benchmarks: Path,
    output: Path,
    wanted: Optional[Sequence[str]] = None,
    limit: int = 0,
    threshold: Optional[float] = None,
    cache: Optional[Path] = None,
) -> tuple[list[str], str]:
    """Compare the mentions that pipelines find in each set, and write agreement.csv and
    dice.png.

    pipelines (Sequence[str]): Names of shipped models, or folders of pipelines.
    benchmarks (Path): Folder with DocBins of each set.
    output (Path): Folder to write.
    wanted (Optional[Sequence[str]]): Names of the sets to take; None for all.
    limit (int): First texts of each set; 0 for all.
    threshold (Optional[float]): One for all of them in place of their own.
    cache (Optional[Path]): Folder that keeps the states of the texts.
    RETURNS (tuple[list[str], str]): The lines of a table; and why there is no dice.png, or
        nothing.
    """
    places = find_sets(benchmarks)
    if unknown := set(wanted or ()) - set(places):
        raise ValueError(
            f"{benchmarks} has no set {', '.join(sorted(unknown))}, but "
            f"{', '.join(places)}."
        )
    loaded = {name: spacy_tommer.load(name) for name in pipelines}
    results = {
        name: measure_agreement(loaded, places[name], limit, threshold, cache)
        for name in (places if wanted is None else wanted)
    }
    rows: list[dict[str, Any]] = [
        {"set": name, "decoding": decoding, **row}
        for name, both in results.items()
        for decoding, one in both.items()
        for row in one.rows()
    ]
    output.mkdir(parents=True, exist_ok=True)
    write_aside(output / "agreement.csv", lambda path: write_csv(path, rows))
    pairs = [row for row in rows if row["a"] < row["b"]]
    lines = table(rows[0], (row.values() for row in pairs))
    try:
        figure = draw_dice(results)
    except ImportError as error:
        return lines, str(error)
    write_aside(output / "dice.png", lambda path: figure.savefig(path, format="png"))
    return lines, ""


def measure_agreement(
    pipelines: Mapping[str, Language],
    folder: Path,
    limit: int = 0,
    threshold: Optional[float] = None,
    cache: Optional[Path] = None,
) -> dict[str, Agreement]:
    """Compare the mentions that pipelines find in the same texts, by characters.

    pipelines (Mapping[str, Language]): The pipelines. Those without a tommer component have
        to write doc.spans["mentions"].
    folder (Path): A folder of DocBins with the texts.
    limit (int): First texts to take; 0 for all.
    threshold (Optional[float]): One for all of them in place of their own.
    cache (Optional[Path]): Folder that keeps the states of the texts.
    RETURNS (dict[str, Agreement]): That of "nested" and of "flat" mentions.
    """
    names = list(pipelines)
    agreement = {decoding: Agreement(names) for decoding in DECODINGS}
    states = {name: open_cache(nlp, cache) for name, nlp in pipelines.items()}
    vocab = pipelines[names[0]].vocab
    for batch in batch_by_tokens(read_docs(folder, vocab, limit), BATCH):
        texts = [doc.text for doc in batch]
        found: dict[str, list[set[Any]]] = {decoding: [] for decoding in DECODINGS}
        for name, nlp in pipelines.items():
            both = find_both(nlp, texts, threshold, states[name])
            for decoding, places in zip(DECODINGS, both):
                found[decoding].append(places)
        for decoding, of_pipelines in found.items():
            agreement[decoding].add(of_pipelines)
    return agreement


def find_both(
    nlp: Language,
    texts: Sequence[str],
    threshold: Optional[float],
    states: Optional[StateCache],
) -> tuple[set[tuple[int, Place]], set[tuple[int, Place]]]:
    """Find the mentions of texts, nested and flat.

    threshold (Optional[float]): Threshold in place of the pipeline's own; a pipeline that
        writes no flat segmentation takes its other one for that.
    states (Optional[StateCache]): Where the states of the texts are kept.
    RETURNS (tuple[set, set]): Both sets of mentions, each the number of its text, its start
        and its end (exclusive) in characters.
    """
    docs, spans = find_spans(nlp, texts, states=states)
    if not nlp.has_pipe("tommer"):
        return places_of(docs, spans), places_of(docs, spans)
    tommer = nlp.get_pipe("tommer")
    nested, flat = tommer.threshold, tommer.flat_threshold
    if threshold is not None:
        nested = flat = threshold
    spans = spans.above(nested)
    picked = spans.as_entities().above(nested if flat is None else flat).flat()
    return places_of(docs, spans), places_of(docs, picked)


def places_of(docs: Sequence[Doc], spans: Mentions) -> set[tuple[int, Place]]:
    """Name mentions by the numbers of their texts and their characters."""
    return {
        (i, place)
        for i, (doc, own) in enumerate(zip(docs, spans.by_doc()))
        for place in own.places(doc)
    }


def draw_dice(results: Mapping[str, Mapping[str, Agreement]]) -> "Figure":
    """Draw heat maps of Dice (figures 3, 5, 7 and 8): a row for each set, a column for each
    decoding.

    results (Mapping[str, Mapping[str, Agreement]]): The agreement by set and decoding.
    RETURNS (Figure): The figure. ImportError is raised where matplotlib is not installed.
    """
    size = max(len(one.names) for both in results.values() for one in both.values())
    side = 1.6 + 0.75 * size
    figure = new_figure((2 * side + 1, len(results) * side))
    places = figure.subplots(len(results), len(DECODINGS), squeeze=False)
    for row, (name, both) in zip(places, results.items()):
        for axes, (decoding, one) in zip(row, both.items()):
            dice = 100 * one.dice()
            image = axes.imshow(dice, vmin=0, vmax=100, cmap="viridis")
            ticks = range(len(one.names))
            axes.set_xticks(ticks, one.names, rotation=30, ha="right")
            axes.set_yticks(ticks, one.names)
            axes.set_title(f"{name}, {DECODINGS[decoding]}", fontsize=9)
            for (i, j), value in np.ndenumerate(dice):
                color = "black" if value > 60 else "white"
                axes.text(j, i, f"{value:.0f}", ha="center", va="center", color=color)
    figure.colorbar(image, ax=places, label="Dice of the mentions (%)", shrink=0.8)
    return figure
