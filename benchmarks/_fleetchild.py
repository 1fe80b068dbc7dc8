"""A solver process that does all that the real one does, but for searching; `fleet_cycle.py` asks it.

    python -m benchmarks._fleetchild --told=FILE --sheets=…

The plan is made by hand: batteries rest, the sun is fed in, loads draw evenly in their windows. What each question
took of the processor is a line of JSON in FILE.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import process_time

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.schedule import Optimal
from vpp.plan.compile import build
from vpp.plan.fleet.fit import Fitted, fit
from vpp.plan.lp import LpSolution
from vpp.plan.programme import Programme
from vpp.plan.reading import schedule_of
from vpp.service.solving.childlife import answers_alone
from vpp.service.solving.frames import read_frame, write_frame
from vpp.service.solving.handover import dumped, loaded


def main() -> None:
    """Answer problems until stdin ends; the collector rests meanwhile, as in the real one."""
    said = dict(one.removeprefix("--").split("=", 1) for one in sys.argv[1:])
    asked, answered = (int(one) for one in said["sheets"].split(","))
    gc.disable()
    gc.freeze()
    with answers_alone() as answers:
        write_frame(answers, b"ready")
        while (payload := read_frame(sys.stdin.buffer)) is not None:
            seconds: dict[str, float] = {}
            answer = _answer(payload, asked, answered, seconds)
            with Path(said["told"]).open("a", encoding="utf-8") as told:
                told.write(json.dumps(seconds) + "\n")
            write_frame(answers, answer)
            gc.collect()


def _answer(payload: bytes, asked: int, answered: int, seconds: dict[str, float]) -> bytes:
    with _counted(seconds, "hear the problem"):
        heard = loaded(payload, asked)
    excess_per_kwh = heard.options.limit_excess_price_per_kwh
    with _counted(seconds, "compile"):
        programme = build(heard.view, heard.terms, limit_excess_price_per_kwh=excess_per_kwh)
    with _counted(seconds, "fit"):
        fitted = fit(programme, programme.lower, programme.upper)
    assert isinstance(fitted, Fitted), fitted
    del fitted
    x = _by_hand(programme)
    solution = LpSolution(
        x=x, cost=(cost := float(programme.cost @ x)), bound=cost, row_marginals=np.zeros(len(programme.row_lower)),
        column_marginals=np.zeros(len(x)), fixed={},
    )  # fmt: skip
    with _counted(seconds, "read the plan"):
        schedule = schedule_of(heard, programme, solution, gap=0.0, build_s=0.0, solve_s=0.0)
    with _counted(seconds, "tell the plan"):
        return dumped(Optimal(schedule=schedule), answered)


@contextmanager
def _counted(seconds: dict[str, float], step: str) -> Iterator[None]:
    began = process_time()
    yield
    seconds[step] = process_time() - began


def _by_hand(programme: Programme) -> Floats:
    """A plan that keeps every rule: nobody would call it good."""
    fleet, x = programme.fleet, np.zeros(len(programme.cost))
    x[fleet.storages.stored] = fleet.storages.stored_kwh[:, None]
    x[fleet.generators.feed] = fleet.generators.available_kw
    windows, flexibles = fleet.flexibles.windows, fleet.flexibles
    window, step = windows.members()
    length = np.bincount(window, minlength=len(windows.load)) * flexibles.step_hours
    x[flexibles.draw[windows.load[window], step]] = (windows.least_kwh / length)[window]
    points = programme.balance[: len(fleet.points.imports)]
    net_kw = programme.row_lower[points] - (programme.matrix @ x)[points]
    x[fleet.points.exports], x[fleet.points.imports] = np.maximum(net_kw, 0), np.maximum(-net_kw, 0)
    net = net_kw.sum(axis=0)
    x[fleet.market.sell[0]], x[fleet.market.buy[0]] = np.maximum(net, 0), np.maximum(-net, 0)
    peaks = programme.causes["peak"].columns
    lacking = programme.row_lower - programme.matrix @ x
    column = programme.matrix.tocsc()
    for peak in peaks:
        rows = column.indices[column.indptr[peak] : column.indptr[peak + 1]]
        x[peak] = max(0.0, lacking[rows].max())
    return x


if __name__ == "__main__":
    main()
