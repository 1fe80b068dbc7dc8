"""The child process that solves: reads pickled problems on stdin, writes pickled outcomes to stdout.

A process, not a thread: it can be killed when it overruns, its crash is not ours, and the event
loop never waits for it. Each message is an 8-byte big-endian length and that many bytes. The
pickles come from our own parent over a private pipe, from nobody else. It ends with its parent: at
end of file, or by the kernel's signal where the parent was killed.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import resource
import signal
import struct
import sys
from time import perf_counter
from typing import BinaryIO

from vpp.errors import VppError
from vpp.model.schedule import Outcome, Unsolved
from vpp.plan.solve import solve

HEADER = struct.Struct(">Q")
PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>."""
ADDRESS_SPACE_BYTES = 4 * 2**30
"""A plan of a large park needs a tenth of it."""


def main() -> None:
    """Answer problems until stdin ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.nice(5)  # the event loop of the parent goes first
    limit = (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES)
    resource.setrlimit(resource.RLIMIT_AS, limit)  # it fails alone, not with the machine
    # Whatever a library prints must not stand between our answers: it goes to stderr.
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        serve(sys.stdin.buffer, answers)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Solve what comes in on `requests`, in order, until it ends."""
    _write(answers, b"ready")
    while header := requests.read(HEADER.size):
        problem = pickle.loads(requests.read(HEADER.unpack(header)[0]))
        outcome: Outcome
        try:
            outcome = solve(problem, perf_counter)
        except VppError as error:  # any other error is a bug, and ends the process
            outcome = Unsolved(reason=str(error))
        _write(answers, pickle.dumps(outcome, protocol=pickle.HIGHEST_PROTOCOL))


def _write(stream: BinaryIO, payload: bytes) -> None:
    stream.write(HEADER.pack(len(payload)) + payload)
    stream.flush()


if __name__ == "__main__":
    main()
