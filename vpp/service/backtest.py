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
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from math import gcd, inf
from time import perf_counter
from typing import Any

import numpy as np

from vpp.act.ladder import SafeState
from vpp.errors import ConfigError, DataError
from vpp.model.horizon import Floats
from vpp.model.ids import ConnectionPointId
from vpp.model.park import Limits, Park
from vpp.model.time import QUARTER, Interval, isoformat, local_day, parse_utc
from vpp.service.accounting import METERS_KEPT
from vpp.service.events import Event, Severity
from vpp.service.executor import Executor
from vpp.service.parkfile import ParkFile
from vpp.service.parkschema import ControlSettings, PlanningSettings
from vpp.service.plant import Plant
from vpp.service.replay import ReplayOptions, open_replay
from vpp.service.score import Bill, opening_worth, value_captured
from vpp.service.scoring import Scored, foresight_cost, scored_of
from vpp.service.simulation import Simulation, lockstep
from vpp.simulate.market import VenueTimes
from vpp.simulate.trajectory import Trajectory

CONTROL_PERIOD = timedelta(minutes=5)
"""How often a replay steers, and how finely its devices live: a fifth of the demo's work."""

TTL_PERIODS = 2.5
SOFT_S, HARD_S = 60.0, 180.0
"""A plan gets so long at least: plans are compared here, not machines. What each took is told."""

TOLERANCE_KW = 1.0
"""Over a quarter-hour, registers of whole Wh tell powers to about 0.01 kW; this much is no violation."""

LONGEST = METERS_KEPT - timedelta(days=2)
SERIES_BEYOND = timedelta(days=2)
"""The series must go on for so long after the span: the last day's auction clears the day after."""


class Way(StrEnum):
    """What a row of the back-test is."""

    NOTHING = "nothing"
    POINT = "point"
    SCENARIO = "scenario"
    FORESIGHT = "foresight"


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestOptions:
    """What to play again."""

    span: Interval
    every: timedelta
    seed: int = 1
    scenarios: int = 0
    """How many futures the scenario plans are made for; below 2 that way is left out."""

    probability: float | None = None
    """With what probability the scenario plans keep limits in each step; None for no margins."""

    foresight: bool = True
    period: timedelta = CONTROL_PERIOD
    device_step: timedelta = CONTROL_PERIOD
    """How finely devices live, at most; a step that divides period and quarter-hour is taken."""

    times: VenueTimes = field(default_factory=VenueTimes)


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
        "plans": row.plans,
        "plans_failed": row.plans_failed,
        "plans_feasible": row.plans_feasible,
        "plans_hedged": row.plans_hedged,
        "fallback_share": round(row.fallback_share, 6),
        "told": dict(sorted(row.told.items())),
    }


# ---------------------------------------------------------------- what is asked


def span_of(file: ParkFile, since: str, until: str) -> Interval:
    """From two local dates (the second one exclusive), or moments that name their zone.

    Raises:
        ConfigError: No dates, an empty span, one that begins at no local midnight, or one that the
            park's series do not cover with a day of history before it.
    """
    if file.simulation is None:
        raise ConfigError(
            "has no simulation section: nothing to replay",
            where="park file",
            fix="Add one; docs/park-file.md shows how",
        )
    zone = file.park.timezone
    start, end = _moment(file.park, since, "--from"), _moment(file.park, until, "--to")
    if local_day(start.astimezone(zone).date(), zone).start != start:
        raise ConfigError(
            f"{since} is no local midnight", where="--from", fix="Name a day: 2025-12-03"
        )
    if end <= start or (end - start) % QUARTER:
        raise ConfigError(
            f"{since} … {until} is no whole number of quarter-hours",
            where="--to",
            fix="Name a later day; it is not played itself",
        )
    if end - start > LONGEST:
        raise ConfigError(
            f"{(end - start).days} days are asked for",
            where="--from, --to",
            fix=f"Play at most {LONGEST.days} days at once: books of meters reach no farther back",
        )
    series = file.simulation.day_ahead_per_mwh.horizon.span
    first, last = series.start + timedelta(days=2), series.end - SERIES_BEYOND
    if start < first or end > last:
        raise ConfigError(
            f"the park's series reach from {isoformat(series.start)} to {isoformat(series.end)}",
            where="--from, --to",
            fix=f"Stay between {isoformat(first)} and {isoformat(last)}: forecasts need a past, and"
            " the last day's auction a price",
        )
    return Interval(start, end)


def _moment(park: Park, text: str, where: str) -> datetime:
    try:
        return local_day(date.fromisoformat(text), park.timezone).start
    except ValueError:
        pass  # no date; perhaps a moment
    try:
        return parse_utc(text, where=where)
    except DataError as error:
        raise ConfigError(
            f"{text!r} is neither a day nor a moment",
            where=where,
            fix="Say 2025-12-03, or 2025-12-02T23:00:00Z",
        ) from error


