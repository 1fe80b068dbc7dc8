"""The solver's twin: a process that solves single LPs for it, one after the other.

Reads pickled (programme, fixed columns, seconds left) on stdin, as `solver_child.py` frames them,
and writes pickled answers; ends with its parent.
"""

from __future__ import annotations

import os
import pickle
import sys
from time import perf_counter

from vpp.plan.lp import Deadline, solve_lp
from vpp.service.frames import read_frame, write_frame
from vpp.service.solver_child import behave


def main() -> None:
    """Answer until stdin ends."""
    behave()
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        while (payload := read_frame(sys.stdin.buffer)) is not None:
            programme, fixed, left_s = pickle.loads(payload)
            deadline = Deadline(perf_counter, perf_counter() + left_s)
            solution = solve_lp(programme, fixed, deadline)
            write_frame(answers, pickle.dumps(solution, protocol=pickle.HIGHEST_PROTOCOL))


if __name__ == "__main__":
    main()
