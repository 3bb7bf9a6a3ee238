"""Train GLiNER on typed DocBins for some minutes, and score it zero-shot on others.

    pip install gliner==0.2.29
    python benchmarks/gliner.py sentence-transformers/all-MiniLM-L6-v2 corpus/train \
        assets/types/crossner.json ai=corpus/ai/test.spacy --minutes 10 --threads 2

The backbone is pretrained, all else begins at random, as in GLiNER's own training. The
minutes are those of the wall, for training alone. Recipe: GLiNER's collator (shuffled
types, negative ones from the batch), loss and clipping as in its configs but with a tenth
of the negative spans, batches of 8, AdamW, rates that rise for a tenth of the time and then
fall to 0. An encoder becomes a uni-encoder with markerV0 spans; a causal model a "streaming
span" model, GLiNER's form for it, with markerV2 spans, the last wordpiece of each word, and
a BiLSTM. Short parts and a narrow GLiNER make more steps of a short time.

GLiNER gets the tokens of the test sets as they are, in batches of like length, and decodes
without overlaps. Gold are the entities; all counts are of exact typed spans.
"""

import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, Optional

import spacy
import torch
import typer
from spacy.tokens import DocBin
from spacy.training.corpus import FILE_TYPE, walk_corpus
from tokenizers.normalizers import Prepend
from transformers import AutoConfig

from spacy_tommer.backbone.sources import find_folder
from spacy_tommer.evaluation.counts import measure
from spacy_tommer.evaluation.means import mean
from spacy_tommer.evaluation.tables import rpf, table

# Python puts the folder of the script first, and the script has the name of the package.
sys.path = [path for path in sys.path if path != str(Path(__file__).resolve().parent)]

from gliner import GLiNER  # noqa: E402

TWO_WORDS = """political party, academic journal, astronomical object, chemical compound,
chemical element, musical artist, musical instrument, music genre, literary genre"""
NAMES = {name.replace(" ", ""): name for name in TWO_WORDS.replace("\n", " ").split(", ")}
NAMES["programlang"] = "programming language"
# What each test is scored without a second time.
LEFT_OUT = "misc"
# SmolLM2-135M has 30; other backbones are found whole.
ALL_BLOCKS = 30
# Types and text share the 512 positions of MiniLM and MPNet.
MAX_TYPES = 25
TRAIN_BATCH, TEST_BATCH = 8, 16
DEV_PARTS = 400
LOSS = {"alpha": 0.75, "reduction": "sum", "masking": "global", "negatives": 0.1}

Spans = set[tuple[int, int, str]]
Texts = list[tuple[list[str], Spans]]
Parts = list[dict[str, Any]]


def natural(label: str) -> str:
    """Spell a label as words."""
    label = label.lower().replace("_", " ").replace("-", " ")
    return NAMES.get(label, label)


def read_texts(path: Path, key: Optional[str] = None) -> Texts:
    """Read words and typed spans: a group of spans, or the entities."""
    vocab = spacy.blank("en").vocab
    files = sorted(walk_corpus(path, FILE_TYPE))
    texts = []
    for doc in (doc for file in files for doc in DocBin().from_disk(file).get_docs(vocab)):
        spans = doc.spans[key] if key else doc.ents
        found = {(span.start, span.end, natural(span.label_)) for span in spans}
        texts.append(([token.text for token in doc], found))
    return texts


def load_model(name: str, blocks: int, hidden: int) -> Any:
    """Build GLiNER on some blocks of a backbone; 0 stands for all, or its width."""
    folder = find_folder(name, blocks or ALL_BLOCKS)
    backbone = AutoConfig.from_pretrained(folder)
    causal = backbone.model_type == "llama"
    config = {
        "model_name": str(folder),
        "hidden_size": hidden or backbone.hidden_size,
        "dropout": 0.3,
        "max_width": 12,
        "max_types": MAX_TYPES,
        "words_splitter_type": "whitespace",
        "span_mode": "markerV2" if causal else "markerV0",
    }
    if causal:
        config["model_type"] = "gliner_streaming_span"
        config["subtoken_pooling"] = "last"
        config["span_encoder_config"] = {"model_type": "rnn"}
    model = GLiNER.from_config(config)
    if causal:  # its words begin with a space, which GLiNER leaves out
        tokenizer = model.data_processor.transformer_tokenizer
        tokenizer.backend_tokenizer.normalizer = Prepend(" ")
    elif blocks:
        del backbone_of(model).encoder.layer[blocks:]
    return model


