"""Hidden states on disk, so that training pays for the backbone once.

Axis letters: D Docs of a chunk; T their tokens; N their units; d width.
"""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from spacy.tokens import Doc
from spacy_transformers import Transformer
from spacy_transformers.data_classes import WordpieceBatch
from thinc.types import Ragged
from transformers.utils import ModelOutput

from ..backbone.model import backbone_name, cut_model, is_backbone, spec_of
from ..backbone.spec import BackboneSpec
from ..backbone.states import BackboneData, Unit, read_attention, read_states
from ..files import write_aside


@dataclass
class CachedStates:
    """The states of a chunk of Docs, in half precision, as views of a file.

    layers (list[NDArray]): States of each layer, one Doc after the other. (N, d)
    attention (list[NDArray]): What of their attention is kept besides, if anything.
    lengths (NDArray): How many units each token has. (T,)
    spec (BackboneSpec): The backbone.
    unit (str): What a state stands for: "token" or "piece".
    """

    layers: list[NDArray[np.float16]]
    attention: list[NDArray[np.float16]]
    lengths: NDArray[np.int32]
    spec: BackboneSpec
    unit: Unit

    def __post_init__(self) -> None:
        self.bounds = np.concatenate([[0], np.cumsum(self.lengths)])

    def of_tokens(self, start: int, end: int) -> BackboneData:
        """Get the states of one Doc.

        start (int): Its first token, counted over the chunk.
        end (int): Its end, exclusive.
        RETURNS (BackboneData): What the Doc carries in `doc._.trf_data`.
        """
        first, last = self.bounds[start], self.bounds[end]
        arrays = [array[None, first:last] for array in self.layers]
        output = ModelOutput(last_hidden_state=arrays[-1])
        if len(arrays) > 1:
            output["layer_states"] = arrays
        if self.attention:
            output["attention"] = [array[None, first:last] for array in self.attention]
        return BackboneData(
            WordpieceBatch.empty(),
            output,
            Ragged(np.arange(last - first), self.lengths[start:end]),
            self.spec,
            self.unit,
        )


