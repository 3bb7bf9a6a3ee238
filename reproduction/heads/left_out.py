"""Train by the recipes of the shipped heads without some corpora."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import spacy
from spacy.cli.train import train
from spacy.tokens import DocBin
from spacy.util import load_config

from spacy_tommer.entities.definitions import TrainingType, read_types
from spacy_tommer.evaluation.calibration import write_thresholds
from spacy_tommer.evaluation.pipes import require_pipe
from spacy_tommer.evaluation.sets import read_docs
from spacy_tommer.evaluation.typed import choose_type_threshold, find_set

from ..corpora.gold import labels_in
from ..corpora.sides import Sides
from ..evaluation.score_mentions import score_mentions

# The set that marks mentions of every kind.
WHOLE = "openmentions"


def leave_out_mentions(
    config: Path,
    corpus: Path,
    dev: Path,
    left_out: str,
    output: Path,
    cache: Path,
    mean_recall: float,
    limit: int,
    seed: int,
    gpu_id: int,
    overrides: dict[str, Any],
) -> None:
    """Train a head on the other sets as the heads that ship are, without outputs of those
    left out, with thresholds from the validation texts of the other sets. Score it on the
    first texts of each left-out set, and write the pipeline and the tables to a folder.
    ValueError is raised if OpenMentions is left out."""
    rest, out = split_sets(corpus, left_out)
    if WHOLE not in rest:
        raise ValueError(
            f"Without {left_out}, {corpus} has no set {WHOLE}. It is the one that marks "
            "mentions of every kind, on which training is validated: keep it, and leave "
            "out others."
        )
    sets = write_unseen(corpus, out, output / "left_out")
    rest_dev = link_sets(dev, rest, output / "rest_dev")
    settings = {
        **overrides,
        "recipe.sources": other_sources(config, overrides, out),
        "paths.train": str(link_sets(corpus, rest, output / "rest")),
        "paths.dev": str(rest_dev / WHOLE),
        "paths.cache": str(cache),
        "system.seed": seed,
    }
    train(config, output / "trained", use_gpu=gpu_id, overrides=settings)
    trained, calibrated = output / "trained/model-last", output / "calibrated"
    print("\n".join(write_thresholds(trained, rest_dev, calibrated, mean_recall)))
    lines, _ = score_mentions([str(calibrated)], sets, output / "metrics", limit)
    print("\n".join(lines))


def other_sources(
    config: Path, overrides: dict[str, Any], left_out: Sequence[str]
) -> Optional[list[str]]:
    """Read the sources of the recipe in a config, without those that are left out."""
    recipe = load_config(config, overrides, interpolate=True).get("recipe", {})
    sources = recipe.get("sources")
    return sources and [name for name in sources if name not in left_out]


def write_unseen(corpus: Path, names: Sequence[str], folder: Path) -> Path:
    """Write some sets of a corpus without the texts that stand in OpenMentions, too."""
    vocab = spacy.blank("en").vocab
    seen = Sides((doc.text, "train") for doc in read_docs(corpus / WHOLE, vocab))
    shutil.rmtree(folder, ignore_errors=True)
    for name in names:
        docs = list(read_docs(corpus / name, vocab))
        unseen = [doc for doc in docs if not seen.find(doc.text)]
        (folder / name).mkdir(parents=True)
        DocBin(docs=unseen).to_disk(folder / name / "000000.spacy")
        print(f"{name}: {len(docs) - len(unseen)} texts stand in {WHOLE}, and do not count")
    return folder


def leave_out_types(
    pipeline: Path,
    output: Path,
    config: Path,
    corpus: Path,
    dev: Path,
    mentions: Path,
    definitions: Path,
    left_out: str,
    cache: Path,
    steps: int,
    seed: int,
    gpu_id: int,
    overrides: dict[str, Any],
) -> str:
    """Train a head of types on the other sets, choose the threshold with the best mean F1
    on the validation texts of those left out, and write a pipeline that has learnt from all
    sets with it.

    RETURNS (str): What was chosen.
    """
    seen, out = split_sets(corpus, left_out)
    nlp = spacy.load(pipeline)
    zeroshot = require_pipe(nlp, "tommer_zeroshot", pipeline)
    types = read_types(definitions)
    sets = {name: labels_of(corpus / name, types) for name in out}
    for name in out:
        find_set(dev, name)
    folder = output.with_name(f"{output.name}_left_out")
    rest = link_sets(corpus, seen, folder / "rest")
    settings = {
        **overrides,
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
    train(config, folder / "student", use_gpu=gpu_id, overrides=settings)
    student = spacy.load(folder / "student" / "model-last")
    zeroshot.threshold, line = choose_type_threshold(student, sets, dev, cache)
    nlp.to_disk(output)
    return line


def split_sets(corpus: Path, left_out: str) -> tuple[list[str], list[str]]:
    """Tell which sets (folders) of a corpus are read, and which are left out."""
    out = left_out.split(",")
    every = sorted(path.name for path in corpus.glob("*/"))
    rest = [name for name in every if name not in out]
    unknown = ", ".join(sorted(set(out) - set(every)))
    if unknown or not rest:
        raise ValueError(
            f"{corpus} {f'has no set {unknown}: it ' if unknown else ''}has "
            f"{', '.join(every) or 'no folders of sets'}. Name some of them, and not all, "
            f"instead of {unknown or left_out}."
        )
    return rest, out


def link_sets(corpus: Path, names: list[str], folder: Path) -> Path:
    """Make a folder with some sets (folders) of a corpus."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).symlink_to((corpus / name).resolve())
    return folder


def labels_of(corpus: Path, types: dict[str, TrainingType]) -> dict[str, str]:
    """Find the labels in spans["entities"] of DocBins, with their names and definitions."""
    found = labels_in(corpus)
    if unknown := found - types.keys():
        raise ValueError(f"{corpus} has labels without a definition: {sorted(unknown)}.")
    return {label: types[label].description for label in sorted(found)}
