"""A frozen language model that is cut after a block, with its tokenizer.

Axis letters: B rows of a batch; T wordpieces of a row, padded; K kept wordpieces; d width.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Optional

import torch
from spacy.tokens import Doc
from thinc.api import get_torch_default_device
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoConfig, AutoTokenizer

from .. import tensors
from .adapter import adapter_files, merge_adapter
from .attention import Attention, attention_rows, count_heads, queries_and_keys
from .encoding import limit_pieces
from .last_block import outputs_at
from .loading import build_network, drop_pooler, load_network
from .passes import Frame, feed_twice
from .precision import Precision, Wanted, lower, resolve
from .sources import file_hash, joint_hash, weights_hash
from .spec import Unit
from .windows import Pieces, tokenize_windows

# Wordpieces that run through the model at once: enough to keep the cores busy, and few
# enough that the rows of a batch have similar lengths.
BATCH_PIECES = 512


class CutModel:
    """Run the first blocks of a model of transformers. Its weights never change.

    network (nn.Module): The model, with the first of its blocks.
    tokenizer (Tokenizer): Its tokenizer. Padding and truncation are reset.
    sha256 (str): SHA-256 of the weights that it was loaded from, and of its adapter.
    passes (int): How often it reads each window.
    """

    def __init__(
        self, network: nn.Module, tokenizer: Tokenizer, sha256: str, passes: int = 1
    ) -> None:
        drop_pooler(network)
        network.config.use_cache = False
        self.config = network.config
        self.network = network.requires_grad_(False).eval().to(get_torch_default_device())
        self.precision: Precision = "float32"
        self.loaded: Optional[dict[str, Tensor]] = None
        self.tokenizer = tokenizer
        self.sha256 = sha256
        self.pad = max(network.config.pad_token_id or 0, 0)  # some configs say -1
        self.heads = count_heads(network.config)
        self.passes = passes
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self.frame = Frame.of(tokenizer)
        limit = position_limit(network)
        longest = None if limit is None else self.frame.longest_text(limit, passes)
        self.overlap = limit_pieces(tokenizer, longest)

    @classmethod
    def from_folder(
        cls, folder: Path, blocks: int, passes: int = 1, adapter: Optional[Path] = None
    ) -> "CutModel":
        """Load the first blocks of a model; the others are not built.

        folder (Path): A folder in the format of the Hugging Face hub.
        blocks (int): How many blocks to load.
        passes (int): How often the model reads each window.
        adapter (Optional[Path]): Folder of a LoRA adapter that is merged into the weights.
        RETURNS (CutModel): The model. ValueError is raised for a model of another kind,
            with too few blocks, without a fast tokenizer, or with damaged weights, and for
            an adapter that does not fit.
        """
        config = AutoConfig.from_pretrained(folder)
        if config.is_encoder_decoder:
            raise ValueError(
                f"The model in {folder} has an encoder and a decoder. Use a backbone with "
                "one stack of blocks."
            )
        if blocks > config.num_hidden_layers:
            raise ValueError(
                f"`layers` or `definition_layer` asks for block {blocks - 1}, and the "
                f"model in {folder} has blocks 0 to {config.num_hidden_layers - 1}."
            )
        config.num_hidden_layers = blocks
        tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True)
        if not tokenizer.is_fast:
            raise ValueError(
                f"The model in {folder} has no fast tokenizer (tokenizer.json), which is "
                "needed to align wordpieces with tokens."
            )
        network = load_network(folder, config)
        hashes = [weights_hash(folder)]
        if adapter is not None:
            network = merge_adapter(network, adapter)
            hashes += map(file_hash, adapter_files(adapter))
        return cls(network, tokenizer.backend_tokenizer, joint_hash(hashes), passes)

    def lower(self, wanted: Wanted) -> None:
        """Compute in a precision from now on. The weights in float32 are kept, to be saved.

        wanted (str): The precision, or "auto".
        """
        self.precision = resolve(wanted, get_torch_default_device())
        if self.precision != "float32":
            weights = self.network.state_dict()
            self.loaded = {name: weight.cpu() for name, weight in weights.items()}
            lower(self.network, find_blocks(self.network), self.precision)

    def to_bytes(self) -> bytes:
        """Write the model in float32, as safetensors with config and tokenizer."""
        metadata = {
            "config": self.config.to_json_string(use_diff=False),
            "tokenizer": self.tokenizer.to_str(),
            "sha256": self.sha256,
        }
        return tensors.to_bytes(self.loaded or self.network.state_dict(), metadata)

    @classmethod
    def from_bytes(cls, data: bytes, origin: str, passes: int = 1) -> "CutModel":
        """Read what `to_bytes` wrote.

        data (bytes): A whole safetensors file.
        origin (str): Where the bytes come from, for error messages.
        passes (int): How often the model reads each window.
        """
        return cls.from_saved(*tensors.from_bytes(data, origin), passes)

    @classmethod
    def from_file(cls, path: Path, passes: int = 1) -> "CutModel":
        """Read a file of what `to_bytes` wrote, whose weights are mapped into memory.

        path (Path): The file.
        passes (int): How often the model reads each window.
        """
        return cls.from_saved(*tensors.from_file(path), passes)

    @classmethod
    def from_saved(
        cls, weights: dict[str, Tensor], metadata: dict[str, str], passes: int
    ) -> "CutModel":
        """Build the model around weights, with the config and tokenizer of the metadata."""
        config = AutoConfig.for_model(**json.loads(metadata["config"]))
        network = build_network(config, weights)
        tokenizer = Tokenizer.from_str(metadata["tokenizer"])
        return cls(network, tokenizer, metadata["sha256"], passes)

    def tokenize(
        self, docs: Sequence[Doc], window: int, stride: int, unit: Unit = "piece"
    ) -> Pieces:
        """Tokenize Docs into the rows that the model reads.

        docs (Sequence[Doc]): Docs that are not empty.
        window (int): Tokens in a window.
        stride (int): Tokens from the start of one window to the next.
        unit (str): Which wordpieces are kept, as for `tokenize_windows`.
        RETURNS (Pieces): The rows, and the wordpieces in them that are kept.
        """
        pieces = tokenize_windows(self.tokenizer, docs, window, stride, self.overlap, unit)
        return pieces if self.passes == 1 else feed_twice(pieces, self.frame)

    def states(
        self,
        pieces: Pieces,
        layers: Sequence[int],
        attention: Optional[Attention] = None,
        max_length: int = 25,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Compute the states of the kept wordpieces, with rows of similar length together.
        Blocks after the last that is read do not run.

        pieces (Pieces): The rows.
        layers (Sequence[int]): The blocks whose outputs are returned, counted from 0.
        attention (Optional[str]): The attention that is also returned: "queries_keys" or
            "scores".
        max_length (int): How many tokens, its own included, a token has scores for, L.
        RETURNS (tuple[list[Tensor], list[Tensor]]): The states after each of the blocks,
            (K, d), and their attention, as `attention_rows` returns it; in float32.
        """
        device = get_torch_default_device()
        shape = len(pieces.row), self.config.hidden_size
        states = {layer: torch.empty(shape, device=device) for layer in layers}
        read: dict[int, Tensor] = {}
        blocks = find_blocks(self.network)
        wanted = {layer: blocks[layer] for layer in layers}
        with (
            torch.inference_mode(),
            only_first(blocks, max(layers) + 1),
            block_outputs(wanted) as outputs,
            queries_and_keys(self.network, wanted if attention else {}) as caught,
        ):
            for batch in pieces.batches(BATCH_PIECES):
                arrays = pieces.padded(batch, self.pad)
                ids, mask, kept, cells = (torch.from_numpy(x).to(device) for x in arrays)
                with ExitStack() as stack:
                    if attention is None:
                        stack.enter_context(outputs_at(blocks[-1], cells, ids.shape))
                    self.network(input_ids=ids, attention_mask=mask)
                for layer in layers:
                    states[layer][kept] = outputs[layer].flatten(0, 1)[cells].float()
                if attention is None:
                    continue
                steps = torch.from_numpy(pieces.steps_back(arrays[2], max_length)).to(
                    device
                )
                before = (cells[:, None] - steps).masked_fill(steps < 0, -1)
                for layer, both in caught.items():
                    rows = attention_rows(attention, both, cells, before, self.heads)
                    if layer not in read:
                        read[layer] = rows.new_empty(len(pieces.row), rows.shape[1])
                    read[layer][kept] = rows
        return list(states.values()), list(read.values())


