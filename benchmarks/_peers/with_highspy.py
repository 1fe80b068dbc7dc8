"""Raw HiGHS: the arrays handed to highspy, default options."""

from __future__ import annotations

import highspy
import numpy as np

from benchmarks._families import Case
from benchmarks._peers.answer import Answer, Asked, Watch
from benchmarks._peers.arrays import Arrays, arrays_of

DISTRIBUTIONS = ("highspy",)


def solve(case: Case, asked: Asked) -> Answer:
    """Build and solve."""
    watch = Watch()
    a = arrays_of(case)
    solver = holding(a, mip_rel_gap=asked.gap)
    built = watch.lap()
    solver.run()
    info = solver.getInfo()
    solver.getSolution()
    return Answer(
        build_s=built,
        solve_s=watch.lap(),
        objective=float(info.objective_function_value),
        gap=float(info.mip_gap) if len(a.integral) else 0.0,
        cpu_s=watch.cpu_s,
        bound=float(info.mip_dual_bound) if len(a.integral) else None,
    )


def holding(a: Arrays, **options: float | str) -> highspy.Highs:
    """A solver that has the programme and does nothing yet.

    Raises:
        RuntimeError: HiGHS does not take an option.
    """
    lp = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = a.matrix.shape
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = a.cost, a.lower, a.upper
    lp.row_lower_, lp.row_upper_ = a.row_lower, a.row_upper
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = a.matrix.indptr
    lp.a_matrix_.index_ = a.matrix.indices
    lp.a_matrix_.value_ = a.matrix.data
    if len(a.integral):
        kinds = np.full(len(a.cost), highspy.HighsVarType.kContinuous)
        kinds[a.integral] = highspy.HighsVarType.kInteger
        lp.integrality_ = kinds.tolist()
    solver = highspy.Highs()
    for name, value in {"output_flag": False, **options}.items():
        if solver.setOptionValue(name, value) != highspy.HighsStatus.kOk:
            raise RuntimeError(f"HiGHS does not take {name} = {value}")
    solver.passModel(lp)
    return solver
