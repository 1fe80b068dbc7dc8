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


def behave(*, most_bytes: int, niceness: int = 5, outlives: bool = False) -> None:
    """End with the parent (unless it `outlives` him), let its event loop go first, and fail alone where memory runs out.

    A child of a child may have no more than its parent may: `address_space_bytes` tells how much that is.
    """
    if sys.platform == "linux" and not outlives:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.nice(niceness)
    _, hard_bytes = resource.getrlimit(resource.RLIMIT_AS)
    most = most_bytes if hard_bytes == resource.RLIM_INFINITY else min(most_bytes, hard_bytes)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def give_back() -> None:
    """Let what was freed leave the process: glibc keeps it between what is in use. Does nothing with another library."""
    if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)


def address_space_bytes() -> int:
    """What this process may have at most, since it behaves."""
    return resource.getrlimit(resource.RLIMIT_AS)[0]


@contextmanager
def answers_alone() -> Iterator[BinaryIO]:
    """Where answers go: whatever a library prints must not stand between them and goes to stderr."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        yield answers
