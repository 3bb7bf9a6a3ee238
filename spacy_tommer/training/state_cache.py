"""A cache of hidden states on disk, so that training runs the backbone once per text.

Axis letters: D Docs of a chunk; T their tokens; N their units; d width.
"""

import hashlib
import os
import re
import shutil
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Optional

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

LEFTOVER = re.compile(r".*\.(\d+)\.part")


class Damaged(ValueError):
    """Report a file of the cache that is damaged or has other content than expected."""


@dataclass
class CachedStates:
    """Hold the states of a chunk of Docs in half precision, mapped from files.

    layers (list[NDArray]): States of each layer, of all Docs, concatenated. (N, d)
    attention (list[NDArray]): Attention of each layer, if the backbone returns any.
    lengths (NDArray): How many units each token has. (T,)
    spec (BackboneSpec): The backbone that computed the states.
    unit (str): What a state represents: "token" or "piece".
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

        start (int): Start of the Doc, in tokens of the chunk.
        end (int): End (exclusive) of the Doc, in tokens of the chunk.
        RETURNS (BackboneData): The value for `doc._.trf_data`.
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
    """Keep states in a folder, one file for each chunk of Docs and layer. Files are named
    by a hash of their texts and appear complete, so an interrupted run can continue.

    folder (Path): The folder of the cache. Its subfolder "states" may also hold states of
        other backbones and windows.
    pipe (Transformer): The transformer. ValueError is raised if its model is not
        `spacy_tommer.Backbone.v1`.
    unit (str): What a state represents: "token" or "piece".
    """

    def __init__(self, folder: Path, pipe: Transformer, unit: Unit = "token") -> None:
        if not is_backbone(pipe.model):
            raise ValueError(
                "Only the states of a frozen backbone can be cached. Write in "
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
        if spec.precision != "float32":
            name += f"-{spec.precision}"
        self.folder = folder / "states" / name
        remove_leftovers(self.folder)

    @property
    def attention_width(self) -> int:
        """Width of the attention vector of a unit and layer; 0 without attention."""
        heads, key_heads, width = self.spec.heads
        kinds = {
            None: 0,
            "queries_keys": (heads + key_heads) * width,
            "scores": heads * self.spec.max_length,
        }
        return kinds[self.spec.attention]

    def bytes_per_unit(self) -> int:
        """Compute how many bytes the states of a unit take on disk."""
        return 2 * (self.width + self.attention_width) * len(self.spec.layers)

    def path(self, key: str, layer: int, attention: bool = False) -> Path:
        """Compute the path of a file of a chunk.

        key (str): Hash of the chunk's texts.
        layer (int): The block, counted from 0.
        attention (bool): Whether the file is for the block's attention, not its states.
        RETURNS (Path): The file, which need not exist.
        """
        folder = str(layer)
        if attention:
            folder += f"-{self.spec.attention}"
        if attention and self.spec.attention == "scores":
            folder += f"-{self.spec.max_length}"
        return self.folder / folder / f"{key}.safetensors"

    def paths(self, key: str) -> list[Path]:
        """Compute the paths of all files of a chunk: first the states of each layer, then
        their attention."""
        kinds = [False] if self.spec.attention is None else [False, True]
        return [self.path(key, layer, kind) for kind in kinds for layer in self.spec.layers]

    def __contains__(self, key: str) -> bool:
        return all(path.is_file() for path in self.paths(key))

    def write(self, key: str, docs: Sequence[Doc]) -> None:
        """Compute the states of a chunk and write them.

        key (str): Hash of the chunk's texts.
        docs (Sequence[Doc]): Its Docs, as the pipeline tokenizes them.
        RAISES (OSError): If the disk has too little space.
        RAISES (ValueError): If the states are too large for half precision.
        """
        units = 2 * sum(map(len, docs)) if self.unit == "piece" else sum(map(len, docs))
        self.folder.mkdir(parents=True, exist_ok=True)
        check_space(self.folder, units * self.bytes_per_unit())
        paths = self.paths(key)
        parts: list[list[NDArray]] = [[] for _ in paths]
        lengths = []
        to_numpy = self.pipe.model.ops.to_numpy
        for doc in self.pipe.pipe(docs, batch_size=len(docs)):
            arrays = [read_states(doc, layer, self.unit) for layer in self.spec.layers]
            if len(paths) > len(arrays) and len(arrays[0].dataXd):
                arrays += [
                    read_attention(doc, [layer], self.unit) for layer in self.spec.layers
                ]
            for part, states in zip(parts, arrays):
                part.append(to_numpy(states.dataXd))
            lengths.append(arrays[0].lengths)
            doc._.trf_data = None
        for path, part in zip(paths, parts):
            filled = [array for array in part if len(array)]
            states = np.concatenate(filled or [np.zeros((0, self.width), "f")])
            if not np.abs(states).max(initial=0) < np.finfo("float16").max:
                layer, _, kind = path.parent.name.partition("-")
                raise ValueError(
                    f"The output of block {layer} of {backbone_name(self.pipe.model)!r} "
                    f"({kind or 'its states'}) is too large for half precision, in which "
                    "it is cached. Write an earlier block in `layers`."
                )
            path.parent.mkdir(exist_ok=True)
            tensors = {
                "states": states.astype("float16"),
                "lengths": np.concatenate(lengths).astype("int32"),
            }
            write_aside(path, partial(save_file, tensors))

    def attach(self, docs: Sequence[Doc]) -> None:
        """Write their states to the `doc._.trf_data` of Docs. States that are not on disk
        are computed.

        docs (Sequence[Doc]): A chunk of Docs, as the pipeline tokenizes them.
        """
        states = self.load(hash_docs(docs), lambda: docs, sum(map(len, docs)))
        start = 0
        for doc in docs:
            doc._.trf_data = states.of_tokens(start, start + len(doc))
            start += len(doc)

    def load(
        self, key: str, make_docs: Callable[[], Sequence[Doc]], tokens: Optional[int] = None
    ) -> CachedStates:
        """Map the states of a chunk into memory. Compute them if they are not on disk, or,
        with a warning, if a file is damaged.

        key (str): Hash of the chunk's texts.
        make_docs (Callable[[], Sequence[Doc]]): Returns its Docs, as the pipeline tokenizes
            them.
        tokens (Optional[int]): How many tokens they have; None to skip this check.
        """
        if key in self:
            try:
                return self.open(key, tokens)
            except Damaged as error:
                warnings.warn(f"{error} It is computed again.", stacklevel=2)
        self.write(key, make_docs())
        return self.open(key, tokens)

    def open(self, key: str, tokens: Optional[int] = None) -> CachedStates:
        """Map the states of a chunk into memory.

        key (str): Hash of the chunk's texts.
        tokens (Optional[int]): How many tokens they have; None to skip this check.
        RAISES (Damaged): If a file does not hold states of these tokens and this backbone.
        """
        arrays: list[NDArray] = []
        lengths: Optional[NDArray[np.int32]] = None
        count = len(self.spec.layers)
        for path in self.paths(key):
            found = open_arrays(path)
            if not {"states", "lengths"} <= found.keys():
                raise unfit(path, f"tensors {sorted(found)}", "states and lengths")
            lengths = found["lengths"] if lengths is None else lengths
            width = self.width if len(arrays) < count else self.attention_width
            check_states(path, found, lengths, width, tokens)
            arrays.append(found["states"])
        assert lengths is not None  # a backbone has a layer
        return CachedStates(arrays[:count], arrays[count:], lengths, self.spec, self.unit)


def check_states(
    path: Path,
    found: dict[str, NDArray],
    lengths: NDArray,
    width: int,
    tokens: Optional[int],
) -> None:
    """Check that the states of a file are those of its texts.

    path (Path): The file, for the error message.
    found (dict[str, NDArray]): Its tensors "states" (N, d) and "lengths" (T,).
    lengths (NDArray): Lengths in the file of the first layer. (T,)
    width (int): Expected width of the states.
    tokens (Optional[int]): Expected number of tokens, T; None to skip this check.
    RAISES (Damaged): If a dtype, a shape or the lengths are not as expected.
    """
    states, own = found["states"], found["lengths"]
    if states.dtype != "float16" or own.dtype != "int32" or own.ndim != 1:
        kinds = f"states of {states.dtype} and lengths of {own.dtype} {own.shape}"
        raise unfit(path, kinds, "float16 and one row of int32")
    if tokens is not None and len(own) != tokens:
        raise unfit(path, f"{len(own)} tokens", f"{tokens}")
    if not np.array_equal(own, lengths) or own.min(initial=0) < 0:
        raise unfit(path, "other numbers of units", "those of the first layer")
    units = int(own.sum())
    # The attention of a chunk without units has no width of its own.
    if states.ndim != 2 or len(states) != units or (units and states.shape[1] != width):
        raise unfit(path, f"states of shape {states.shape}", f"({units}, {width})")


def unfit(path: Path, found: str, expected: str) -> Damaged:
    """Make the error for a file with unexpected content."""
    return Damaged(
        f"The file {path} of the cache does not fit its texts and backbone: it holds "
        f"{found} instead of {expected}."
    )


def hash_docs(docs: Sequence[Doc]) -> str:
    """Hash the tokens of Docs and the spaces between them.

    RETURNS (str): A hash in hexadecimal.
    """
    digest = hashlib.sha256()
    for doc in docs:
        tokens = doc.to_array(["ORTH", "SPACY"])
        digest.update(len(doc).to_bytes(8, "little") + tokens.tobytes())
    return digest.hexdigest()[:32]


def open_arrays(path: Path) -> dict[str, NDArray]:
    """Map the arrays of a safetensors file into memory.

    RETURNS (dict[str, NDArray]): Arrays by name, read from disk when they are accessed.
    RAISES (Damaged): If the file is truncated or not in this format.
    """
    try:
        with safe_open(path, framework="pt") as file_:
            return {name: file_.get_tensor(name).numpy() for name in file_.keys()}  # noqa: SIM118
    except (SafetensorError, TypeError) as error:  # bfloat16 is a TypeError
        raise Damaged(f"The file {path} of the cache is damaged ({error}).") from error


def remove_leftovers(folder: Path) -> None:
    """Remove incomplete files and folders of runs that were killed: those whose name has
    the id of a process that no longer runs.

    folder (Path): The folder, which need not exist. Its subfolders are also searched.
    """
    for path in sorted(folder.rglob("*.part")):
        match = LEFTOVER.fullmatch(path.name)
        if match and not is_running(int(match[1])):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def is_running(process: int) -> bool:
    """Check whether a process of this id runs. On Windows, always return True."""
    if os.name == "nt":  # where signal 0 would end the process
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def check_space(folder: Path, needed: int) -> None:
    """Check that the disk has enough free space.

    folder (Path): A folder that exists.
    needed (int): How many bytes will be written.
    RAISES (OSError): If fewer bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"The hidden states need {needed / 1e9:.2f} GB in {folder}, and the disk has "
            f"{free / 1e9:.2f} GB left. Free some, name a folder on another disk as "
            "`cache`, or ask the backbone for fewer `layers`."
        )
