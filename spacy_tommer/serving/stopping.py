"""Notice that the server is told to stop."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Optional

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def notice_stop(stopping: asyncio.Event) -> Iterator[None]:
    """Set an event at SIGTERM or SIGINT, as long as the context lasts, beside what is done
    anyway. uvicorn waits for open requests before it tells its app."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {one: signal.getsignal(one) for one in SIGNALS}

    def stop(number: int, frame: Optional[FrameType]) -> None:
        loop.call_soon_threadsafe(stopping.set)
        known: Any = before[signal.Signals(number)]
        if callable(known):
            known(number, frame)

    for one in SIGNALS:
        signal.signal(one, stop)
    try:
        yield
    finally:
        for one, known in before.items():
            signal.signal(one, known)
