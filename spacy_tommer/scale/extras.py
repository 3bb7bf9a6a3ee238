"""Packages of the extras, which are imported only where they are used."""

import importlib
from typing import Any


def need(package: str, extra: str) -> Any:
    """Import a package of an extra.

    package (str): Its name, such as "pyarrow.parquet".
    extra (str): The extra of spacy_tommer that brings it.
    RETURNS (Any): The module. ImportError is raised if it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(
            f"This needs {package.partition('.')[0]}, which cannot be imported ({error}). "
            f'Install it: pip install "spacy-tommer[{extra}]"'
        ) from error
