"""The whole day of the plant, read top to bottom.

    every 15 min   plan      observe ▸ score ▸ forecast ▸ freeze ▸ strategies ▸ solve ▸ validate ▸ adopt
                             (where plans are made less often, the others only observe)
    every 15 min   trade     ask the market about bids in doubt ▸ notice missed gates
    every 60 s     act       freeze ▸ rung of the ladder ▸ share ▸ guard ▸ journal ▸ send
    every 15 min   account   settle what was delivered ▸ money, carbon

Bids are not made here but when a market asks (`trading.py`), from the plan that stands. Each cycle
takes `now` and finishes before its next tick, or that tick is skipped and counted (`run.py`).
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from math import inf
from time import perf_counter
from typing import assert_never

import msgspec

from vpp.act.guard import guard
from vpp.act.ladder import Rung, decide
from vpp.act.share import share
from vpp.act.track import not_following
from vpp.errors import DataError, PlanError, UnavailableError
from vpp.model.command import Setpoint
from vpp.model.ids import ConnectionPointId, ResourceId
from vpp.model.measurement import ParkState, Reading
from vpp.model.park import ConnectionPoint
from vpp.model.resource import Storage
from vpp.model.schedule import Feasible, Optimal, Outcome, Schedule, Unsolved
from vpp.model.time import QUARTER, Interval, isoformat, latest_boundary
from vpp.plan.changes import changes, planned
from vpp.plan.problem import Problem, SolveOptions
from vpp.plan.validate import violations
from vpp.sense.state import freeze
from vpp.service import (
    accounting,
    carbonseries,
    feedwatch,
    inputs,
    limits,
    notices,
    quotas,
    trading,
    uncertainty,
)
from vpp.service.events import Severity
from vpp.service.forecasting.issuing import issue
from vpp.service.forecasting.scoring import score
from vpp.service.forecasting.watched import measured_net, measured_room
from vpp.service.plant import PlanRecord, Plant, TracePoint
from vpp.service.record import append, append_all

LIMIT_EXCESS_PRICE_PER_KWH = 20.0
"""Far above any market price (4 per kWh at most): limits are kept before money is made."""

HOLD_FOR = 2 * QUARTER
"""How long the last validated plan is followed when its successor fails."""

PLAN, SETPOINT, OBSERVED, OBSERVED_LATE = "plan", "setpoint", "observed", "observed-late"
"""Kinds of journal entries."""


def plan_number(plan_id: str) -> int:
    """The number in a plan's id, which is also its key in the journal."""
    return int(plan_id.removeprefix("plan-"))


def setpoint_number(key: str) -> int:
    """The number of a command from its key in the journal; keys sort as their numbers do."""
    return int(key.split("/")[0])


# ---------------------------------------------------------------- plan


async def plan(plant: Plant, now: datetime) -> None:
    """Learn from the interval that ended at `now`; where a plan is due, make it and adopt it if it holds."""
    began = perf_counter()
    finished = Interval(now - QUARTER, now)
    notices.tell_calendar(plant, now)
    feedwatch.tell_late(plant, now)
    await _observe(plant, finished, now)
    accounting.note_peaks(plant, finished)
    await score(plant, now)
    if plan_is_due(plant, now):
        await _make_plan(plant, now, began)


async def replan(plant: Plant, now: datetime) -> None:
    """Make a plan before its turn where something asks for it: a limit order must not wait."""
    if plant.replan is None:
        return
    plant.events.emit("replan", f"a new plan at once: {plant.replan}", at=now)
    await _make_plan(plant, latest_boundary(now, QUARTER), perf_counter())


async def _make_plan(plant: Plant, now: datetime, began: float) -> None:
    """Make the plan of the interval that begins at `now`, and adopt it if it holds."""
    async with plant.planning:
        plant.replan = None
        await _solve_and_adopt(plant, now, began)


