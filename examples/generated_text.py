"""Find mentions in what a language model generates, without a second pass."""

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import spacy_tommer
from spacy_tommer.backbone.sources import find_folder

nlp = spacy_tommer.load("smollm2")

# The pipeline reads 15 blocks of SmolLM2; all 30 of the same file write.
folder = find_folder(nlp.get_pipe("transformer").model.shims[0].name, 30)
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(
    folder, torch_dtype=torch.float32, tie_word_embeddings=True
).eval()

inputs = tokenizer(
    "The three largest cities of France are",
    return_tensors="pt",
    return_token_type_ids=False,
)
settings = {"max_new_tokens": 24, "do_sample": False}
streamer = spacy_tommer.MentionStreamer(nlp, tokenizer)
with streamer.run(model, **inputs, **settings):
    for event in streamer:
        if event.final and event.what != "removed":
            print(f"{event.score:.2f}  {event.text}  {event.label}")
with streamer.run(model, **inputs, **settings):
    print("".join(streamer.redact("[{label}]")))
