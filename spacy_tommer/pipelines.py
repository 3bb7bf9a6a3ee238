"""Load pipelines that find mentions, and add their components to other pipelines."""

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Optional, Union

from spacy import util
from spacy.language import Language
from spacy_transformers.layers.listener import TransformerListener
from thinc.api import Config, Model

from .backbone.model import backbone_name, spec_of
from .backbone.precision import check_precision
from .head.checkpoints import (
    MODELS,
    check_backbone,
    read_released,
    read_shipped,
    shipped_models,
)
from .head.head import MentionHead
from .head.model import set_head
from .version import __version__

Names = Union[str, Iterable[str]]

# The meta of a shipped pipeline, which `spacy package` writes.
SHIPPED_META = {
    "description": "Entity mentions, nested and flat, from an early block of a language "
    "model",
    "author": "The authors of spacy_tommer",
    "license": "Apache-2.0",
    "sources": [
        {
            "name": "ToMMeR",
            "url": "https://arxiv.org/abs/2510.19410",
            "author": "The authors of the ToMMeR paper",
            "license": "CC BY 4.0",
        }
    ],
    "requirements": [f"spacy-tommer>={__version__}"],
}


def load(
    name: Union[str, Path],
    *,
    disable: Names = (),
    exclude: Names = (),
    config: Optional[dict[str, Any]] = None,
    thresholds: Optional[str] = None,
    precision: Optional[str] = None,
    lang: Optional[str] = None,
) -> Language:
    """Load a pipeline that finds mentions.

    name (Union[str, Path]): Name of a shipped model; or a folder with a saved pipeline
        or a released ToMMeR checkpoint (definition.json and parameters).
    disable (Union[str, Iterable[str]]): Components that are loaded and do not run until
        they are enabled.
    exclude (Union[str, Iterable[str]]): Components that are not loaded.
    config (Optional[dict[str, Any]]): Settings to change, nested or in dot notation:
        {"components.tommer.threshold": 0.5}.
    thresholds (Optional[str]): Name of a pair of thresholds: "recall" finds nearly all
        mentions, and more that are none; "balanced" is the default of shipped models.
    precision (Optional[str]): The precision that its backbone computes in, in place of that
        of its config: "float32", "bfloat16", "int8" or "auto", as for `Backbone`.
    lang (Optional[str]): Code of the language whose rules split texts into tokens, such as
        "de", in place of that of its config.
    RETURNS (Language): The pipeline. ValueError is raised if no model or folder has this
        name, if its files are damaged, if spaCy does not know the language, or if it has no
        such thresholds.
    """
    config = util.dict_to_dot(config or {})
    if precision is not None:
        check_precision(precision)
        config["components.transformer.model.precision"] = precision
    if lang is not None:
        check_language(lang)
        config["nlp.lang"] = lang
    nlp = load_any(name, disable=disable, exclude=exclude, overrides=config)
    if thresholds is not None:
        if "tommer" not in nlp.component_names:
            raise ValueError(f"The pipeline {name} has no component named tommer.")
        nlp.get_pipe("tommer").use_thresholds(thresholds)
    return nlp


def check_language(lang: str) -> None:
    """Raise ValueError for a language that spaCy does not know."""
    try:
        util.get_lang_class(lang)
    except (ImportError, TypeError, ValueError):
        raise ValueError(
            f'spaCy knows no language {lang!r}. `lang` is a code such as "de", or "xx" '
            "for texts in several languages."
        ) from None


def load_any(
    name: Union[str, Path],
    *,
    disable: Names,
    exclude: Names,
    overrides: dict[str, Any],
) -> Language:
    """Load a pipeline with its own thresholds.

    overrides (dict[str, Any]): Settings to change, in dot notation. The other arguments are
        those of `load`.
    """
    if not isinstance(name, (str, Path)) or not str(name):
        raise ValueError(
            f"`name` is the name of a shipped model ({', '.join(shipped_models())}) or a "
            f"folder, and not {name!r}."
        )
    folder = Path(name)
    chosen: dict[str, Any] = {"disable": disable, "exclude": exclude}
    if str(name) not in shipped_models():
        if (folder / "config.cfg").is_file():
            return load_saved(folder, config=overrides, **chosen)
        if (folder / "definition.json").is_file():
            head, definition = read_released(folder)
            released = released_config(head, definition)
            return build(released, overrides, head, **chosen)
        if folder.is_dir():
            raise ValueError(
                f"The folder {folder} holds neither a pipeline (config.cfg) nor a "
                "released ToMMeR checkpoint (definition.json)."
            )
    head, metadata = read_shipped(str(name))
    shipped = Config().from_disk(MODELS / str(name) / "config.cfg")
    nlp = build(shipped, overrides, head, **chosen)
    # The name of a package that `spacy package` writes must be an identifier.
    nlp.meta.update(SHIPPED_META, name=f"mentions_{name}".replace("-", "_"))
    if {"transformer", "tommer"} <= set(nlp.component_names):
        spec = spec_of(nlp.get_pipe("transformer").model)
        attrs = nlp.get_pipe("tommer").model.attrs
        check_backbone(metadata, spec, spec.layer(attrs["layer"]), attrs["unit"])
    return nlp


