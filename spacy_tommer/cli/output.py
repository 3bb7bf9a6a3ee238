"""Where a command writes to: standard output, or a file that is whole or as it was."""

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

    output (Optional[Path]): The file; standard output where there is none. The target of a
        link is written; what is no regular file, such as a pipe, is written to directly.
    whole (bool): Whether the file is useless before its end, so that it is written
        aside and put in place when it is complete.
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
