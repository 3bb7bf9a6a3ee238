"""Find entity mentions without labels, prompts or generation: ToMMeR for spaCy."""

from pathlib import Path
from typing import Any, Optional, Union

from spacy.language import Language

from .page.colors import COLORS
from .page.render import render
from .version import __version__

__all__ = ["COLORS", "__version__", "add", "load", "render"]


# spaCy imports the package for its colours, which do not need transformers. So these two
# functions import it only when they are called.


def load(name: Union[str, Path] = "minilm", **settings: Any) -> Language:
    """Load a pipeline that finds mentions.

    name (Union[str, Path]): Name of a shipped model; or a folder with a saved pipeline
        or a released ToMMeR checkpoint (definition.json and parameters).
    settings (Any): `disable`, `exclude` and `config`, as for `spacy.load`.
    RETURNS (Language): The pipeline: transformer, tommer and tommer_cleaner. ValueError is
        raised if no model or folder has this name, or if its files are damaged.
    """
    from .pipelines import load

    return load(name, **settings)


def add(
    nlp: Language,
    name: Union[str, Path] = "minilm",
    *,
    before: Optional[str] = None,
    after: Optional[str] = None,
) -> Language:
    """Add transformer, tommer and tommer_cleaner to an existing pipeline.

    nlp (Language): The pipeline, changed in place.
    name (Union[str, Path]): Name of a shipped model, or a folder, as for `load`.
    before (Optional[str]): Component to insert them before; by default they are the last.
    after (Optional[str]): Component to insert them after. The cleaner is always the last.
    RETURNS (Language): The same pipeline. ValueError is raised if it has a tommer, or if
        components after the new ones read the hidden states of another transformer.
    """
    from .pipelines import add

    return add(nlp, name, before=before, after=after)
