"""Errors that the user can fix: a message on standard error, and the exit code 2."""

from typing import Any, NoReturn

import typer
from typer.core import TyperGroup


class Commands(TyperGroup):
    """Run commands, and print their errors without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # the reader of standard output has seen enough
            raise
        except (ImportError, OSError, ValueError) as error:
            fail(str(error))


def fail(message: str) -> NoReturn:
    """Print an error message and exit with the code 2."""
    typer.secho(f"Error: {message}", fg="red", err=True)
    raise typer.Exit(2) from None


def warn(message: str) -> None:
    """Print a warning on standard error."""
    typer.secho(f"Warning: {message}", fg="yellow", err=True)
