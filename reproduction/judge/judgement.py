"""Let a chat model judge the spans that pipelines find, the gold ones and random ones."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

import spacy

import spacy_tommer
from spacy_tommer.evaluation.sets import find_sets, read_docs

from ..evaluation.baselines import BASELINES, load_baseline
from .ask import JudgeError, judge_contexts
from .budget import Budget
from .candidates import (
    Docs,
    Key,
    Pool,
    add_found,
    asking_order,
    choose_thresholds,
    draw_sample,
    gold_candidates,
    show,
)
from .control import draw_control
from .judged import write_judged
from .measures import accepted_share, measure_sets
from .prompt import VERSION
from .server import Server, import_openai, read_api_key
from .verdict_tables import write_judgement
from .verdicts import VerdictLog, question_key


@dataclass(frozen=True)
class Sampling:
    """What is judged.

    size (int): Candidates to judge.
    control (float): Random spans, as a share of the sample.
    seed (int): Another seed draws other spans.
    floor (Optional[float]): Probability above which spans are candidates; None for the
        threshold of each pipeline.
    thresholds (tuple[float, ...]): Where to measure; by default see `choose_thresholds`.
    context (int): Characters shown on each side of a span.
    limit (int): First texts of each set; 0 for all.
    """

    size: int = 10000
    control: float = 0.1
    seed: int = 0
    floor: Optional[float] = None
    thresholds: tuple[float, ...] = ()
    context: int = 30
    limit: int = 0


def judge_pipelines(
    names: Iterable[str],
    server: Server,
    budget: Budget,
    sampling: Sampling,
    benchmarks: Path,
    output: Path,
    log: Optional[Path] = None,
) -> dict[str, Any]:
    """Let a judge decide on a sample of spans, and write judge.json, judge.md and judged/.

    names (Iterable[str]): Shipped models, folders of pipelines, or baselines.
    server (Server): The judge.
    budget (Budget): Ceilings of the run.
    sampling (Sampling): What is judged.
    benchmarks (Path): Folder with DocBins of each set.
    output (Path): Folder to write.
    log (Optional[Path]): File of all answers; by default answers.jsonl in the output.
    RETURNS (dict[str, Any]): What `write_judgement` writes.
    RAISES (JudgeError): If the run is stopped, or the server fails for good; the answers so
        far are in the log.
    """
    import_openai()
    read_api_key()
    sets = find_sets(benchmarks)
    seed = sampling.seed
    with open_log(output, log) as answers:
        vocab = spacy.blank("en").vocab
        docs = {
            key: list(read_docs(one, vocab, sampling.limit)) for key, one in sets.items()
        }
        pool, thresholds = find_candidates(docs, names, sampling)
        drawn = draw_sample(pool.values(), sampling.size, seed)
        size = round(sampling.control * len(drawn))
        random_spans = draw_control(docs, pool, drawn, size, seed)
        keys = asking_order([one.key for one in [*drawn, *random_spans]], seed)
        contexts = {key: show_key(docs, key, sampling.context) for key in keys}
        print(f"{len(drawn)} of {len(pool)} candidates, {len(random_spans)} control spans")
        for name, count in answers.models.items():
            print(f"{answers.path} has {count} answers of {name}")
        outcome = judge_contexts(server, contexts.values(), answers, budget)
    if outcome.interrupted:
        raise JudgeError(
            f"Stopped. {outcome.left} questions are left; the same command goes on from "
            "there."
        )
    verdicts = {
        key: answers.verdict(question_key(server.model, server.temperature, shown))
        for key, shown in contexts.items()
    }
    result = {
        "settings": {
            "model": server.model,
            "temperature": server.temperature,
            "instruction": VERSION,
            "context": sampling.context,
            "sample": sampling.size,
            "seed": seed,
            "limit": sampling.limit,
        },
        "run": {
            **asdict(outcome),
            **asdict(budget.spent),
            "cost": budget.cost(budget.spent),
        },
        "control": accepted_share(random_spans, verdicts),
        **measure_sets(thresholds, pool, drawn, verdicts),
    }
    write_judged(output / "judged", docs, drawn, verdicts)
    write_judgement(output, result)
    return result


def open_log(output: Path, log: Optional[Path]) -> VerdictLog:
    """Open the log, and make sure that the tables can be written later."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        return VerdictLog(log or output / "answers.jsonl")
    except OSError as error:
        raise ValueError(f"{error}. Choose another --output or --log.") from error


def show_key(docs: Docs, key: Key, width: int) -> str:
    """Show a span in its context."""
    name, number, start, end = key
    return show(docs[name][number].text, start, end, width)


def find_candidates(
    docs: Docs, names: Iterable[str], sampling: Sampling
) -> tuple[Pool, dict[str, list[Optional[float]]]]:
    """Collect the gold mentions and what pipelines find, and choose thresholds."""
    pool, thresholds = gold_candidates(docs), {}
    for name in names:
        nlp = load_baseline(name) if name in BASELINES else spacy_tommer.load(name)
        least, thresholds[name] = choose_thresholds(
            nlp, sampling.floor, sampling.thresholds
        )
        add_found(pool, docs, nlp, name, least)
    if not pool:
        raise ValueError(
            "There are no candidates: the texts have no gold mentions, and no pipeline "
            "finds any. Lower --floor, or take more texts with --limit."
        )
    return pool, thresholds
