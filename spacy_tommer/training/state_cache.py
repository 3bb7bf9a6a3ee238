"""A cache of hidden states on disk, so that training runs the backbone once per text.

Axis letters: D Docs of a chunk; T their tokens; N their units; d width.
"""

import hashlib
import shutil
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Optional

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from spacy.tokens import Doc
from spacy_transformers import Transformer

from ..backbone.model import backbone_name, cut_model, is_backbone, spec_of
from ..backbone.states import Unit, read_attention, read_states
from ..files import write_aside
from .cached_states import CachedStates, check_states
from .damage import Damaged, open_arrays, unfit
from .leftovers import remove_leftovers


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


def hash_docs(docs: Sequence[Doc]) -> str:
    """Hash the tokens of Docs and the spaces between them.

    RETURNS (str): A hash in hexadecimal.
    """
    digest = hashlib.sha256()
    for doc in docs:
        tokens = doc.to_array(["ORTH", "SPACY"])
        digest.update(len(doc).to_bytes(8, "little") + tokens.tobytes())
    return digest.hexdigest()[:32]


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
