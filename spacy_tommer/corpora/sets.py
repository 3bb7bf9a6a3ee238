"""The corpora that are known by name, and where their files lie in a data folder."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from spacy.tokens import Doc
from spacy.vocab import Vocab

from .bio import read_bio
from .redocred import read_redocred

Reader = Callable[[Path, Vocab], Iterator[Doc]]

indexed_bio = partial(read_bio, token=1, tags=(2,))
TRAINING: dict[str, tuple[str, Reader]] = {
    "redocred": ("train/redocred/*_revised.json", read_redocred),
    "wikigold": ("train/wikigold/*.conllu", indexed_bio),
    "bionlp13cg": ("train/BioNLP13CG/*.tsv", read_bio),
    "wnut17": ("train/wnut17/CONLL-format/data/*/*", read_bio),
    "cyner": ("train/cyner/[tv]*.txt", read_bio),
}
BENCHMARKS: dict[str, tuple[str, Reader]] = {
    "politics": ("benchmarks/crossner/politics/*.txt", read_bio),
    "ai": ("benchmarks/crossner/ai/*.txt", read_bio),
    "literature": ("benchmarks/crossner/literature/*.txt", read_bio),
    "science": ("benchmarks/crossner/science/*.txt", read_bio),
    "music": ("benchmarks/crossner/music/*.txt", read_bio),
    "conll2003": ("benchmarks/crossner/conll2003/*.txt", read_bio),
    "ncbi_disease": ("benchmarks/ncbi_disease/*.tsv", read_bio),
    "genia": ("benchmarks/genia/*.iob2", partial(read_bio, tags=(1, 2, 3, 4))),
    "wikineural": ("benchmarks/wikineural/*.conllu", indexed_bio),
}


def read_set(folder: Path, name: str, vocab: Vocab) -> Iterator[Doc]:
    """Read all files of a corpus.

    folder (Path): The data folder.
    name (str): Name of a training set or benchmark.
    vocab (Vocab): Vocabulary of the Docs.
    YIELDS (Doc): A sentence with its gold mentions.
    """
    known = {**TRAINING, **BENCHMARKS}
    if name not in known:
        raise ValueError(f"There is no corpus {name!r}. Known: {', '.join(known)}.")
    pattern, reader = known[name]
    paths = sorted(folder.glob(pattern))
    if not paths:
        raise FileNotFoundError(f"The corpus {name!r} lacks its files {folder}/{pattern}")
    for path in paths:
        yield from reader(path, vocab)
