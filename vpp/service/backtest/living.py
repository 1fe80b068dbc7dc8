"""One plant's life through the span of a back-test, and what it came to: in all, and day by day.

Beside it doing nothing and foresight, from its own opening state: half a day of run-up before the span
ends where its plans leave it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from time import perf_counter
from typing import Any

import numpy as np

from vpp.act.ladder import SafeState
from vpp.errors import PlanError
from vpp.model.park import Park
from vpp.model.time import Interval
from vpp.service.backtest.asked import BacktestOptions, Way, as_asked
from vpp.service.backtest.brokenlimits import violations_of
from vpp.service.backtest.days import Day, days_of, plain_day
from vpp.service.backtest.replay import ReplayOptions, open_replay
from vpp.service.backtest.rows import Row, money
from vpp.service.backtest.score import Bill, opening_worth, value_captured
from vpp.service.backtest.scoring import Scored, foresight_cost, scored_of
from vpp.service.demo.simulation import Simulation, lockstep
from vpp.service.events import Event, Severity
from vpp.service.forecasting.forecaster import Forecaster
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.solving.executor import Executor
from vpp.simulate.trajectory import Trajectory


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A park file under a name of one's own: the same park with other strategies, for one."""

    name: str
    file: ParkFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """What one plant's life through the span came to."""

    name: str
    strategies: str
    """Version of what it followed, as its plans and bids name it."""

    nothing: Row
    ours: Row
    foresight: Row | None
    days: tuple[Day, ...]
    """The local days of the span. Their costs add up to `ours`, less what was paid for services."""

    @property
    def cost(self) -> float:
        """All that the span cost, what was earned with services taken off."""
        return sum(day.cost for day in self.days)

    @property
    def causes(self) -> dict[str, float]:
        """What adds up to `cost`."""
        names = dict.fromkeys(name for day in self.days for name in day.causes)
        return {name: sum(day.causes.get(name, 0.0) for day in self.days) for name in names}

    @property
    def carbon_kgco2(self) -> float:
        return sum(day.carbon_kgco2 for day in self.days)

    @property
    def cycles(self) -> float:
        """Equivalent full cycles of all storages together."""
        return sum(day.cycles for day in self.days)

    @property
    def highest_draw_kw(self) -> float:
        return max(day.highest_draw_kw for day in self.days)

    def document(self, first: Lived) -> dict[str, Any]:
        """As plain data, beside the life that others are measured by; nothing of the wall clock."""
        told = {
            "name": self.name,
            "strategies": self.strategies,
            "cost": money(self.cost),
            "cost_by_cause": {name: money(cost) for name, cost in self.causes.items()},
            "carbon_kgco2": round(self.carbon_kgco2, 1),
            "cycles": round(self.cycles, 3),
            "highest_draw_kw": round(self.highest_draw_kw, 1),
            "days": [plain_day(day) for day in self.days],
        }
        if first is not self:
            told["less_the_first"] = {
                "cost": money(self.cost - first.cost),
                "carbon_kgco2": round(self.carbon_kgco2 - first.carbon_kgco2, 1),
                "cycles": round(self.cycles - first.cycles, 3),
                "highest_draw_kw": round(self.highest_draw_kw - first.highest_draw_kw, 1),
            }
        return told


async def lived(
    variant: Variant,
    options: BacktestOptions,
    way: Way,
    executor: Executor,
    look: Callable[[Plant], None],
    *,
    forecaster: Forecaster | None = None,
) -> Lived:
    """Live through the span once; `look` is shown the plant at each step.

    Raises:
        ConfigError: The park cannot be replayed as asked.
        PlanError, DataError: The replay cannot be scored honestly. Where only foresight is not found,
            there is none, and `ours` says why it has no `value_captured`.
    """
    began, watch = perf_counter(), _Watch(options.span)

    def looked(plant: Plant) -> None:
        watch.look(plant)
        look(plant)

    asked = as_asked(variant.file, options, way)
    replay = ReplayOptions(
        span=options.span,
        seed=options.seed,
        device_step=options.longest_step,
        times=options.times,
    )
    async with open_replay(asked, replay, executor, forecaster) as (run, clock):
        with run.plant.events.listen() as watch.heard:
            limit_s = asked.planning.hard_s
            await lockstep(run, clock, asyncio.Event(), looked, plan_limit_s=limit_s)
        scored = await scored_of(run)
        ended = perf_counter()
        opening = opening_worth(run.plant.file.park, scored.actual, scored.ours_course)
        cost_foresight, gap, score, why_not = None, 0.0, None, None
        if options.foresight:
            try:
                cost_foresight, gap = await foresight_cost(run, scored.actual)
            except PlanError as error:
                why_not = str(error)  # what was lived through is worth telling without it
            else:
                score, why_not = value_captured(
                    scored.nothing.total, scored.ours.total, cost_foresight, gap=gap
                )
        park = asked.park
        nothing = _row(Way.NOTHING, park, scored.nothing, scored.nothing_course, opening)
        ours = replace(
            _row(way, park, scored.ours, scored.ours_course, opening),
            name=variant.name if variant.name != way.value else "",
            causes=_causes(scored, opening),
            value_captured=score,
            null_because=why_not,
            wall_s=ended - began,
            **_counts(run, scored, watch),
        )
        foresight = None
        if cost_foresight is not None:
            foresight = Row(way=Way.FORESIGHT, cost=cost_foresight + opening, causes={})
            nothing = replace(nothing, value_captured=0.0)
            foresight = replace(foresight, value_captured=1.0, wall_s=perf_counter() - ended)
        return Lived(
            name=variant.name,
            strategies=run.plant.strategy_version,
            nothing=nothing,
            ours=ours,
            foresight=foresight,
            days=days_of(run.plant, scored),
        )


