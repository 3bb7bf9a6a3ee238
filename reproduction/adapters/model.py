"""A language model with an adapter that learns.

Axis letters: K kept wordpieces; N tokens of all Docs that have a state; M spans; d width.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from spacy.tokens import Doc
from thinc.api import get_torch_default_device
from torch import Tensor, nn

from spacy_tommer.backbone.language_model import CutModel, block_outputs, find_blocks
from spacy_tommer.backbone.states import rows_of
from spacy_tommer.backbone.windows import Pieces
from spacy_tommer.entities.model import edge_rows

from .recipe import Recipe

# Names of the linear layers of attention in models of transformers.
ATTENTION = (
    ("q_proj", "k_proj", "v_proj", "o_proj"),
    ("query", "key", "value"),
    ("q", "k", "v", "o"),
)
# Windows of the pipelines that read the states.
WINDOW, STRIDE = 128, 96
# Wordpieces that run through the model at once.
BATCH_PIECES = 1024


def import_peft() -> Any:
    """Import peft. ImportError, with the line to run, is raised if it is not installed."""
    try:
        import peft
    except ImportError as error:
        raise ImportError(
            "Adapters are trained with the package peft. Run: pip install "
            "'spacy-tommer[lora]'"
        ) from error
    return peft


def linear_layers(network: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    """List the linear layers of a model, with the last parts of their names."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear):
            yield name.rpartition(".")[-1], module


def adapted_layers(network: nn.Module) -> list[str]:
    """Find the names of the linear layers of attention.

    network (nn.Module): A model of transformers.
    RETURNS (list[str]): The names. ValueError is raised for a model of another kind.
    """
    own = {name for name, _ in linear_layers(network)}
    for names in ATTENTION:
        if own.issuperset(names[:3]):
            return [name for name in names if name in own]
    raise ValueError(
        f"{type(network).__name__} cannot be adapted: its attention has no layers named "
        f"{', '.join(ATTENTION[0])}. Use a model like Llama, Qwen, Mistral, BERT or MPNet."
    )


class AdaptedModel:
    """Compute states with gradients for the adapter only.

    cut (CutModel): The language model, changed in place. Its last block is read.
    recipe (Recipe): The settings.
    """

    def __init__(self, cut: CutModel, recipe: Recipe) -> None:
        peft = import_peft()
        self.cut = cut
        self.layer = recipe.layer
        self.half = recipe.precision == "bfloat16"
        names = adapted_layers(cut.network)
        if self.half:
            for _, module in linear_layers(cut.network):
                module.to(torch.bfloat16)
        config = peft.LoraConfig(
            r=recipe.rank, lora_alpha=recipe.alpha, target_modules=names
        )
        torch.manual_seed(recipe.seed)
        self.adapted = peft.get_peft_model(cut.network, config)
        config.base_model_name_or_path = recipe.backbone
        if cut.network.supports_gradient_checkpointing:
            cut.network.gradient_checkpointing_enable({"use_reentrant": False})
        cut.network.train()

    def parameters(self) -> dict[str, nn.Parameter]:
        """List the weights of the adapter by name."""
        named = self.adapted.named_parameters()
        return {name: weights for name, weights in named if weights.requires_grad}

    def save(self, folder: Any) -> None:
        """Write the adapter to a folder in half precision, as peft does."""
        weights = {
            name: weight.half()
            for name, weight in self.adapted.state_dict().items()
            if "lora_" in name
        }
        self.adapted.save_pretrained(
            folder, state_dict=weights, save_embedding_layers=False
        )

    def states(self, pieces: Pieces) -> Tensor:
        """Compute the states of the kept wordpieces.

        pieces (Pieces): The rows.
        RETURNS (Tensor): The states in float32. (K, d)
        """
        device = get_torch_default_device()
        wanted = {self.layer: find_blocks(self.cut.network)[self.layer]}
        parts, places = [], []
        with (
            block_outputs(wanted) as outputs,
            torch.autocast(device.type, torch.bfloat16, enabled=self.half),
        ):
            for batch in pieces.batches(BATCH_PIECES):
                ids, mask, kept, cells = (
                    torch.from_numpy(x).to(device)
                    for x in pieces.padded(batch, self.cut.pad)
                )
                self.cut.network(input_ids=ids, attention_mask=mask)
                parts.append(outputs[self.layer].flatten(0, 1)[cells].float())
                places.append(kept)
        return torch.cat(parts)[torch.cat(places).argsort()]

    def span_vectors(
        self, docs: Sequence[Doc], spans: Sequence[NDArray[np.intp]]
    ) -> Tensor:
        """Compute the vectors of spans, as `spacy_tommer.entities.model.span_vectors` does
        without gradients.

        docs (Sequence[Doc]): Docs that have wordpieces.
        spans (Sequence[NDArray]): For each Doc, start and end (exclusive) of its spans, in
            tokens. (m, 2)
        RETURNS (Tensor): The states at both edges of each span and their mean. (M, 3d)
        """
        pieces = self.cut.tokenize(docs, WINDOW, STRIDE)
        units, edges, count = [], [], 0
        for align, start, own in zip(pieces.align, pieces.doc_bounds, spans):
            rows, lengths = rows_of(align, "token")
            edges.append(edge_rows(lengths, own) + count)
            units.append(rows + start)
            count += len(rows)
        device = get_torch_default_device()
        states = self.states(pieces)[torch.from_numpy(np.concatenate(units)).to(device)]
        first, last = torch.from_numpy(np.concatenate(edges, axis=1)).to(device)
        total = states.cumsum(0, dtype=torch.float64)  # (N, d)
        sums = total[last] - total[first] + states[first]
        mean = (sums / (last + 1 - first)[:, None]).float()
        return torch.cat([states[first], states[last], mean], dim=1)
