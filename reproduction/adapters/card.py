"""The card of an adapter."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from .recipe import Recipe

TEXT = """# LoRA adapter for the types of mentions

Trained with `python -m reproduction adapt`, as in Just Pass Twice (arXiv 2604.05158). The
states of block {layer} tell which of the defined types a mention has. Heads are trained on
them afterwards:

    [components.transformer.model]
    @architectures = "spacy_tommer.Backbone.v1"
    name = "{backbone}"
    layers = [{layer}]
    passes = {passes}
    adapter = "PATH OF THIS FOLDER"

| setting | value |
|---|---|
{rows}
"""


def write_card(folder: Path, recipe: Recipe, about: dict[str, Any]) -> None:
    """Write README.md to the folder of an adapter.

    folder (Path): The folder.
    recipe (Recipe): The settings that it was trained with.
    about (dict[str, Any]): What it was trained on.
    """
    settings = {name.replace("_", " "): value for name, value in asdict(recipe).items()}
    rows = "\n".join(
        f"| {name} | {value} |" for name, value in {**settings, **about}.items()
    )
    text = TEXT.format(**asdict(recipe), rows=rows)
    (folder / "README.md").write_text(text, "utf-8")