async def _solve_and_adopt(plant: Plant, now: datetime, began: float) -> None:
    try:
        horizon = inputs.horizon_of(plant, now)
        carbon = carbonseries.usable(plant, horizon, now)
        forecasts = await issue(plant, [*inputs.series_needed(plant), *carbon], horizon, now)
        view = inputs.build_view(plant, now, horizon, forecasts)
        view = uncertainty.with_margins(plant, view)
        budgets = quotas.terms(plant, view)
        futures, no_futures = uncertainty.futures_of(plant, view, budgets)
    except (PlanError, DataError) as error:
        _refuse_plan(plant, now, Unsolved(reason=str(error)), perf_counter() - began)
        return
    terms = (*(term for strategy in plant.strategies for term in strategy(view)), *budgets)
    starts, lengths = _announced(plant.schedule)
    problem = Problem(
        view=view,
        terms=terms,
        options=_options(plant),
        preferred_starts=starts,
        preferred_lengths=lengths,
        announced_kw=plant.schedule.announced_kw(view.horizon) if plant.schedule else {},
        futures=futures,
        no_futures=no_futures,
    )
    outcome = await plant.executor.solve(problem, hard_s=plant.file.planning.hard_s)
    seconds = perf_counter() - began
    plant.view, plant.terms = view, terms
    match outcome:
        case Unsolved():
            _refuse_plan(plant, now, outcome, seconds)
        case Optimal(schedule=schedule) | Feasible(schedule=schedule):
            checked = perf_counter()
            wrong = violations(
                schedule, view, terms, limit_excess_price_per_kwh=LIMIT_EXCESS_PRICE_PER_KWH
            )
            validate_s = perf_counter() - checked
            if wrong:
                refused = Unsolved(reason=f"the plan breaks its own rules: {'; '.join(wrong)}")
                _refuse_plan(plant, now, refused, seconds)
            else:
                await _adopt(plant, now, outcome, schedule, seconds)
                plant.made_from, plant.validate_s = (view, terms), validate_s
        case _:
            assert_never(outcome)


def plan_is_due(plant: Plant, now: datetime) -> bool:
    """Whether the standing plan is of an earlier period: its successor failed, or was not tried yet."""
    period = latest_boundary(now, plant.file.planning.every)
    return plant.schedule is None or plant.schedule.issued_at < period


async def _observe(plant: Plant, finished: Interval, now: datetime) -> None:
    """Learn what was measured, and keep it: a service that begins again must not begin to learn."""
    before = plant.closed
    seen = inputs.observe(plant, finished)
    if seen:
        room = measured_room(plant, now)
        inputs.put_observed(plant.series, finished, room)
        seen = seen | room
    late = {} if before is None else measured_net(plant, before)
    if before is not None:
        inputs.put_observed(plant.series, before.interval, late, late=True)
    for kind, interval, kw in (
        (OBSERVED, finished, seen),
        (OBSERVED_LATE, finished if before is None else before.interval, late),
    ):
        if kw:
            with suppress(UnavailableError):  # said and counted there; learnt all the same
                key = isoformat(interval.start)
                await append(plant, kind, key, msgspec.json.encode(kw), now=now)


def _options(plant: Plant) -> SolveOptions:
    plant.plan_count += 1
    return SolveOptions(
        plan_id=f"plan-{plant.plan_count:06d}",
        strategy_version=plant.strategy_version,
        gap=plant.file.planning.gap,
        soft_s=plant.file.planning.soft_s,
        limit_excess_price_per_kwh=LIMIT_EXCESS_PRICE_PER_KWH,
        cvar_weight=plant.file.planning.cvar_weight,
        cvar_level=plant.file.planning.cvar_level,
    )


def _announced(
    schedule: Schedule | None,
) -> tuple[dict[ResourceId, tuple[datetime, ...]], dict[ResourceId, tuple[timedelta, ...]]]:
    """Starts that the standing plan promised, and how long each lasts; calls under way included."""
    starts: dict[ResourceId, tuple[datetime, ...]] = {}
    lengths: dict[ResourceId, tuple[timedelta, ...]] = {}
    if schedule is None:
        return starts, lengths
    start, step = schedule.horizon.start, schedule.horizon.step
    for name in schedule.starts.keys() | schedule.longer_until.keys():
        begun = list(schedule.starts.get(name, ()))
        last = list(schedule.start_lengths.get(name, ()))
        if name in schedule.longer_until:  # known by its end
            begun, last = [0, *begun], [schedule.longer_until[name], *last]
        starts[name] = tuple(start + k * step for k in begun)
        if len(last) == len(begun):
            lengths[name] = tuple(k * step for k in last)
    return starts, lengths


def _refuse_plan(plant: Plant, now: datetime, outcome: Unsolved, seconds: float) -> None:
    """No new plan: the standing one is held for a while, then everything is released (`ladder`)."""
    plant.outcome = outcome
    record = PlanRecord(at=now, status="unsolved", total_s=seconds, solve_s=0.0, gap=None)
    plant.plan_log.append(record)
    plant.metrics.plan("unsolved", seconds, None)
    plant.events.emit(
        "plan_failed", f"no plan for {isoformat(now)}: {outcome.reason}", at=now,
        severity=Severity.ALARM,
    )  # fmt: skip


