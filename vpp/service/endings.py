"""A command that a person waits for ends as they expect, whichever way it is told to."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within it a stop of the machine and a closed terminal end the task at hand, as Ctrl-C does.

    So what the task began is ended in the one place where it looks after that. Signals are the main
    thread's: in any other one it changes nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop, ours = asyncio.get_running_loop(), asyncio.current_task()
    assert ours is not None
    ending = (signal.SIGTERM, signal.SIGHUP)
    for number in ending:
        loop.add_signal_handler(number, lambda: ours.cancelling() or ours.cancel())
    try:
        yield
    finally:
        for number in ending:
            loop.remove_signal_handler(number)
