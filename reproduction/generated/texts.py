"""Let a language model answer prompts, so that the same texts come out again."""

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LogitsProcessor,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from spacy_tommer.backbone.sources import find_folder

from ..corpora.records import Record, read_records
from ..corpora.report import Report

# SmolLM2's own template, for one question. Its GGUF file has it; the converted one has not.
TEMPLATE = """\
<|im_start|>system
You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>
<|im_start|>user
{}<|im_end|>
<|im_start|>assistant
"""
BLOCKS = 30
MIN_TOKENS, MAX_TOKENS = 60, 120
TEMPERATURE = 0.7
TOP_P = 0.9
BATCH = 50
LONGEST_WORD = 30
# Of the draw of passages to annotate.
SEED = 17


class Writer:
    """Answer prompts with a causal language model.

    name (str): Name or folder of the model.
    blocks (int): How many blocks it has, all of which are read.
    """

    def __init__(self, name: str, blocks: int = BLOCKS) -> None:
        folder = find_folder(name, blocks)
        self.tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        self.model = AutoModelForCausalLM.from_pretrained(
            folder, torch_dtype=torch.float32, tie_word_embeddings=True
        ).eval()
        self.end = self.model.generation_config.eos_token_id
        self.tokenizer.pad_token = self.tokenizer.convert_ids_to_tokens(self.end)

    def answer(
        self, prompts: Sequence[str], seeds: Sequence[int], max_tokens: int = MAX_TOKENS
    ) -> list[str]:
        """Sample an answer to each prompt.

        seeds (Sequence[int]): A seed for each prompt, which alone decides on its answer.
        max_tokens (int): Most wordpieces of an answer.
        RETURNS (list[str]): The answers, without white space around them. One that was cut
            off at `max_tokens` loses its last word, which may not be whole.
        """
        texts = [TEMPLATE.format(prompt) for prompt in prompts]
        inputs = self.tokenizer(
            texts, add_special_tokens=False, padding=True, return_tensors="pt"
        )
        ids = inputs.input_ids
        sampling = [TemperatureLogitsWarper(TEMPERATURE), TopPLogitsWarper(TOP_P)]
        rows = self.model.generate(
            ids,
            attention_mask=inputs.attention_mask,
            min_new_tokens=min(MIN_TOKENS, max_tokens),
            max_new_tokens=max_tokens,
            do_sample=False,
            pad_token_id=self.end,
            logits_processor=LogitsProcessorList([*sampling, Noise(seeds)]),
        )
        written = rows[:, ids.shape[1] :]
        answers = self.tokenizer.batch_decode(written, skip_special_tokens=True)
        ended = (written[:, -1] == self.end).tolist()
        return [
            text.strip() if whole else without_last_word(text.strip())
            for text, whole in zip(answers, ended)
        ]


class Noise(LogitsProcessor):
    """Add Gumbel noise to logits, whose maximum is then a sample: one that depends on the
    seed of its row, and not on the other rows of the batch.

    seeds (Sequence[int]): The seed of each row.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        for row, generator in zip(scores, self.generators):
            row -= torch.empty_like(row).exponential_(generator=generator).log()
        return scores


def without_last_word(text: str) -> str:
    """Cut a text off before its last word, unless that is no word but an endless loop."""
    last = text.split()[-1:]
    if not last or len(last[0]) > LONGEST_WORD:
        return text
    return text[: -len(last[0])].rstrip()


def write_texts(writer: Writer, prompts: Sequence[Record]) -> Iterator[Record]:
    """Let a model answer prompts, each with its number among them as the seed.

    prompts (Sequence[Record]): Records with a "prompt".
    YIELDS (Record): The same records with "seed" and "text".
    """
    for start in range(0, len(prompts), BATCH):
        some = prompts[start : start + BATCH]
        seeds = range(start, start + len(some))
        texts = writer.answer([record["prompt"] for record in some], seeds)
        for record, seed, text in zip(some, seeds, texts):
            yield {**record, "seed": seed, "text": text}


def draw(records: Sequence[Record], number: int) -> list[Record]:
    """Draw as many records of each genre.

    number (int): How many of each.
    RETURNS (list[Record]): The records, in their order.
    """
    rng = random.Random(SEED)
    by_genre: dict[str, list[str]] = {}
    for record in records:
        by_genre.setdefault(record["genre"], []).append(record["id"])
    drawn = {id_ for ids in by_genre.values() for id_ in rng.sample(ids, number)}
    return [record for record in records if record["id"] in drawn]


def read_lines_of(path: Path) -> list[Record]:
    """Read the records of JSON lines, all of which must be sound."""
    report = Report()
    records = [record for _, record in read_records(path, report)]
    if report.errors:
        raise ValueError(f"{path} has lines that are no JSON object.")
    return records


def to_lines(records: Iterable[dict[str, Any]]) -> str:
    """Write records as JSON lines."""
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records)
