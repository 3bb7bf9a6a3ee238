"""Find the mentions of a text, nested and flat, with their scores."""

import spacy_tommer

nlp = spacy_tommer.load("minilm")
nlp.get_pipe("tommer").threshold = 0.6  # fewer mentions than the default of the model

doc = nlp("The University of Bonn was founded by Frederick William III of Prussia.")

print("Mentions, which may overlap:")
for span in doc.spans["mentions"]:
    print(f"  {span._.score:.2f}  {span.text}")

print("Entities, which do not overlap:")
for ent in doc.ents:
    print(f"  {ent._.score:.2f}  {ent.text}  {ent.label_}")
