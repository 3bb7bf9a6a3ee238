"""Find entity mentions without labels, prompts or generation: ToMMeR for spaCy."""

from pathlib import Path
from typing import Any, Optional, Union

from spacy.language import Language

from .page.render import COLORS, render
from .version import __version__

__all__ = ["COLORS", "__version__", "add", "load", "render"]


# spaCy imports the package for its colours, which need no transformers: these two functions
# import what they need when they are called.


def load(name: Union[str, Path] = "minilm", **settings: Any) -> Language:
    """Load a pipeline that finds mentions.

    name (Union[str, Path]): Name of a shipped model; or a folder with a saved pipeline
        or a released ToMMeR checkpoint (definition.json and parameters).
    settings (Any): `disable`, `exclude` and `config`, as `spacy.load` has them.
    RETURNS (Language): The pipeline: transformer, tommer and tommer_cleaner. ValueError is
        raised where there is none of that name.
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
    """Add transformer, tommer and tommer_cleaner to a pipeline that exists.

    nlp (Language): The pipeline, which is changed.
    name (Union[str, Path]): What `load` takes.
    before (Optional[str]): Component that they stand before; by default they are the last.
    after (Optional[str]): Component that they stand after. The cleaner keeps to the end.
    RETURNS (Language): The same pipeline. ValueError is raised where it has a tommer, or
        where components after the new ones read the hidden states of another transformer.
    """
    from .pipelines import add

    return add(nlp, name, before=before, after=after)
