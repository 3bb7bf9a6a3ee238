"""DocBins in the format that training reads: texts, and gold spans as arrays.

Reading a DocBin takes ten times as long as the rest of an epoch.

Axis letters: D Docs of a chunk; T their tokens; N their units; M spans; L longest span.
"""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from spacy.util import minibatch

from ..files import aside_of
from ..gold import ENTS, UNALIGNED, GoldCheck, fit_spans, gold_spans
from ..keys import MENTIONS, TARGETS
from .damage import Damaged, open_arrays
from .leftovers import remove_leftovers
from .state_cache import hash_docs

DOCS_PER_CHUNK = 250
# Part of the hash that names the prepared files. Change it when their format changes.
FORMAT = b"3"
GOLD_FILE = "gold.json"


@dataclass
class Chunk:
    """Hold Docs with gold spans.

    key (str): Hash of their tokens.
    texts (list[str]): Their texts. (D,)
    bounds (NDArray): Start of each Doc in tokens, followed by T. (D+1,)
    spans (dict[str, NDArray]): For each key of doc.spans, and for doc.ents, the start, end
        (exclusive) and label of each span, ordered by Doc. (M, 3)
    annotated (dict[str, NDArray]): Whether a Doc has the key. (D,)
    labels (list[str]): Names of the labels.
    attrs (list[dict]): The kinds that the gold mentions of a Doc cover, and their source:
        the entries "kinds" and "source" of the attrs of doc.spans["mentions"], where it has
        them. (D,)
    targets (Optional[NDArray]): Dense targets. (N, L, K)
    gold (Counter[str]): The counts of `GoldCheck.counts`.
    """

    key: str
    texts: list[str]
    bounds: NDArray[np.int64]
    spans: dict[str, NDArray[np.int64]]
    annotated: dict[str, NDArray[np.bool_]]
    labels: list[str]
    attrs: list[dict[str, Any]]
    targets: Optional[NDArray[np.float16]]
    gold: Counter[str]

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def unaligned(self) -> int:
        """How many spans were left out because they do not align with tokens."""
        return self.gold[UNALIGNED]

    def tokens(self, i: int) -> tuple[int, int]:
        """Find the tokens of a Doc.

        i (int): Index of the Doc in the chunk.
        RETURNS (tuple[int, int]): Start and end (exclusive), in tokens of the chunk.
        """
        return int(self.bounds[i]), int(self.bounds[i + 1])

    def example(self, i: int, nlp: Language) -> Example:
        """Make the example of a Doc.

        i (int): Index of the Doc in the chunk.
        nlp (Language): A pipeline with the tokenizer that the chunk was made with.
        RETURNS (Example): The predicted Doc without annotation, and the reference. The span
            groups of the reference list the labels of the chunk in `attrs["labels"]`.
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
                    attrs = reference.spans[name].attrs
                    attrs["labels"] = self.labels
                    if name == MENTIONS:
                        attrs.update(self.attrs[i])
        return Example(predicted, reference)

    def add_targets(self, i: int, reference: Doc, start: int, end: int) -> None:
        """Add the dense targets to a reference, if the chunk has any.

        i (int): Index of the Doc in the chunk.
        start (int): Start of the Doc, in units of the chunk.
        end (int): End (exclusive) of the Doc, in units of the chunk.
        """
        if self.targets is not None:
            reference.user_data[TARGETS] = self.targets[start:end]


def prepare(path: Path, cache: Path, nlp: Language) -> list[Path]:
    """Convert a DocBin to the format that training reads, unless it is in the cache.

    path (Path): The DocBin.
    cache (Path): The folder of the cache.
    nlp (Language): The pipeline that tokenizes texts.
    RETURNS (list[Path]): The files of its chunks.
    """
    digest = hashlib.sha256(FORMAT + nlp.tokenizer.to_bytes(exclude=["vocab"]))
    digest.update(path.read_bytes())
    folder = cache / "texts" / digest.hexdigest()[:32]
    if not folder.is_dir():
        remove_leftovers(folder.parent)
        aside = aside_of(folder)
        shutil.rmtree(aside, ignore_errors=True)
        try:
            write_chunks(path, aside, nlp)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        try:
            aside.rename(folder)
        except OSError:  # another process was first
            shutil.rmtree(aside)
    return sorted(folder.glob("*.safetensors"))


def write_chunks(path: Path, folder: Path, nlp: Language) -> None:
    """Write the chunks of a DocBin, and the counts of problems in its gold.

    path (Path): The DocBin.
    folder (Path): The folder to create.
    nlp (Language): The pipeline that tokenizes texts.
    """
    folder.mkdir(parents=True)
    docs = (doc for doc in DocBin().from_disk(path).get_docs(nlp.vocab) if len(doc))
    gold = Counter[str]()
    for i, references in enumerate(minibatch(docs, DOCS_PER_CHUNK)):
        gold += write_chunk(folder / f"{i:06}.safetensors", references, nlp)
    (folder / GOLD_FILE).write_text(json.dumps(gold), "utf-8")


def write_chunk(path: Path, references: Sequence[Doc], nlp: Language) -> Counter[str]:
    """Write a chunk.

    path (Path): The file to write.
    references (Sequence[Doc]): Gold Docs.
    nlp (Language): The pipeline that tokenizes texts.
    RETURNS (Counter[str]): The counts of `GoldCheck.counts`.
    """
    examples = [Example(nlp.make_doc(gold.text), gold) for gold in references]
    bounds = np.cumsum([0, *(len(example.x) for example in examples)])
    keys = [*sorted({f"spans.{key}" for gold in references for key in gold.spans}), ENTS]
    rows: dict[str, list[tuple[int, int, int]]] = {key: [] for key in keys}
    annotated: dict[str, list[bool]] = {key: [] for key in keys}
    labels: dict[str, int] = {}
    check = GoldCheck()
    for example, offset in zip(examples, bounds.tolist()):
        check.add_doc(example.y)
        for key in keys:
            spans = gold_spans(example.y, key.removeprefix("spans."))
            annotated[key].append(spans is not None)
            rows[key] += sorted(
                (
                    span.start + offset,
                    span.end + offset,
                    labels.setdefault(span.label_, len(labels)),
                )
                for span in without_overlap(fit_spans(example, spans or [], check), key)
            )
    tensors = {"bounds": bounds}
    for key in keys:
        tensors[key] = np.array(rows[key], dtype="int64").reshape(-1, 3)
        tensors[f"annotated.{key}"] = np.array(annotated[key])
    targets = [gold.user_data[TARGETS] for gold in references if has_targets(gold)]
    if targets:
        tensors[TARGETS] = np.concatenate(targets).astype("float16")
    counts = check.counts()
    about = {
        "key": hash_docs([example.x for example in examples]),
        "texts": [example.x.text for example in examples],
        "labels": list(labels),
        "attrs": [mention_attrs(gold) for gold in references],
        "gold": counts,
    }
    save_file(tensors, path, {"about": json.dumps(about)})
    return counts


def without_overlap(spans: Sequence[Span], key: str) -> Sequence[Span]:
    """Keep one of the entities that became equal when their edges were trimmed, since spans
    in doc.ents must not overlap. Spans of other keys are returned unchanged."""
    if key != ENTS:
        return spans
    return list({(span.start, span.end): span for span in reversed(spans)}.values())


def mention_attrs(gold: Doc) -> dict[str, Any]:
    """Get what the gold mentions of a Doc say about the kinds that they cover."""
    attrs = gold.spans[MENTIONS].attrs if MENTIONS in gold.spans else {}
    return {key: attrs[key] for key in ("kinds", "source") if key in attrs}


def has_targets(gold: Doc) -> bool:
    """Check whether a Doc has dense targets."""
    return TARGETS in gold.user_data


def read_chunk(path: Path) -> Chunk:
    """Read a chunk.

    RETURNS (Chunk): The chunk, with arrays mapped into memory.
    RAISES (ValueError): If the file does not hold a complete chunk.
    """
    try:
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
            about["attrs"],
            arrays.get(TARGETS),
            Counter(about["gold"]),
        )
    except (Damaged, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"The file {path} of the cache does not hold a complete chunk of texts "
            f"({error}). Remove the folder {path.parent}; it is written again when needed."
        ) from error


def read_gold_counts(chunks: Iterable[Path]) -> Counter[str]:
    """Read the counts of problems in the gold of a corpus.

    chunks (Iterable[Path]): Files that `prepare` returned.
    RETURNS (Counter[str]): The sum of the counts, as `gold.problems` expects them.
    """
    counts = Counter[str]()
    for folder in {path.parent for path in chunks}:
        counts.update(json.loads((folder / GOLD_FILE).read_text("utf-8")))
    return counts
