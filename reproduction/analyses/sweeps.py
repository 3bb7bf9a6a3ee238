"""Sweeps: train and score heads that differ in one setting, from cached states."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Optional

from spacy.language import Language
from spacy.training.initialize import init_nlp
from spacy.training.loop import train
from spacy.util import load_config
from torch import nn
from tqdm import tqdm

from spacy_tommer.backbone.language_model import find_blocks
from spacy_tommer.component import Tommer
from spacy_tommer.evaluation.calibration import CANDIDATES, f1_threshold
from spacy_tommer.evaluation.means import mean
from spacy_tommer.evaluation.protocol import open_cache, score_docs, score_examples
from spacy_tommer.evaluation.run import threshold_free
from spacy_tommer.evaluation.sets import find_sets, read_docs
from spacy_tommer.files import write_text_aside
from spacy_tommer.head.matching import SLOTS
from spacy_tommer.head.model import get_head
from spacy_tommer.training.corpus import CachedCorpus

from ..evaluation.plots import new_figure
from .plans import Plan, Run, read_plan
from .sweep_tables import write_sweep

# Validation texts that spaCy scores on the way; all of them choose the threshold.
PROGRESS_TEXTS = 50


def overrides(plan: Plan, run: Run, cache: Path) -> dict[str, Any]:
    """Say what a run changes in the training config.

    cache (Path): The folder of the cache.
    RETURNS (dict[str, Any]): New values by the dotted names of their places.
    """
    backbone = plan.backbones[run.backbone]
    layers = {
        "tom": backbone["layers"],
        "ltqk": [run.layer],
        "lcattn": list(range(run.layer + 1)),
    }
    return {
        **plan.overrides,
        "paths.train": str(plan.train),
        "paths.dev": str(plan.dev),
        "paths.cache": str(cache),
        "system.seed": run.seed,
        "corpora.train.limit": run.texts,
        "corpora.dev.limit": PROGRESS_TEXTS,
        "components.transformer.model.name": backbone["name"],
        "components.transformer.model.layers": layers[run.matching],
        "components.transformer.model.passes": backbone.get("passes", 1),
        "components.transformer.model.attention": SLOTS[run.matching].attention,
        "components.tommer.model.layer": run.layer,
        "components.tommer.model.rank": run.rank,
        "components.tommer.model.matching": run.matching,
        "training.max_steps": plan.steps,
        "training.eval_frequency": plan.steps,
        "training.optimizer.learn_rate.total_steps": plan.steps,
    }


def train_head(
    plan: Plan,
    run: Run,
    cache: Path,
    head: Optional[nn.Module] = None,
    changes: Optional[dict[str, Any]] = None,
    gpu_id: int = -1,
) -> Language:
    """Train the head of a run.

    cache (Path): The folder of the cache.
    head (Optional[nn.Module]): A head to train in place of the run's own; it maps vectors
        and lengths to logits as MentionHead does.
    changes (Optional[dict[str, Any]]): Further changes to the training config.
    gpu_id (int): The GPU, or -1.
    RETURNS (Language): The pipeline, with the weights of the last step.
    """
    settings = {**overrides(plan, run, cache), **(changes or {})}
    config = load_config(plan.config, settings, interpolate=False)
    nlp = init_nlp(config, use_gpu=gpu_id)
    if head is not None:
        nlp.get_pipe("tommer").model.shims[0]._model = head
    train(nlp, None, use_gpu=gpu_id)
    return nlp


def score_run(plan: Plan, run: Run, cache: Path, nlp: Language) -> dict[str, Any]:
    """Score the head of a run on the benchmarks.

    cache (Path): The folder of the cache.
    nlp (Language): What `train_head` returned.
    RETURNS (dict[str, Any]): The row of the run: its settings; the "parameters" of the
        head, and of the "blocks" of the backbone that it takes; plain means over the
        benchmarks at each of the "thresholds", and for "greedy" decoding at the
        "flat_threshold" that is best on the validation texts; "average_precision",
        "precision_at_recall" and "curve"; the measures of each of the "sets", and those on
        the validation texts, "dev", by which a setting may be chosen.
    """
    tommer: Tommer = nlp.get_pipe("tommer")
    unit = tommer.model.attrs["unit"]
    examples = CachedCorpus(plan.dev, cache, unit=unit)(nlp)
    both_dev = score_examples(tommer, examples, CANDIDATES)
    tommer.flat_threshold = f1_threshold({"dev": both_dev[1]})
    states = open_cache(nlp, cache)
    sets = find_sets(plan.benchmarks)
    scored = {}
    for name, folder in sets.items():
        docs = read_docs(folder, nlp.vocab, plan.sentences)
        scored[name] = score_docs(nlp, docs, thresholds=plan.thresholds, states=states)
    flat = {name: both[1].at(tommer.flat_threshold) for name, both in scored.items()}
    nested = [both[0] for both in scored.values()]
    shim = nlp.get_pipe("transformer").model.shims[0]
    return {
        **asdict(run),
        "parameters": sum(p.numel() for p in get_head(tommer.model).parameters()),
        "blocks": sum(
            p.numel()
            for block in find_blocks(shim.cut.network)[: run.layer + 1]
            for p in block.parameters()
        ),
        "thresholds": {
            str(threshold): mean([corpus.at(threshold) for corpus in nested])
            for threshold in plan.thresholds
        },
        "flat_threshold": tommer.flat_threshold,
        "greedy": mean(list(flat.values())),
        **threshold_free(nested),
        "dev": {
            "greedy": both_dev[1].at(tommer.flat_threshold),
            "average_precision": both_dev[0].average_precision(),
        },
        "sets": {
            name: {
                "average_precision": both[0].average_precision(),
                "greedy": flat[name],
            }
            for name, both in scored.items()
        },
    }


def run_one(plan: Plan, run: Run, cache: Path, gpu_id: int = -1) -> dict[str, Any]:
    """Train and score the head of a run.

    cache (Path): The folder of the cache.
    gpu_id (int): The GPU, or -1.
    RETURNS (dict[str, Any]): What `score_run` returns, the digest of the "plan", and the
        "seconds" that it took.
    """
    start = time.perf_counter()
    nlp = train_head(plan, run, cache, gpu_id=gpu_id)
    row = score_run(plan, run, cache, nlp)
    seconds = round(time.perf_counter() - start, 1)
    return {"plan": plan.digest(run), **row, "seconds": seconds}


def do_sweep(path: Path, output: Path, cache: Path, gpu_id: int = -1) -> None:
    """Do the runs of a plan one after the other, and write the table and the figures anew
    after each.

    path (Path): The YAML file of the plan.
    output (Path): Folder to write. Rows that are in it are kept.
    cache (Path): The folder of the cache.
    gpu_id (int): The GPU, or -1.
    """
    plan = read_plan(path)
    new_figure((1, 1))  # no work before it is known that its figures can be drawn
    folder = output / "rows"
    folder.mkdir(parents=True, exist_ok=True)
    runs = plan.runs()
    kept = {run: read_row(folder, plan, run) for run in runs}
    rows = {run: row for run, row in kept.items() if row is not None}
    for run in (progress := tqdm(runs, unit=" runs")):
        if run in rows:
            continue
        progress.set_description(run.key)
        rows[run] = run_one(plan, run, cache, gpu_id)
        write_text_aside(folder / f"{run.key}.json", json.dumps(rows[run]))
        write_sweep(output, plan, rows)
    write_sweep(output, plan, rows)


def read_row(folder: Path, plan: Plan, run: Run) -> Optional[dict[str, Any]]:
    """Read the row of a run.

    folder (Path): The folder of the rows.
    RETURNS (Optional[dict[str, Any]]): What `run_one` returned; None where there is no row,
        or one of another plan.
    """
    return load_row(folder / f"{run.key}.json", plan.digest(run))


def load_row(path: Path, digest: str) -> Optional[dict[str, Any]]:
    """Load a row from its file.

    path (Path): The file, which need not exist.
    digest (str): The digest of the plan.
    RETURNS (Optional[dict[str, Any]]): The row; None where there is none of this plan.
    """
    row = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return row if row.get("plan") == digest else None
