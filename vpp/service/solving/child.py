"""The child process that solves: reads problems on stdin, writes outcomes to stdout, their arrays beside (`handover.py`).

A process, not a thread: it can be killed when it overruns, its crash is not ours, and the event
loop never waits for it. The pickles come from our own parent over a private pipe, from nobody
else. It ends with its parent: at end of file, or by the kernel's signal where the parent was killed.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import BinaryIO, TypeVar

from vpp.errors import VppError
from vpp.model.schedule import Outcome, Unsolved
from vpp.plan.fleet.kept import Kept
from vpp.plan.fleet.solve import Kernels
from vpp.plan.parts import Workers
from vpp.plan.solve import solve
from vpp.service.solving.childlife import address_space_bytes, answers_alone, behave
from vpp.service.solving.frames import read_frame, write_frame
from vpp.service.solving.handover import dumped, loaded
from vpp.service.solving.kernels import BestKernels

ADDRESS_SPACE_BYTES = 12 * 2**30
"""A plan of ten thousand resources needs a fifteenth of it; one of a hundred thousand less than half."""

SHEETS = "--sheets="
"""Before the descriptors of two sheets: of what is asked, and of what is answered."""

Answer = TypeVar("Answer")


def main() -> None:
    """Answer problems until stdin ends, with a thread for each core."""
    behave(most_bytes=ADDRESS_SPACE_BYTES)
    with answers_alone() as answers:
        cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
        with (
            ThreadPoolExecutor(cores, thread_name_prefix="solver") as pool,
            ThreadPoolExecutor(cores, thread_name_prefix="kernels") as others,
        ):
            # Kernels have hands of their own: a task of `pool` that asked for its turn there might wait for ever.
            kernels = BestKernels(Threads(others, cores))
            serve(sys.stdin.buffer, answers, Threads(pool, cores), kernels, _sheets(sys.argv))


def _sheets(arguments: Sequence[str]) -> tuple[int, int]:
    """The descriptors that whoever started us has said."""
    said = next(one for one in arguments if one.startswith(SHEETS))
    asked, answered = said.removeprefix(SHEETS).split(",")
    return int(asked), int(answered)


def serve(
    requests: BinaryIO,
    answers: BinaryIO,
    workers: Workers,
    kernels: Kernels,
    sheets: tuple[int, int],
) -> None:
    """Solve what comes in on `requests`, in order, until it ends.

    Garbage is collected between problems: within one it would search thousands of nouns for nothing.
    What the libraries brought stays for good and is not searched: the next problem waits no longer than
    its own garbage takes (less than a millisecond, not 30).
    """
    asked, answered = sheets
    kept = Kept()
    gc.disable()
    gc.freeze()
    write_frame(answers, b"ready")
    while (payload := read_frame(requests)) is not None:
        outcome: Outcome
        try:
            outcome = solve(loaded(payload, asked), perf_counter, workers, kernels, kept)
        except VppError as error:  # any other error is a bug, and ends the process
            outcome = Unsolved(reason=str(error))
        except MemoryError as error:
            most = address_space_bytes() / 2**30
            why = f"the plan needs more memory than the {most:g} GiB that the solver may have: {error}"
            outcome = Unsolved(reason=why, broke=True)
        write_frame(answers, answer(outcome, answered))
        del outcome
        gc.collect()


def answer(outcome: Outcome, sheet: int) -> bytes:
    """An outcome as a frame; where no memory is left for its arrays, that is what came out."""
    try:
        return dumped(outcome, sheet)
    except OSError as error:
        why = Unsolved(reason=f"no memory is left for the plan: {error}", broke=True)
        return dumped(why, sheet)


class Threads:
    """Solves beside one another, one task a core: HiGHS lets go of the interpreter while it runs.

    Threads rather than more processes: nothing is sent about, and the whole crew is killed at once.
    """

    def __init__(self, pool: ThreadPoolExecutor, count: int) -> None:
        self._pool = pool
        self.count = count

    def begin(self, task: Callable[[], Answer]) -> Callable[[], Answer]:
        """Let the next thread that is free do it."""
        return self._pool.submit(task).result


if __name__ == "__main__":
    main()