@contextmanager
def only_first(blocks: nn.ModuleList, count: int) -> Iterator[None]:
    """Take the blocks after the first ones out of a model for a while.

    blocks (nn.ModuleList): All blocks of the model.
    count (int): How many stay.
    """
    rest = list(blocks[count:])
    del blocks[count:]
    try:
        yield
    finally:
        blocks.extend(rest)


@contextmanager
def block_outputs(blocks: dict[int, nn.Module]) -> Iterator[dict[int, Tensor]]:
    """Capture the outputs of blocks in each forward pass, before any final norm.

    blocks (dict[int, nn.Module]): The blocks by their index.
    YIELDS (dict[int, Tensor]): Their outputs in the last pass. (B, T, d)
    """
    outputs: dict[int, Tensor] = {}

    def keep(layer: int, block: nn.Module, inputs: Any, output: Any) -> None:
        outputs[layer] = output[0] if isinstance(output, tuple) else output

    handles = [
        block.register_forward_hook(partial(keep, layer)) for layer, block in blocks.items()
    ]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def find_blocks(network: nn.Module) -> nn.ModuleList:
    """Find the stack of blocks of a model.

    network (nn.Module): A model of transformers.
    RETURNS (nn.ModuleList): The blocks, in order. ValueError is raised if there is no such
        stack.
    """
    for module in network.modules():
        if (
            isinstance(module, nn.ModuleList)
            and len(module) == network.config.num_hidden_layers
        ):
            return module
    raise ValueError(f"{type(network).__name__} has no stack of blocks to read from.")


def position_limit(network: nn.Module) -> Optional[int]:
    """Find the largest number of wordpieces that a model can read at once.

    network (nn.Module): A model of transformers.
    RETURNS (Optional[int]): The number, special tokens included; None for any number.
    """
    for name, module in network.named_modules():
        if isinstance(module, nn.Embedding) and name.endswith("position_embeddings"):
            # RoBERTa and MPNet count positions from the index after the padding index.
            used = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - used
    return getattr(network.config, "max_position_embeddings", None)
