"""Compare matching scores on one backbone with the same data and budget (the paper's table
8 and its appendix F): ToM, LTQK, LCAttn, and two that do not ship, the plain dot product
and multi-head self-attention.

    python benchmarks/variants.py configs/sweep.yaml smollm2 metrics/variants

Axis letters: N units of all texts, one after the other; B texts; T units of a text, padded;
d width of a state; h heads; r rank; L longest span in units.
"""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional

import torch
import typer
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm
from transformers import AutoConfig

from reproduction.analyses.plans import Plan, Run, read_plan
from reproduction.analyses.sweeps import load_row, score_run, train_head
from spacy_tommer.backbone.sources import find_folder
from spacy_tommer.evaluation.tables import table
from spacy_tommer.files import write_text_aside
from spacy_tommer.head.head import MentionHead, text_positions
from spacy_tommer.head.matching import ToM, band_product

# Table 8, and what appendix F says of the last.
PAPER = {
    "ToM": "Llama-3.2-1B, block 6: R 92.6, P 23.2, F1 37.1, 264,198 parameters",
    "LTQK": "Llama-3.2-1B, block 0: R 94.4, P 17.6, F1 29.7, 165,894 parameters",
    "LCAttn": "Llama-3.2-1B, blocks 0-10: R 94.3, P 9.8, F1 17.8, 2,279 parameters",
    "MHSA": "longer to train, lower scores",
}


class DotProduct(ToM):
    """The product of projected states, not divided by their norms."""

    bound = 15.0  # its mixing weights begin at 1

    def forward(self, states: Tensor) -> Tensor:
        """Match each end with the starts before it. (N, d) to (N, L)"""
        rank = self.query.shape[1]
        query, key = states @ self.query / rank**0.5, states @ self.key
        return band_product(query, key, self.max_length)


class SelfAttention(nn.Module):
    """Multi-head self-attention over the units around, whose outputs are the query of an
    end and the key of a start (equation 6): no pools and no values.

    width (int): Width of a state, d.
    rank (int): Rank of a head, r.
    heads (int): Heads of the query, and as many of the key, h.
    max_length (int): Longest span in units, L; units see as far, in both directions.
    """

    def __init__(self, width: int, rank: int, heads: int, max_length: int) -> None:
        super().__init__()
        self.matching = SimpleNamespace(reads=width)
        self.max_length = max_length
        self.heads = 2 * heads
        self.norm = nn.RMSNorm(width, eps=1e-5)
        self.inner = nn.Linear(width, 3 * self.heads * rank, bias=False)
        self.outer = nn.Linear(self.heads * rank, self.heads * rank)

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Score every span of every text, as MentionHead does. (N, d) to (N, L, 1)"""
        position, _ = text_positions(lengths)
        texts = pad_sequence(states.split(lengths.tolist()), batch_first=True)  # (B, T, d)
        place = torch.arange(texts.shape[1])
        near = (place[:, None] - place).abs() < self.max_length  # (T, T)
        real = place < lengths[:, None]  # (B, T)
        inner = self.inner(self.norm(texts)).unflatten(-1, (3, self.heads, -1))
        query, key, value = inner.permute(2, 0, 3, 1, 4)  # (B, 2h, T, r) each
        mask = near & real[:, None, None]  # (B, 1, T, T)
        # A unit of padding sees itself, as a row of nothing has no softmax.
        mask = mask | torch.eye(len(place), dtype=torch.bool)
        attended = scaled_dot_product_attention(query, key, value, attn_mask=mask)
        attended = attended.transpose(1, 2).flatten(2)[real]  # (N, 2hr)
        query, key = self.outer(attended).chunk(2, dim=-1)
        logits = band_product(query, key, self.max_length)
        outside = torch.arange(self.max_length) > position[:, None]
        return logits.masked_fill(outside, -torch.inf).unsqueeze(-1)


def make_head(variant: str, width: int, rank: int) -> Optional[MentionHead | SelfAttention]:
    """Make the head of a variant that does not ship."""
    if variant == "dot product":
        return MentionHead(width, DotProduct(width, rank, 25))
    if variant == "MHSA":
        return SelfAttention(width, rank // 2, 2, 25)
    return None


def variants(backbone: str, layer: int, seed: int) -> dict[str, tuple[str, Run]]:
    """List what is compared: its name in the paper, and how it is trained."""
    tom = Run(backbone, layer, seed=seed)
    return {
        "ToM": ("ToM", tom),
        "LTQK": ("LTQK", Run(backbone, layer, matching="ltqk", seed=seed)),
        "LTQK, block 0": ("LTQK", Run(backbone, 0, matching="ltqk", seed=seed)),
        "LTQK, rank 16": ("LTQK", Run(backbone, layer, 16, matching="ltqk", seed=seed)),
        "LCAttn": ("LCAttn", Run(backbone, layer, matching="lcattn", seed=seed)),
        "dot product": ("dot product", tom),
        "MHSA": ("MHSA", tom),
    }


def compare(
    plan: Path,
    backbone: str,
    output: Path,
    cache: Path = Path("cache/sweep"),
    seed: int = 0,
) -> None:
    """Train and score each variant on BACKBONE of PLAN; write a row for each to
    OUTPUT/BACKBONE/SEED, where it is kept, and OUTPUT/BACKBONE-SEED.md."""
    planned = read_plan(plan)
    folder = output / backbone / str(seed)
    folder.mkdir(parents=True, exist_ok=True)
    listed = variants(backbone, planned.backbones[backbone]["layer"], seed)
    rows = {}
    for name, (_, run) in (progress := tqdm(listed.items(), unit=" variants")):
        progress.set_description(name)
        path = folder / f"{name}.json"
        row = load_row(path, planned.digest(run))
        if row is None:
            row = train_and_score(planned, name, run, cache)
            write_text_aside(path, json.dumps(row))
        rows[name] = row
    lines = [f"# Matching scores on {backbone}, seed {seed}", "", *compared(rows, listed)]
    report = "\n".join(lines) + "\n"
    write_text_aside(output / f"{backbone}-{seed}.md", report)
    print(report)


def train_and_score(plan: Plan, name: str, run: Run, cache: Path) -> dict[str, Any]:
    """Train and score one variant. MHSA learns at half the rate, as in the reference."""
    torch.manual_seed(run.seed)
    width = AutoConfig.from_pretrained(
        find_folder(plan.backbones[run.backbone]["name"], run.layer + 1)
    ).hidden_size
    changes = (
        {"training.optimizer.learn_rate.initial_rate": 0.005} if name == "MHSA" else {}
    )
    nlp = train_head(plan, run, cache, make_head(name, width, run.rank), changes)
    return {"plan": plan.digest(run), **score_run(plan, run, cache, nlp)}


def compared(
    rows: dict[str, dict[str, Any]], listed: dict[str, tuple[str, Run]]
) -> list[str]:
    """Write a table of the rows, beside what the paper says."""
    header = ["variant", "block", "parameters", "R at 0.5", "P", "F1", "greedy F1"]
    header += ["average precision", "P at R 94", "paper"]
    lines = []
    for name, (kind, run) in listed.items():
        row = rows[name]
        half = row["thresholds"]["0.5"]
        block = f"0 to {run.layer}" if kind == "LCAttn" else run.layer
        cells = [name, block, f"{row['parameters']:,}", *(half[key] for key in "rpf")]
        cells += [row["greedy"]["f"], row["average_precision"]]
        lines.append([*cells, row["precision_at_recall"]["0.94"], PAPER.get(kind, "")])
    return table(header, lines)


if __name__ == "__main__":
    typer.run(compare)