async def _adopt(
    plant: Plant, now: datetime, outcome: Outcome, schedule: Schedule, seconds: float
) -> None:
    """Put the plan on record and let it stand."""
    status = "optimal" if isinstance(outcome, Optimal) else "feasible"
    summary = {
        "plan_id": schedule.plan_id,
        "issued_at": isoformat(now),
        "status": status,
        "gap": schedule.gap,
        "cost": schedule.cost,
        "input_digest": schedule.input_digest,
        "strategy_version": schedule.strategy_version,
        "horizon_end": isoformat(schedule.horizon.end),
    }
    with suppress(UnavailableError):  # said and counted there; no new bids until it works again
        await append(plant, PLAN, schedule.plan_id, msgspec.json.encode(summary), now=now)
    before = plant.schedule
    plant.changes = None if before is None else changes(planned(before), planned(schedule))
    plant.schedule, plant.outcome = schedule, outcome
    plant.plan_log.append(
        PlanRecord(
            at=now, status=status, total_s=seconds, solve_s=schedule.solve_s, gap=schedule.gap
        )
    )
    trading.forget_offers(plant, now)
    plant.metrics.plan(status, seconds, schedule.gap)
    if schedule.ties_left:
        plant.metrics.ties_left()
    uncertainty.tell(plant, schedule, now)
    plant.events.emit(
        "plan",
        f"{schedule.plan_id}: {status}, {schedule.cost:.2f} {plant.file.park.currency} over"
        f" {schedule.horizon.steps} steps in {seconds:.2f} s",
        at=now,
        plan_id=schedule.plan_id,
        status=status,
        gap=schedule.gap,
        cost=schedule.cost,
    )


# ---------------------------------------------------------------- trade


async def trade(plant: Plant, now: datetime) -> None:
    """Settle what became of our bids, and notice gates that passed without one."""
    await trading.ask_about_doubts(plant, now)
    unit = inputs.trading_unit(plant)
    for product in plant.file.products:
        for delivery in trading.closed_between(product, now - QUARTER, now):
            asked = plant.book.revision_for(product.product_id, unit.unit_id, delivery) > 1
            if not asked and delivery.start >= unit.trades_from:
                plant.events.emit(
                    "gate_missed",
                    f"nobody asked for bids of {product.product_id} for"
                    f" {isoformat(delivery.start)} before its gate",
                    at=now,
                    severity=Severity.WARNING,
                )


# ---------------------------------------------------------------- act


async def act(plant: Plant, now: datetime) -> None:
    """Steer: every resource that is to leave its default gets a set-point that expires."""
    if (
        not plant.reconciled
    ):  # the trade cycle could not: nobody is steered until the market answers
        await trading.ask_about_doubts(plant, now)
    seen_at = max(now, plant.clock.now())  # later than its tick after a restart or an overrun
    state = plant.state = freeze(plant.file.park, plant.intake.newest, seen_at)
    rung = _rung(plant, now)
    interval = Interval(latest_boundary(now, QUARTER), latest_boundary(now, QUARTER) + QUARTER)
    owed_kw = _owed_kw(plant, interval)
    if rung.may_command:
        park = limits.park_at(plant, now)
        wanted = share(
            park,
            state,
            plant.schedule,
            now=now,
            interval=interval,
            owed_kw=owed_kw,
            metered_kwh=_metered_kwh(plant, interval, now),
            control_period=timedelta(seconds=plant.file.control.period_s),
            import_ceiling_kw=ceilings_kw(plant, now),
        )
        guarded = guard(park, state, wanted)
        for clip in guarded.clipped:
            plant.clipped[clip.resource_id] += 1
        serves = plant.schedule.plan_id if plant.schedule is not None else ""
        setpoints = plant.dispatcher.commands(guarded.power_kw, now, serves=serves)
        await _send(plant, setpoints, now)
    _note_followers(plant, state, now)
    accounting.note_calls(plant)
    quotas.note_readings(plant)
    _trace(plant, state, owed_kw, now)


