"""The `transformer` pipe of spacy-transformers, with batches of bounded size in tokens."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Optional, Union

from spacy.language import Language
from spacy.tokens import Doc
from spacy_transformers import Transformer
from spacy_transformers.pipeline_component import DEFAULT_CONFIG
from thinc.api import Config, Model

from ..seals import Sealed
from .model import is_backbone, read_at

# The weights in the folder of a saved pipe.
WEIGHTS = "backbone.safetensors"
# Most tokens whose states are in memory at once. A longer Doc makes a batch of its own.
BATCH_TOKENS = 16384
# Most texts of one stream whose states are in memory at once.
BATCH_DOCS = 256

default_config = """
[model]
@architectures = "spacy_tommer.Backbone.v1"
name = "sentence-transformers/all-MiniLM-L6-v2"
layers = [2]
"""
DEFAULT_MODEL = Config().from_str(default_config)["model"]


@Language.factory(
    "tommer_transformer",
    assigns=["doc._.trf_data"],
    default_config={**DEFAULT_CONFIG["transformer"], "model": DEFAULT_MODEL},
)
def make_transformer(nlp, name, model, set_extra_annotations, max_batch_items):
    """Construct a transformer pipe with the settings of spacy-transformers."""
    return TokenBatchedTransformer(
        nlp.vocab,
        model,
        set_extra_annotations,
        name=name,
        max_batch_items=max_batch_items,
    )


class TokenBatchedTransformer(Sealed, Transformer):
    """Annotate many short Docs at once, so that windows of similar length run together,
    and few long Docs, whose states would fill the memory.

    The weights of Backbone.v1 are saved in a file of their own, beside the model, and
    mapped into memory from there, so that nothing is copied and processes share them."""

    def to_disk(self, path: Union[str, Path], *, exclude: Iterable[str] = ()) -> None:
        """Save the component to a folder. `exclude` names parts that are not saved."""
        with weights_file(self.model, Path(path)):
            super().to_disk(path, exclude=exclude)

    def from_disk(self, path: Union[str, Path], *, exclude: Iterable[str] = ()) -> Any:
        """Load the component from a folder. `exclude` names parts that are not loaded."""
        with weights_file(self.model, Path(path)):
            return super().from_disk(path, exclude=exclude)

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Annotate a stream of Docs.

        stream (Iterable[Doc]): The Docs.
        batch_size (int): Most Docs in a batch.
        YIELDS (Doc): The Docs, in order.
        """
        for docs in batch_by_tokens(stream, batch_size):
            yield from super().pipe(docs, batch_size=len(docs))


def weights_file(model: Model, folder: Path) -> AbstractContextManager[None]:
    """Let a model keep its weights in a file of a folder, if it is of Backbone.v1."""
    if is_backbone(model):
        return model.shims[0].beside(folder / WEIGHTS)
    return nullcontext()


def annotate_at(
    stream: Iterable[Doc], transformer: Transformer, layer: Optional[int]
) -> Iterator[Doc]:
    """Annotate a stream of Docs with the states at one block. It may be deeper than those
    that the pipe returns, if its model is Backbone.v1.

    stream (Iterable[Doc]): The Docs.
    transformer (Transformer): The pipe whose model computes the states.
    layer (Optional[int]): The block, counted from 0; by default the last.
    YIELDS (Doc): The Docs, in order.
    """
    if not is_backbone(transformer.model):
        yield from transformer.pipe(stream, batch_size=BATCH_DOCS)
        return
    for docs in batch_by_tokens(stream, BATCH_DOCS):
        for doc, data in zip(docs, read_at(transformer.model, docs, layer)):
            doc._.trf_data = data
            yield doc


def batch_by_tokens(stream: Iterable[Doc], batch_size: int) -> Iterator[list[Doc]]:
    """Split a stream of Docs into batches of bounded size in Docs and in tokens.

    stream (Iterable[Doc]): The Docs.
    batch_size (int): Most Docs in a batch.
    YIELDS (list[Doc]): A batch. A Doc with too many tokens makes a batch of its own.
    """
    docs: list[Doc] = []
    tokens = 0
    for doc in stream:
        if docs and tokens + len(doc) > BATCH_TOKENS:
            yield docs
            docs, tokens = [], 0
        docs.append(doc)
        tokens += len(doc)
        if len(docs) >= batch_size:
            yield docs
            docs, tokens = [], 0
    if docs:
        yield docs
