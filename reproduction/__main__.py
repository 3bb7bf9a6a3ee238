"""Reproduce the paper on your own machine: convert corpora, train heads, score them.

Run "python -m spacy project run all" to see the usual steps on a small sample; project.yml
has them all.
"""

from typing import Any

import typer
from typer.core import TyperGroup

from .commands import (
    adapt,
    agreement,
    annotators,
    cache,
    convert,
    distil,
    evaluate,
    export,
    generated,
    genres,
    judge,
    learning_curve,
    leave_out,
    lengths,
    sweep,
    thresholds,
)
from .commands.options import TakesOverrides
from .corpora.report import TooManyErrors
from .judge.ask import JudgeError

# What goes wrong because of what a user gave: one line says so, without a traceback.
USER_ERRORS = (ImportError, OSError, ValueError, JudgeError, TooManyErrors)


# As they follow each other.
ORDER = (
    "convert",
    "lengths",
    "adapt",
    "cache",
    "distil",
    "thresholds",
    "leave-out",
    "evaluate",
    "export",
    "learning-curve",
    "genres",
    "generated",
    "sweep",
    "agreement",
    "judge",
    "annotators",
)


class Commands(TyperGroup):
    """The commands, whose errors become a line and an exit code."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(ORDER)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # the reader of standard output has seen enough
            raise
        except USER_ERRORS as error:
            message = " ".join(str(error).split())
            typer.secho(f"Error: {message}", fg=typer.colors.RED, err=True)
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=Commands,
    help=__doc__,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(convert.app, name="convert")
app.command(cls=TakesOverrides)(cache.cache)
app.command()(lengths.lengths)
app.command()(adapt.adapt)
app.command()(distil.distil)
app.add_typer(thresholds.app, name="thresholds")
app.add_typer(leave_out.app, name="leave-out")
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(export.app, name="export")
app.command(cls=TakesOverrides)(learning_curve.learning_curve)
app.add_typer(genres.app, name="genres")
app.add_typer(generated.app, name="generated")
app.command()(sweep.sweep)
app.command()(agreement.agreement)
app.command()(judge.judge)
app.add_typer(annotators.app, name="annotators")

if __name__ == "__main__":
    app(prog_name="python -m reproduction")
