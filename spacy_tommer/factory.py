"""The factory of the `tommer` component, and its default settings."""

from collections.abc import Callable
from typing import Any, Optional

from spacy.language import Language
from spacy.tokens import Doc
from thinc.api import Config, Model
from thinc.types import Ragged

from .component import Tommer
from .decoding.decode import FlatDecoder

default_config = """
[model]
@architectures = "spacy_tommer.Tommer.v1"
unit = "token"
layer = null
rank = null
max_length = 25
hidden = 128
kinds = ["MENTION"]
sources = null

[model.matching]
@layers = "spacy_tommer.ToM.v1"
rank = 64
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
        "operating_points": {},
        "kinds": None,
        "border_rules": True,
        "overwrite_ents": False,
        "decoder": {"@misc": "spacy_tommer.greedy.v1"},
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
    operating_points: dict[str, Any],
    kinds: Optional[list[str]],
    border_rules: bool,
    overwrite_ents: bool,
    decoder: FlatDecoder,
    scorer: Optional[Callable],
) -> Tommer:
    """Construct a Tommer component, which finds entity mentions from the hidden states of a
    transformer. ValueError is raised if no component before it writes hidden states.

    model (Model[List[Doc], List[Ragged]]): The model, which scores spans of units.
    spans_key (str): Key of doc.spans for the mentions, and for gold ones in training.
    label (str): Label of the mentions, in doc.spans and in doc.ents, for a head that does
        not tell kinds.
    threshold (float): Probability that a mention in doc.spans must exceed.
    flat_threshold (Optional[float]): Probability that a mention in doc.ents must exceed: as
        an entity if the head scores these apart, and otherwise as a mention, at least
        `threshold`. With None, doc.ents is not written.
    operating_points (Dict[str, Dict]): Named pairs of both, for `use_thresholds`.
    kinds (Optional[List[str]]): The kinds of mentions to write, of those that the model
        tells apart; by default all but PHRASE.
    border_rules (bool): Whether no mention begins or ends with a bracket, quote, comma,
        colon, semicolon or emoji, or contains a blank line, a table cell, a list item, a
        tag, a part of a date, or a handle or hashtag behind its first token.
    overwrite_ents (bool): Whether mentions replace entities of earlier components.
    decoder (FlatDecoder): The function that picks the mentions of doc.ents:
        spacy_tommer.greedy.v1 or spacy_tommer.best_flat.v1.
    scorer (Optional[Callable]): The scoring method.
    """
    if not any(
        "doc._.trf_data" in nlp.get_pipe_meta(other).assigns
        for other in nlp.component_names
    ):
        raise ValueError(
            f"{name!r} reads hidden states, and no component before it writes any. Add "
            "both to this pipeline, with the head of a shipped model:\n"
            '    spacy_tommer.add(nlp, "minilm")\n'
            "or load a ready pipeline:\n"
            '    nlp = spacy_tommer.load("minilm")\n'
            "or, to train a head of your own, add a transformer first:\n"
            '    nlp.add_pipe("tommer_transformer", "transformer")'
        )
    return Tommer(
        nlp,
        model,
        name,
        spans_key=spans_key,
        label=label,
        threshold=threshold,
        flat_threshold=flat_threshold,
        operating_points=operating_points,
        kinds=kinds,
        border_rules=border_rules,
        overwrite_ents=overwrite_ents,
        decoder=decoder,
        scorer=scorer,
    )
