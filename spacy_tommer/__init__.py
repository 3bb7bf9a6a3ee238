"""Find entity mentions without labels, prompts or generation: ToMMeR for spaCy."""

from pathlib import Path
from typing import Union

from spacy.language import Language

from .page.render import COLORS, render

__all__ = ["COLORS", "load", "render"]


def load(name: Union[str, Path] = "minilm") -> Language:
    """Load a pipeline that finds mentions.

    name (Union[str, Path]): Name of a shipped model; or a folder with a saved pipeline
        or a released ToMMeR checkpoint (definition.json and parameters).
    RETURNS (Language): The pipeline: transformer, tommer and doc_cleaner.
    """
    # spaCy imports the package for its colours, which need no transformers.
    from .pipelines import load

    return load(name)
