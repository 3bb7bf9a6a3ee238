"""Convert the first blocks of a language model from GGUF to the format that transformers
reads. Only the tensors of these blocks are dequantised, one at a time."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from torch import Tensor
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast
from transformers.integrations.ggml import (
    GGUF_CONFIG_MAPPING,
    GGUF_TOKENIZER_MAPPING,
    convert_gguf_tokenizer,
)
from transformers.modeling_gguf_pytorch_utils import (
    TENSOR_PROCESSORS,
    TensorProcessor,
    get_gguf_hf_weights_map,
)


def convert_gguf(path: Path, folder: Path, blocks: int) -> None:
    """Write config, tokenizer and the weights of the first blocks to a folder.

    path (Path): The GGUF file.
    folder (Path): An empty folder.
    blocks (int): How many blocks to convert. ValueError is raised if the file has fewer,
        or holds a model that transformers cannot read.
    """
    try:
        from gguf import GGUFReader
    except ImportError as error:
        raise ImportError(
            f"Reading {path.name} needs the package gguf. Run: pip install gguf"
        ) from error
    reader = GGUFReader(path)
    fields = {key: field.contents() for key, field in reader.fields.items()}
    architecture = fields["general.architecture"]
    if architecture not in GGUF_CONFIG_MAPPING:
        raise ValueError(
            f"{path.name} holds a model of the type {architecture!r}, which transformers "
            "cannot read from GGUF. Name a folder with safetensors instead."
        )
    settings = config_settings(fields, architecture)
    if blocks > settings["num_hidden_layers"]:
        raise ValueError(
            f"{path.name} has {settings['num_hidden_layers']} blocks, and "
            f"{blocks} are needed. Write smaller numbers in `layers`, --layer or "
            "`definition_layer`."
        )
    config = AutoConfig.for_model(architecture, **{**settings, "num_hidden_layers": blocks})
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=gguf_tokenizer(fields, architecture),
        chat_template=fields.get("tokenizer.chat_template"),
    )
    weights = block_weights(reader.tensors, config)
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def config_settings(fields: dict[str, Any], architecture: str) -> dict[str, Any]:
    """Translate the settings of a GGUF file to those of transformers.

    fields (dict[str, Any]): The metadata of the file.
    architecture (str): The type of the model, such as llama.
    RETURNS (dict[str, Any]): Keyword arguments of the config.
    """
    names = GGUF_CONFIG_MAPPING[architecture]
    known = {
        names[key]: fields[f"{architecture}.{key}"]
        for key in names
        if f"{architecture}.{key}" in fields and names[key]
    }
    tokens = {
        f"{kind}_token_id": fields.get(f"tokenizer.ggml.{name}_token_id")
        for kind, name in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"))
    }
    return {**known, **tokens}


def gguf_tokenizer(fields: dict[str, Any], architecture: str) -> Tokenizer:
    """Build the tokenizer of a GGUF file. It starts each text with the BOS token.

    fields (dict[str, Any]): The metadata of the file.
    architecture (str): The type of the model, such as llama.
    """
    names = GGUF_TOKENIZER_MAPPING["tokenizer"]
    settings = {
        names[key]: fields[f"tokenizer.{key}"]
        for key in names
        if f"tokenizer.{key}" in fields
    }
    tokenizer, _ = convert_gguf_tokenizer(architecture, settings)
    bos = settings.get("bos_token_id")
    if bos is not None:
        token = settings["tokens"][bos]
        tokenizer.post_processor = TemplateProcessing(
            single=f"{token} $A", special_tokens=[(token, bos)]
        )
    return tokenizer


def block_weights(tensors: list[Any], config: Any) -> dict[str, Tensor]:
    """Dequantise the tensors of a cut model.

    tensors (list[Any]): The tensors of the GGUF file.
    config (PretrainedConfig): Config of the cut model.
    RETURNS (dict[str, Tensor]): Weights in float32 by their name in transformers.
    """
    from gguf import dequantize

    with torch.device("meta"):
        model = AutoModel.from_config(config)
    names = get_gguf_hf_weights_map(
        model, model_type=config.model_type, num_layers=config.num_hidden_layers
    )
    processor = TENSOR_PROCESSORS.get(config.model_type, TensorProcessor)(
        config=config.to_dict()
    )
    weights = {}
    for tensor in tensors:
        if tensor.name in names:
            processed = processor.process(
                weights=dequantize(tensor.data, tensor.tensor_type),
                name=tensor.name,
                tensor_key_mapping=names,
                parsed_parameters={},
            )
            weights[names[tensor.name]] = torch.tensor(processed.weights)
    return weights
