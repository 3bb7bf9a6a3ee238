"""SpanStates.v1: the reducer of ToMMeR's span classifier, with its hidden layer."""

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


def SpanStates(hidden_size: int = 1024, mean: bool = True) -> Model[Ragged, Floats2d]:
    """Build a reducer that joins the states at both edges of each span and puts a hidden
    layer over them (section 5).

    hidden_size (int): Hidden units.
    mean (bool): Whether the mean of the states inside the span is joined, too, which the
        paper does not do.
    RETURNS (Model[Ragged, Floats2d]): The model.
    """
    parts = [reduce_first(), reduce_last()] + ([reduce_mean()] if mean else [])
    return chain(
        concatenate(*parts), LayerNorm(), Dropout(), Swish(nO=hidden_size), Dropout()
    )
