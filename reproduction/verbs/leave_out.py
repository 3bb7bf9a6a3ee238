"""Train the recipe of the shipped heads without some corpora, and score it on these."""

import shutil
from pathlib import Path

import typer
from spacy.cli.train import train

from .annotate import annotate_corpus
from .calibrate import calibrate
from .evaluate import evaluate


def split_sets(corpus: Path, left_out: str) -> tuple[list[str], list[str]]:
    """Tell which sets (folders) of a corpus are read, and which are left out."""
    out = left_out.split(",")
    every = sorted(path.name for path in corpus.glob("*/"))
    rest = [name for name in every if name not in out]
    unknown = ", ".join(sorted(set(out) - set(every)))
    if unknown or not rest:
        raise typer.BadParameter(
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


def leave_out(
    config: Path,
    corpus: Path,
    dev: Path,
    teachers: Path,
    left_out: str,
    output: Path,
    cache: Path = Path("cache"),
    gold_share: float = 0.3,
    limit: int = 1000,
    seed: int = 0,
    gpu_id: int = -1,
) -> None:
    """Train CONFIG on the sets of CORPUS but for LEFT_OUT, as the heads that ship are: on
    the mean probability of TEACHERS (a pipeline for each set), without those of LEFT_OUT,
    and with thresholds from the other sets of DEV. Score it on the first LIMIT texts of
    each left-out set, and write the pipeline and the tables to OUTPUT.

    LEFT_OUT lists names of sets, separated by commas.
    """
    rest, out = split_sets(corpus, left_out)
    targets = output / "targets"
    annotate_corpus(
        link_sets(corpus, rest, output / "rest"),
        targets,
        [teachers / name for name in rest],
        cache,
        purpose="targets",
        gold_share=gold_share,
    )
    rest_dev = link_sets(dev, rest, output / "rest_dev")
    overrides = {
        "paths.train": str(targets),
        "paths.dev": str(rest_dev),
        "paths.cache": str(cache),
        "system.seed": seed,
    }
    train(config, output / "student", use_gpu=gpu_id, overrides=overrides)
    calibrate(output / "student" / "model-last", rest_dev, output / "calibrated")
    evaluate(
        [str(output / "calibrated")],
        link_sets(corpus, out, output / "left_out"),
        output / "metrics",
        limit,
    )


if __name__ == "__main__":
    typer.run(leave_out)
