"""Find entity mentions without labels, prompts or generation: ToMMeR for spaCy."""

from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

from spacy.language import Language

from .page.colors import COLORS
from .page.render import render
from .streaming.event import Event
from .version import __version__

if TYPE_CHECKING:
    from .streaming.batcher import Chunks
    from .streaming.mention_streamer import MentionStreamer
    from .streaming.passages import Mask
    from .streaming.stream import Stream, Streams

__all__ = [
    "COLORS",
    "Event",
    "MentionStreamer",
    "__version__",
    "add",
    "astream",
    "load",
    "redact",
    "render",
    "stream",
    "streams",
]


# spaCy imports the package for its colours, which do not need transformers. So what needs
# it is imported only when it is used.


def load(name: Union[str, Path] = "minilm", **settings: Any) -> Language:
    """Load a pipeline that finds mentions.

    name (Union[str, Path]): Name of a shipped model; or a folder with a saved pipeline
        or a released ToMMeR checkpoint (definition.json and parameters).
    settings (Any): `disable`, `exclude` and `config`, as for `spacy.load`; `thresholds`,
        the name of a pair of them, "balanced" or "recall"; `precision`, "float32",
        "bfloat16", "int8" or "auto"; and `lang`, the code of the tokenizer's language.
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


def stream(nlp: Language, *, stride: Optional[int] = None) -> "Stream":
    """Find mentions in a text while it is being written.

    nlp (Language): The pipeline. Only its transformer and tommer run. ValueError is raised
        if it lacks one of them, or if a component before them has a part in doc.ents.
    stride (Optional[int]): How many new tokens the text has before it is read again; by
        default 1 for a causal backbone, which reads the new ones only, and 16 for others.
    RETURNS (Stream): Takes the text by `push(chunk)`, and returns events. `close()` ends
        it.
    """
    from .streaming.stream import Stream

    return Stream(nlp, stride)


def streams(
    nlp: Language, *, limit: int, stride: Optional[int] = None, passages: bool = False
) -> "Streams":
    """Find mentions in several texts at once while they are being written.

    nlp (Language): The pipeline, as for `stream`.
    limit (int): How many texts may be open at once.
    stride (Optional[int]): As for `stream`.
    passages (bool): Whether passages are kept, whose mentions can be replaced.
    RETURNS (Streams): Takes the texts by `open(key)`, `push({key: chunk, ...})` and
        `close(key)`.
    """
    from .streaming.stream import Streams

    return Streams(nlp, limit, stride, passages)


def astream(
    nlp: Language, chunks: "Chunks", *, stride: Optional[int] = None
) -> AsyncIterator[Event]:
    """Find mentions in a text while it is being written, with asyncio.

    nlp (Language): The pipeline, as for `stream`.
    chunks (Union[AsyncIterable[str], Iterable[str]]): The text, in pieces.
    stride (Optional[int]): As for `stream`.
    RETURNS (AsyncIterator[Event]): The events.
    """
    from .streaming.stream import Streams

    return Streams(nlp, 1, stride).astream(chunks)


def redact(
    nlp: Language,
    chunks: Iterable[str],
    mask: "Mask" = "[{label}]",
    *,
    stride: Optional[int] = None,
) -> Iterator[str]:
    """Replace the mentions of a text while it is being written. Text is handed out when
    nothing behind it can change its mentions.

    nlp (Language): The pipeline, as for `stream`.
    chunks (Iterable[str]): The text, in pieces.
    mask (Union[str, Callable[[Event], str]]): What replaces a mention: a text with fields
        of its event, or a function of the event. ValueError is raised for unknown fields.
    stride (Optional[int]): As for `stream`.
    RETURNS (Iterator[str]): The text without its mentions, in pieces.
    """
    from .streaming.redaction import redact

    return redact(nlp, chunks, mask, stride)


def __getattr__(name: str) -> Any:
    """Import MentionStreamer, which needs transformers, at its first use."""
    if name == "MentionStreamer":
        from .streaming.mention_streamer import MentionStreamer

        return MentionStreamer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
