"""Find the mentions of a long document, and of a stream of documents of any length."""

from collections import Counter

import spacy_tommer

PARAGRAPH = "Marie Curie worked in Paris. Later she visited Warsaw and New York City.\n\n"

nlp = spacy_tommer.load("minilm")
nlp.get_pipe("tommer").threshold = 0.5
nlp.max_length = 10_000_000  # characters; the default of spaCy is a million

# The language model reads windows that overlap, so a document is never cut off.
doc = nlp(PARAGRAPH * 100)
print(f"{len(doc)} tokens, {len(doc.ents)} entities")
print(Counter(ent.text for ent in doc.ents).most_common())

# The pipeline drops hidden states at its end: memory does not grow with the stream.
texts = (PARAGRAPH * length for length in range(1, 31))
names = Counter(ent.text for doc in nlp.pipe(texts) for ent in doc.ents)
print(f"New York City: {names['New York City']} times in 30 documents")
