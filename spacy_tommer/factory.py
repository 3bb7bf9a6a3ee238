"""The factory of the `tommer` component, with its defaults."""

from collections.abc import Callable
from typing import Optional

from spacy.language import Language
from spacy.tokens import Doc
from thinc.api import Config, Model
from thinc.types import Ragged

from .component import Tommer

default_config = """
[model]
@architectures = "spacy_tommer.Tommer.v1"
unit = "token"
layer = null
rank = 64
max_length = 25
hidden = 128
matching = "tom"
"""
DEFAULT_MODEL = Config().from_str(default_config)["model"]


@Language.factory(
    "tommer",
    assigns=["doc.spans", "doc.ents"],
    requires=["doc._.trf_data"],
    default_config={
        "model": DEFAULT_MODEL,
        "spans_key": "mentions",
        "label": "MENTION",
        "threshold": 0.5,
        "flat_threshold": 0.9,
        "overwrite_ents": False,
        "scorer": {"@scorers": "spacy_tommer.mention_scorer.v1"},
    },
    default_score_weights={
        "spans_mentions_f": 1.0,
        "spans_mentions_p": 0.0,
        "spans_mentions_r": 0.0,
        "spans_mentions_per_type": None,
        "flat_f": None,
        "flat_p": None,
        "flat_r": None,
    },
)
def make_tommer(
    nlp: Language,
    name: str,
    model: Model[list[Doc], list[Ragged]],
    spans_key: str,
    label: str,
    threshold: float,
    flat_threshold: Optional[float],
    overwrite_ents: bool,
    scorer: Optional[Callable],
) -> Tommer:
    """Construct a Tommer component, which finds the entity mentions of a text in the
    hidden states of a transformer that comes before it.

    model (Model[List[Doc], List[Ragged]]): The model, which scores spans of units.
    spans_key (str): Key of doc.spans for the mentions, and for gold ones in training.
    label (str): Label of the mentions.
    threshold (float): Probability that a mention in doc.spans must exceed.
    flat_threshold (Optional[float]): Probability that one in doc.ents must exceed; None
        leaves doc.ents alone.
    overwrite_ents (bool): Whether mentions win over entities of earlier components.
    scorer (Optional[Callable]): The scoring method.
    """
    if not any(
        "doc._.trf_data" in nlp.get_pipe_meta(other).assigns
        for other in nlp.component_names
    ):
        raise ValueError(
            f"{name!r} reads hidden states, and no component before it gives any. Load "
            "a ready pipeline:\n"
            '    nlp = spacy_tommer.load("minilm")\n'
            "or take both components from it:\n"
            '    for name in ("transformer", "tommer"):\n'
            '        nlp.add_pipe(name, source=spacy_tommer.load("minilm"))\n'
            "or add a transformer first:\n"
            '    nlp.add_pipe("transformer", config={"model": {\n'
            '        "@architectures": "spacy_tommer.Backbone.v1",\n'
            '        "name": "sentence-transformers/all-MiniLM-L6-v2", "layers": [2]}})'
        )
    return Tommer(
        nlp,
        model,
        name,
        spans_key=spans_key,
        label=label,
        threshold=threshold,
        flat_threshold=flat_threshold,
        overwrite_ents=overwrite_ents,
        scorer=scorer,
    )
