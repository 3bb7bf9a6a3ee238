"""The pipeline of a run: its description, and how it travels to workers."""

import hashlib
from typing import Any, NamedTuple

from spacy import util
from spacy.language import Language
from thinc.api import Config, Model

from ..backbone.model import is_backbone, spec_of
from ..backbone.precision import Precision
from ..version import __version__


class Packed(NamedTuple):
    """Hold a pipeline as bytes. A pipeline itself cannot be sent to another machine.

    config (bytes): Its config.
    data (bytes): All that `Language.to_bytes` writes, with the weights of its backbone.
    """

    config: bytes
    data: bytes


def pack(nlp: Language) -> Packed:
    """Write a pipeline as bytes, with all its weights and settings. Where its backbone has
    the precision "auto", the one that was chosen here takes its place, so that workers on
    other processors compute the same."""
    config = nlp.config.copy()
    for name, precision in precisions(nlp).items():
        config["components"][name]["model"]["precision"] = precision
    return Packed(config.to_bytes(), nlp.to_bytes())


def unpack(packed: Packed) -> Language:
    """Read a pipeline, without any other file."""
    config = Config().from_bytes(packed.config, interpolate=False)
    nlp = util.load_model_from_config(config, auto_fill=True)
    return nlp.from_bytes(packed.data)


def describe(nlp: Language) -> dict[str, Any]:
    """Describe how a pipeline finds mentions, for the metadata of what it writes.

    nlp (Language): The pipeline. ValueError is raised if it has no component "tommer".
    RETURNS (dict[str, Any]): Version of the package, name and hash of the model, the
        precision of each backbone, both thresholds, and the kinds that are found.
    """
    if "tommer" not in nlp.pipe_names:
        raise ValueError("The pipeline has no component named tommer.")
    tommer = nlp.get_pipe("tommer")
    return {
        "version": __version__,
        "model": nlp.meta["name"],
        "sha256": model_hash(nlp),
        "precision": precisions(nlp),
        "threshold": tommer.threshold,
        "flat_threshold": tommer.flat_threshold,
        "kinds": list(tommer.labels),
    }


def precisions(nlp: Language) -> dict[str, Precision]:
    """Get the precision that each backbone of a pipeline computes in, by component."""
    return {
        name: spec_of(pipe.model).precision
        for name, pipe in nlp.components
        if isinstance(getattr(pipe, "model", None), Model) and is_backbone(pipe.model)
    }


def model_hash(nlp: Language) -> str:
    """Hash all weights of a pipeline, and the settings on which its hidden states depend.

    RETURNS (str): SHA-256 in hexadecimal.
    """
    digest = hashlib.sha256()
    for name, pipe in nlp.pipeline:
        model = getattr(pipe, "model", None)
        if not isinstance(model, Model):
            continue
        digest.update(name.encode())
        if is_backbone(model):
            model.initialize()
            digest.update(repr(spec_of(model)).encode())
            continue
        for node in model.walk():
            for param in node.param_names:
                if node.has_param(param):
                    digest.update(node.ops.to_numpy(node.get_param(param)).tobytes())
            for shim in node.shims:
                weights = shim._model.state_dict() if shim._model is not None else {}
                for key, tensor in weights.items():
                    digest.update(key.encode())
                    digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
