"""Run a command of the reproduction in this process."""

from typing import Any

from click.testing import Result
from typer.testing import CliRunner

from reproduction.__main__ import app


def run_verb(*arguments: Any, code: int = 0) -> Result:
    """Run a command, and see that it ends with a code and without a traceback."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def error_of(*arguments: Any) -> str:
    """Run a command that fails, and return its one line of error."""
    lines = run_verb(*arguments, code=1).stderr.splitlines()
    (line,) = (one for one in lines if one.startswith("Error: "))
    assert line == lines[-1]
    return line
