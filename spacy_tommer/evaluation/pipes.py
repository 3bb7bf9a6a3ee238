"""Get a component of a pipeline that a user named."""

from pathlib import Path
from typing import Any, Union

from spacy.language import Language


def require_pipe(nlp: Language, name: str, origin: Union[Path, str]) -> Any:
    """Get a component.

    name (str): Name of the component.
    origin (Union[Path, str]): Where the pipeline is from, for the error.
    RETURNS (Any): The component.
    RAISES (ValueError): If there is none.
    """
    if not nlp.has_pipe(name):
        raise ValueError(
            f"The pipeline {origin} has no component {name!r}. It has "
            f"{', '.join(nlp.pipe_names) or 'none'}: name another pipeline."
        )
    return nlp.get_pipe(name)
