"""Score a zero-shot pipeline on typed DocBins whose types it was not trained on."""

import json
from pathlib import Path
from typing import Annotated, Optional

import spacy
import typer

from spacy_tommer.entities.definitions import read_types
from spacy_tommer.evaluation.tables import table
from spacy_tommer.evaluation.typed import count_entities, find_set, is_known
from spacy_tommer.files import write_text_aside
from spacy_tommer.training.corpus import CachedCorpus

# The type for whatever the others of a set leave over.
CATCH_ALL = "misc"
# What F1 is taken over.
KINDS = ("all", "without misc", "known", "new")


def evaluate_types(
    pipelines: list[Path],
    types: Annotated[Path, typer.Option(help="Definitions: by set, by label.")],
    corpora: Annotated[
        Path, typer.Option(help="Folder with a DocBin or folder for each set.")
    ],
    known: Annotated[
        Optional[Path], typer.Option(help="Types of the training texts.")
    ] = None,
    cache: Path = Path("cache"),
    output: Path = Path("metrics/types"),
) -> None:
    """Write exact typed F1 of PIPELINES to OUTPUT.json and OUTPUT.md: with and without the
    type "misc", and for types whose name the training texts have and for those without."""
    sets = json.loads(types.read_text("utf-8"))
    names = {t.name for t in read_types(known).values()} if known else set()
    results: dict[str, dict[str, dict[str, float]]] = {}
    for pipeline in pipelines:
        nlp = spacy.load(pipeline)
        scores = results.setdefault(str(pipeline), {})
        for name, labels in sets.items():
            read = CachedCorpus(find_set(corpora, name), cache)
            some = {key: text for key, text in labels.items() if key != CATCH_ALL}
            [counts] = count_entities(nlp, read, labels)
            [without] = count_entities(nlp, read, some)
            seen = [key for key, text in some.items() if is_known(key, text, names)]
            scores[name] = {
                "all": counts.measures()["f"],
                "without misc": without.measures()["f"],
            }
            for kind, keys in (("known", seen), ("new", set(some) - set(seen))):
                if keys:
                    scores[name][kind] = counts.measures(keys)["f"]
            print(
                pipeline, name, {key: round(100 * f, 1) for key, f in scores[name].items()}
            )
        values = {
            kind: [scores[s][kind] for s in sets if kind in scores[s]] for kind in KINDS
        }
        scores["mean"] = {kind: sum(v) / len(v) for kind, v in values.items() if v}
    rows = [
        [pipeline, kind, *(one.get(kind, "-") for one in scores.values())]
        for pipeline, scores in results.items()
        for kind in KINDS
    ]
    lines = table(["pipeline", "types", *sets, "mean"], rows)
    write_text_aside(output.with_suffix(".md"), "\n".join(lines) + "\n")
    write_text_aside(output.with_suffix(".json"), json.dumps(results, indent=2) + "\n")
    print("", *lines, sep="\n")


if __name__ == "__main__":
    typer.run(evaluate_types)
