"""Train a head on each corpus alone, as teachers of a head that learns from all."""

import shutil
from pathlib import Path

import typer
from spacy.cli.train import train


def train_teachers(
    config: Path,
    corpus: Path,
    dev: Path,
    output: Path,
    cache: Path = Path("cache"),
    steps: int = 4000,
    seed: int = 0,
    gpu_id: int = -1,
) -> None:
    """Train CONFIG for STEPS on each set (folder) of CORPUS.

    The pipelines are written to OUTPUT/SET. Those that are there are kept: an interrupted
    run goes on where it was.
    """
    for folder in sorted(path for path in corpus.iterdir() if path.is_dir()):
        done = output / folder.name
        if done.is_dir():
            continue
        aside = output / f"{folder.name}.part"
        overrides = {
            "paths.train": str(folder),
            "paths.dev": str(dev / folder.name),
            "paths.cache": str(cache),
            "system.seed": seed,
            "training.max_steps": steps,
            "training.eval_frequency": steps,
            "training.optimizer.learn_rate.total_steps": steps,
        }
        train(config, aside, use_gpu=gpu_id, overrides=overrides)
        (aside / "model-last").rename(done)
        shutil.rmtree(aside)


if __name__ == "__main__":
    typer.run(train_teachers)
