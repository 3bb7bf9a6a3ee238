"""Let a language model judge the spans that pipelines find, and the gold ones."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Optional

import spacy
import typer

import spacy_tommer
from spacy_tommer.evaluation.sets import find_sets, read_docs

from ..evaluation.baselines import BASELINES, load_baseline
from ..judge.ask import JudgeError, judge_contexts
from ..judge.budget import Budget
from ..judge.candidates import (
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
from ..judge.control import draw_control
from ..judge.judged import write_judged
from ..judge.measures import accepted_share, measure_sets
from ..judge.prompt import VERSION
from ..judge.report import source_table, write_report
from ..judge.server import Server, import_openai, read_api_key
from ..judge.verdicts import VerdictLog, question_key

app = typer.Typer(pretty_exceptions_show_locals=False)
GO_ON = "the same command goes on from there"


@app.command()
def judge(
    pipelines: Annotated[
        Optional[list[str]],
        typer.Argument(help="Shipped models, folders, or baselines such as 'spaCy NER'."),
    ] = None,
    model: Annotated[str, typer.Option(help="The judge.")] = "gpt-4.1-mini",
    base_url: Annotated[
        Optional[str], typer.Option(help="Address of another server, up to /v1.")
    ] = None,
    benchmarks: Path = Path("corpus/benchmarks"),
    output: Path = Path("metrics/judge"),
    log: Annotated[
        Optional[Path], typer.Option(help="All answers; if not set, OUTPUT/answers.jsonl.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="First texts of each set; 0: all.")] = 0,
    sample: Annotated[int, typer.Option(min=1, help="Candidates to judge.")] = 10000,
    control: Annotated[
        float, typer.Option(min=0, max=1, help="Random spans, as a share of the sample.")
    ] = 0.1,
    seed: int = 0,
    floor: Annotated[
        Optional[float],
        typer.Option(
            min=0, max=1, help="Candidates are above it; if not set, the own threshold."
        ),
    ] = None,
    threshold: Annotated[
        Optional[list[float]],
        typer.Option(
            min=0,
            max=1,
            help="Measure at it; may be repeated. If not set: own, 0.1 to 0.9.",
        ),
    ] = None,
    context: Annotated[
        int, typer.Option(min=0, help="Characters shown on each side.")
    ] = 30,
    temperature: Annotated[float, typer.Option(min=0)] = 0.0,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests at a time.")] = 8,
    max_retries: Annotated[int, typer.Option(min=0, help="Of a request that fails.")] = 5,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds.")] = 60.0,
    max_requests: Annotated[
        Optional[int], typer.Option(min=0, help="Ceiling of this run, with retries.")
    ] = None,
    max_tokens: Annotated[
        Optional[int], typer.Option(min=0, help="Ceiling of this run, both ways.")
    ] = None,
    max_cost: Annotated[
        Optional[float], typer.Option(min=0, help="Ceiling of this run.")
    ] = None,
    input_price: Annotated[
        float, typer.Option(min=0, help="Of a million tokens of questions.")
    ] = 0.0,
    output_price: Annotated[
        float, typer.Option(min=0, help="Of a million tokens of answers.")
    ] = 0.0,
) -> None:
    """Ask MODEL about a sample of the spans that PIPELINES find in BENCHMARKS, of the gold
    ones and of random ones. The API key is read from OPENAI_API_KEY.

    Writes judge.json, judge.md and the DocBins of judged/ to OUTPUT. The answers are kept
    in LOG, and no question in it is asked again: the same command goes on where a killed
    run stopped.
    """
    server = Server(model, base_url, temperature, concurrency, max_retries, timeout)
    settings = {
        "model": model,
        "temperature": temperature,
        "instruction": VERSION,
        "context": context,
        "sample": sample,
        "seed": seed,
        "limit": limit,
    }
    try:
        import_openai()
        read_api_key()
        budget = Budget(max_requests, max_tokens, max_cost, input_price, output_price)
        sets = find_sets(benchmarks)
        with open_log(output, log) as answers:
            vocab = spacy.blank("en").vocab
            docs = {key: list(read_docs(one, vocab, limit)) for key, one in sets.items()}
            pool, thresholds = find_candidates(docs, pipelines or [], floor, threshold)
            drawn = draw_sample(pool.values(), sample, seed)
            size = round(control * len(drawn))
            random_spans = draw_control(docs, pool, drawn, size, seed)
            keys = asking_order([one.key for one in [*drawn, *random_spans]], seed)
            contexts = {key: show_key(docs, key, context) for key in keys}
            print(
                f"{len(drawn)} of {len(pool)} candidates, {len(random_spans)} control spans"
            )
            for name, count in answers.models.items():
                print(f"{answers.path} has {count} answers of {name}")
            outcome = judge_contexts(server, contexts.values(), answers, budget)
        if outcome.interrupted:
            raise JudgeError(f"Stopped. {outcome.left} questions are left; {GO_ON}.")
        verdicts = {
            key: answers.verdict(question_key(model, temperature, shown))
            for key, shown in contexts.items()
        }
        result = {
            "settings": settings,
            "run": {
                **asdict(outcome),
                **asdict(budget.spent),
                "cost": budget.cost(budget.spent),
            },
            "control": accepted_share(random_spans, verdicts),
            **measure_sets(thresholds, pool, drawn, verdicts),
        }
        write_judged(output / "judged", docs, drawn, verdicts)
        write_report(output, result)
    except (ImportError, JudgeError, OSError, ValueError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
    print("\n".join(source_table(result)))
    print(describe_run(result["run"]))
    print(f"All tables: {output / 'judge.md'}")


def open_log(output: Path, log: Optional[Path]) -> VerdictLog:
    """Open the log, and make sure that reports can be written later."""
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
    docs: Docs,
    names: Iterable[str],
    floor: Optional[float],
    wanted: Optional[Sequence[float]],
) -> tuple[Pool, dict[str, list[Optional[float]]]]:
    """Collect the gold mentions and what pipelines find, and choose thresholds."""
    pool, thresholds = gold_candidates(docs), {}
    for name in names:
        nlp = load_baseline(name) if name in BASELINES else spacy_tommer.load(name)
        least, thresholds[name] = choose_thresholds(nlp, floor, wanted or ())
        add_found(pool, docs, nlp, name, least)
    if not pool:
        raise ValueError(
            "There are no candidates: the texts have no gold mentions, and no pipeline "
            "finds any. Lower --floor, or take more texts with --limit."
        )
    return pool, thresholds


def describe_run(run: dict[str, Any]) -> str:
    """Say what a run used and what is left."""
    lines = [
        f"{run['requests']} requests, {run['input']} tokens of questions, {run['output']} "
        f"of answers, cost {run['cost']:.4f}."
    ]
    if run["estimated"]:
        lines.append(
            f"{run['estimated']} answers came without usage; theirs is estimated, at most."
        )
    if run["ceiling"]:
        lines.append(
            f"The ceiling {run['ceiling']} is reached: {run['left']} questions are left; "
            f"{GO_ON}."
        )
    return "\n".join(lines)


if __name__ == "__main__":
    app()
