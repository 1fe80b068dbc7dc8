"""How a child process of ours lives: it ends with its parent, lets the event loop go first, and fails alone."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>."""


def behave(*, most_bytes: int, niceness: int = 5) -> None:
    """End with the parent, let its event loop go first, and fail alone where memory runs out."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.nice(niceness)
    resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))


@contextmanager
def answers_alone() -> Iterator[BinaryIO]:
    """Where answers go: whatever a library prints must not stand between them and goes to stderr."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        yield answers
