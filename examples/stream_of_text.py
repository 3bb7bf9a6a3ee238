"""Find mentions while a text is being written, and replace them while it is passed on."""

import spacy_tommer

CHUNKS = ["Ada Love", "lace wrote to Charles ", "Babbage in London. ", "He answered."]

nlp = spacy_tommer.load("minilm")

found = {}
stream = spacy_tommer.stream(nlp, stride=1)  # read the text again after each token
for chunk in [*CHUNKS, None]:
    events = stream.close() if chunk is None else stream.push(chunk)
    for event in events:
        if event.what == "removed":
            del found[event.start, event.end]
        else:
            found[event.start, event.end] = event
    print(f"{chunk!r}: {[event.text for event in found.values() if event.flat]}")

print("".join(spacy_tommer.redact(nlp, CHUNKS, "[{label}]")))
