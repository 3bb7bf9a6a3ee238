"""Score pipelines on benchmarks by the evaluation protocol."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab
from tqdm import tqdm

import spacy_tommer
from spacy_tommer.evaluation.protocol import mean, precision_at_recall, score_docs

RECALLS = (0.94, 0.956)


def read_docs(folder: Path, vocab: Vocab, limit: int) -> Iterator[Doc]:
    """Read the Docs of a benchmark, or the first ones."""
    paths = sorted(folder.glob("*.spacy"))
    docs = (doc for path in paths for doc in DocBin().from_disk(path).get_docs(vocab))
    for i, doc in enumerate(docs):
        if limit and i >= limit:
            break
        yield doc


def evaluate_pipeline(name: str, folders: list[Path], limit: int) -> dict[str, Any]:
    """Score one pipeline on all benchmarks."""
    nlp = spacy_tommer.load(name)
    tommer = nlp.get_pipe("tommer")
    scored = {}
    for folder in tqdm(folders, desc=name):
        scored[folder.name] = score_docs(nlp, read_docs(folder, nlp.vocab, limit))
    nested = {key: pair[0].at(tommer.threshold) for key, pair in scored.items()}
    flat = {key: pair[1].at(tommer.flat_threshold) for key, pair in scored.items()}
    all_spans = [pair[0] for pair in scored.values()]
    return {
        "threshold": tommer.threshold,
        "flat_threshold": tommer.flat_threshold,
        "nested": {**nested, "mean": mean(list(nested.values()))},
        "flat": {**flat, "mean": mean(list(flat.values()))},
        "average_precision": sum(s.average_precision() for s in all_spans) / len(all_spans),
        "precision_at_recall": {
            str(recall): precision_at_recall(all_spans, recall) for recall in RECALLS
        },
    }


def to_markdown(results: dict[str, Any]) -> str:
    """Write the scores as tables, in per cent."""

    def row(*cells: Any) -> str:
        shown = (f"{100 * c:.1f}" if isinstance(c, float) else str(c) for c in cells)
        return f"| {' | '.join(shown)} |"

    lines = []
    for name, result in results.items():
        lines += [
            f"### {name}",
            "",
            f"threshold {result['threshold']}, flat_threshold "
            f"{result['flat_threshold']}; average precision "
            f"{100 * result['average_precision']:.1f}; precision at mean recall "
            + ", ".join(
                f"{100 * float(recall):.1f}: {100 * precision:.1f}"
                for recall, precision in result["precision_at_recall"].items()
            ),
            "",
            row("set", "threshold R", "P", "F1", "greedy R", "P", "F1"),
            row(*["---"] * 7),
        ]
        for key, nested in result["nested"].items():
            flat = result["flat"][key]
            lines.append(row(key, *(scores[m] for scores in (nested, flat) for m in "rpf")))
        lines.append("")
    return "\n".join(lines)


def evaluate(
    pipelines: list[str],
    benchmarks: Path = Path("corpus/benchmarks"),
    output: Path = Path("metrics"),
    limit: int = 0,
) -> None:
    """Score PIPELINES (names of shipped models, or folders) on each folder of DocBins in
    BENCHMARKS, and write OUTPUT/protocol.json and protocol.md."""
    folders = sorted(path for path in benchmarks.iterdir() if path.is_dir())
    results = {name: evaluate_pipeline(name, folders, limit) for name in pipelines}
    output.mkdir(parents=True, exist_ok=True)
    report = to_markdown(results)
    (output / "protocol.json").write_text(json.dumps(results, indent=2), "utf-8")
    (output / "protocol.md").write_text(report, "utf-8")
    print(report)


if __name__ == "__main__":
    typer.run(evaluate)
