"""Tune the shipped head to your own notion of a mention, here: colours and nothing else.

For more than a few texts use `python -m spacy project run tune`, which keeps the hidden
states on disk.
"""

from spacy.training import Example

import spacy_tommer

MARKED = [  # mentions stand between brackets
    "The [red] door of the old house was open.",
    "She wore a [dark blue] coat and [white] gloves in Paris.",
    "John painted the fence [green] and the gate [yellow].",
    "In May the [pale pink] roses bloom near London.",
]
TEST = "Mary bought a black bag and light grey shoes in Rome."

nlp = spacy_tommer.load("minilm")
examples = []
for marked in MARKED:
    parts = marked.replace("]", "[").split("[")
    doc = nlp.make_doc("".join(parts))
    starts = [len("".join(parts[:i])) for i in range(len(parts))]
    places = [(starts[i], starts[i + 1]) for i in range(1, len(parts), 2)]
    doc.spans["mentions"] = [doc.char_span(start, end) for start, end in places]
    examples.append(Example(nlp.make_doc(doc.text), doc))

print("before:", [ent.text for ent in nlp(TEST).ents])
optimizer = nlp.resume_training()
for _ in range(40):
    nlp.update(examples, sgd=optimizer, exclude=["transformer"], annotates=["transformer"])
nlp.get_pipe("tommer").threshold = 0.5
print("after: ", [ent.text for ent in nlp(TEST).ents])
nlp.to_disk("tuned")  # spacy.load("tuned") reads it, and needs no other files
