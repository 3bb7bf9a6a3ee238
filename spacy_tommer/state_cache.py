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

from .aside import write_aside
from .backbone import BackboneShim, cut_model
from .states import BackboneData, Unit, read_states


@dataclass
class CachedStates:
    """The states of a chunk of Docs, in half precision, as views of a file.

    layers (dict[int, NDArray]): States of each layer, one Doc after the other. (N, d)
    lengths (NDArray): How many units each token has. (T,)
    sha256 (str): Hash of the backbone's weights.
    windows (tuple[int, int]): Its window and stride, in tokens.
    unit (str): What a state stands for.
    """

    layers: dict[int, NDArray[np.float16]]
    lengths: NDArray[np.int32]
    sha256: str
    windows: tuple[int, int]
    unit: Unit

    def __post_init__(self) -> None:
        self.bounds = np.concatenate([[0], np.cumsum(self.lengths)])

    def of_tokens(self, start: int, end: int) -> BackboneData:
        """Get the states of one Doc.

        start (int): Its first token, counted over the chunk.
        end (int): The token behind its last.
        RETURNS (BackboneData): What the Doc carries in `doc._.trf_data`.
        """
        first, last = self.bounds[start], self.bounds[end]
        arrays = [array[None, first:last] for array in self.layers.values()]
        output = ModelOutput(last_hidden_state=arrays[-1])
        if len(arrays) > 1:
            output["layer_states"] = arrays
        return BackboneData(
            WordpieceBatch.empty(),
            output,
            Ragged(np.arange(last - first), self.lengths[start:end]),
            tuple(self.layers),
            self.sha256,
            self.windows,
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
        shim = pipe.model.shims[0] if pipe.model.shims else None
        if not isinstance(shim, BackboneShim):
            raise ValueError(
                "Only the states of a frozen backbone are kept on disk. Write in "
                f"[components.{pipe.name}.model]:\n"
                '    @architectures = "spacy_tommer.Backbone.v1"'
            )
        self.pipe = pipe
        self.unit = unit
        self.layers = shim.layers
        self.windows = pipe.model.attrs["window"], pipe.model.attrs["stride"]
        cut = cut_model(pipe.model)
        self.sha256 = cut.sha256
        self.width = cut.config.hidden_size
        window, stride = self.windows
        self.folder = folder / "states" / f"{self.sha256[:16]}-{unit}-{window}-{stride}"

    def bytes_per_unit(self) -> int:
        """RETURNS (int): Bytes that the states of a unit take on disk."""
        return 2 * self.width * len(self.layers)

    def path(self, key: str, layer: int) -> Path:
        """Name the file of a chunk.

        key (str): Hash of its texts.
        layer (int): The block, counted from 0.
        RETURNS (Path): The file, which need not exist.
        """
        return self.folder / str(layer) / f"{key}.safetensors"

    def __contains__(self, key: str) -> bool:
        return all(self.path(key, layer).is_file() for layer in self.layers)

    def write(self, key: str, docs: Sequence[Doc]) -> None:
        """Compute the states of a chunk and write them.

        key (str): Hash of its texts.
        docs (Sequence[Doc]): Its Docs, as the pipeline tokenizes them.
        """
        units = 2 * sum(map(len, docs)) if self.unit == "piece" else sum(map(len, docs))
        self.folder.mkdir(parents=True, exist_ok=True)
        check_space(self.folder, units * self.bytes_per_unit())
        parts: dict[int, list[NDArray]] = {layer: [] for layer in self.layers}
        lengths = []
        for doc in self.pipe.pipe(docs, batch_size=len(docs)):
            for layer, part in parts.items():
                states = read_states(doc, layer, self.unit)
                part.append(self.pipe.model.ops.to_numpy(states.dataXd))
            lengths.append(states.lengths)
            doc._.trf_data = None
        for layer, part in parts.items():
            filled = [array for array in part if len(array)]
            states = np.concatenate([np.zeros((0, self.width), "f"), *filled])
            if not np.abs(states).max(initial=0) < np.finfo("float16").max:
                raise ValueError(
                    f"States of block {layer} of {self.pipe.model.shims[0].name!r} are too "
                    "large for half precision, in which they are cached. Take an earlier "
                    "block."
                )
            path = self.path(key, layer)
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
        files = {layer: open_arrays(self.path(key, layer)) for layer in self.layers}
        layers = {layer: arrays["states"] for layer, arrays in files.items()}
        lengths = files[self.layers[0]]["lengths"]
        return CachedStates(layers, lengths, self.sha256, self.windows, self.unit)


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
