"""Scenario plans beside point plans over weeks: what they cost, and how often a limit is broken.

    python benchmarks/backtest.py [--days 56] [--every 3h] [--seeds 1,2,3] [--scenarios 8]
                                  [--probability 0.95] [--no-foresight] [--json]

Run by hand; takes hours for all of it, which is why each row is told on stderr as soon as it is there. The
park is the demo's in another winter (`_winter.py`): 19 days of history, then the days asked for, of 56.
Seeds differ in which weeks of the measured sources meet, in prices of the quarter-hour auction and of
imbalance, and in the scenarios drawn. Point and scenario plans of one seed have the same devices, prices
and forecasts. Devices live and are steered in steps of 5 minutes.

Foresight over more than some weeks finds no room in the solver's 4 GiB (eight of them did not): its row is left
out then, and `value_captured` says why. Exit 0, also where scenario plans do not beat point plans: that is a result.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import fmean, stdev
from time import perf_counter
from typing import Any

if __package__ in (None, ""):  # run as a script, not as `python -m benchmarks.backtest`
    sys.path.insert(0, str(Path(__file__).parents[1]))

import structlog
from rich.console import Console
from rich.table import Table

from benchmarks._winter import FIRST_DAY, HISTORY_DAYS, weeks_of, winter_park
from benchmarks.harness import machine
from vpp.service.backtest.asked import BacktestOptions, Way, span_of
from vpp.service.backtest.backtest import backtest
from vpp.service.backtest.rows import Row, plain
from vpp.service.plant import Plant
from vpp.service.solving.executor import ProcessExecutor

SHOWN = (Way.NOTHING, Way.POINT, Way.SCENARIO, Way.FORESIGHT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command was asked for."""

    days: int
    every: timedelta
    scenarios: int
    probability: float | None
    foresight: bool


def rows_of(asked: Asked, seed: int) -> list[Row]:
    """Every way through the days of one seed."""
    first = FIRST_DAY + timedelta(days=HISTORY_DAYS)
    with tempfile.TemporaryDirectory(prefix="vpp-winter-") as folder:
        file = winter_park(Path(folder), seed)
    options = BacktestOptions(
        span=span_of(file, str(first), str(first + timedelta(days=asked.days))),
        every=asked.every,
        seed=seed,
        scenarios=asked.scenarios,
        probability=asked.probability,
        foresight=asked.foresight,
    )
    told: dict[Way, int] = {}
    began = perf_counter()

    def progress(way: Way, plant: Plant) -> None:
        day = (plant.clock.now() - options.span.start).days
        if told.setdefault(way, -1) < day:
            told[way] = day
            print(
                f"seed {seed}, {way.value}: day {day} of {asked.days}, {perf_counter() - began:.0f} s",
                file=sys.stderr,
                flush=True,
            )

    async def play() -> list[Row]:
        async with ProcessExecutor() as executor:
            return list((await backtest(file, options, executor, progress)).rows)

    return asyncio.run(play())


# ---------------------------------------------------------------- what it comes to


def verdict(rows: Mapping[int, Sequence[Row]], probability: float | None) -> str:
    """Whether scenario plans beat point plans, seed by seed, and whether limits were kept; in one line."""
    by_seed = [{row.way: row for row in some} for some in rows.values()]
    if not all({Way.POINT, Way.SCENARIO} <= ways.keys() for ways in by_seed):
        return "no verdict: scenario plans were not asked for"
    saved = [ways[Way.POINT].cost - ways[Way.SCENARIO].cost for ways in by_seed]
    share = fmean(s / ways[Way.POINT].cost for s, ways in zip(saved, by_seed, strict=True))
    won = sum(s > 0 for s in saved)
    word = "beats" if won == len(saved) else "does not beat"
    spread = f" ± {stdev(saved):,.0f}" if len(saved) > 1 else ""
    text = (
        f"scenario {word} point: it costs {fmean(saved):,.0f}{spread} less on the mean"
        f" ({share:.2%}), less in {won} of {len(saved)} seeds"
    )
    broken = max(max(ways[Way.SCENARIO].violations.values()) for ways in by_seed)
    if probability is None:
        allowed = ""
    else:
        often = ": too often" if broken > 1 - probability else ""
        allowed = f", {1 - probability:.2%} allowed{often}"
    return f"{text}; limits broken in {broken:.3%} of the quarter-hours at most{allowed}"


