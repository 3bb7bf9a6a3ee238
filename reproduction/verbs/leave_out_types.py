"""Choose the threshold of a zero-shot pipeline by a head that has not seen some corpora."""

from pathlib import Path

import spacy
import typer
from spacy.cli.train import train
from spacy.training.corpus import FILE_TYPE, Corpus, walk_corpus

from spacy_tommer.entities.definitions import TrainingType, read_types
from spacy_tommer.evaluation.typed import find_set

from .calibrate_types import choose_threshold
from .leave_out import link_sets, split_sets


def labels_of(corpus: Path, types: dict[str, TrainingType]) -> dict[str, str]:
    """Find the labels in spans["entities"] of DocBins, with their names and definitions."""
    vocab = spacy.blank("en").vocab
    docs = Corpus(corpus).read_docbin(vocab, walk_corpus(corpus, FILE_TYPE))
    found = {span.label_ for doc in docs for span in doc.spans["entities"]}
    if unknown := found - types.keys():
        raise ValueError(f"{corpus} has labels without a definition: {sorted(unknown)}.")
    return {label: types[label].description for label in sorted(found)}


def leave_out(
    pipeline: Path,
    output: Path,
    config: Path,
    corpus: Path,
    dev: Path,
    mentions: Path,
    definitions: Path,
    left_out: str,
    cache: Path = Path("cache"),
    steps: int = 1200,
    seed: int = 0,
    gpu_id: int = -1,
) -> None:
    """Train CONFIG on the sets of CORPUS but for LEFT_OUT, choose the threshold with the
    best mean F1 on the texts of these in DEV, and write PIPELINE to OUTPUT with it.

    LEFT_OUT lists names of sets, separated by commas. PIPELINE has learnt from all sets: on
    texts of corpora that it knows, it would choose too high a threshold.
    """
    seen, out = split_sets(corpus, left_out)
    types = read_types(definitions)
    sets = {name: labels_of(corpus / name, types) for name in out}
    for name in out:
        find_set(dev, name)
    folder = output.with_name(f"{output.name}_left_out")
    rest = link_sets(corpus, seen, folder / "rest")
    overrides = {
        "paths.train": str(rest),
        "paths.dev": str(rest),
        "paths.cache": str(cache),
        "paths.mentions": str(mentions),
        "paths.definitions": str(definitions),
        "corpora.dev.limit": 100,
        "training.max_steps": steps,
        "training.optimizer.learn_rate.total_steps": steps,
        "training.eval_frequency": steps,
        "system.seed": seed,
    }
    train(config, folder / "student", use_gpu=gpu_id, overrides=overrides)
    student = spacy.load(folder / "student" / "model-last")
    nlp = spacy.load(pipeline)
    nlp.get_pipe("tommer_zeroshot").threshold = choose_threshold(student, sets, dev, cache)
    nlp.to_disk(output)


if __name__ == "__main__":
    typer.run(leave_out)
