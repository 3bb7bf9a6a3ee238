"""The factory of the `tommer_zeroshot` component, and its default settings."""

from collections.abc import Callable
from typing import Optional, Union

from spacy.language import Language
from spacy_transformers import Transformer
from thinc.api import Config, Model
from thinc.types import Floats2d

from .component import ZeroShot
from .model import TypeQuestion

default_config = """
[model]
@architectures = "spacy_tommer.TypeScorer.v1"
layer = null
definition_layer = null
hidden = 512
"""
DEFAULT_MODEL = Config().from_str(default_config)["model"]


@Language.factory(
    "tommer_zeroshot",
    assigns=["doc.spans", "doc.ents"],
    requires=["doc._.trf_data", "doc.spans"],
    default_config={
        "model": DEFAULT_MODEL,
        "labels": [],
        "mentions_key": "mentions",
        "spans_key": "entities",
        "threshold": None,
        "keep_untyped": False,
        "overwrite_ents": False,
        "scorer": {"@scorers": "spacy_tommer.entity_scorer.v1"},
    },
    default_score_weights={
        "ents_f": 1.0,
        "ents_p": 0.0,
        "ents_r": 0.0,
        "ents_per_type": None,
        "spans_entities_f": None,
        "spans_entities_p": None,
        "spans_entities_r": None,
        "spans_entities_per_type": None,
    },
)
def make_zeroshot(
    nlp: Language,
    name: str,
    model: Model[TypeQuestion, Floats2d],
    labels: Union[dict[str, str], list[str]],
    mentions_key: str,
    spans_key: str,
    threshold: Optional[float],
    keep_untyped: bool,
    overwrite_ents: bool,
    scorer: Optional[Callable],
) -> ZeroShot:
    """Construct a ZeroShot component, which assigns defined types to tommer's mentions.
    ValueError is raised if there is no transformer before it.

    model (Model[TypeQuestion, Floats2d]): The model, which compares mentions with
        definitions.
    labels (Union[Dict[str, str], List[str]]): Definitions by label, or labels that need no
        definition.
    mentions_key (str): Key of doc.spans with tommer's mentions.
    spans_key (str): Key of doc.spans for the typed mentions, and for gold ones in training.
    threshold (Optional[float]): Score of the best label that a typed mention must exceed:
        the sigmoid of the sum of its logit against none and tommer's logit. By default that
        of the shipped head, or 0.5.
    keep_untyped (bool): Whether mentions that no label fits are kept without a type. By
        default they are dropped.
    overwrite_ents (bool): Whether typed mentions replace entities of earlier components.
    scorer (Optional[Callable]): The scoring method.
    """
    transformers = [pipe for _, pipe in nlp.components if isinstance(pipe, Transformer)]
    if not transformers:
        raise ValueError(
            f"{name!r} reads the states of a transformer and the mentions of tommer, and "
            "there is no transformer before it. Start from a pipeline that has both:\n"
            '    nlp = spacy_tommer.load("minilm")\n'
            f'    nlp.add_pipe("tommer_zeroshot")'
        )
    return ZeroShot(
        transformers[-1],
        model,
        name,
        labels=labels,
        mentions_key=mentions_key,
        spans_key=spans_key,
        threshold=threshold,
        keep_untyped=keep_untyped,
        overwrite_ents=overwrite_ents,
        scorer=scorer,
    )