def backbone_of(model: Any) -> torch.nn.Module:
    """Return the pretrained part of a model."""
    layer = model.model.token_rep_layer
    return (layer.bert_layer if hasattr(layer, "bert_layer") else layer.decoder_layer).model


def make_parts(model: Any, texts: Texts, longest: int) -> Parts:
    """Cut texts to some wordpieces, and put them in GLiNER's form.

    Spans across a cut are lost, and so are parts without spans.
    """
    tokenizer = model.data_processor.transformer_tokenizer
    parts = []
    for words, spans in texts:
        encoded = tokenizer(words, is_split_into_words=True, add_special_tokens=False)
        sizes = Counter(encoded.word_ids())
        cuts, size = [0], 0
        for place in range(len(words)):
            size += sizes[place]
            if size > longest:
                cuts.append(place)
                size = sizes[place]
        for start, end in pairwise([*cuts, len(words)]):
            inside = [
                [first - start, last - start - 1, label]
                for first, last, label in sorted(spans)
                if start <= first and last <= end
            ]
            if inside:
                parts.append({"tokenized_text": words[start:end], "ner": inside})
    return parts


def batches(parts: Parts) -> Iterator[Parts]:
    """Shuffle and batch parts, again and again."""
    while parts:
        parts = random.sample(parts, len(parts))
        for start in range(0, len(parts), TRAIN_BATCH):
            yield parts[start : start + TRAIN_BATCH]


def train(
    model: Any, parts: Parts, seconds: float, rate: float, head_rate: float
) -> list[float]:
    """Train for some seconds, and return the losses; a rate of 0 freezes the backbone."""
    collate = model.data_collator_class(
        model.config, data_processor=model.data_processor, prepare_labels=True
    )
    model.train()
    backbone = backbone_of(model).requires_grad_(rate > 0).train(rate > 0)
    inner = set(backbone.parameters())
    outer = [weight for weight in model.parameters() if weight not in inner]
    groups = [{"params": outer, "peak": head_rate}, {"params": [*inner], "peak": rate}]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
    losses: list[float] = []
    start = time.perf_counter()
    for batch in batches(parts):
        share = (time.perf_counter() - start) / seconds
        if share >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * min(share / 0.1, (1 - share) / 0.9)
        loss = model(**collate(batch), **LOSS).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        losses.append(loss.item() / len(batch))
    return losses


def predict(
    model: Any, texts: list[list[str]], types: list[list[str]], thresholds: Sequence[float]
) -> dict[float, list[Spans]]:
    """Find spans of given types in each text, without overlaps, for each threshold."""
    model.eval()
    collator = model.create_collator()
    found: dict[float, list[Spans]] = {one: [set()] * len(texts) for one in thresholds}
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    for start in range(0, len(order), TEST_BATCH):
        places = order[start : start + TEST_BATCH]
        inputs = model.prepare_base_input([texts[place] for place in places])
        batch = model.collate_batch(inputs, [types[place] for place in places], collator)
        output = model.run_batch(batch)
        for threshold in thresholds:
            decoded = model.decode_batch(output, batch, threshold=threshold, flat_ner=True)
            for place, spans in zip(places, decoded):
                found[threshold][place] = {
                    (s.start, s.end + 1, s.entity_type) for s in spans
                }
    return found


def score(found: list[Spans], gold: list[Spans]) -> dict[str, float]:
    """Measure exact typed spans over all texts."""
    right = sum(len(one & other) for one, other in zip(found, gold))
    return measure(right, sum(map(len, found)), sum(map(len, gold)))


def try_thresholds(model: Any, parts: Parts) -> dict[float, float]:
    """Measure F1 at thresholds, with about as many wrong types as right ones in a text."""
    labels = sorted({label for part in parts for *_, label in part["ner"]})
    types, gold = [], []
    parts = random.sample(parts, min(DEV_PARTS, len(parts)))
    for part in parts:
        own = sorted({label for *_, label in part["ner"]})
        others = random.sample(labels, len(own))
        types.append(list(dict.fromkeys(own + others))[:MAX_TYPES])
        gold.append({(start, end + 1, label) for start, end, label in part["ner"]})
    texts = [part["tokenized_text"] for part in parts]
    found = predict(model, texts, types, [step / 10 for step in range(1, 10)])
    return {threshold: score(spans, gold)["f"] for threshold, spans in found.items()}