def as_asked(file: ParkFile, options: BacktestOptions, way: Way) -> ParkFile:
    """The park file with what a replay changes: how often, how finely, and from when it trades.

    Raises:
        ConfigError: A step does not fit.
    """
    period_s = options.period.total_seconds()
    planning = file.planning.model_dump() | {
        "every_minutes": options.every // timedelta(minutes=1),
        "scenarios": options.scenarios if way is Way.SCENARIO else 0,
        "margin_probability": options.probability if way is Way.SCENARIO else None,
        "soft_s": max(file.planning.soft_s, SOFT_S),
        "hard_s": max(file.planning.hard_s, HARD_S),
    }
    control = file.control.model_dump() | {
        "period_s": period_s,
        "setpoint_ttl_s": max(file.control.setpoint_ttl_s, TTL_PERIODS * period_s),
    }
    try:
        asked_planning = PlanningSettings.model_validate(planning)
        asked_control = ControlSettings.model_validate(control)
    except ValueError as error:
        raise ConfigError(
            f"{options.every} and {options.period}: {error}",
            where="--every",
            fix="Say a multiple of 15 minutes, at most 12 h",
        ) from error
    units = tuple(replace(u, trades_from=options.span.start) for u in file.park.bidding_units)
    return replace(
        file,
        park=replace(file.park, bidding_units=units),
        planning=asked_planning,
        control=asked_control,
    )


# ---------------------------------------------------------------- played


Progress = Callable[[Way, Plant], None]


async def backtest(
    file: ParkFile, options: BacktestOptions, executor: Executor, progress: Progress
) -> Backtest:
    """Play the span in every way that was asked for.

    Raises:
        ConfigError: The park cannot be replayed as asked.
        PlanError, DataError: A replay cannot be scored honestly.
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
        device_step=_device_step(options),
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
            cost_foresight, gap = await foresight_cost(run, scored.actual)
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


def _device_step(options: BacktestOptions) -> timedelta:
    seconds = (int(of.total_seconds()) for of in (options.period, options.device_step, QUARTER))
    return timedelta(seconds=gcd(*seconds))


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
    kwh, loss = _imbalance(scored)
    return {
        "imbalance_kwh": kwh,
        "imbalance_loss": loss,
        "plans": len(plans),
        "plans_failed": sum(record.status == "unsolved" for record in plans),
        "plans_feasible": sum(record.status == "feasible" for record in plans),
        "plans_hedged": watch.hedged,
        "told": watch.told,
        "plan_s_mean": float(np.mean([record.total_s for record in plans] or [0.0])),
        "fallback_share": watch.fallbacks / max(watch.cycles, 1),
    }


def _imbalance(scored: Scored) -> tuple[float, float]:
    """Energy that was delivered otherwise than traded, and what it cost beyond the day-ahead price."""
    spot = {start: Decimal(price) for start, price in scored.report["prices"]["day_ahead"] if price}
    kwh = loss = Decimal(0)
    for kind, _, start, mwh, amount in scored.report["bookings"]:
        if kind == "imbalance" and start in scored.actual.span:
            energy = Decimal(mwh)
            kwh += abs(energy) * 1000
            loss += energy * spot[start] - Decimal(amount)
    return float(kwh), float(loss)


# ---------------------------------------------------------------- limits


def violations_of(park: Park, course: Trajectory) -> tuple[dict[str, float], float]:
    """By kind of place the share of quarter-hours in which one of its kind drew or fed too much.

    By the main meters' registers. The second number is the most by which any limit was broken, in kW.
    """
    net_kw = {
        name: (course.export_wh[name] - course.import_wh[name]) / 1000 / course.horizon.step_hours
        for name in course.import_wh
    }
    shares, worst = {}, 0.0
    for kind, places in _places(park).items():
        broken = np.zeros(course.horizon.steps, dtype=bool)
        for limits, points in places:
            over_kw = _excess_kw(limits, sum((net_kw[p] for p in points), np.zeros(len(broken))))
            broken |= over_kw > TOLERANCE_KW
            worst = max(worst, float(over_kw.max(initial=0.0)))
        shares[kind] = float(broken.mean())
    return shares, worst if worst > TOLERANCE_KW else 0.0


def _places(park: Park) -> dict[str, list[tuple[Limits, list[ConnectionPointId]]]]:
    """Limits and the connection points below them, by kind of place."""
    points = park.connection_points
    return {
        "connection_points": [(p.limits, [p.connection_point_id]) for p in points],
        "enterprises": [
            (
                e.limits,
                [p.connection_point_id for p in points if p.enterprise_id == e.enterprise_id],
            )
            for e in park.enterprises
            if e.limits != Limits()
        ],
        "feeders": [
            (f.limits, [p.connection_point_id for p in points if p.feeder_id == f.feeder_id])
            for f in park.feeders
        ],
        "park": [(park.limits, [p.connection_point_id for p in points])],
    }


def _excess_kw(limits: Limits, net_kw: Floats) -> Floats:
    """How far a course of net injection lies beyond its limits, 0 inside; shape (T,)."""
    above = net_kw - limits.export_kw if limits.export_kw < inf else np.zeros_like(net_kw)
    below = -net_kw - limits.import_kw if limits.import_kw < inf else np.zeros_like(net_kw)
    excess: Floats = np.maximum(np.maximum(above, below), 0.0)
    return excess
