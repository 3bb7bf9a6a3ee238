"""Read the queries and keys of a language model's own attention.

Axis letters: B rows of a batch; T wordpieces of a row, padded; H heads of queries; K heads
of keys; s width of a head; M kept wordpieces; L longest span in tokens.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

Attention = Literal["queries_keys", "scores"]
Heads = tuple[int, int, int]

# Linear layers that give queries and keys: of BERT and RoBERTa, and of MPNet.
PROJECTIONS = [("query", "key"), ("q", "k")]

# Name of the attention function of Llama, GPT-NeoX, GPT-2, Mistral and Phi while they run
# here, and what it hands queries and keys to, by module.
NAME = "spacy_tommer"
LISTENERS: dict[nn.Module, Callable[[Tensor, Tensor], None]] = {}


def count_heads(config: Any) -> Heads:
    """Tell the shape of a model's attention.

    config (PretrainedConfig): Its config.
    RETURNS (tuple[int, int, int]): Heads of the queries, heads of the keys, and width of a
        head.
    """
    heads = config.num_attention_heads
    key_heads = getattr(config, "num_key_value_heads", None) or heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    return heads, key_heads, width


@contextmanager
def queries_and_keys(
    network: PreTrainedModel, blocks: dict[int, nn.Module]
) -> Iterator[dict[int, tuple[Tensor, Tensor]]]:
    """Catch the queries and keys of blocks in each pass, where the model rotates them
    behind the rotation.

    network (PreTrainedModel): A model of transformers.
    blocks (dict[int, nn.Module]): The blocks by their number.
    YIELDS (dict[int, tuple[Tensor, Tensor]]): Those of the last pass, by block. (B, T, Hs)
        and (B, T, Ks)
    """
    caught: dict[int, list[Tensor]] = {layer: [] for layer in blocks}

    def keep(layer: int, query: Tensor, key: Tensor) -> None:
        caught[layer][:] = [x.transpose(1, 2).flatten(2) for x in (query, key)]

    def keep_one(layer: int, place: int, *hooked: Any) -> None:
        caught[layer][place : place + 1] = [hooked[-1]]

    implementation = network.config._attn_implementation
    with ExitStack() as stack:
        for layer, block in blocks.items():
            pair = find_projections(block)
            for place, projection in enumerate(pair):
                hook = projection.register_forward_hook(partial(keep_one, layer, place))
                stack.callback(hook.remove)
            if not pair:
                enter_table(network)
                network.config._attn_implementation = NAME
                for module in block.modules():
                    LISTENERS[module] = partial(keep, layer)
                    stack.callback(LISTENERS.pop, module)
        stack.callback(setattr, network.config, "_attn_implementation", implementation)
        yield caught


def find_projections(block: nn.Module) -> list[nn.Module]:
    """Find the layers that give queries and keys, where nothing is done to them behind.

    block (nn.Module): A block of a model.
    RETURNS (list[nn.Module]): The two layers; none where attention is a function of the
        table of transformers.
    """
    modules = {name.rpartition(".")[-1]: module for name, module in block.named_modules()}
    for names in PROJECTIONS:
        if all(isinstance(modules.get(name), nn.Linear) for name in names):
            return [modules[name] for name in names]
    return []


def enter_table(network: PreTrainedModel) -> None:
    """Add a function to the table of transformers that attends as torch does, and hands on
    queries and keys, which are rotated by then.

    network (PreTrainedModel): A model of transformers. ValueError is raised for one that
        looks up no function there.
    """
    if not network._supports_attention_backend:
        raise ValueError(
            f"The attention of a {type(network).__name__} cannot be read. It can for the "
            "types of Llama, GPT-NeoX, GPT-2, Mistral, Phi, BERT, RoBERTa and MPNet; leave "
            "out `attention` in [components.transformer.model] for others."
        )
    try:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward
        from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
        from transformers.modeling_utils import AttentionInterface
    except ImportError as error:
        raise ImportError(
            'To read attention, run: pip install "transformers>=4.53"'
        ) from error

    def attend(module: nn.Module, query: Tensor, key: Tensor, *args: Any, **kw: Any) -> Any:
        if module in LISTENERS:
            LISTENERS[module](query, key)
        return sdpa_attention_forward(module, query, key, *args, **kw)

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)


def band_scores(
    query: Tensor, key: Tensor, cells: Tensor, before: Tensor, heads: Heads
) -> Tensor:
    """Compute attention scores, before the softmax, inside the band only. A bias that a
    model adds for the distance is no part of them.

    query (Tensor): Queries of a batch. (B*T, Hs)
    key (Tensor): Keys. (B*T, Ks)
    cells (Tensor): Where the kept wordpieces stand. (M,)
    before (Tensor): Where the units up to each stand, nearest first, or -1. (M, L)
    heads (tuple[int, int, int]): H, K and s.
    RETURNS (Tensor): The scores by distance and head; 0 where there is no unit. (M, L*H)
    """
    count, key_heads, width = heads
    query = query[cells].unflatten(-1, (count, width)) / width**0.5  # (M, H, s)
    key = key.unflatten(-1, (key_heads, width))  # (B*T, K, s)
    scores = []
    for places in before.unbind(-1):
        at = key[places].repeat_interleave(count // key_heads, dim=1)  # (M, H, s)
        scores.append((query * at).sum(-1).masked_fill(places[:, None] < 0, 0.0))
    return torch.cat(scores, dim=-1)


def read_attention(
    kind: Attention,
    caught: Sequence[Tensor],
    cells: Tensor,
    before: Tensor,
    heads: Heads,
) -> Tensor:
    """Read what a matching score takes from the attention of a block.

    kind (str): "queries_keys" or "scores".
    caught (Sequence[Tensor]): Queries and keys of a batch. (B, T, Hs) and (B, T, Ks)
    cells (Tensor): Where the kept wordpieces stand, rows one after the other. (M,)
    before (Tensor): Where the units up to each stand, or -1. (M, L)
    heads (tuple[int, int, int]): H, K and s.
    RETURNS (Tensor): A vector for each kept wordpiece: its queries and keys, (M, Hs+Ks), or
        scores, (M, L*H).
    """
    query, key = (x.flatten(0, 1) for x in caught)
    if kind == "queries_keys":
        return torch.cat([query[cells], key[cells]], dim=-1)
    return band_scores(query, key, cells, before, heads)
