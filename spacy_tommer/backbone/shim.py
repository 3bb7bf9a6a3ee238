"""The shim that holds the language model of a backbone: it loads blocks at first use, and
more of them when a deeper one is read, and saves them with the pipeline."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

from thinc.api import Shim, get_torch_default_device

from ..files import write_aside
from ..locks import COMPUTING
from .language_model import CutModel
from .precision import Wanted
from .sources import find_config, find_folder

# What `to_bytes` writes in place of the model if that is in a file of its own.
BESIDE = b"beside"


class BackboneShim(Shim):
    """Hold a language model that no optimizer changes.

    name (str): Where its weights come from, as for `Backbone`.
    layers (tuple[int, ...]): The blocks whose outputs are returned, counted from 0.
    passes (int): How often the model reads each window.
    adapter (Optional[str]): Folder of the adapter that is merged into its weights.
    precision (str): The precision that it computes in, or "auto".
    """

    def __init__(
        self,
        name: str,
        layers: tuple[int, ...],
        passes: int,
        adapter: Optional[str] = None,
        precision: Wanted = "float32",
    ) -> None:
        super().__init__(None)
        self.name = name
        self.layers = layers
        self.passes = passes
        self.adapter = None if adapter is None else Path(adapter)
        self.precision: Wanted = precision
        self.cut: Optional[CutModel] = None
        self.file: Optional[Path] = None

    def get_cut(self, blocks: int = 0) -> CutModel:
        """Get the model. It is loaded at first use, and again when it lacks blocks.

        blocks (int): Least number of blocks that it holds; never fewer than `layers` need.
        RETURNS (CutModel): The model. ValueError is raised if more blocks are needed and
            `name` is now another model.
        """
        with COMPUTING:
            blocks = max(blocks, max(self.layers) + 1)
            if self.cut is None:
                self.cut = self.load(blocks)
            elif self.cut.config.num_hidden_layers < blocks:
                deeper = self.load(blocks)
                if deeper.sha256 != self.cut.sha256:
                    raise ValueError(
                        f"Block {blocks - 1} of the backbone is needed and was not saved "
                        f"with it, and {self.name!r} now has the weights "
                        f"{deeper.sha256[:16]} instead of {self.cut.sha256[:16]}. Put the "
                        "former weights there, or write a smaller `definition_layer`."
                    )
                self.cut = deeper
            return self.cut

    def load(self, blocks: int) -> CutModel:
        """Load the first blocks from where `name` says, with the adapter."""
        folder = find_folder(self.name, blocks)
        cut = CutModel.from_folder(folder, blocks, self.passes, self.adapter)
        cut.lower(self.precision)
        return cut

    @contextmanager
    def beside(self, file: Path) -> Iterator[None]:
        """Let `to_bytes` and `from_bytes` keep the model in a file, from which its weights
        are mapped into memory.

        file (Path): The file.
        """
        with COMPUTING:
            self.file = file
            try:
                yield
            finally:
                self.file = None

    def to_bytes(self) -> bytes:
        """Write the model; nothing if its weights are not on this machine."""
        with COMPUTING:
            blocks = max(self.layers) + 1
            if self.cut is None and find_config(self.name, blocks) is not None:
                self.get_cut()
            if self.cut is None:
                return b""
            data = self.cut.to_bytes()
            if self.file is None:
                return data
            # Renamed, because weights may be mapped from a former file of this name.
            write_aside(self.file, lambda aside: aside.write_bytes(data))
            return BESIDE

    def from_bytes(self, data: bytes) -> "BackboneShim":
        """Read what `to_bytes` wrote."""
        if not data:
            return self
        if data == BESIDE:
            if self.file is None:
                raise ValueError(
                    f"The weights of the saved backbone {self.name!r} are in a file of "
                    "their own, which only this pipe reads:\n"
                    "    [components.transformer]\n"
                    '    factory = "tommer_transformer"'
                )
            cut = CutModel.from_file(self.file, self.passes)
        else:
            origin = f"The saved backbone {self.name!r}"
            cut = CutModel.from_bytes(data, origin, self.passes)
        cut.lower(self.precision)
        self.cut = cut
        return self

    def finish_update(self, optimizer: Any) -> None:
        """Leave the weights as they are."""

    def to_device(self, device_type: str, device_id: int) -> None:
        """Move the weights to the device that thinc uses."""
        with COMPUTING:
            if self.cut is not None:
                self.cut.network.to(get_torch_default_device())
