"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from spacy.cli._util import parse_config_overrides
from typer.core import TyperCommand

Config = Annotated[
    Path,
    typer.Argument(
        help="Training config, such as configs/mentions.cfg. Settings in it may be changed "
        "as with `spacy train`: --recipe.rank 64."
    ),
]
Cache = Annotated[Path, typer.Option(help="Folder that keeps the hidden states.")]
OwnCache = Annotated[
    Optional[Path], typer.Option(help="Keep the hidden states of the texts here.")
]
Benchmarks = Annotated[
    Path, typer.Option(help="Folder with a folder of DocBins for each set.")
]
Pipelines = Annotated[
    list[str], typer.Argument(help="Names of shipped models, or folders of pipelines.")
]
Limit = Annotated[int, typer.Option(min=0, help="First texts of each set; 0: all.")]
Seed = Annotated[int, typer.Option(help="Seed of all that is random.")]
GpuId = Annotated[int, typer.Option(help="Number of the GPU; -1: the processor.")]
LeftOut = Annotated[
    str, typer.Argument(help="Names of the sets to leave out, separated by commas.")
]


class TakesOverrides(TyperCommand):
    """A command that takes settings of the config, as `spacy train` does, in `ctx.args`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        known, dotted = [], []
        words = iter(args)
        for word in words:
            if word.startswith("--") and "." in word.partition("=")[0]:
                dotted += [word] if "=" in word else [word, next(words, "true")]
            else:
                known.append(word)
        super().parse_args(ctx, known)
        ctx.args = dotted
        return dotted


def overrides_of(ctx: typer.Context) -> dict[str, Any]:
    """Read the settings of the config that a command was given.

    ctx (typer.Context): The context of a command that `TakesOverrides`.
    RETURNS (dict[str, Any]): The new values by dotted name.
    """
    return parse_config_overrides(list(ctx.args), env_var=None)
