"""Add mentions to a pipeline that has components of its own."""

import spacy

import spacy_tommer

nlp = spacy.blank("en")
nlp.add_pipe("sentencizer")
ruler = nlp.add_pipe("entity_ruler")
ruler.add_patterns([{"label": "PERSON", "pattern": "Ada Lovelace"}])

spacy_tommer.add(nlp, "minilm", after="entity_ruler")
# It changes the tokens, so it stands after all components that read hidden states.
nlp.add_pipe("merge_entities")
print(nlp.pipe_names)

doc = nlp("Ada Lovelace wrote to Charles Babbage. He lived in London.")
for sent in doc.sents:
    print([(ent.text, ent.label_) for ent in sent.ents])
print([token.text for token in doc if token.ent_type_])
