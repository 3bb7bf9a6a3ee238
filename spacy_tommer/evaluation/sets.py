"""Find and read sets of gold Docs: folders of DocBins."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab

from ..gold import GoldCheck, warn_of_problems
from ..keys import MENTIONS


def find_sets(folder: Path) -> dict[str, Path]:
    """Find the sets in a folder.

    folder (Path): A folder with a folder of *.spacy files for each set; or one with such
        files, which is a set itself; or one such file.
    RETURNS (dict[str, Path]): The folder of each set, by its name.
    """
    if folder.is_file():
        return {folder.stem: folder}
    if any(folder.glob("*.spacy")):
        return {folder.resolve().name: folder}
    places = sorted(folder.glob("*/"))
    sets = {place.name: place for place in places if any(place.glob("*.spacy"))}
    if not sets:
        raise FileNotFoundError(
            f"Neither {folder} nor a folder in it has *.spacy files. Write your Docs with "
            "DocBin(docs=docs).to_disk('dev.spacy'), or, in the repository, corpora with "
            "`python -m reproduction convert`."
        )
    return sets


def read_docs(folder: Path, vocab: Vocab, limit: int = 0) -> Iterator[Doc]:
    """Read the Docs of a set.

    vocab (Vocab): Vocabulary of the Docs.
    limit (int): How many of the first Docs to read; 0 for all.
    YIELDS (Doc): The Docs, in the order of the files.
    """
    paths = [folder] if folder.is_file() else sorted(folder.glob("*.spacy"))
    docs = (doc for path in paths for doc in DocBin().from_disk(path).get_docs(vocab))
    yield from islice(docs, limit or None)


def read_gold(folder: Path, vocab: Vocab, limit: int = 0) -> Iterator[Doc]:
    """Read the Docs of a set that have gold mentions. Those without doc.spans["mentions"]
    are not annotated, and left out with a warning.

    vocab (Vocab): Vocabulary of the Docs.
    limit (int): How many of the first Docs to read; 0 for all.
    YIELDS (Doc): The Docs, in the order of the files. ValueError is raised at the end if
        none of them is annotated.
    """
    check = GoldCheck()
    for doc in read_docs(folder, vocab, limit):
        check.add_doc(doc)
        if MENTIONS in doc.spans:
            yield doc
    counts = check.counts()
    if check.texts and not counts[f"key:{MENTIONS}"]:
        raise ValueError(
            f"No text of {folder} has doc.spans[{MENTIONS!r}], so there is no gold. If it "
            f"is in doc.ents, write doc.spans[{MENTIONS!r}] = list(doc.ents)."
        )
    warn_of_problems(counts, str(folder), [MENTIONS])
