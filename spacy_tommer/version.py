"""The version of the package, as its metadata tells it."""

from importlib.metadata import version

__version__ = version("spacy-tommer")
