"""Train a head on each corpus alone, as teachers of a head that learns from all."""

import shutil
from pathlib import Path
from typing import Any

from spacy.cli.train import train


def train_teachers(
    config: Path,
    corpus: Path,
    dev: Path,
    output: Path,
    cache: Path,
    steps: int,
    seed: int = 0,
    gpu_id: int = -1,
    overrides: dict[str, Any] | None = None,
) -> None:
    """Train a config on each set (folder) of a corpus, and write the pipelines to a folder
    of each; those that are there are kept."""
    sets = sorted(path for path in corpus.glob("*/"))
    if not sets:
        raise ValueError(f"{corpus} has no folders of sets, and no head can be trained.")
    for folder in sets:
        done = output / folder.name
        if done.is_dir():
            continue
        aside = output / f"{folder.name}.part"
        settings = {
            **(overrides or {}),
            "paths.train": str(folder),
            "paths.dev": str(dev / folder.name),
            "paths.cache": str(cache),
            "system.seed": seed,
            "training.max_steps": steps,
            "training.eval_frequency": steps,
            "training.optimizer.learn_rate.total_steps": steps,
        }
        train(config, aside, use_gpu=gpu_id, overrides=settings)
        (aside / "model-last").rename(done)
        shutil.rmtree(aside)
