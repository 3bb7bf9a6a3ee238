"""The output of a command: standard output, or a file that is replaced as a whole."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Optional, TextIO


@contextmanager
def opened(output: Optional[Path], whole: bool) -> Iterator[TextIO]:
    """Open the output for writing in UTF-8.

    output (Optional[Path]): The file; by default standard output. Links are followed. A
        path that is not a regular file, such as a pipe, is written directly.
    whole (bool): Whether to write a temporary file and to rename it when it is complete.
    YIELDS (TextIO): The stream.
    """
    if output is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8", errors="replace")
        yield sys.stdout
        sys.stdout.flush()
        return
    output = Path(os.path.realpath(output))
    whole = whole and (output.is_file() or not output.exists())
    path = output.with_name(f"{output.name}.{os.getpid()}.part") if whole else output
    try:
        with path.open("w", encoding="utf-8", newline="\n") as stream:
            yield stream
        if whole:
            os.replace(path, output)
    except BaseException:
        if whole:
            path.unlink(missing_ok=True)
        raise
