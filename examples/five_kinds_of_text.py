"""Type the mentions of five kinds of text, each with labels of its own."""

import json
from pathlib import Path

import spacy_tommer

TEXTS = Path(__file__).parents[1] / "assets/types/five_texts.json"

nlp = spacy_tommer.load("minilm")  # "mpnet" finds and types more
zeroshot = nlp.add_pipe("tommer_zeroshot")
for kind, entry in json.loads(TEXTS.read_text("utf-8")).items():
    zeroshot.set_labels(entry["labels"])
    doc = nlp(entry["text"])
    print(f"{kind}:")
    for span in doc.spans["entities"]:
        print(f"  {span.label_}: {span.text}")