class StateCache:
    """A folder of states, one file for each chunk of Docs and layer. A file is named by
    its texts and appears whole, so that an interrupted run goes on where it was.

    folder (Path): The folder of the cache; its folder "states" holds those of other
        backbones and windows, too.
    pipe (Transformer): The transformer, whose model is `spacy_tommer.Backbone.v1`.
    unit (str): What a state stands for: "token" or "piece".
    """

    def __init__(self, folder: Path, pipe: Transformer, unit: Unit = "token") -> None:
        if not is_backbone(pipe.model):
            raise ValueError(
                "Only the states of a frozen backbone are kept on disk. Write in "
                f"[components.{pipe.name}.model]:\n"
                '    @architectures = "spacy_tommer.Backbone.v1"'
            )
        self.pipe = pipe
        self.unit = unit
        self.spec = spec = spec_of(pipe.model)
        self.width = cut_model(pipe.model).config.hidden_size
        name = f"{spec.sha256[:16]}-{unit}-{spec.window}-{spec.stride}"
        if spec.passes > 1:
            name += f"-{spec.passes}"
        self.folder = folder / "states" / name

    def bytes_per_unit(self) -> int:
        """RETURNS (int): Bytes that the states of a unit take on disk."""
        heads, key_heads, width = self.spec.heads
        kinds = {
            None: 0,
            "queries_keys": (heads + key_heads) * width,
            "scores": heads * self.spec.max_length,
        }
        return 2 * (self.width + kinds[self.spec.attention]) * len(self.spec.layers)

    def path(self, key: str, layer: int, attention: bool = False) -> Path:
        """Name a file of a chunk.

        key (str): Hash of its texts.
        layer (int): The block, counted from 0.
        attention (bool): Whether it is for what is kept of the block's attention.
        RETURNS (Path): The file, which need not exist.
        """
        folder = str(layer)
        if attention:
            folder += f"-{self.spec.attention}"
        if attention and self.spec.attention == "scores":
            folder += f"-{self.spec.max_length}"
        return self.folder / folder / f"{key}.safetensors"

    def paths(self, key: str) -> list[Path]:
        """Name all files of a chunk: those of the states, and behind them those of what is
        kept of the attention."""
        kinds = [False] if self.spec.attention is None else [False, True]
        return [self.path(key, layer, kind) for kind in kinds for layer in self.spec.layers]

    def __contains__(self, key: str) -> bool:
        return all(path.is_file() for path in self.paths(key))

    def write(self, key: str, docs: Sequence[Doc]) -> None:
        """Compute the states of a chunk and write them.

        key (str): Hash of its texts.
        docs (Sequence[Doc]): Its Docs, as the pipeline tokenizes them.
        """
        units = 2 * sum(map(len, docs)) if self.unit == "piece" else sum(map(len, docs))
        self.folder.mkdir(parents=True, exist_ok=True)
        check_space(self.folder, units * self.bytes_per_unit())
        paths = self.paths(key)
        parts: list[list[NDArray]] = [[] for _ in paths]
        lengths = []
        to_numpy = self.pipe.model.ops.to_numpy
        for doc in self.pipe.pipe(docs, batch_size=len(docs)):
            read = [read_states(doc, layer, self.unit) for layer in self.spec.layers]
            if len(paths) > len(read) and len(read[0].dataXd):
                read += [
                    read_attention(doc, [layer], self.unit) for layer in self.spec.layers
                ]
            for part, states in zip(parts, read):
                part.append(to_numpy(states.dataXd))
            lengths.append(read[0].lengths)
            doc._.trf_data = None
        for path, part in zip(paths, parts):
            filled = [array for array in part if len(array)]
            states = np.concatenate(filled or [np.zeros((0, self.width), "f")])
            if not np.abs(states).max(initial=0) < np.finfo("float16").max:
                layer, _, kind = path.parent.name.partition("-")
                raise ValueError(
                    f"What block {layer} of {backbone_name(self.pipe.model)!r} gives "
                    f"({kind or 'its states'}) is too large for half precision, in which "
                    "it is cached. Take an earlier block."
                )
            path.parent.mkdir(exist_ok=True)
            tensors = {
                "states": states.astype("float16"),
                "lengths": np.concatenate(lengths).astype("int32"),
            }
            write_aside(path, partial(save_file, tensors))

    def attach(self, docs: Sequence[Doc]) -> None:
        """Give Docs their states, computed if they are not on disk.

        docs (Sequence[Doc]): A chunk of Docs, as the pipeline tokenizes them.
        """
        states = self.load(hash_docs(docs), lambda: docs)
        start = 0
        for doc in docs:
            doc._.trf_data = states.of_tokens(start, start + len(doc))
            start += len(doc)

    def load(self, key: str, make_docs: Callable[[], Sequence[Doc]]) -> CachedStates:
        """Map the states of a chunk into memory; compute them if they are not on disk.

        key (str): Hash of its texts.
        make_docs (Callable[[], Sequence[Doc]]): Makes its Docs, as the pipeline tokenizes
            them.
        RETURNS (CachedStates): Its states.
        """
        if key not in self:
            self.write(key, make_docs())
        files = [open_arrays(path) for path in self.paths(key)]
        arrays = [file_["states"] for file_ in files]
        count = len(self.spec.layers)
        lengths = files[0]["lengths"]
        return CachedStates(arrays[:count], arrays[count:], lengths, self.spec, self.unit)


def hash_docs(docs: Sequence[Doc]) -> str:
    """Hash the texts of Docs and how they are cut into tokens.

    docs (Sequence[Doc]): The Docs.
    RETURNS (str): A hash in hexadecimal.
    """
    digest = hashlib.sha256()
    for doc in docs:
        tokens = doc.to_array(["ORTH", "SPACY"])
        digest.update(len(doc).to_bytes(8, "little") + tokens.tobytes())
    return digest.hexdigest()[:32]


def open_arrays(path: Path) -> dict[str, NDArray]:
    """Map the arrays of a safetensors file into memory.

    path (Path): The file.
    RETURNS (dict[str, NDArray]): Arrays by name, read when they are looked at.
    """
    try:
        with safe_open(path, framework="pt") as file_:
            return {name: file_.get_tensor(name).numpy() for name in file_.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"The file {path} of the cache is damaged ({error}). Remove it; it is made "
            "again when it is needed."
        ) from error


def check_space(folder: Path, needed: int) -> None:
    """Refuse to start what the disk has no room for.

    folder (Path): A folder that exists.
    needed (int): Bytes that will be written.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"The hidden states need {needed / 1e9:.2f} GB in {folder}, and the disk has "
            f"{free / 1e9:.2f} GB left. Free some, name a folder on another disk as "
            "`cache`, or ask the backbone for fewer `layers`."
        )
