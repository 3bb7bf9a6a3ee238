"""Compare how doc.ents are picked: greedy decoding, and the best set of spans that do not
overlap, each at the threshold that is best for it.

python benchmarks/decoders.py minilm corpus/dev
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import typer
from spacy.language import Language
from spacy.tokens import Doc

import spacy_tommer
from spacy_tommer.backbone.pipe import batch_by_tokens
from spacy_tommer.decoding.decode import FlatDecoder, best_flat_decode, greedy_decode
from spacy_tommer.decoding.mentions import Mentions
from spacy_tommer.evaluation.protocol import BATCH, find_spans, gold_places
from spacy_tommer.evaluation.sets import find_sets, read_gold
from spacy_tommer.evaluation.tables import table

DECODERS: dict[str, FlatDecoder] = {
    "greedy": greedy_decode,
    "best flat": best_flat_decode,
}
THRESHOLDS = [i / 20 for i in range(2, 19)]


def count_right(docs: Sequence[Doc], golds: Sequence[Doc], flat: Mentions) -> np.ndarray:
    """RETURNS (ndarray): How many entities are right, found and gold. (3,)"""
    counts = np.zeros(3, dtype="int")
    for doc, gold, part in zip(docs, golds, flat.by_doc()):
        places, wanted = set(part.places(doc)), set(gold_places(gold))
        counts += [len(places & wanted), len(places), len(wanted)]
    return counts


def best_f1(nlp: Language, folder: Path, limit: int) -> dict[str, dict[float, float]]:
    """Score all decoders on a set.

    limit (int): First texts of the set; 0 for all.
    RETURNS (dict[str, dict[float, float]]): F1 of each decoder at each threshold.
    """
    counts = {
        (name, threshold): np.zeros(3) for name in DECODERS for threshold in THRESHOLDS
    }
    for golds in batch_by_tokens(read_gold(folder, nlp.vocab, limit), BATCH):
        docs, spans = find_spans(nlp, [gold.text for gold in golds], "tommer", None)
        for threshold in THRESHOLDS:
            likely = spans.above(threshold)
            for name, decoder in DECODERS.items():
                counts[name, threshold] += count_right(docs, golds, likely.flat(decoder))
    scores: dict[str, dict[float, float]] = {name: {} for name in DECODERS}
    for (name, threshold), (right, found, gold) in counts.items():
        scores[name][threshold] = float(2 * right / max(found + gold, 1))
    return scores


def main(model: str, dev: Path, limit: int = 0) -> None:
    """Print F1 of both decoders on each set of DEV, at the thresholds of the best means."""
    nlp = spacy_tommer.load(model)
    scores = {name: best_f1(nlp, path, limit) for name, path in find_sets(dev).items()}
    means = {
        name: {
            t: float(np.mean([one[name][t] for one in scores.values()])) for t in THRESHOLDS
        }
        for name in DECODERS
    }
    best = {name: max(THRESHOLDS, key=means[name].__getitem__) for name in DECODERS}
    rows = [
        [name, *(one[key][best[key]] for key in DECODERS)] for name, one in scores.items()
    ]
    rows.append(["mean", *(means[key][best[key]] for key in DECODERS)])
    print("\n".join(table(["set", *(f"{key} ({best[key]})" for key in DECODERS)], rows)))


if __name__ == "__main__":
    typer.run(main)
