"""The page of the server."""

from spacy.language import Language


def make_page(nlp: Language, writes: bool) -> str:
    """Make the page.

    nlp (Language): The pipeline.
    writes (bool): Whether there is a model that writes.
    """
    return "<!doctype html>"
