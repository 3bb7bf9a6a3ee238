"""A corpus for `spacy train` whose Docs carry their hidden states."""

from collections.abc import Callable, Iterator
from pathlib import Path

from spacy.language import Language
from spacy.training import Corpus, Example
from spacy.util import minibatch

BATCH = 1024


def AnnotatedCorpus(
    path: Path, transformer: str = "transformer"
) -> Callable[[Language], Iterator[Example]]:
    """Build a reader that runs the frozen transformer of the pipeline over the texts.

    `spacy train` keeps the examples of a corpus for all epochs. Their predicted Docs carry
    the states, which `spacy_tommer.Backbone.v1` leaves alone, so that training runs it once
    for each text.

    path (Path): A DocBin, or a folder of them.
    transformer (str): Name of the transformer pipe.
    RETURNS (Callable[[Language], Iterator[Example]]): The reader.
    """
    corpus = Corpus(path)

    def read(nlp: Language) -> Iterator[Example]:
        pipe = nlp.get_pipe(transformer)
        for examples in minibatch(corpus(nlp), BATCH):
            docs = (example.predicted for example in examples)
            for example, doc in zip(examples, pipe.pipe(docs, batch_size=BATCH)):
                example.predicted = doc
                yield example

    return read
