"""Let a chat model judge what pipelines find."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from ..judge.budget import Budget
from ..judge.judgement import Sampling, judge_pipelines
from ..judge.server import Server
from ..judge.verdict_tables import describe_usage, source_table
from . import options

Ceiling = "Ceiling of this run"


def judge(
    pipelines: Annotated[
        Optional[list[str]],
        typer.Argument(help="Shipped models, folders, or baselines such as 'spaCy NER'."),
    ] = None,
    model: Annotated[str, typer.Option(help="The judge.")] = "gpt-4.1-mini",
    base_url: Annotated[
        Optional[str], typer.Option(help="Address of another server, up to /v1.")
    ] = None,
    benchmarks: options.Benchmarks = Path("corpus/benchmarks"),
    output: Annotated[Path, typer.Option(help="Folder to write.")] = Path("metrics/judge"),
    log: Annotated[
        Optional[Path], typer.Option(help="All answers; if not set, OUTPUT/answers.jsonl.")
    ] = None,
    limit: options.Limit = 0,
    sample: Annotated[int, typer.Option(min=1, help="Candidates to judge.")] = 10000,
    control: Annotated[
        float, typer.Option(min=0, max=1, help="Random spans, as a share of the sample.")
    ] = 0.1,
    seed: options.Seed = 0,
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
    temperature: Annotated[float, typer.Option(min=0, help="Of the judge.")] = 0.0,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests at a time.")] = 8,
    max_retries: Annotated[int, typer.Option(min=0, help="Of a request that fails.")] = 5,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds.")] = 60.0,
    max_requests: Annotated[
        Optional[int], typer.Option(min=0, help=f"{Ceiling}, with retries.")
    ] = None,
    max_tokens: Annotated[
        Optional[int], typer.Option(min=0, help=f"{Ceiling}, both ways.")
    ] = None,
    max_cost: Annotated[Optional[float], typer.Option(min=0, help=f"{Ceiling}.")] = None,
    input_price: Annotated[
        float, typer.Option(min=0, help="Of a million tokens of questions.")
    ] = 0.0,
    output_price: Annotated[
        float, typer.Option(min=0, help="Of a million tokens of answers.")
    ] = 0.0,
) -> None:
    """Let a chat model judge what pipelines find (section 4.2).

    It is asked about a sample of that, of gold mentions and of random spans. The API key is
    read from OPENAI_API_KEY. Writes judge.json, judge.md and the DocBins of judged/. All
    answers are kept, and no question is asked again: the same command goes on where a
    killed run stopped.
    """
    result = judge_pipelines(
        pipelines or [],
        Server(model, base_url, temperature, concurrency, max_retries, timeout),
        Budget(max_requests, max_tokens, max_cost, input_price, output_price),
        Sampling(sample, control, seed, floor, tuple(threshold or ()), context, limit),
        benchmarks,
        output,
        log,
    )
    print("\n".join([*source_table(result), *describe_usage(result["run"])]))
    print(f"All tables: {output / 'judge.md'}")
