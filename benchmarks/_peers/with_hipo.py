"""HiGHS' newer interior point (HiPO) without crossover, the quickest setting it has where all is tied."""

from __future__ import annotations

import highspy

from benchmarks._families import Case
from benchmarks._peers.answer import Answer, Asked, NotRunError, Watch, only
from benchmarks._peers.arrays import arrays_of
from benchmarks._peers.with_highspy import holding

DISTRIBUTIONS = ("highspy", "highspy-extras")


def solve(case: Case, asked: Asked) -> Answer:
    """Build and solve."""
    only(case, "A", "AC", "FM")
    watch = Watch()
    solver = holding(arrays_of(case), solver="hipo", run_crossover="off", threads=asked.threads)
    built = watch.lap()
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        raise NotRunError(f"HiPO ends with {solver.getModelStatus()}")
    info = solver.getInfo()
    solver.getSolution()
    return Answer(
        build_s=built,
        solve_s=watch.lap(),
        objective=float(info.objective_function_value),
        cpu_s=watch.cpu_s,
        iterations=int(info.ipm_iteration_count),
    )
