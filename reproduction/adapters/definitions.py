"""Vectors of definitions that are kept in a file: to embed thousands takes minutes, and a
training that goes on needs them again."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from safetensors.numpy import load_file, save_file
from spacy.util import minibatch
from spacy_transformers import Transformer
from tqdm import tqdm

from spacy_tommer.backbone.model import spec_of
from spacy_tommer.entities.definitions import Vectors, embed
from spacy_tommer.files import write_aside

BATCH = 512


class KeptDefinitions:
    """Embed texts, except those whose vectors are in a file.

    transformer (Transformer): The pipe that computes vectors.
    cache (Path): Folder for the file.
    """

    def __init__(self, transformer: Transformer, cache: Path) -> None:
        spec = repr(spec_of(transformer.model)).encode("utf-8")
        name = hashlib.sha256(spec).hexdigest()[:32]
        self.path = cache / "definitions" / f"{name}.safetensors"
        self.transformer = transformer

    def embed(self, texts: Iterable[str]) -> dict[str, Vectors]:
        """Return the vector of each text. (d,)"""
        texts = list(dict.fromkeys(texts))
        known = load_file(self.path) if self.path.is_file() else {}
        missing = [text for text in texts if text not in known]
        if missing:
            self.add(missing, known)
        return {text: known[text] for text in texts}

    def add(self, texts: Sequence[str], known: dict[str, Vectors]) -> None:
        """Compute vectors and add them to those of the file. What is there when it is
        interrupted is kept."""
        try:
            with tqdm(total=len(texts), desc="definitions", unit="text") as bar:
                for part in minibatch(texts, BATCH):
                    known.update(embed(part, self.transformer, None))
                    bar.update(len(part))
        finally:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_aside(self.path, lambda aside: save_file(known, aside))
