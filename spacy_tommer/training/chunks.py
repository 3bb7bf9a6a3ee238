"""DocBins in the form that training reads: texts as the pipeline cuts them, gold as arrays.

Reading a DocBin takes ten times as long as all else that an epoch does with its Docs.

Axis letters: D Docs of a chunk; T their tokens; N their units; M spans; L longest span.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from spacy.util import minibatch

from ..keys import TARGETS
from .state_cache import hash_docs, open_arrays

CHUNK = 250
ENTS = "ents"


@dataclass
class Chunk:
    """Docs with gold spans.

    key (str): Hash of their texts.
    texts (list[str]): The texts. (D,)
    bounds (NDArray): First token of each Doc, and T.
    spans (dict[str, NDArray]): For each key of doc.spans, and for doc.ents, first token,
        token behind the last, and label of the spans, ordered by Doc. (M, 3)
    annotated (dict[str, NDArray]): Whether a Doc has such spans at all. (D,)
    labels (list[str]): Names of the labels.
    targets (Optional[NDArray]): Dense targets. (N, L)
    unaligned (int): Spans that were left out, since no tokens fit them.
    """

    key: str
    texts: list[str]
    bounds: NDArray[np.int64]
    spans: dict[str, NDArray[np.int64]]
    annotated: dict[str, NDArray[np.bool_]]
    labels: list[str]
    targets: Optional[NDArray[np.float16]]
    unaligned: int

    def __len__(self) -> int:
        return len(self.texts)

    def tokens(self, i: int) -> tuple[int, int]:
        """Find the tokens of a Doc.

        i (int): Its place in the chunk.
        RETURNS (tuple[int, int]): Its first token, and the one behind its last.
        """
        return int(self.bounds[i]), int(self.bounds[i + 1])

    def example(self, i: int, nlp: Language) -> Example:
        """Make the example of a Doc.

        i (int): Its place in the chunk.
        nlp (Language): The pipeline whose tokenizer the chunk was made with.
        RETURNS (Example): The predicted Doc without annotation, and the reference. Its
            groups of spans tell in `attrs["labels"]` which labels the chunk has.
        """
        predicted = nlp.make_doc(self.texts[i])
        reference = predicted.copy()
        start, end = self.tokens(i)
        for key, table in self.spans.items():
            if self.annotated[key][i]:
                first, last = np.searchsorted(table[:, 0], (start, end))
                spans = [
                    Span(reference, s - start, e - start, label=self.labels[label])
                    for s, e, label in table[first:last].tolist()
                ]
                if key == ENTS:
                    reference.set_ents(spans)
                else:
                    name = key.removeprefix("spans.")
                    reference.spans[name] = spans
                    reference.spans[name].attrs["labels"] = self.labels
        return Example(predicted, reference)

    def add_targets(self, i: int, reference: Doc, first: int, last: int) -> None:
        """Give a reference its dense targets, if there are any.

        i (int): Its place in the chunk.
        reference (Doc): The reference.
        first (int): Its first unit, counted over the chunk.
        last (int): The unit behind its last.
        """
        if self.targets is not None:
            reference.user_data[TARGETS] = self.targets[first:last]


def prepare(path: Path, cache: Path, nlp: Language) -> list[Path]:
    """Bring a DocBin into the form that training reads, unless it is there.

    path (Path): The DocBin.
    cache (Path): The folder of the cache.
    nlp (Language): The pipeline that cuts texts into tokens.
    RETURNS (list[Path]): The files of its chunks.
    """
    digest = hashlib.sha256(nlp.tokenizer.to_bytes(exclude=["vocab"]))
    digest.update(path.read_bytes())
    folder = cache / "texts" / digest.hexdigest()[:32]
    if not folder.is_dir():
        aside = folder.with_name(f"{folder.name}.{os.getpid()}.part")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        docs = (doc for doc in DocBin().from_disk(path).get_docs(nlp.vocab) if len(doc))
        for i, references in enumerate(minibatch(docs, CHUNK)):
            write_chunk(aside / f"{i:06}.safetensors", references, nlp)
        try:
            aside.rename(folder)
        except OSError:  # another process was first
            shutil.rmtree(aside)
    return sorted(folder.glob("*.safetensors"))


def write_chunk(path: Path, references: Sequence[Doc], nlp: Language) -> None:
    """Write a chunk.

    path (Path): The file.
    references (Sequence[Doc]): Gold Docs.
    nlp (Language): The pipeline that cuts texts into tokens.
    """
    examples = [Example(nlp.make_doc(gold.text), gold) for gold in references]
    bounds = np.cumsum([0, *(len(example.x) for example in examples)])
    labels: dict[str, int] = {}
    lost = set()
    tensors = {"bounds": bounds}
    keys = sorted({f"spans.{key}" for gold in references for key in gold.spans})
    for key in [*keys, ENTS]:
        annotated, rows = [], []
        for example, offset in zip(examples, bounds.tolist()):
            spans = gold_spans(example.reference, key)
            annotated.append(spans is not None)
            found = example.get_aligned_spans_y2x(spans or [], allow_overlap=True)
            places = {(span.start_char, span.end_char) for span in found}
            lost |= {
                (offset, span.start_char, span.end_char)
                for span in spans or []
                if (span.start_char, span.end_char) not in places
            }
            rows += sorted(
                (span.start + offset, span.end + offset, number(span.label_, labels))
                for span in found
            )
        tensors[key] = np.array(rows, dtype="int64").reshape(-1, 3)
        tensors[f"annotated.{key}"] = np.array(annotated)
    targets = [gold.user_data[TARGETS] for gold in references if has_targets(gold)]
    if targets:
        tensors[TARGETS] = np.concatenate(targets).astype("float16")
    about = {
        "key": hash_docs([example.x for example in examples]),
        "texts": [example.x.text for example in examples],
        "labels": list(labels),
        "unaligned": len(lost),
    }
    save_file(tensors, path, {"about": json.dumps(about)})


def gold_spans(gold: Doc, key: str) -> Optional[Iterable[Span]]:
    """Get gold spans of one kind, or None where a Doc is not annotated with them."""
    if key == ENTS:
        return list(gold.ents) if gold.has_annotation("ENT_IOB") else None
    return gold.spans.get(key.removeprefix("spans."))


def number(label: str, labels: dict[str, int]) -> int:
    """Get the number of a label, a new one if it was not seen yet."""
    return labels.setdefault(label, len(labels))


def has_targets(gold: Doc) -> bool:
    """Tell whether a Doc has dense targets."""
    return TARGETS in gold.user_data


def read_chunk(path: Path) -> Chunk:
    """Read a chunk.

    path (Path): The file.
    RETURNS (Chunk): The chunk, its arrays mapped into memory.
    """
    arrays = open_arrays(path)
    with safe_open(path, framework="numpy") as file_:
        about = json.loads(file_.metadata()["about"])
    keys = [key for key in arrays if key == ENTS or key.startswith("spans.")]
    return Chunk(
        about["key"],
        about["texts"],
        arrays["bounds"],
        {key: arrays[key] for key in keys},
        {key: arrays[f"annotated.{key}"] for key in keys},
        about["labels"],
        arrays.get(TARGETS),
        about["unaligned"],
    )
