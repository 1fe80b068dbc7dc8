"""Raw HiGHS: the arrays handed to highspy, default options."""

from __future__ import annotations

import highspy

from benchmarks._families import Case
from benchmarks._peers.answer import Answer, Watch
from benchmarks._peers.arrays import arrays_of

DISTRIBUTIONS = ("highspy",)


def solve(case: Case, gap: float) -> Answer:
    """Build and solve."""
    watch = Watch()
    a = arrays_of(case)
    lp = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = a.matrix.shape
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = a.cost, a.lower, a.upper
    lp.row_lower_, lp.row_upper_ = a.row_lower, a.row_upper
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = a.matrix.indptr
    lp.a_matrix_.index_ = a.matrix.indices
    lp.a_matrix_.value_ = a.matrix.data
    if len(a.integral):
        kinds = [highspy.HighsVarType.kContinuous] * len(a.cost)
        for column in a.integral.tolist():
            kinds[column] = highspy.HighsVarType.kInteger
        lp.integrality_ = kinds
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("mip_rel_gap", gap)
    solver.passModel(lp)
    built = watch.lap()
    solver.run()
    info = solver.getInfo()
    solver.getSolution()
    return Answer(
        build_s=built,
        solve_s=watch.lap(),
        objective=float(info.objective_function_value),
        gap=float(info.mip_gap) if len(a.integral) else 0.0,
    )