def _rung(plant: Plant, now: datetime) -> Rung:
    """Where on the ladder we stand; every change is an event."""
    schedule, outcome = plant.schedule, plant.outcome
    rung = decide(
        now=now,
        killed=plant.kill.reason,
        reconciled=plant.reconciled,
        plan_issued_at=schedule.issued_at if schedule is not None else None,
        plan_ends_at=schedule.horizon.end if schedule is not None else None,
        plan_every=plant.file.planning.every + timedelta(seconds=plant.file.planning.hard_s),
        hold_for=HOLD_FOR,
        failure=outcome.reason if isinstance(outcome, Unsolved) else None,
        doubts=[] if plant.journal_fault is None else [plant.journal_fault],
    )
    if rung.state is not plant.safe_state:
        severity = Severity.INFO if rung.may_bid else Severity.ALARM
        text = f"{plant.safe_state} -> {rung.state}: {rung.reason or 'all is well'}"
        plant.events.emit("safe_state", text, at=now, severity=severity, state=rung.state.value)
    plant.safe_state, plant.safe_state_reason = rung.state, rung.reason
    plant.metrics.safe_state(rung.state.value)
    return rung


def _owed_kw(plant: Plant, interval: Interval) -> float | None:
    """Mean net injection sold for `interval`; None before the unit trades."""
    if interval.start < inputs.trading_unit(plant).trades_from:
        return None
    return float(sum(line.sold_mw for line in plant.book.position().trades(interval))) * 1000


def _metered_kwh(plant: Plant, interval: Interval, now: datetime) -> float:
    """Net injection since the interval began, by the main meters; 0 where one is not heard."""
    if now <= interval.start:
        return 0.0
    metered = accounting.metered_by_enterprise(plant, Interval(interval.start, now))
    return 0.0 if metered is None else sum(m.net_wh for m in metered.values()) / 1000


def ceilings_kw(plant: Plant, now: datetime) -> dict[ConnectionPointId, float]:
    """What each connection point may draw now: the month's peak is paid, and the plan may raise it.

    What a contract includes is paid too; where no peak costs anything now, there is no ceiling. The
    mean over a measuring interval is what counts, so what its beginning drew too much the rest must
    draw less, and may draw more after a beginning below the ceiling.
    """
    schedule, ceilings, park = plant.schedule, {}, plant.file.park
    for point in park.connection_points:
        name, tariff = point.connection_point_id, park.tariff_by_id[point.tariff_id]
        included_kw = tariff.demand.free_kw(point.contracted)
        if not tariff.makes_peak(now, park.timezone):
            included_kw = inf
        planned_kw = 0.0
        if schedule is not None and now in schedule.horizon.span:
            planned_kw = -float(schedule.connection_point_kw[name][schedule.horizon.index(now)])
        ceiling_kw = max(plant.peaks.peak_kw(name, now), planned_kw, included_kw)
        ceilings[name] = _rest_kw(plant, point, ceiling_kw, now)
    return ceilings


def _rest_kw(plant: Plant, point: ConnectionPoint, ceiling_kw: float, now: datetime) -> float:
    """What may be drawn in the rest of the measuring interval so that its mean reaches `ceiling_kw`.

    The ceiling itself where the meter does not tell what was drawn so far.
    """
    measuring = plant.file.park.tariff_by_id[point.tariff_id].demand.measuring
    began = measuring.began(now, plant.file.park.timezone)
    if now == began or ceiling_kw == inf:
        return ceiling_kw
    energy = plant.meters.energy_wh(point.meter_id, Interval(began, now))
    if energy is None:
        return ceiling_kw
    hour, period = timedelta(hours=1), timedelta(seconds=plant.file.control.period_s)
    left_kwh = ceiling_kw * (measuring.interval / hour) - energy.import_wh / 1000
    rest = max(began + measuring.interval - now, period)  # nobody can act for less
    return max(left_kwh / (rest / hour), 0.0)


async def _send(plant: Plant, setpoints: tuple[Setpoint, ...], now: datetime) -> None:
    """On disk first, then to the devices; a link that is down costs this cycle's commands."""
    if not setpoints:
        return
    plant.reach("setpoint made")
    entries = [
        (SETPOINT, f"{s.seq:012d}/{s.resource_id}", msgspec.json.encode(_record(s)))
        for s in setpoints
    ]
    try:
        await append_all(plant, entries, now=now)
        plant.reach("setpoint journalled")
        await plant.sink.send(setpoints)
    except UnavailableError as error:
        plant.dispatcher.forget(setpoints)
        plant.events.emit("setpoints_unsent", str(error), at=now, severity=Severity.WARNING)
        return
    plant.setpoints = {**plant.setpoints, **{s.resource_id: s for s in setpoints}}
    plant.setpoints_sent += len(setpoints)
    plant.metrics.setpoints_sent(len(setpoints))
    plant.reach("setpoint sent")


