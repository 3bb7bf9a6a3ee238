"""Put the adapter of a backbone into the package, beside the heads that read its states."""

import shutil
from pathlib import Path

from spacy_tommer.backbone.adapter import adapter_files
from spacy_tommer.backbone.shim import BackboneShim
from spacy_tommer.files import whole_folder

CARD = """
## Adapter

{size:.1f} MB, trained by `python -m reproduction adapt` with these settings:

{rows}
"""


def check_adapter(shim: BackboneShim) -> None:
    """Raise ValueError if the adapter of a saved backbone is no longer where its config
    says, or no longer the same.

    shim (BackboneShim): Holds the backbone.
    """
    if shim.adapter and shim.load(1 + max(shim.layers)).sha256 != shim.get_cut().sha256:
        raise ValueError(
            f"The adapter {shim.adapter}, or {shim.name}, has changed since the pipeline "
            "was trained. Put there what it was trained on, or train it again."
        )


def adapter_card(place: Path) -> str:
    """Say in a part of a card what an adapter was trained with.

    place (Path): Its folder, or the name of a shipped model that has it.
    RETURNS (str): The part. ValueError is raised for an adapter without the README.md that
        `python -m reproduction adapt` writes.
    """
    _, weights = adapter_files(place)
    readme = weights.with_name("README.md")
    lines = readme.read_text("utf-8").splitlines() if readme.is_file() else []
    rows = [line for line in lines if line.startswith("|")]
    if not rows:
        raise ValueError(
            f"There is no table in {readme} that says what the adapter was trained with. "
            "Train one with: python -m reproduction adapt"
        )
    return CARD.format(size=weights.stat().st_size / 1e6, rows="\n".join(rows))


def copy_adapter(place: Path, folder: Path) -> None:
    """Copy an adapter with its README.md. The copy appears whole or not at all.

    place (Path): Its folder, or the name of a shipped model that has it.
    folder (Path): The folder to write, which may be that of the adapter.
    """
    config, weights = adapter_files(place)
    with whole_folder(folder) as aside:
        for path in (config, weights, config.with_name("README.md")):
            shutil.copyfile(path, aside / path.name)
