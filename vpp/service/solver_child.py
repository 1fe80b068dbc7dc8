"""The child process that solves: reads pickled problems on stdin, writes pickled outcomes to stdout.

A process, not a thread: it can be killed when it overruns, its crash is not ours, and the event
loop never waits for it. The pickles come from our own parent over a private pipe, from nobody
else. It ends with its parent: at end of file, or by the kernel's signal where the parent was killed.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import resource
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import BinaryIO, Literal, cast

from vpp.errors import VppError
from vpp.model.schedule import Outcome, Unsolved
from vpp.plan.lp import Ahead, Deadline, LpAnswer, in_turn, solve_lp
from vpp.plan.programme import LinearProgramme
from vpp.plan.solve import solve
from vpp.service.frames import read_frame, write_frame

PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>."""
ADDRESS_SPACE_BYTES = 4 * 2**30
"""A plan of a large park needs a tenth of it."""


def main() -> None:
    """Answer problems until stdin ends, with a twin for the second of two LPs."""
    behave()
    # Whatever a library prints must not stand between our answers: it goes to stderr.
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        with Twin() as twin:
            serve(sys.stdin.buffer, answers, twin.begin)


def behave() -> None:
    """End with the parent, let its event loop go first, and fail alone where memory runs out."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))


def serve(requests: BinaryIO, answers: BinaryIO, ahead: Ahead) -> None:
    """Solve what comes in on `requests`, in order, until it ends."""
    write_frame(answers, b"ready")
    while (payload := read_frame(requests)) is not None:
        outcome: Outcome
        try:
            outcome = solve(pickle.loads(payload), perf_counter, ahead)
        except VppError as error:  # any other error is a bug, and ends the process
            outcome = Unsolved(reason=str(error))
        write_frame(answers, pickle.dumps(outcome, protocol=pickle.HIGHEST_PROTOCOL))


class Twin:
    """A second process, for the LP that will probably be wanted next; a context manager.

    While it is busy, or once it has died, LPs are solved in turn: later, with the same answer.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = 0
        """Answers that nobody has waited for yet."""

    def __enter__(self) -> Twin:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "vpp.service.twin"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def begin(
        self, programme: LinearProgramme, fixed: Mapping[int, float], deadline: Deadline
    ) -> Callable[[], LpAnswer]:
        """Let the twin solve it; the answer is waited for when it is asked for."""
        self._drain()
        if self._process is None or self._unread:
            return in_turn(programme, fixed, deadline)
        task = pickle.dumps((programme, dict(fixed), deadline.left_s), pickle.HIGHEST_PROTOCOL)
        try:
            write_frame(self._stream("stdin"), task)
        except BrokenPipeError:
            self._mourn()
            return in_turn(programme, fixed, deadline)
        self._unread += 1

        def answer() -> LpAnswer:
            payload = read_frame(self._stream("stdout")) if self._process is not None else None
            self._unread -= 1
            if payload is None:
                self._mourn()
                return solve_lp(programme, fixed, deadline)
            solution: LpAnswer = pickle.loads(payload)
            return solution

        return answer

    def _drain(self) -> None:
        """Read answers that came and were not wanted."""
        while (
            self._process is not None
            and self._unread
            and select.select([self._stream("stdout")], [], [], 0)[0]
        ):
            self._unread -= 1
            if read_frame(self._stream("stdout")) is None:
                self._mourn()

    def _mourn(self) -> None:
        sys.stderr.write("the twin solver has died; LPs are solved in turn\n")
        self._process = None

    def _stream(self, name: Literal["stdin", "stdout"]) -> BinaryIO:
        stream = getattr(self._process, name)
        assert stream is not None
        return cast(BinaryIO, stream)


if __name__ == "__main__":
    main()
