"""Serve mentions over HTTP, with a page at http://127.0.0.1:8000."""

import logging

import torch
import uvicorn
from transformers import AutoModelForCausalLM, AutoTokenizer

import spacy_tommer
from spacy_tommer.backbone.sources import find_folder
from spacy_tommer.serving import create_app

CHAT = r"""
{%- for m in messages %}
{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}
{%- endfor %}
{{- '<|im_start|>assistant\n' }}"""

nlp = spacy_tommer.load("smollm2")

# The pipeline reads 15 blocks of SmolLM2; all 30 write.
folder = find_folder(nlp.get_pipe("transformer").model.shims[0].name, 30)
model = AutoModelForCausalLM.from_pretrained(
    folder, torch_dtype=torch.float32, tie_word_embeddings=True
).eval()
tokenizer = AutoTokenizer.from_pretrained(folder)
tokenizer.chat_template = CHAT

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
app = create_app(nlp, model, tokenizer)
uvicorn.run(app, port=8000, access_log=False, timeout_graceful_shutdown=10)
