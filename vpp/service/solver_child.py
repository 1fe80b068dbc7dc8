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
import signal
import struct
import sys
from typing import BinaryIO

from vpp.plan.solve import solve

HEADER = struct.Struct(">Q")
PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>."""


def main() -> None:
    """Answer problems until stdin ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.nice(5)  # the event loop of the parent goes first
    serve(sys.stdin.buffer, sys.stdout.buffer)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Solve what comes in on `requests`, in order, until it ends."""
    _write(answers, b"ready")
    while header := requests.read(HEADER.size):
        problem = pickle.loads(requests.read(HEADER.unpack(header)[0]))
        _write(answers, pickle.dumps(solve(problem), protocol=pickle.HIGHEST_PROTOCOL))


def _write(stream: BinaryIO, payload: bytes) -> None:
    stream.write(HEADER.pack(len(payload)) + payload)
    stream.flush()


if __name__ == "__main__":
    main()
