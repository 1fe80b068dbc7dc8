"""What bids of the mode `expected` earn, beside bids that know one price only: days of the demo park.

    python benchmarks/bid_value.py [--days 56 --park winter] [--every 3h] [--margins 5,20,60] [--no-foresight] [--json]

    expected         curves over price scenarios, as the service makes them
    robust           the service's offer from the plan alone
    self-schedule    the point plan's quantity, whatever the price                              (a)
    single N         the same quantity, at the expected price and N EUR/MWh to spare:           (b)
                     the best N is taken with hindsight

Run by hand; a way takes minutes a week. All ways have the same devices, prices, forecasts and seed, and the
plant's own cycles (`vpp/service/backtest/backtest.py`); they differ in what is bid day-ahead alone. Costs are those of
the whole park, with what stands in the stores at either end. `value captured` of every way is worked out with
the foresight and the doing-nothing of the first.

Exit 0, also where `expected` earns less: that is a result.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

if __package__ in (None, ""):  # run as a script, not as `python -m benchmarks.bid_value`
    sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import structlog
from rich.console import Console
from rich.table import Table

from benchmarks._winter import FIRST_DAY, HISTORY_DAYS, winter_park
from benchmarks.bid_curves import expected
from benchmarks.harness import machine
from vpp.model.bidcurve import BidCurves, CurveCheck, Rise
from vpp.model.horizon import Horizon
from vpp.model.schedule import Outcome, Schedule, Unsolved
from vpp.plan.problem import CurveAsk, Problem
from vpp.service.backtest.asked import BacktestOptions, Way, span_of
from vpp.service.backtest.backtest import backtest
from vpp.service.backtest.rows import Row, plain
from vpp.service.bids.curveschema import CurveSettings
from vpp.service.park.parkfile import ParkFile, load_park, shipped_park
from vpp.service.plant import Plant
from vpp.service.solving.executor import Executor, ProcessExecutor

EXPECTED, ROBUST, SELF_SCHEDULE = "expected", "robust", "self-schedule"
SECONDS = 500.0
"""For curves: what is measured is what they are worth, not how fast this machine is."""

HARD_S = 900.0

COLUMNS = (
    *("cost", "less than nothing", "value captured"),
    *("imbalance MWh", "lost by imbalance", "lost by late trades"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command was asked for."""

    days: int
    park: str
    every: timedelta
    margins: tuple[float, ...]
    paths: int
    foresight: bool
    seed: int

    @property
    def ways(self) -> tuple[str, ...]:
        return (EXPECTED, SELF_SCHEDULE, *map(single, self.margins), ROBUST)


def single(margin: float) -> str:
    """How the way of one price is called."""
    return f"single {margin:g}"


class OneQuantity:
    """An executor whose plans offer their own quantity: at any price, or at one with `margin` to spare."""

    def __init__(self, inner: Executor, margin_per_mwh: float | None) -> None:
        self._inner, self._margin = inner, margin_per_mwh

    @property
    def pid(self) -> int | None:
        return self._inner.pid

    async def solve(self, problem: Problem, *, hard_s: float) -> Outcome:
        outcome = await self._inner.solve(replace(problem, curves=()), hard_s=hard_s)
        if isinstance(outcome, Unsolved):
            return outcome
        curves = tuple(self._curves(problem, ask, outcome.schedule) for ask in problem.curves)
        return replace(outcome, schedule=replace(outcome.schedule, bid_curves=curves))

    def _curves(self, problem: Problem, ask: CurveAsk, schedule: Schedule) -> BidCurves:
        steps = slice(ask.first_step, ask.first_step + ask.intervals * ask.width)
        sold = schedule.trade_kw[ask.product_id][steps].reshape(-1, ask.width).mean(axis=1)
        price = problem.view.spot_per_kwh.values[steps].reshape(-1, ask.width).mean(axis=1)
        lowest, rises = sold, tuple[tuple[Rise, ...], ...](() for _ in sold)
        if self._margin is not None:
            lowest = np.minimum(sold, 0.0)
            off = self._margin / 1000
            rises = tuple(
                (Rise(float(at - off if kw > 0 else at + off), abs(float(kw)), float(at)),)
                if abs(kw) > 1e-6
                else ()
                for kw, at in zip(sold, price, strict=True)
            )
        whole = problem.view.horizon
        return BidCurves(
            product_id=ask.product_id,
            horizon=Horizon(
                whole.start + ask.first_step * whole.step, ask.width * whole.step, ask.intervals
            ),
            status="expected",
            scenario_per_kwh=price[None, :],
            planned_kw=sold[None, :],
            value_per_kwh=price[None, :],
            lowest_kw=lowest,
            rises=rises,
            check=CurveCheck(
                paths=0,
                asked=0,
                undelivered_share=0.0,
                share_before_cut=0.0,
                kept=1.0,
                paths_short=0,
                mean_cost=float("nan"),
                worst_cost=float("nan"),
            ),
        )


def a_file(asked: Asked, way: str, folder: Path) -> ParkFile:
    """The park, bidding day-ahead in one way."""
    demo = asked.park == "demo"
    file = load_park(shipped_park("demo")) if demo else winter_park(folder, asked.seed)
    planning = file.planning.model_copy(update={"hard_s": HARD_S})
    if way == ROBUST:
        return replace(file, planning=planning)
    settings = CurveSettings(paths=asked.paths, seconds=SECONDS)
    return expected(replace(file, planning=planning), settings)


