"""Get a component that a command needs."""

from pathlib import Path
from typing import Any, Union

from spacy.language import Language


def require_pipe(nlp: Language, name: str, origin: Union[Path, str]) -> Any:
    """Get a component of a pipeline.

    name (str): Name of the component. ValueError is raised if the pipeline lacks it.
    origin (Union[Path, str]): Name or folder of the pipeline, for the error message.
    """
    if not nlp.has_pipe(name):
        raise ValueError(
            f"The pipeline {origin} has no component {name!r}. It has "
            f"{', '.join(nlp.pipe_names) or 'none'}: name another pipeline."
        )
    return nlp.get_pipe(name)
