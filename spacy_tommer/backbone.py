"""Backbone.v1: a Hugging Face model cut after its last wanted block, frozen, as the model
of the `transformer` pipe of spacy-transformers."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Optional

import safetensors.torch
import torch
from safetensors import SafetensorError
from spacy.tokens import Doc
from spacy_transformers.data_classes import FullTransformerBatch, WordpieceBatch
from thinc.api import Model, Shim, get_torch_default_device, torch2xp
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, PretrainedConfig
from transformers.modeling_utils import no_init_weights
from transformers.utils import ModelOutput
from transformers.utils import logging as transformers_logging

from .sources import find_config, find_folder, install_line, weights_hash
from .states import BackboneData
from .windows import Pieces, tokenize_windows

# Wordpieces that run through the model at once: enough to keep the cores busy, few
# enough that windows of about one length meet.
BATCH_PIECES = 1024


def run_alone() -> None:
    """Keep a forked worker from waiting for threads that only its parent has."""
    torch.set_num_threads(1)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=run_alone)


def Backbone(
    name: str,
    layers: Sequence[int],
    window: int = 128,
    stride: int = 96,
) -> Model[list[Doc], FullTransformerBatch]:
    """Build a frozen model that gives the outputs of some blocks of a language model.

    Only the blocks up to the last wanted one are built and loaded. The weights are
    loaded at initialization or at first use, and are saved with the pipeline, which
    then needs nothing else.

    name (str): A folder, a GGUF file, or a name on the Hugging Face hub; an installed
        package that carries the model of that name comes before the hub.
    layers (Sequence[int]): The blocks whose outputs are wanted, counted from 0.
    window (int): Tokens of a Doc that the model sees at once.
    stride (int): Tokens from the start of one window to the next.
    RETURNS (Model[List[Doc], FullTransformerBatch]): The model. Its predictions hold,
        for each Doc, one row per wordpiece and layer.
    """
    layers = tuple(layers)
    if not layers or min(layers) < 0 or sorted(set(layers)) != list(layers):
        raise ValueError(
            "`layers` of spacy_tommer.Backbone.v1 lists blocks counted from 0, in "
            f"rising order, such as [2]. It is {list(layers)}."
        )
    if not 1 <= stride <= window:
        raise ValueError(
            f"`stride` ({stride}) of spacy_tommer.Backbone.v1 must lie between 1 and "
            f"`window` ({window}), or tokens would be left out."
        )
    model: Model[list[Doc], FullTransformerBatch] = Model(
        "backbone",
        forward,
        init=init,
        dims={"nO": None},
        attrs={"window": window, "stride": stride},
        shims=[BackboneShim(name, layers)],
    )
    config_path = find_config(name, max(layers) + 1)
    if config_path is not None:
        config = AutoConfig.from_pretrained(config_path.parent)
        model.set_dim("nO", config.hidden_size)
    return model


def init(model: Model, X: Any = None, Y: Any = None) -> None:
    """Load the weights, unless they are there."""
    loaded(model)


def loaded(model: Model) -> "BackboneShim":
    """Get the shim of a backbone with its weights loaded.

    model (Model): The backbone.
    RETURNS (BackboneShim): Its shim.
    """
    shim: BackboneShim = model.shims[0]
    if shim.network is None:
        shim.load(find_folder(shim.name, max(shim.layers) + 1))
    model.set_dim("nO", shim.config.hidden_size, force=True)
    return shim


def forward(
    model: Model, docs: Sequence[Doc], is_train: bool
) -> tuple[FullTransformerBatch, Callable]:
    """Run the frozen model over the Docs that do not carry its states yet."""
    shim = loaded(model)
    new = [doc for doc in docs if len(doc) and not shim.made(doc)]
    states = {}
    if new:
        pieces = tokenize_windows(
            shim.tokenizer,
            new,
            model.attrs["window"],
            model.attrs["stride"],
            shim.max_pieces,
        )
        states = dict(zip(map(id, new), shim.run(pieces, model.ops)))
    data = [
        states.get(id(doc)) or (doc._.trf_data if len(doc) else BackboneData.empty())
        for doc in docs
    ]
    return BackboneBatch(data), lambda d_batch: docs


class BackboneBatch(FullTransformerBatch):
    """The states of a batch of Docs. Nothing flows back through it."""

    def __init__(self, doc_data: list[BackboneData]) -> None:
        super().__init__(
            spans=[],
            wordpieces=WordpieceBatch.empty(),
            model_output=ModelOutput(),
            align=BackboneData.empty().align,
            cached_doc_data=doc_data,
        )

    def unsplit_by_doc(self, arrays: Any) -> "BackboneBatch":
        """Take the gradients of listeners, which a frozen model has no use for."""
        return self


class BackboneShim(Shim):
    """Hold a cut language model and its tokenizer, out of reach of any optimizer.

    name (str): Where the weights come from.
    layers (tuple[int]): The wanted blocks, counted from 0.
    """

    def __init__(self, name: str, layers: tuple[int, ...]) -> None:
        super().__init__(None)
        self.name = name
        self.layers = layers
        self.network: Optional[nn.Module] = None
        self.config: PretrainedConfig = None
        self.tokenizer: Tokenizer = None
        self.max_pieces: Optional[int] = None
        self.sha256 = ""

    def load(self, folder: Path) -> None:
        """Load config, tokenizer and the blocks up to the last wanted one.

        folder (Path): A folder in the form of the Hugging Face hub.
        """
        config = AutoConfig.from_pretrained(folder)
        blocks = max(self.layers) + 1
        if config.is_encoder_decoder:
            raise ValueError(
                f"{self.name!r} has an encoder and a decoder; a backbone has one stack."
            )
        if blocks > config.num_hidden_layers:
            raise ValueError(
                f"{self.name!r} has blocks 0 to {config.num_hidden_layers - 1}, and "
                f"`layers` asks for block {max(self.layers)}."
            )
        config.num_hidden_layers = blocks
        tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True)
        if not tokenizer.is_fast:
            raise ValueError(
                f"{self.name!r} has no fast tokenizer (tokenizer.json), without which "
                "wordpieces cannot be aligned with tokens."
            )
        verbosity = transformers_logging.get_verbosity()
        transformers_logging.set_verbosity_error()
        try:
            network, info = AutoModel.from_pretrained(
                folder,
                config=config,
                torch_dtype=torch.float32,
                use_safetensors=True,
                output_loading_info=True,
            )
        except SafetensorError as error:
            raise ValueError(
                f"The weights of {self.name!r} in {folder} are damaged ({error}). "
                f"Remove them and get them again: {install_line(self.name)}"
            ) from error
        finally:
            transformers_logging.set_verbosity(verbosity)
        missing = [key for key in info["missing_keys"] if "pooler" not in key]
        if missing:
            raise ValueError(
                f"The weights of {self.name!r} in {folder} lack {', '.join(missing)}."
            )
        self.set(network, tokenizer.backend_tokenizer, weights_hash(folder))

    def set(self, network: nn.Module, tokenizer: Tokenizer, sha256: str) -> None:
        """Take a model and freeze it.

        network (nn.Module): A model of transformers, cut.
        tokenizer (Tokenizer): Its tokenizer.
        sha256 (str): Hash of the weights that it came from.
        """
        self.config = network.config
        self.config.use_cache = False
        drop_pooler(network)
        self.max_pieces = position_limit(network)
        self.sha256 = sha256
        self.network = network.requires_grad_(False).eval()
        self.network.to(get_torch_default_device())
        self.tokenizer = tokenizer

    def made(self, doc: Doc) -> bool:
        """Tell whether a Doc carries the states that this backbone would give it."""
        data = doc._.trf_data
        return (
            isinstance(data, BackboneData)
            and data.layers == self.layers
            and data.sha256 == self.sha256
            and len(data.align.lengths) == len(doc)
        )

    def run(self, pieces: Pieces, ops: Any) -> list[BackboneData]:
        """Compute the states of tokenized Docs, windows of about one length together.

        pieces (Pieces): The windows.
        ops (Ops): Where the states are wanted.
        RETURNS (list[BackboneData]): The states of each Doc.
        """
        device = get_torch_default_device()
        kept = {
            layer: torch.empty(len(pieces.row), self.config.hidden_size, device=device)
            for layer in self.layers
        }
        pad = self.config.pad_token_id or 0
        with torch.inference_mode(), block_outputs(self.network, self.layers) as output:
            for batch in pieces.batches(BATCH_PIECES):
                ids, mask, rows, cells = map(torch.from_numpy, pieces.padded(batch, pad))
                self.network(input_ids=ids.to(device), attention_mask=mask.to(device))
                for layer in self.layers:
                    kept[layer][rows] = output[layer].flatten(0, 1)[cells]
        arrays = [torch2xp(kept[layer], ops=ops) for layer in self.layers]
        data = []
        for part, wordpieces, align in pieces.by_doc():
            output = ModelOutput(last_hidden_state=arrays[-1][None, part])
            if len(arrays) > 1:
                output["layer_states"] = [array[None, part] for array in arrays]
            data.append(BackboneData(wordpieces, output, align, self.layers, self.sha256))
        return data

    def to_bytes(self) -> bytes:
        """Write the model as safetensors, its config and tokenizer in the header."""
        if self.network is None:
            return b""
        metadata = {
            "config": self.config.to_json_string(use_diff=False),
            "tokenizer": self.tokenizer.to_str(),
            "sha256": self.sha256,
            "layers": json.dumps(self.layers),
        }
        return safetensors.torch.save(self.network.state_dict(), metadata)

    def from_bytes(self, data: bytes) -> "BackboneShim":
        """Read what `to_bytes` wrote."""
        if not data:
            return self
        try:
            weights = safetensors.torch.load(data)
        except SafetensorError as error:
            raise ValueError(
                f"The saved backbone of {self.name!r} is damaged ({error})."
            ) from error
        header = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + header])["__metadata__"]
        settings = json.loads(metadata["config"])
        config = AutoConfig.for_model(**settings)
        with no_init_weights():
            network = AutoModel.from_config(config, torch_dtype=torch.float32)
        drop_pooler(network)
        network.load_state_dict(weights)
        self.layers = tuple(json.loads(metadata["layers"]))
        tokenizer = Tokenizer.from_str(metadata["tokenizer"])
        self.set(network, tokenizer, metadata["sha256"])
        return self

    def finish_update(self, optimizer: Any) -> None:
        """Leave the weights as they are."""

    def to_device(self, device_type: str, device_id: int) -> None:
        """Move the weights to the device that thinc uses."""
        if self.network is not None:
            self.network.to(get_torch_default_device())


def drop_pooler(network: nn.Module) -> None:
    """Take away what BERT-like models put on top of their blocks.

    network (nn.Module): A model of transformers.
    """
    if hasattr(network, "pooler"):
        network.pooler = None


@contextmanager
def block_outputs(network: nn.Module, layers: Sequence[int]) -> Iterator[dict[int, Tensor]]:
    """Catch what blocks give in each pass, before any final norm.

    network (nn.Module): A model of transformers.
    layers (Sequence[int]): The blocks, counted from 0.
    YIELDS (dict[int, Tensor]): Their outputs in the last pass. (B, T, d)
    """
    outputs: dict[int, Tensor] = {}

    def keep(layer: int, block: nn.Module, inputs: Any, output: Any) -> None:
        outputs[layer] = output[0] if isinstance(output, tuple) else output

    blocks = find_blocks(network)
    handles = [
        blocks[layer].register_forward_hook(partial(keep, layer)) for layer in layers
    ]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def find_blocks(network: nn.Module) -> nn.ModuleList:
    """Find the stack of blocks of a model of transformers.

    network (nn.Module): The model.
    RETURNS (nn.ModuleList): Its blocks, first to last.
    """
    for module in network.modules():
        if (
            isinstance(module, nn.ModuleList)
            and len(module) == network.config.num_hidden_layers
        ):
            return module
    raise ValueError(f"{type(network).__name__} has no stack of blocks to read from.")


def position_limit(network: nn.Module) -> Optional[int]:
    """Find how many wordpieces a model can see at once.

    network (nn.Module): The model.
    RETURNS (Optional[int]): The number, special tokens included, or None.
    """
    for name, module in network.named_modules():
        if isinstance(module, nn.Embedding) and name.endswith("position_embeddings"):
            # RoBERTa and MPNet count positions from behind the padding index.
            used = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - used
    return getattr(network.config, "max_position_embeddings", None)