def rows_of(asked: Asked, way: str, *, foresight: bool) -> dict[str, Row]:
    """Doing nothing, this way, and foresight where it is asked for."""
    with tempfile.TemporaryDirectory(prefix="vpp-bids-") as folder:
        file = a_file(asked, way, Path(folder))
    assert file.simulation is not None
    first = (
        file.simulation.first_delivery_day
        if asked.park == "demo"
        else FIRST_DAY + timedelta(days=HISTORY_DAYS)
    )
    options = BacktestOptions(
        span=span_of(file, str(first), str(first + timedelta(days=asked.days))),
        every=asked.every,
        seed=asked.seed,
        foresight=foresight,
    )
    began, told = perf_counter(), -1

    def progress(_: Way, plant: Plant) -> None:
        nonlocal told
        day = (plant.clock.now() - options.span.start).days
        if told < day:
            told = day
            spent = f"{perf_counter() - began:.0f} s"
            print(f"{way}: day {day} of {asked.days}, {spent}", file=sys.stderr, flush=True)

    async def play() -> list[Row]:
        async with ProcessExecutor() as executor:
            by: Executor = executor
            if way == SELF_SCHEDULE:
                by = OneQuantity(executor, None)
            elif way not in (EXPECTED, ROBUST):
                by = OneQuantity(executor, float(way.rpartition(" ")[2]))
            return list((await backtest(file, options, by, progress)).rows)

    rows = asyncio.run(play())
    return {"nothing": rows[0], way: rows[1]} | ({"foresight": rows[2]} if foresight else {})


def captured(rows: Mapping[str, Row], way: str) -> float | None:
    """The share of what foresight would earn."""
    if "foresight" not in rows:
        return None
    most = rows["nothing"].cost - rows["foresight"].cost
    return (rows["nothing"].cost - rows[way].cost) / most if most > 0 else None


def verdict(asked: Asked, rows: Mapping[str, Row]) -> str:
    """Whether `expected` costs less than both others, in one line."""
    best = min(map(single, asked.margins), key=lambda way: rows[way].cost)
    told = []
    for letter, way in (("a", SELF_SCHEDULE), ("b", best)):
        saved = rows[way].cost - rows[EXPECTED].cost
        word = "less" if saved > 0 else "more"
        told.append(f"{abs(saved):,.2f} {word} than ({letter}) {way}")
    return f"expected costs {' and '.join(told)} in {asked.days} days"


def document(asked: Asked, rows: Mapping[str, Row], facts: Mapping[str, Any]) -> dict[str, Any]:
    """One document of plain data; wall times are the machine's."""
    return {
        "machine": dict(facts),
        "park": asked.park,
        "days": asked.days,
        "every_minutes": asked.every // timedelta(minutes=1),
        "seed": asked.seed,
        "rows": {
            way: plain(row)
            | {"value_captured": captured(rows, way), "plan_s_mean": round(row.plan_s_mean, 2)}
            for way, row in rows.items()
        },
        "verdict": verdict(asked, rows),
    }


def show(asked: Asked, rows: Mapping[str, Row]) -> None:
    """A line for each way, and the verdict."""
    table = Table(title=f"{asked.days} days of the {asked.park} park, seed {asked.seed}")
    table.add_column("bids")
    for name in COLUMNS:
        table.add_column(name, justify="right")
    for way, row in rows.items():
        share = captured(rows, way)
        traded = way not in ("nothing", "foresight")
        table.add_row(
            way,
            f"{row.cost:,.2f}",
            f"{rows['nothing'].cost - row.cost:,.2f}",
            "–" if share is None else f"{share:.1%}",
            f"{row.imbalance_kwh / 1000:,.2f}" if traded else "–",
            f"{row.imbalance_loss:,.2f}" if traded else "–",
            f"{row.late_trade_loss:,.2f}" if traded else "–",
        )
    console = Console(width=120)
    console.print(table)
    console.print(verdict(asked, rows))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python benchmarks/bid_value.py")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--park", choices=("demo", "winter"), default="demo")
    parser.add_argument("--every", default="3h", help="15m, 1h, 3h …")
    parser.add_argument("--margins", default="5,20,60", help="EUR/MWh to spare, some of them")
    parser.add_argument("--paths", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-foresight", action="store_true")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    args = parser.parse_args()
    number = re.fullmatch(r"(\d+)(m|h)", args.every)
    if number is None:
        parser.error("--every: say 15m, 1h, 3h")
    unit = timedelta(hours=1) if number[2] == "h" else timedelta(minutes=1)
    asked = Asked(
        days=args.days,
        park=args.park,
        every=int(number[1]) * unit,
        margins=tuple(float(one) for one in args.margins.split(",")),
        paths=args.paths,
        foresight=not args.no_foresight,
        seed=args.seed,
    )
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    facts = machine()
    rows: dict[str, Row] = {}
    for way in asked.ways:
        found = rows_of(asked, way, foresight=asked.foresight and not rows)
        rows = found if not rows else rows | {way: found[way]}
        print(json.dumps({way: plain(found[way])}), file=sys.stderr, flush=True)
    if args.json:
        print(json.dumps(document(asked, rows, facts)))
    else:
        show(asked, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
