"""Score a pipeline on gold mentions."""

import json
from pathlib import Path
from typing import Annotated, Optional

import typer

from ..evaluation.run import evaluate_pipeline
from ..evaluation.sets import find_sets, read_docs
from ..evaluation.tables import describe
from ..files import write_text_aside
from ..page.render import page_parts
from ..pipelines import load


def evaluate(
    pipeline: Annotated[
        str, typer.Argument(help="Name of a shipped model, or the folder of a pipeline.")
    ],
    data: Annotated[
        Path,
        typer.Argument(
            exists=True,
            help="A DocBin, a folder of them, or a folder with a folder for each set.",
        ),
    ],
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", help="JSON file to write.")
    ] = None,
    page: Annotated[
        Optional[Path], typer.Option(help="HTML file to write: the mentions of some texts.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="First texts of each set; 0: all.")] = 0,
    texts_on_page: Annotated[
        int, typer.Option(min=1, help="Texts of each set on the page.")
    ] = 25,
) -> None:
    """Score mentions: exact spans without their labels, nested and flat.

    Gold is doc.spans["mentions"]; texts without that key count as not annotated.
    """
    nlp = load(pipeline)
    sets = find_sets(data)
    results = evaluate_pipeline(nlp, sets, limit, desc=pipeline)
    typer.echo("\n".join(describe(results)))
    if output is not None:
        write_text_aside(output, json.dumps(results, indent=2, ensure_ascii=False))
    if page is not None:
        shown = [read_docs(path, nlp.vocab, texts_on_page) for path in sets.values()]
        texts = (gold.text for golds in shown for gold in golds)
        key = nlp.get_pipe("tommer").spans_key if nlp.has_pipe("tommer") else "mentions"
        write_text_aside(page, "".join(page_parts(nlp.pipe(texts), key)))
