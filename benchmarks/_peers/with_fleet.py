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
from vpp.service.solving.kernels import loaded, prepared

DISTRIBUTIONS = ("scipy", "numpy")
HARD_S = 3600.0


def solve(case: Case, asked: Asked) -> Answer:
    """Build is the forest alone; presolve, packing, certificate and unpacking are told with solving."""
    only(case, "A", "AC")
    with ThreadPoolExecutor(asked.threads) as pool:
        kernels = _kernels(asked, pool)
        _solved(make_case(case.family, 45, seed=0), kernels, Watch())
        return _solved(case, kernels, Watch())


def _kernels(asked: Asked, pool: ThreadPoolExecutor) -> Kernels:
    if asked.kernels == "numpy":
        return NUMPY
    if asked.kernels != "numba":
        raise NotRunError(f"no kernels in {asked.kernels}")
    folder = prepared()
    if isinstance(folder, str):
        raise NotRunError(folder)
    return loaded(folder, Threads(pool, asked.threads) if asked.threads > 1 else ALONE)


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
