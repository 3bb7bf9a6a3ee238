"""Read the queries and keys of a language model's own attention.

Axis letters: B rows of a batch; T wordpieces of a row, padded; H heads of queries; K heads
of keys; s width of a head; M kept wordpieces; L longest span in tokens.
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

# Models whose attention takes queries and keys as these linear layers give them.
PROJECTIONS = {
    **dict.fromkeys(
        ("bert", "roberta", "xlm-roberta", "camembert", "electra"), ("query", "key")
    ),
    "mpnet": ("q", "k"),
}

# Name of the attention function of Llama, GPT-NeoX, GPT-2, Mistral and Phi while they run
# here, and what it hands queries and keys to, by module.
NAME = "spacy_tommer"
LISTENERS: dict[nn.Module, Callable[[Tensor, Tensor], None]] = {}


def count_heads(config: Any) -> Heads:
    """Tell the shape of a model's attention.

    config (PretrainedConfig): Its config.
    RETURNS (tuple[int, int, int]): Heads of the queries, heads of the keys, and width of a
        head; ones for a model without attention.
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
    """Catch the queries and keys of blocks in each pass, where the model rotates them
    behind the rotation.

    network (PreTrainedModel): A model of transformers.
    blocks (dict[int, nn.Module]): The blocks by their number.
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


def attention_rows(
    kind: Attention,
    caught: dict[str, Tensor],
    cells: Tensor,
    before: Tensor,
    heads: Heads,
) -> Tensor:
    """Read what a matching score takes from the attention of a block.

    kind (str): "queries_keys" or "scores".
    caught (dict[str, Tensor]): Queries and keys of a batch. (B, T, Hs) and (B, T, Ks)
    cells (Tensor): Where the kept wordpieces stand, rows one after the other. (M,)
    before (Tensor): Where the units up to each stand, or -1. (M, L)
    heads (tuple[int, int, int]): H, K and s.
    RETURNS (Tensor): A vector for each kept wordpiece: its queries and keys, (M, Hs+Ks), or
        scores, (M, L*H).
    """
    query, key = (caught[name].flatten(0, 1) for name in ("query", "key"))
    if kind == "queries_keys":
        return torch.cat([query[cells], key[cells]], dim=-1)
    return band_scores(query, key, cells, before, heads)
