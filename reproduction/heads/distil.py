"""Let trained heads annotate a corpus, which a new head then learns from (section 2.3)."""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import spacy
from spacy.language import Language
from spacy.tokens import DocBin
from spacy.training import Example
from spacy.training.corpus import FILE_TYPE, walk_corpus
from tqdm import tqdm

from spacy_tommer.evaluation.pipes import require_pipe
from spacy_tommer.files import whole_folder
from spacy_tommer.training.corpus import CachedCorpus
from spacy_tommer.training.distillation import Purpose, distil_docs


def distil_corpus(
    corpus: Path,
    output: Path,
    teachers: list[Path],
    cache: Path,
    purpose: Purpose = "mentions",
    threshold: float = 0.9,
    keep: str = "",
    gold_share: Optional[float] = None,
) -> None:
    """Write a corpus with the spans whose mean probability exceeds a threshold.

    corpus (Path): Folder of DocBins.
    output (Path): Folder to write; it appears whole or not at all.
    teachers (list[Path]): Pipelines with one backbone, or folders of such pipelines.
    cache (Path): Folder that keeps the states of the texts.
    purpose (Purpose): What the spans become, see `distil_docs`.
    threshold (float): Mean probability that a span must exceed.
    keep (str): Sets (folders of the corpus) that are copied, separated by commas.
    gold_share (Optional[float]): Share of gold in the targets.
    RAISES (ValueError): If there are no DocBins or no pipelines.
    """
    files = walk_corpus(corpus, FILE_TYPE) if corpus.is_dir() else []
    pipelines = find_pipelines(teachers)
    if not files or not pipelines:
        missing = f"*.spacy files in the folder {corpus}" if pipelines else "pipelines"
        where = "" if pipelines else f" in {', '.join(map(str, teachers))}"
        raise ValueError(f"There are no {missing}{where}.")
    nlp = spacy.load(pipelines[0])
    pipes = [require_pipe(nlp, "tommer", pipelines[0])]
    pipes += [require_pipe(spacy.load(path), "tommer", path) for path in pipelines[1:]]
    kept = set(filter(None, keep.split(",")))
    counts: dict[str, Counter[str]] = {}
    with whole_folder(output) as aside:
        for path in tqdm(files, desc=str(corpus)):
            target = aside / path.relative_to(corpus)
            target.parent.mkdir(parents=True, exist_ok=True)
            if kept.intersection(path.relative_to(corpus).parts):
                shutil.copy(path, target)
                continue
            count = counts.setdefault(str(path.parent.relative_to(corpus)), Counter())
            docs = DocBin(store_user_data=purpose == "targets")
            examples = read_examples(path, cache, nlp)
            for doc in distil_docs(pipes, examples, purpose, threshold, count, gold_share):
                docs.add(doc)
            docs.to_disk(target)
    for name, count in counts.items():
        print(
            f"{name}: {count['gold']} gold mentions, {count['added']} spans added "
            f"({100 * count['added'] / max(count['tokens'], 1):.1f} per 100 tokens), "
            f"{count['unaligned']} left out that the gold tokens do not fit"
        )


def read_examples(path: Path, cache: Path, nlp: Language) -> Iterator[Example]:
    """Read the gold Docs of a DocBin as they are, with the cached states of their texts."""
    gold = (doc for doc in DocBin().from_disk(path).get_docs(nlp.vocab) if len(doc))
    unit = nlp.get_pipe("tommer").model.attrs["unit"]
    for example, doc in zip(CachedCorpus(path, cache, unit=unit)(nlp), gold, strict=True):
        yield Example(example.predicted, doc)


def find_pipelines(paths: list[Path]) -> list[Path]:
    """Find the pipelines in folders that are one or hold several."""
    configs = (
        config
        for path in paths
        for pattern in ("config.cfg", "*/config.cfg")
        for config in sorted(path.glob(pattern))
    )
    return [config.parent for config in configs]
