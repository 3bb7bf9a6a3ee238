"""The corpora that are known by name, and where their files lie in a data folder."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Optional

from spacy.language import Language
from spacy.tokens import Doc

from .bio import read_bio
from .gold import check_gold
from .gum import read_gum
from .instruct_uie import read_instruct_uie
from .numbered import FABNER, MULTINERD, ONTONOTES, WIKINEURAL, read_numbered
from .openmentions import read_openmentions
from .passages import of_documents
from .phrases import Reader, bare_phrases
from .pubtator import read_pubtator
from .redocred import read_redocred
from .report import Report
from .stackoverflow import read_stackoverflow
from .universal_ner import read_universal_ner

# What this project brings itself.
ASSETS = Path(__file__).parents[2] / "assets"
# Files in the data folder, and their reader; several if a set is published in several
# forms, of which the first that is there is read.
Sources = list[tuple[str, Reader]]

indexed_bio = partial(read_bio, token=1, tags=(2,))
nested_bio = partial(read_bio, tags=(1, 2, 3, 4))
last_bio = partial(read_bio, tags=(-1,))


def hub_files(name: str, tags: Sequence[str]) -> Sources:
    """Name the files of a benchmark that is on the Hugging Face hub.

    name (str): Its folder.
    tags (Sequence[str]): The tag of each number.
    RETURNS (Sources): JSON and parquet files.
    """
    reader = partial(read_numbered, tags=tags)
    return [(f"benchmarks/{name}/**/*.{end}", reader) for end in ("json*", "parquet")]


def instruct_uie(folder: str) -> Sources:
    """Name the files of a benchmark in the form of InstructUIE.

    folder (str): Its folder.
    RETURNS (Sources): The files of its splits, dev.json, test.json and train.json.
    """
    return [(f"benchmarks/ie_instructions/{folder}/[dt]*.json", read_instruct_uie)]


def openmentions(part: str) -> Sources:
    """Name the file of OpenMentions, which is among this project's assets.

    part (str): The part to read: "train", "validation" or "test".
    """
    reader = partial(read_openmentions, part=part)
    return [("openmentions/openmentions.jsonl", reader)]


def universal_ner(treebank: str, part: str) -> Sources:
    """Name the file of a part of Universal NER.

    treebank (str): The treebank.
    part (str): The part to read: "train", "dev" or "test".
    """
    # Sentences of the Chinese treebank were drawn from everywhere.
    reader = partial(read_universal_ner, documents=not treebank.startswith("zh"))
    return [(f"languages/{treebank}/{treebank}-ud-{part}.iob2", reader)]


TRAINING: dict[str, Sources] = {
    "gum": [("train/gum/*.conllu", of_documents(bare_phrases(read_gum)))],
    "litbank": [("train/litbank/*.tsv", of_documents(bare_phrases(nested_bio)))],
    "redocred": [("train/redocred/*_revised.json", read_redocred)],
    "wikigold": [("train/wikigold/*.conllu", of_documents(indexed_bio))],
    "bionlp13cg": [("train/BioNLP13CG/*.tsv", of_documents(read_bio))],
    "craft": [("train/CRAFT/*.tsv", of_documents(read_bio))],
    "cyner": [("train/cyner/[tv]*.txt", of_documents(read_bio))],
    "wnut17": [("train/wnut17/CONLL-format/data/*/*", read_bio)],
    "btc": [("train/btc/CONLL-format/data/*.conll", read_bio)],
    "stackoverflow": [("train/stackoverflow/*.txt", read_stackoverflow)],
    "openmentions": openmentions("train"),
}
BENCHMARKS: dict[str, Sources] = {
    "politics": [("benchmarks/crossner/politics/*.txt", read_bio)],
    "ai": [("benchmarks/crossner/ai/*.txt", read_bio)],
    "literature": [("benchmarks/crossner/literature/*.txt", read_bio)],
    "science": [("benchmarks/crossner/science/*.txt", read_bio)],
    "music": [("benchmarks/crossner/music/*.txt", read_bio)],
    "conll2003": [("benchmarks/crossner/conll2003/*.txt", read_bio)],
    "ncbi_disease": [("benchmarks/ncbi_disease/*.tsv", read_bio)],
    "genia": [("benchmarks/genia/*.iob2", nested_bio)],
    "wikineural": [
        ("benchmarks/wikineural/*.conllu", indexed_bio),
        *hub_files("wikineural", WIKINEURAL),
    ],
    "multinerd": [
        ("benchmarks/multinerd/*.tsv", indexed_bio),
        *hub_files("multinerd", MULTINERD),
    ],
    "fabner": [("benchmarks/fabner/*.txt", last_bio), *hub_files("fabner", FABNER)],
    "ontonotes": [
        ("benchmarks/ontonotes/*.txt", last_bio),
        *hub_files("ontonotes", ONTONOTES),
    ],
    "ace2005": instruct_uie("ACE 2005"),
}
# Benchmarks from other files than the protocol's, read only by name.
OTHER_FORMS: dict[str, Sources] = {
    "politics_uie": instruct_uie("CrossNER_politics"),
    "ai_uie": instruct_uie("CrossNER_AI"),
    "literature_uie": instruct_uie("CrossNER_literature"),
    "science_uie": instruct_uie("CrossNER_science"),
    "music_uie": instruct_uie("CrossNER_music"),
    "conll2003_uie": instruct_uie("CoNLL 2003"),
    "ncbi_disease_pubtator": [
        ("benchmarks/ncbi_disease/original/*.txt", read_pubtator),
    ],
    "openmentions_validation": openmentions("validation"),
    "openmentions_test": openmentions("test"),
}
# Universal NER: the treebanks by language. Those named pud have a test part only.
TREEBANKS = {
    "da": "da_ddt",
    "de": "de_pud",
    "hr": "hr_set",
    "pt": "pt_bosque",
    "ru": "ru_pud",
    "sk": "sk_snk",
    "sr": "sr_set",
    "sv": "sv_talbanken",
    "zh": "zh_gsdsimp",
}
# Their parts, read only by name: uner_da to train on, uner_da_dev and uner_da_test.
LANGUAGES: dict[str, Sources] = {
    f"uner_{code}{'' if part == 'train' else f'_{part}'}": universal_ner(treebank, part)
    for code, treebank in TREEBANKS.items()
    for part in ("train", "dev", "test")
}
# The validation texts of training sets that bring their own.
VALIDATION = {
    "openmentions": "openmentions_validation",
    **{f"uner_{code}": f"uner_{code}_dev" for code in TREEBANKS},
}


def language_of(name: str) -> str:
    """RETURNS (str): The language of a corpus, such as "da" for uner_da."""
    return name.split("_")[1] if name in LANGUAGES else "en"


def find_files(folder: Path, name: str) -> tuple[list[Path], Reader]:
    """Find the files of a corpus.

    folder (Path): The data folder.
    name (str): Name of a training set or benchmark.
    RETURNS (tuple[list[Path], Reader]): The files, and their reader.
    RAISES (FileNotFoundError): If there are none.
    """
    known = {**TRAINING, **BENCHMARKS, **OTHER_FORMS, **LANGUAGES}
    if name not in known:
        raise ValueError(f"There is no corpus {name!r}. Known: {', '.join(known)}.")
    place = ASSETS if name.startswith("openmentions") else folder
    for pattern, reader in known[name]:
        if paths := sorted(path for path in place.glob(pattern) if path.is_file()):
            return paths, reader
    patterns = " or ".join(f"{place}/{pattern}" for pattern, _ in known[name])
    raise FileNotFoundError(f"The corpus {name!r} lacks its files {patterns}")


def read_set(
    folder: Path, name: str, nlp: Language, report: Optional[Report] = None
) -> Iterator[Doc]:
    """Read all files of a corpus.

    folder (Path): The data folder.
    name (str): Name of a training set or benchmark.
    nlp (Language): The pipeline whose vocabulary the Docs get.
    report (Optional[Report]): Where broken records are counted.
    YIELDS (Doc): A sentence with its gold mentions.
    """
    paths, reader = find_files(folder, name)
    report = report or Report()
    for path in paths:
        yield from check_gold(reader(path, nlp, report), report)