class _Watch:
    """Counts control cycles of the span, those without a fresh plan, and plans for several futures."""

    def __init__(self, span: Interval) -> None:
        self._span = span
        self.cycles = 0
        self.fallbacks = 0
        self.hedged = 0
        self._last: str | None = None
        self.heard: asyncio.Queue[Event] = asyncio.Queue()
        self.told: Counter[str] = Counter()

    def look(self, plant: Plant) -> None:
        while not self.heard.empty():
            event = self.heard.get_nowait()
            if event.severity is not Severity.INFO and event.at in self._span:
                self.told[event.kind] += 1
        if plant.clock.now() in self._span:
            self.cycles += 1
            self.fallbacks += plant.safe_state in (SafeState.HOLD, SafeState.RELEASE)
        schedule = plant.schedule
        if schedule is not None and schedule.plan_id != self._last:
            self._last = schedule.plan_id
            told = schedule.uncertainty if schedule.issued_at in self._span else None
            self.hedged += told is not None and told.hedged


def _row(way: Way, park: Park, bill: Bill, course: Trajectory, opening: float) -> Row:
    shares, worst_kw = violations_of(park, course)
    causes = {name: getattr(bill, name) for name in bill.__dataclass_fields__}
    causes["stores"] = causes.pop("left_in_stores") + opening
    return Row(
        way=way,
        cost=bill.total + opening,
        causes=causes,
        violations=shares,
        worst_violation_kw=worst_kw,
    )


def _causes(scored: Scored, opening: float) -> dict[str, float]:
    """Our bill, with the market by product as the venue booked it."""
    bill, span = scored.ours, scored.actual.span
    booked: dict[str, Decimal] = {}
    for kind, _, start, _, amount in scored.report["bookings"]:
        if start in span:
            booked[kind] = booked.get(kind, Decimal(0)) - Decimal(amount)
    market = {kind: float(cost) for kind, cost in booked.items()}
    rest = {name: getattr(bill, name) for name in bill.__dataclass_fields__ if name != "market"}
    rest["stores"] = rest.pop("left_in_stores") + opening
    return market | rest


def _counts(run: Simulation, scored: Scored, watch: _Watch) -> dict[str, Any]:
    span = run.span
    plans = [record for record in run.plant.plan_log if record.at in span]
    losses = _beyond_day_ahead(scored)
    return {
        "imbalance_kwh": _imbalance_kwh(scored),
        "imbalance_loss": float(losses["imbalance"] + losses["deviation"]),
        "late_trade_loss": float(losses["quarter_hour"]),
        "plans": len(plans),
        "plans_failed": sum(record.status == "unsolved" for record in plans),
        "plans_feasible": sum(record.status == "feasible" for record in plans),
        "plans_hedged": watch.hedged,
        "told": watch.told,
        "plan_s_mean": float(np.mean([record.total_s for record in plans] or [0.0])),
        "fallback_share": watch.fallbacks / max(watch.cycles, 1),
    }


def _beyond_day_ahead(scored: Scored) -> dict[str, Decimal]:
    """By kind of booking what it cost beyond the day-ahead price of its energy."""
    spot = {start: Decimal(price) for start, price in scored.report["prices"]["day_ahead"] if price}
    losses = dict.fromkeys(("day_ahead", "quarter_hour", "imbalance", "deviation"), Decimal(0))
    for kind, _, start, mwh, amount in scored.report["bookings"]:
        if start in scored.actual.span:
            losses[kind] += Decimal(mwh) * spot[start] - Decimal(amount)
    return losses


def _imbalance_kwh(scored: Scored) -> float:
    """Energy that was delivered otherwise than traded, as sizes."""
    mwh = (
        abs(Decimal(mwh))
        for kind, _, start, mwh, _ in scored.report["bookings"]
        if kind == "imbalance" and start in scored.actual.span
    )
    return float(sum(mwh, Decimal(0)) * 1000)