def evaluate(model: Any, path: Path, labels: list[str], threshold: float) -> dict[str, Any]:
    """Score and time a test set, with all its labels and without `LEFT_OUT`."""
    texts, gold = map(list, zip(*read_texts(path)))
    result = {}
    for name, left_out in (("all", None), ("without", LEFT_OUT)):
        types = [natural(label) for label in labels if label != left_out]
        wanted = [{span for span in spans if span[2] != left_out} for spans in gold]
        predict(model, texts[:TEST_BATCH], [types] * TEST_BATCH, [threshold])
        start = time.perf_counter()
        found = predict(model, texts, [types] * len(texts), [threshold])[threshold]
        speed = len(texts) / (time.perf_counter() - start)
        result[name] = {**score(found, wanted), "speed": speed}
    return result


def main(
    backbone: str,
    corpus: Annotated[Path, typer.Argument(help='DocBins with spans["entities"].')],
    definitions: Annotated[Path, typer.Argument(help="JSON with the labels of each set.")],
    tests: Annotated[list[str], typer.Argument(help="name=path/to/test.spacy")],
    minutes: float = 10,
    seed: int = 0,
    threads: int = 2,
    output: Path = Path("metrics/gliner"),
    dev: Annotated[Optional[Path], typer.Option(help="To choose the threshold on.")] = None,
    threshold: Annotated[float, typer.Option(help="Without --dev.")] = 0.5,
    freeze: Annotated[bool, typer.Option(help="Do not train the backbone.")] = False,
    rate: Annotated[float, typer.Option(help="Of learning, of the backbone.")] = 1e-4,
    head_rate: Annotated[float, typer.Option(help="Of learning, of all else.")] = 2e-3,
    pieces: Annotated[int, typer.Option(help="Longest part of a text.")] = 64,
    hidden: Annotated[int, typer.Option(help="GLiNER's width; 0: the backbone's.")] = 192,
    blocks: Annotated[int, typer.Option(help="Of the backbone; 0: all.")] = 0,
) -> None:
    """Train on CORPUS, score TESTS, print a table, and write OUTPUT.json."""
    result: dict[str, Any] = dict(locals())
    labels = json.loads(definitions.read_text(encoding="utf-8"))
    torch.set_num_threads(threads)
    random.seed(seed)
    torch.manual_seed(seed)
    model = load_model(backbone, blocks, hidden)
    parts = make_parts(model, read_texts(corpus, "entities"), pieces)
    losses = train(model, parts, 60 * minutes, 0 if freeze else rate, head_rate)
    tenth = -(-len(losses) // 10)
    tenths = [losses[tenth * place :][:tenth] for place in range(10)]
    result["losses"] = [round(sum(some) / len(some), 2) for some in tenths if some]
    result |= {"parts": len(parts), "steps": len(losses)}
    print(f"{len(parts)} parts, {len(losses)} steps, losses: {result['losses']}")
    if dev is not None:
        held_out = make_parts(model, read_texts(dev, "entities"), pieces)
        f1 = result["dev_f1"] = try_thresholds(model, held_out)
        result["threshold"] = threshold = max(f1, key=f1.__getitem__)
        print(f"threshold {threshold}; F1 of held-out texts: {f1[threshold]:.3f}")
    sets = {}
    for name, _, path in (test.partition("=") for test in tests):
        sets[name] = evaluate(model, Path(path), list(labels[name]), threshold)
    means: dict[str, Any] = {}
    for key in ("all", "without"):
        scores = [one[key] for one in sets.values()]
        means[key] = mean(scores) | {"speed": fmean(one["speed"] for one in scores)}
    result |= {"sets": sets, "means": means}
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.with_name(f"{output.name}.json").open("w", encoding="utf-8") as stream:
        json.dump(result, stream, indent=2, default=str)
    rows = [
        [name, *rpf(one["all"]), *rpf(one["without"]), f"{one['all']['speed']:.1f}"]
        for name, one in {**sets, "mean": means}.items()
    ]
    header = ["set", "R", "P", "F1", f"R without {LEFT_OUT}", "P", "F1", "sentences/s"]
    print("\n".join(table(header, rows)))


if __name__ == "__main__":
    typer.run(main)
