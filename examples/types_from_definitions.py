"""Give mentions types that are described in words, with no training on these types."""

import spacy_tommer

LABELS = {
    "person": "a human being",
    "city": "a large town where many people live",
}

nlp = spacy_tommer.load("minilm")
zeroshot = nlp.add_pipe("tommer_zeroshot", config={"labels": LABELS})

text = "Angela Merkel met the mayor of Paris."
for ent in nlp(text).ents:
    print(f"{ent._.score:.2f}  {ent.text}  {ent.label_}")

# Other labels take effect with the next text. Only their vectors are computed.
zeroshot.set_labels(["politician", "river"])
zeroshot.add_label("capital", "the city where a country is governed")
for ent in nlp(text).ents:
    print(f"{ent._.score:.2f}  {ent.text}  {ent.label_}")
