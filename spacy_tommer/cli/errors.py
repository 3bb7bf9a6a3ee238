"""Errors that the user can mend: a message on standard error, and the exit code 2."""

from typing import Any, NoReturn

import typer
from typer.core import TyperGroup


class Commands(TyperGroup):
    """Commands whose errors become a line."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # the reader of standard output has seen enough
            raise
        except (ImportError, OSError, ValueError) as error:
            fail(str(error))


def fail(message: str) -> NoReturn:
    """End with an error message."""
    typer.secho(f"Error: {message}", fg="red", err=True)
    raise typer.Exit(2) from None


def warn(message: str) -> None:
    """Say on standard error what a user should know."""
    typer.secho(f"Warning: {message}", fg="yellow", err=True)