def document(
    asked: Asked, rows: Mapping[int, Sequence[Row]], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """One document of plain data; wall times are the machine's."""
    return {
        "machine": dict(facts),
        "days": asked.days,
        "every_minutes": asked.every // timedelta(minutes=1),
        "scenarios": asked.scenarios,
        "margin_probability": asked.probability,
        "history_days": HISTORY_DAYS,
        "rows": [
            {"seed": seed}
            | plain(row)
            | {"wall_s": round(row.wall_s, 1), "plan_s_mean": round(row.plan_s_mean, 3)}
            for seed, some in rows.items()
            for row in some
        ],
        "weeks": {str(seed): dict(weeks_of(seed)) for seed in rows},
        "verdict": verdict(rows, asked.probability),
    }


def show(rows: Mapping[int, Sequence[Row]], probability: float | None) -> None:
    """Mean and spread over the seeds of each way, and the verdict."""
    table = Table(title=f"means over seeds {', '.join(map(str, rows))} (± standard deviation)")
    table.add_column("")
    found = {way: [r for some in rows.values() for r in some if r.way is way] for way in SHOWN}
    found = {way: some for way, some in found.items() if some}
    for way in found:
        table.add_column(way.value, justify="right")
    lines: dict[str, Any] = {"cost": lambda row: row.cost}
    causes = dict.fromkeys(c for some in found.values() for row in some for c in row.causes)
    lines |= {c.replace("_", " "): (lambda row, c=c: row.causes.get(c)) for c in causes}
    lines |= {
        "lost by late trades": lambda row: row.late_trade_loss if row.plans else None,
        "lost by imbalance": lambda row: row.imbalance_loss if row.plans else None,
        "value captured, %": lambda row: _percent(row.value_captured),
        "limits broken, %": lambda row: _percent(max(row.violations.values(), default=None)),
        "plans failed": lambda row: row.plans_failed if row.plans else None,
        "plans hedged": lambda row: row.plans_hedged if row.plans else None,
        "a plan takes, s": lambda row: row.plan_s_mean if row.plans else None,
        "wall time, s": lambda row: row.wall_s or None,
    }
    for name, of in lines.items():
        cells = []
        for some in found.values():
            values = [value for row in some if (value := of(row)) is not None]
            spread = f" ± {stdev(values):,.2f}" if len(values) > 1 else ""
            cells.append(f"{fmean(values):,.2f}{spread}" if values else "–")
        table.add_row(name, *cells)
    console = Console(width=120)
    console.print(table)
    console.print(verdict(rows, probability))


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def main() -> int:
    parser = argparse.ArgumentParser(prog="python benchmarks/backtest.py", description=__doc__)
    parser.add_argument("--days", type=int, default=56)
    parser.add_argument("--every", default="3h", help="15m, 1h, 3h …")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--scenarios", type=int, default=8)
    parser.add_argument("--probability", type=float, default=0.95)
    parser.add_argument("--no-margins", action="store_true", help="scenario plans without margins")
    parser.add_argument("--no-foresight", action="store_true")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    args = parser.parse_args()
    number = re.fullmatch(r"(\d+)(m|h)", args.every)
    if number is None:
        parser.error("--every: say 15m, 1h, 3h")
    unit = timedelta(hours=1) if number[2] == "h" else timedelta(minutes=1)
    asked = Asked(
        days=args.days,
        every=int(number[1]) * unit,
        scenarios=args.scenarios,
        probability=None if args.no_margins else args.probability,
        foresight=not args.no_foresight,
    )
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    facts, rows = machine(), {}
    for seed in map(int, args.seeds.split(",")):
        rows[seed] = rows_of(asked, seed)
        for row in rows[seed]:
            print(json.dumps({"seed": seed} | plain(row)), file=sys.stderr, flush=True)
    if args.json:
        print(json.dumps(document(asked, rows, facts)))
    else:
        show(rows, asked.probability)
    return 0


if __name__ == "__main__":
    sys.exit(main())
