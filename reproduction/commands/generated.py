"""Compare text that a language model wrote with other text."""

import json
from pathlib import Path
from typing import Annotated

import typer

from spacy_tommer.files import write_text_aside

from ..generated.compare import compare, to_markdown
from ..generated.control import compare_with_corpus
from ..generated.marks import read_marks
from ..generated.passages import FOLDER, to_passage
from ..generated.texts import Writer, read_lines_of, to_lines, write_texts
from .options import Pipelines

Folder = Annotated[Path, typer.Argument(help="Folder of prompts, texts and annotations.")]

app = typer.Typer(no_args_is_help=True, help=__doc__)


@app.command()
def write(
    folder: Folder = FOLDER,
    model: Annotated[
        str, typer.Option(help="Name or folder of a causal language model.")
    ] = "HuggingFaceTB/SmolLM2-135M-Instruct",
    blocks: Annotated[int, typer.Option(min=1, help="How many blocks it has.")] = 30,
) -> None:
    """Let a model answer the prompts of prompts.jsonl, and write texts.jsonl."""
    prompts = read_lines_of(folder / "prompts.jsonl")
    texts = write_texts(Writer(model, blocks), prompts)
    write_text_aside(folder / "texts.jsonl", to_lines(texts))
    print(f"Written: {folder / 'texts.jsonl'}")


@app.command()
def annotate(folder: Folder = FOLDER) -> None:
    """Find the strings of marks.txt in the texts, and write generated.jsonl: the annotated
    passages in the format of OpenMentions."""
    texts = {record["id"]: record for record in read_lines_of(folder / "texts.jsonl")}
    marks = read_marks(
        folder / "marks.txt", {id_: record["text"] for id_, record in texts.items()}
    )
    passages = [to_passage(texts[id_], marks[id_]) for id_ in texts if id_ in marks]
    write_text_aside(folder / "generated.jsonl", to_lines(passages))
    mentions = sum(map(len, marks.values()))
    print(f"{len(passages)} passages, {mentions} mentions: {folder / 'generated.jsonl'}")


@app.command()
def control(folder: Folder = FOLDER) -> None:
    """Compare the marks of control.txt, made without a look at those of OpenMentions, with
    these."""
    result = compare_with_corpus(folder / "control.txt")
    recall, precision, f, kinds = (100 * result[key] for key in ("r", "p", "f", "kinds"))
    print(
        f"{result['passages']} passages: {result['found']} mentions, {result['gold']} in "
        f"the corpus, {result['right']} the same; recall {recall:.1f}, precision "
        f"{precision:.1f}, F1 {f:.1f}; the same kind: {kinds:.1f} %"
    )


@app.command()
def score(
    pipelines: Pipelines,
    folder: Annotated[Path, typer.Option(help="Folder of texts and annotations.")] = FOLDER,
    output: Annotated[Path, typer.Option(help="Folder to write.")] = Path(
        "metrics/generated"
    ),
) -> None:
    """Score pipelines on the annotated passages, and on as many tokens of OpenMentions'
    validation part, written by people and by a model.

    Writes generated.json and generated.md.
    """
    results = compare(pipelines, folder)
    lines = to_markdown(results)
    output.mkdir(parents=True, exist_ok=True)
    write_text_aside(output / "generated.json", json.dumps(results, indent=1) + "\n")
    write_text_aside(output / "generated.md", "\n".join(lines) + "\n")
    print("\n".join(lines))
