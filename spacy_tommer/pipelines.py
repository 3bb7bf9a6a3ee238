"""Build ready pipelines: transformer, tommer and doc_cleaner."""

from pathlib import Path
from typing import Any, Union

from spacy import util
from spacy.language import Language
from thinc.api import Config

from .head.checkpoints import (
    MODELS,
    check_backbone,
    read_released,
    read_shipped,
    shipped_models,
)
from .head.head import MentionHead
from .head.model import set_head


def load(name: Union[str, Path]) -> Language:
    """Load a pipeline that finds mentions.

    name (Union[str, Path]): Name of a shipped model; or a folder with a saved pipeline
        or a released ToMMeR checkpoint (definition.json and parameters).
    RETURNS (Language): The pipeline.
    """
    folder = Path(name)
    if str(name) not in shipped_models():
        if (folder / "config.cfg").is_file():
            return util.load_model(folder)
        if (folder / "definition.json").is_file():
            head, definition = read_released(folder)
            return build(released_config(head, definition), head)
        if folder.is_dir():
            raise ValueError(
                f"The folder {folder} holds neither a pipeline (config.cfg) nor a "
                "released ToMMeR checkpoint (definition.json)."
            )
    head, metadata = read_shipped(str(name))
    nlp = build(Config().from_disk(MODELS / str(name) / "config.cfg"), head)
    shim, model = nlp.get_pipe("transformer").model.shims[0], nlp.get_pipe("tommer").model
    check_backbone(metadata, shim.cut.sha256, shim.layers[-1], model.attrs["unit"])
    return nlp


def build(config: dict[str, Any], head: MentionHead) -> Language:
    """Build a pipeline around a head.

    config (dict[str, Any]): Its config; what is missing gets its default.
    head (MentionHead): The head.
    RETURNS (Language): The pipeline, with the weights of its backbone.
    """
    nlp = util.load_model_from_config(config, auto_fill=True)
    backbone = nlp.get_pipe("transformer").model
    backbone.initialize()
    width = head.width
    if backbone.get_dim("nO") != width:
        raise ValueError(
            f"The head reads states of width {width}, and those of the backbone "
            f"{backbone.shims[0].name!r} have {backbone.get_dim('nO')}."
        )
    set_head(nlp.get_pipe("tommer").model, head)
    return nlp


def released_config(head: MentionHead, definition: dict[str, Any]) -> dict[str, Any]:
    """Describe the pipeline of a released ToMMeR checkpoint.

    head (MentionHead): Its head.
    definition (dict[str, Any]): Its definition.
    RETURNS (dict[str, Any]): The config.
    """
    config = Config().from_disk(MODELS / "released.cfg")
    config["components"]["transformer"]["model"].update(
        name=definition["llm_name"], layers=[definition["layer"]]
    )
    config["components"]["tommer"]["model"].update(
        rank=head.matching.query.shape[1], max_length=head.max_length
    )
    return config
