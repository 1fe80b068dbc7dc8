"""Ours: the family's arrays as a forest, solved with its proof by the kernels that are asked for.

A park of the same family and another size is solved before the watch starts: the compiled kernels are there
when a service plans, and so is everything that is imported late.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from benchmarks._families import Case, make_case
from benchmarks._fleet_ours import forest_of
from benchmarks._peers.answer import Answer, Asked, NotRunError, Watch, only
from vpp.plan.fleet.forest import Solved
from vpp.plan.fleet.kernels import NUMPY
from vpp.plan.fleet.solve import Kernels, solve_forest
from vpp.plan.lp import Deadline
from vpp.plan.parts import ALONE
from vpp.service.solving.child import Threads

DISTRIBUTIONS = ("scipy", "numpy")
HARD_S = 3600.0


def solve(case: Case, asked: Asked) -> Answer:
    """Build is the forest alone; presolve, packing, certificate and unpacking are told with solving."""
    only(case, "A", "AC")
    kernels = _kernels(asked)
    _solved(make_case(case.family, 25, seed=0), kernels, Watch())
    watch = Watch()
    return _solved(case, kernels, watch)


def _kernels(asked: Asked) -> Kernels:
    if asked.kernels == "numpy":
        return NUMPY
    if asked.kernels != "numba":
        raise NotRunError(f"no kernels in {asked.kernels}")
    from vpp.plan.fleet.jitted.alone import compiled

    workers = Threads(ThreadPoolExecutor(asked.threads), asked.threads)
    return compiled(workers if asked.threads > 1 else ALONE)


def _solved(case: Case, kernels: Kernels, watch: Watch) -> Answer:
    forest = forest_of(case)
    built = watch.lap()
    answer = solve_forest(
        forest, kernels=kernels, deadline=Deadline(perf_counter, perf_counter() + HARD_S)
    )
    took = watch.lap()
    if not isinstance(answer, Solved):
        raise RuntimeError(f"not solved: {answer}")
    return Answer(
        build_s=built,
        solve_s=took,
        objective=answer.cost,
        gap=(answer.cost - answer.bound) / max(abs(answer.cost), 1.0),
        cpu_s=watch.cpu_s,
        bound=answer.bound,
        residual=answer.residual,
        iterations=answer.iterations,
        fallbacks=len(answer.fallbacks),
    )