def _record(setpoint: Setpoint) -> dict[str, object]:
    return {
        "resource_id": setpoint.resource_id,
        "power_kw": setpoint.power_kw,
        "expires_at": isoformat(setpoint.expires_at),
        "serves": setpoint.serves,
    }


def _note_followers(plant: Plant, state: ParkState, now: datetime) -> None:
    """Tell once who acknowledges and does not obey, and once when it obeys again."""
    stray = frozenset(
        not_following(
            plant.dispatcher.in_force(now),
            state,
            plant.file.park,
            now,
            tolerance_kw=max(plant.file.control.deadband_kw, 5.0),
        )
    )
    for name in sorted(stray - plant.not_following):
        plant.events.emit(
            "not_following",
            f"{name} acknowledges its set-point and does not follow",
            at=now,
            severity=Severity.WARNING,
            resource_id=name,
        )
    plant.not_following = stray


def _trace(plant: Plant, state: ParkState, owed_kw: float | None, now: datetime) -> None:
    """Keep the picture of this minute and show it."""
    park_kw = _park_kw(plant, now)
    stores = [r for r in plant.file.park.electric if isinstance(r, Storage)]
    soc = {s.resource_id: s.soc for s in state.resources if isinstance(s, Reading)}
    stored = [(soc.get(r.resource_id), r.capacity_kwh) for r in stores]
    planned_kw = None
    if plant.schedule is not None and now in plant.schedule.horizon.span:
        planned_kw = float(plant.schedule.net_kw[plant.schedule.horizon.index(now)])
    point = TracePoint(
        at=now,
        park_kw=park_kw,
        planned_kw=planned_kw,
        owed_kw=owed_kw,
        spot_per_mwh=inputs.spot_now(plant, now),
        stored_kwh=None
        if any(share is None for share, _ in stored)
        else sum((share or 0.0) * capacity for share, capacity in stored),
        capacity_kwh=sum(r.capacity_kwh for r in stores),
        money=float(plant.money),
    )
    plant.trace.append(point)
    plant.metrics.park_power(measured_kw=park_kw, planned_kw=planned_kw, owed_kw=owed_kw)
    plant.metrics.stored_energy(float("nan") if point.stored_kwh is None else point.stored_kwh)
    plant.events.emit(
        "tick",
        "",
        at=now,
        park_kw=park_kw,
        planned_kw=planned_kw,
        owed_kw=owed_kw,
        spot_per_mwh=point.spot_per_mwh,
        stored_kwh=point.stored_kwh,
        capacity_kwh=point.capacity_kwh,
        money=point.money,
        safe_state=plant.safe_state.value,
    )


def _park_kw(plant: Plant, now: datetime) -> float | None:
    """Sum of the main meters; None where one of them is not heard lately."""
    total = 0.0
    for point in plant.file.park.connection_points:
        reading = plant.intake.newest_meter.get(point.meter_id)
        if reading is None or now - reading.measured_at > timedelta(minutes=3):
            return None
        total += reading.power_kw
    return total


# ---------------------------------------------------------------- account


async def account(plant: Plant, now: datetime) -> None:
    """Settle what is delivered and metered, and say what it comes to."""
    settled = accounting.settle_due(plant, now)
    await quotas.count(plant, now)
    plant.meters.thin(now - accounting.METERS_WHOLE, QUARTER)
    plant.meters.forget(now - accounting.METERS_KEPT)
    plant.reach("settled")
    if not settled or plant.accounted_span is None:
        return
    for interval in settled:  # again, where a price came late: the newest figure counts
        plant.interval_money[interval] = accounting.money_of(plant, interval)
    peaks = accounting.demand_charge_so_far(plant, plant.accounted_span)
    plant.money = round(sum(plant.interval_money.values(), Decimal(0)) - peaks, 2)
    plant.metrics.money(float(plant.money), plant.file.park.currency)
    plant.events.emit(
        "settlement",
        f"{len(settled)} intervals settled, {plant.money} {plant.file.park.currency} so far",
        at=now,
        intervals=len(settled),
        money=str(plant.money),
    )
