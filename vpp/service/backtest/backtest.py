"""Days played again with what was known then: nothing, point and scenario plans, foresight, side by side.

    park file ─▶ as asked (every, steps, trading from the span's start)
                   │
                   ├─ point      replay: plans for the forecast alone
                   ├─ scenario   replay: plans for several futures at once      same devices, market, seed
                   ├─ nothing    every resource on its own default
                   └─ foresight  one solve over the span that knows everything

Each replay runs the plant's own cycles (`replay.py`) and is scored as the demo is (`scoring.py`),
against doing nothing and foresight *from its own opening state*: half a day of run-up before the span
ends where its plans leave it. So that costs can be compared all the same, what stands in stores at the
opening is part of them, at the price that what is left is worth.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from time import perf_counter
from typing import Any

import numpy as np

from vpp.act.ladder import SafeState
from vpp.errors import PlanError
from vpp.model.park import Park
from vpp.model.time import Interval, isoformat
from vpp.service.backtest.asked import BacktestOptions, Way, as_asked
from vpp.service.backtest.brokenlimits import violations_of
from vpp.service.backtest.replay import ReplayOptions, open_replay
from vpp.service.backtest.score import Bill, opening_worth, value_captured
from vpp.service.backtest.scoring import Scored, foresight_cost, scored_of
from vpp.service.demo.simulation import Simulation, lockstep
from vpp.service.events import Event, Severity
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.solving.executor import Executor
from vpp.simulate.trajectory import Trajectory


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way through the span. Costs are positive, in the park's currency."""

    way: Way
    cost: float
    causes: Mapping[str, float]
    """What adds up to `cost`; empty for foresight, which is planned and not billed."""

    value_captured: float | None = None
    null_because: str | None = None
    violations: Mapping[str, float] = field(default_factory=dict)
    """Share of quarter-hours in which some limit of that kind of place was broken, by the meters."""

    worst_violation_kw: float = 0.0
    imbalance_kwh: float = 0.0
    """Sum of sizes: what was delivered otherwise than traded."""

    imbalance_loss: float = 0.0
    """What that cost beyond the day-ahead price."""

    late_trade_loss: float = 0.0
    """What trades of the quarter-hour auction cost beyond the day-ahead price; below 0: gained."""

    plans: int = 0
    plans_failed: int = 0
    plans_feasible: int = 0
    """Cut off by the solver's time limit: only these can make two runs differ."""

    plans_hedged: int = 0
    """Made for several futures; the others trusted their forecast."""

    fallback_share: float = 0.0
    """Share of control cycles without a fresh plan: held, or released to the devices' defaults."""

    told: Mapping[str, int] = field(default_factory=dict)
    """Warnings and alarms of the span, by kind of event."""

    wall_s: float = 0.0
    """Of the machine: not part of the document."""

    plan_s_mean: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """The whole comparison."""

    file: ParkFile
    options: BacktestOptions
    rows: tuple[Row, ...]

    def document(self) -> dict[str, Any]:
        """As plain data; the same inputs give the same document, so nothing of the wall clock."""
        options, park = self.options, self.file.park
        return {
            "park": park.park_id,
            "park_digest": self.file.digest,
            "span_start": isoformat(options.span.start),
            "span_end": isoformat(options.span.end),
            "every_minutes": options.every // timedelta(minutes=1),
            "control_period_s": options.period // timedelta(seconds=1),
            "seed": options.seed,
            "scenarios": options.scenarios,
            "margin_probability": options.probability,
            "currency": park.currency,
            "rows": [plain(row) for row in self.rows],
        }


def plain(row: Row) -> dict[str, Any]:
    """A row as JSON shows it; nothing of the wall clock."""
    plain: dict[str, Any] = {"way": row.way.value, "cost": round(row.cost, 2)}
    plain["value_captured"] = None if row.value_captured is None else round(row.value_captured, 4)
    if row.null_because is not None:
        plain["value_captured_null_because"] = row.null_because
    if row.way is Way.FORESIGHT:
        return plain
    plain["cost_by_cause"] = {name: round(cost, 2) for name, cost in row.causes.items()}
    plain["limit_violations"] = {name: round(share, 6) for name, share in row.violations.items()}
    plain["worst_violation_kw"] = round(row.worst_violation_kw, 3)
    if row.way is Way.NOTHING:
        return plain
    return plain | {
        "imbalance_kwh": round(row.imbalance_kwh, 3),
        "imbalance_loss": round(row.imbalance_loss, 2),
        "late_trade_loss": round(row.late_trade_loss, 2),
        "plans": row.plans,
        "plans_failed": row.plans_failed,
        "plans_feasible": row.plans_feasible,
        "plans_hedged": row.plans_hedged,
        "fallback_share": round(row.fallback_share, 6),
        "told": dict(sorted(row.told.items())),
    }


Progress = Callable[[Way, Plant], None]


async def backtest(
    file: ParkFile, options: BacktestOptions, executor: Executor, progress: Progress
) -> Backtest:
    """Play the span in every way that was asked for.

    Raises:
        ConfigError: The park cannot be replayed as asked.
        PlanError, DataError: A replay cannot be scored honestly. Where only foresight is not found, its row is
            left out, and others say why they have no `value_captured`.
    """
    rows: list[Row] = []
    ways = [Way.POINT, *([Way.SCENARIO] if options.scenarios > 1 else [])]
    for way in ways:
        nothing, ours, foresight = await _replayed(file, options, way, executor, progress)
        if way is Way.POINT:
            rows = [nothing, ours, *([] if foresight is None else [foresight])]
        else:
            rows.insert(2, ours)
    return Backtest(file=file, options=options, rows=tuple(rows))


async def _replayed(
    file: ParkFile, options: BacktestOptions, way: Way, executor: Executor, progress: Progress
) -> tuple[Row, Row, Row | None]:
    """Doing nothing, our way, and foresight where it is asked for: from one opening state."""
    began, watch = perf_counter(), _Watch(options.span)

    def look(plant: Plant) -> None:
        watch.look(plant)
        progress(way, plant)

    asked = as_asked(file, options, way)
    replay = ReplayOptions(
        span=options.span,
        seed=options.seed,
        device_step=options.longest_step,
        times=options.times,
    )
    async with open_replay(asked, replay, executor) as (run, clock):
        with run.plant.events.listen() as watch.heard:
            limit_s = asked.planning.hard_s
            await lockstep(run, clock, asyncio.Event(), look, plan_limit_s=limit_s)
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
        return nothing, ours, foresight


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
