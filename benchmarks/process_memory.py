"""The memory of a process, as Linux counts it."""

from pathlib import Path
from typing import Union


def process_memory(field: str, process: Union[int, str] = "self") -> float:
    """Read a figure of a process in MB.

    field (str): "VmRSS" for what it holds, "VmHWM" for the most that it has held, or
        "RssAnon" for the part that is of no file.
    process (Union[int, str]): The number of the process; by default this one.
    """
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) / 1024
