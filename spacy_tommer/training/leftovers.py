"""Files and folders of the cache that runs which were killed left unfinished."""

import os
import platform
import re
import shutil
from pathlib import Path


def remove_leftovers(folder: Path) -> None:
    """Remove incomplete files and folders of runs that were killed: those whose name has
    this machine and the id of a process that no longer runs (`files.aside_of`).

    folder (Path): The folder, which need not exist. Its subfolders are also searched.
    """
    leftover = re.compile(rf"\..*\.{re.escape(platform.node())}\.(\d+)\.part")
    for path in sorted(folder.rglob("*.part")):
        match = leftover.fullmatch(path.name)
        if match and not is_running(int(match[1])):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def is_running(process: int) -> bool:
    """Check whether a process of this id runs. On Windows, always return True."""
    if os.name == "nt":  # where signal 0 would end the process
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True
