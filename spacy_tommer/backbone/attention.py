"""Read the queries and keys of a language model's attention.

Axis letters: B rows of a batch; T wordpieces of a row, padded; H query heads; K key heads;
s width of a head; M kept wordpieces; L longest span in tokens.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

Attention = Literal["queries_keys", "scores"]
Heads = tuple[int, int, int]

# Model types whose attention uses the outputs of these linear layers as queries and keys.
PROJECTIONS = {
    **dict.fromkeys(
        ("bert", "roberta", "xlm-roberta", "camembert", "electra"), ("query", "key")
    ),
    "mpnet": ("q", "k"),
}

# Name under which `attend` is registered for Llama, GPT-NeoX, GPT-2, Mistral and Phi, and
# the functions that it passes queries and keys to, by module.
NAME = "spacy_tommer"
LISTENERS: dict[nn.Module, Callable[[Tensor, Tensor], None]] = {}


def count_heads(config: Any) -> Heads:
    """Read the shape of a model's attention from its config.

    config (PretrainedConfig): The config.
    RETURNS (tuple[int, int, int]): Query heads, key heads, and width of a head; (1, 1, 1)
        for a model without attention.
    """
    heads = getattr(config, "num_attention_heads", None)
    if not heads:
        return 1, 1, 1
    key_heads = getattr(config, "num_key_value_heads", None) or heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    return heads, key_heads, width


@contextmanager
def queries_and_keys(
    network: PreTrainedModel, blocks: dict[int, nn.Module]
) -> Iterator[dict[int, dict[str, Tensor]]]:
    """Capture the queries and keys of blocks in each forward pass, after any rotation by
    position.

    network (PreTrainedModel): A model of transformers. ValueError is raised if its
        attention cannot be read.
    blocks (dict[int, nn.Module]): The blocks by their index.
    YIELDS (dict[int, dict[str, Tensor]]): By block, "query" (B, T, Hs) and "key" (B, T, Ks)
        of the last pass.
    """
    caught: dict[int, dict[str, Tensor]] = {layer: {} for layer in blocks}

    def keep(layer: int, name: str, *hooked: Any) -> None:
        caught[layer][name] = hooked[-1]

    def keep_both(layer: int, *both: Tensor) -> None:
        for name, x in zip(("query", "key"), both):
            keep(layer, name, x.transpose(1, 2).flatten(2))

    names = PROJECTIONS.get(network.config.model_type)
    with ExitStack() as stack:
        if names is None and blocks:
            enter_table(network)
            before = network.config._attn_implementation
            stack.callback(setattr, network.config, "_attn_implementation", before)
            network.config._attn_implementation = NAME
        for layer, block in blocks.items():
            for path, module in block.named_modules():
                own = path.rpartition(".")[-1]
                if names is None:
                    LISTENERS[module] = partial(keep_both, layer)
                    stack.callback(LISTENERS.pop, module)
                elif own in names:
                    name = ("query", "key")[names.index(own)]
                    hook = module.register_forward_hook(partial(keep, layer, name))
                    stack.callback(hook.remove)
        yield caught


def enter_table(network: PreTrainedModel) -> None:
    """Register an attention function with transformers that computes SDPA attention and
    passes on its queries and keys, after any rotation by position.

    network (PreTrainedModel): A model of transformers. ValueError is raised if it does not
        use registered attention functions.
    """
    if not network._supports_attention_backend:
        raise ValueError(
            f"The attention of a {type(network).__name__} cannot be read. Use a model of "
            "the type Llama, GPT-NeoX, GPT-2, Mistral, Phi, BERT, RoBERTa or MPNet, or "
            "leave out `attention` in [components.transformer.model]."
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
    """Compute attention scores, before the softmax, inside the band only. They do not
    include any bias that a model adds for the distance.

    query (Tensor): Queries of a batch. (B*T, Hs)
    key (Tensor): Keys of a batch. (B*T, Ks)
    cells (Tensor): Positions of the kept wordpieces. (M,)
    before (Tensor): Positions of the units up to each, nearest first, or -1. (M, L)
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


def attention_rows(
    kind: Attention,
    caught: dict[str, Tensor],
    cells: Tensor,
    before: Tensor,
    heads: Heads,
) -> Tensor:
    """Compute the attention vectors that a matching score reads from a block.

    kind (str): "queries_keys" or "scores".
    caught (dict[str, Tensor]): Queries (B, T, Hs) and keys (B, T, Ks) of a batch.
    cells (Tensor): Positions of the kept wordpieces in the flattened batch. (M,)
    before (Tensor): Positions of the units up to each, nearest first, or -1. (M, L)
    heads (tuple[int, int, int]): H, K and s.
    RETURNS (Tensor): A vector for each kept wordpiece, in float32: its queries and keys,
        (M, Hs+Ks), or its scores, (M, L*H).
    """
    query, key = (caught[name].flatten(0, 1).float() for name in ("query", "key"))
    if kind == "queries_keys":
        return torch.cat([query[cells], key[cells]], dim=-1)
    return band_scores(query, key, cells, before, heads)