def load_saved(folder: Path, **settings: Any) -> Language:
    """Load a saved pipeline.

    folder (Path): The folder of the pipeline.
    settings (Any): Keyword arguments of `spacy.load`.
    RETURNS (Language): The pipeline. ValueError, with the name of the folder, is raised if
        its files are damaged.
    """
    try:
        return util.load_model(folder, **settings)
    except (ValueError, ImportError):
        raise
    except Exception as error:  # parsers of damaged files raise errors of all kinds
        raise ValueError(
            f"The pipeline in {folder} is damaged ({type(error).__name__}: {error}). Copy "
            "or save it again."
        ) from error


def build(
    config: Config, overrides: dict[str, Any], head: MentionHead, **chosen: Any
) -> Language:
    """Build a pipeline around a head.

    config (Config): The config. Missing settings have their default values.
    overrides (dict[str, Any]): Settings to change, in dot notation.
    head (MentionHead): The head of the tommer component.
    chosen (Any): `disable` and `exclude`, as for `spacy.load`.
    RETURNS (Language): The pipeline, with the weights of its backbone. ValueError is raised
        if the states of the backbone do not have the width of the head.
    """
    config = config.merge(util.dot_to_dict(overrides))
    nlp = util.load_model_from_config(config, auto_fill=True, **chosen)
    width = head.width
    if "transformer" in nlp.component_names:
        backbone = nlp.get_pipe("transformer").model
        backbone.initialize()
        if backbone.get_dim("nO") != width:
            raise ValueError(
                f"The head reads states of width {width}, and those of the backbone "
                f"{backbone_name(backbone)!r} have {backbone.get_dim('nO')}."
            )
    if "tommer" in nlp.component_names:
        set_head(nlp.get_pipe("tommer").model, head)
    return nlp


def released_config(head: MentionHead, definition: dict[str, Any]) -> Config:
    """Make the config of the pipeline for a released ToMMeR checkpoint.

    head (MentionHead): The head of the checkpoint.
    definition (dict[str, Any]): The source of its states: "llm_name" and "layer".
    """
    config = Config().from_disk(MODELS / "released.cfg")
    components = config["components"]
    components["transformer"]["model"].update(
        name=definition["llm_name"], layers=[definition["layer"]]
    )
    components["tommer"]["model"]["max_length"] = head.max_length
    components["tommer"]["model"]["matching"]["rank"] = head.matching.query.shape[1]
    return config


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
    if not isinstance(nlp, Language):
        raise ValueError(f"`nlp` is a pipeline of spaCy, and not {nlp!r}.")
    if any(nlp.get_pipe_meta(other).factory == "tommer" for other in nlp.component_names):
        raise ValueError(
            "The pipeline has a tommer already. To use another model, remove the old one:\n"
            '    for name in ("tommer", "transformer"):\n'
            "        nlp.remove_pipe(name)"
        )
    place = nlp._get_pipe_index(before, after)
    for other, pipe in nlp.components[place:]:
        model = getattr(pipe, "model", None)
        if isinstance(model, Model) and any(
            isinstance(node, TransformerListener) for node in model.walk()
        ):
            raise ValueError(
                f"{other!r} reads the hidden states of another transformer. Put the new "
                f'components after it: spacy_tommer.add(nlp, after="{other}")'
            )
    source = load(name)
    own = (
        "transformer" if "transformer" not in nlp.component_names else "tommer_transformer"
    )
    with warnings.catch_warnings():
        # W113 warns that word vectors differ, and these components read none.
        warnings.filterwarnings("ignore", message=".*W113")
        nlp.add_pipe("transformer", own, source=source, before=before, after=after)
        nlp.add_pipe("tommer", source=source, after=own)
    if not any(
        nlp.get_pipe_meta(other).factory == "tommer_cleaner"
        for other in nlp.component_names
    ):
        nlp.add_pipe("tommer_cleaner")
    return nlp
