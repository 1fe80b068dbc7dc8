"""Raw HiGHS told by hand that enterprises are independent: one programme each, in a pool of processes.

The pool is there before the watch starts, and has the parts by inheritance. Building and solving are told as
one. The gap is that of the sums: of what each enterprise costs, and of what it costs at least.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing.pool import Pool

from benchmarks._families import Case, parted
from benchmarks._peers.answer import Answer, Asked, Watch, only
from benchmarks._peers.arrays import arrays_of
from benchmarks._peers.with_highspy import holding

DISTRIBUTIONS = ("highspy",)

_parts: list[Case] = []
"""Set before the pool is forked: a worker is asked for one by its number."""


def solve(case: Case, asked: Asked) -> Answer:
    """So many enterprises at once as there are threads."""
    only(case, "A", "B")
    _parts.extend(parted(case))
    jobs = [(enterprise, asked.gap) for enterprise in range(len(_parts))]
    if asked.threads == 1:
        watch = Watch()
        return _sum([_solved(*job) for job in jobs], watch)
    with multiprocessing.get_context("fork").Pool(asked.threads) as pool:
        _wake(pool, asked.threads)
        watch = Watch()
        return _sum(pool.starmap(_solved, jobs, chunksize=1), watch)


def _wake(pool: Pool, workers: int) -> None:
    """The workers have begun once each has been asked something."""
    pool.starmap(_solved, [(0, 1.0)] * workers, chunksize=1)


def _solved(enterprise: int, gap: float) -> tuple[float, float]:
    """What it costs, and at least."""
    a = arrays_of(_parts[enterprise])
    solver = holding(a, mip_rel_gap=gap)
    solver.run()
    info = solver.getInfo()
    cost = float(info.objective_function_value)
    return cost, float(info.mip_dual_bound) if len(a.integral) else cost


def _sum(costs: list[tuple[float, float]], watch: Watch) -> Answer:
    took = watch.lap()
    cost, bound = (float(sum(side)) for side in zip(*costs, strict=True))
    return Answer(
        build_s=0.0,
        solve_s=took,
        objective=cost,
        gap=(cost - bound) / max(abs(cost), 1.0),
        bound=bound,
    )
