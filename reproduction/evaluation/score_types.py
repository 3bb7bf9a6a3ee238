"""Score types that a pipeline was not trained on (CrossNER in the JPT paper)."""

import json
from pathlib import Path
from typing import Optional

import spacy

from spacy_tommer.entities.definitions import read_types
from spacy_tommer.evaluation.pipes import require_pipe
from spacy_tommer.evaluation.tables import table
from spacy_tommer.evaluation.typed import (
    count_entities,
    find_set,
    is_known,
    read_label_sets,
)
from spacy_tommer.files import write_text_aside
from spacy_tommer.training.corpus import CachedCorpus

# The type for whatever the others of a set leave over.
CATCH_ALL = "misc"
# What F1 is taken over.
KINDS = ("all", "without misc", "known", "new")

Scores = dict[str, dict[str, float]]


def score_types(
    pipelines: list[Path],
    types: Path,
    corpora: Path,
    known: Optional[Path],
    cache: Path,
    output: Path,
) -> list[str]:
    """Write exact typed F1 of pipelines as JSON and Markdown.

    pipelines (list[Path]): Folders of pipelines with `tommer_zeroshot`.
    types (Path): JSON of definitions by set, by label.
    corpora (Path): Folder with the DocBins of each set.
    known (Optional[Path]): JSON of the training types; without it all types are new.
    cache (Path): Folder that keeps the states of the texts.
    output (Path): The files, without .json and .md.
    RETURNS (list[str]): The lines of the table.
    """
    sets = read_label_sets(types)
    names = {t.name for t in read_types(known).values()} if known else set()
    results = {
        str(path): score_pipeline(path, sets, corpora, names, cache) for path in pipelines
    }
    rows = [
        [pipeline, kind, *(one.get(kind, "-") for one in scores.values())]
        for pipeline, scores in results.items()
        for kind in KINDS
    ]
    lines = table(["pipeline", "types", *sets, "mean"], rows)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_text_aside(output.with_suffix(".md"), "\n".join(lines) + "\n")
    write_text_aside(output.with_suffix(".json"), json.dumps(results, indent=2) + "\n")
    return lines


def score_pipeline(
    path: Path, sets: dict[str, dict[str, str]], corpora: Path, names: set[str], cache: Path
) -> Scores:
    """Compute the F1 of each kind of types in each set, and the means over the sets."""
    nlp = spacy.load(path)
    require_pipe(nlp, "tommer_zeroshot", path)
    scores: Scores = {}
    for name, labels in sets.items():
        reader = CachedCorpus(find_set(corpora, name), cache)
        some = {key: text for key, text in labels.items() if key != CATCH_ALL}
        [counts] = count_entities(nlp, reader, labels)
        [without] = count_entities(nlp, reader, some)
        seen = [key for key, text in some.items() if is_known(key, text, names)]
        scores[name] = {
            "all": counts.measures()["f"],
            "without misc": without.measures()["f"],
        }
        for kind, keys in (("known", seen), ("new", set(some) - set(seen))):
            if keys:
                scores[name][kind] = counts.measures(keys)["f"]
        print(path, name, {key: round(100 * f, 1) for key, f in scores[name].items()})
    values = {kind: [one[kind] for one in scores.values() if kind in one] for kind in KINDS}
    scores["mean"] = {kind: sum(v) / len(v) for kind, v in values.items() if v}
    return scores
