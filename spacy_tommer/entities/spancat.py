"""Layers for spaCy's span categorizer: hidden states as its tok2vec (TokenStates.v1), and
the reducer of ToMMeR's span classifier (SpanStates.v1, section 5)."""

from collections.abc import Callable, Sequence
from typing import Any, Optional

from spacy.tokens import Doc
from thinc.api import (
    Dropout,
    LayerNorm,
    Model,
    Swish,
    chain,
    concatenate,
    reduce_first,
    reduce_last,
    reduce_mean,
)
from thinc.types import Floats2d, Ragged

from ..backbone.states import read_states


def TokenStates(layer: Optional[int] = None) -> Model[list[Doc], list[Floats2d]]:
    """Build a model that reads one state per token from `doc._.trf_data`. It has no
    weights, and no gradient flows through it.

    layer (Optional[int]): The block that is read, counted from 0; by default the last
        one that the transformer writes.
    RETURNS (Model[List[Doc], List[Floats2d]]): The model. For each Doc it returns the state
        of every token's last wordpiece, and zeros for a token without one. (T, d)
    """
    return Model(
        "token_states", forward, init=init, dims={"nO": None}, attrs={"layer": layer}
    )


def init(model: Model, X: Optional[Sequence[Doc]] = None, Y: Any = None) -> None:
    """Set the width to that of the states of the Docs."""
    if not model.has_dim("nO"):
        carrying = (doc for doc in X or () if len(doc) and doc._.trf_data is not None)
        doc = next(carrying, None)
        if doc is None:
            raise ValueError(
                "The Docs of the training corpus carry no hidden states, and the component "
                "needs their width. Read the corpus with the reader that adds them:\n"
                "    [corpora.train]\n"
                '    @readers = "spacy_tommer.CachedCorpus.v1"'
            )
        model.set_dim("nO", read_states(doc, model.attrs["layer"]).dataXd.shape[1])


def forward(
    model: Model, docs: Sequence[Doc], is_train: bool
) -> tuple[list[Floats2d], Callable]:
    """Read the states of Docs."""
    return [token_states(model, doc) for doc in docs], lambda d_states: list(docs)


def token_states(model: Model, doc: Doc) -> Floats2d:
    """Read the states of one Doc, one row per token.

    model (Model): A model of the architecture TokenStates.v1.
    doc (Doc): The Doc. ValueError is raised if the width of its states is not the model's.
    RETURNS (Floats2d): The states. (T, d)
    """
    states = read_states(doc, model.attrs["layer"])
    rows = model.ops.alloc2f(len(doc), model.get_dim("nO"))
    if len(states.dataXd):
        if states.dataXd.shape[1] != rows.shape[1]:
            raise ValueError(
                f"The component reads states of width {rows.shape[1]}, and the transformer "
                f"writes {states.dataXd.shape[1]}. Use the backbone that the component was "
                "trained on in [components.transformer.model]."
            )
        rows[model.ops.asarray(states.lengths > 0)] = model.ops.asarray2f(states.dataXd)
    return rows


def SpanStates(hidden_size: int = 1024, mean: bool = True) -> Model[Ragged, Floats2d]:
    """Build a reducer that concatenates the states at both edges of each span and applies a
    hidden layer (section 5).

    hidden_size (int): Hidden units.
    mean (bool): Whether the mean of the states inside the span is also concatenated. The
        paper does not do this.
    RETURNS (Model[Ragged, Floats2d]): The model.
    """
    parts = [reduce_first(), reduce_last()] + ([reduce_mean()] if mean else [])
    return chain(
        concatenate(*parts), LayerNorm(), Dropout(), Swish(nO=hidden_size), Dropout()
    )
