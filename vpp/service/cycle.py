"""The whole day of the plant, read top to bottom.

    every 15 min   plan      observe ▸ score ▸ forecast ▸ freeze ▸ strategies ▸ solve ▸ validate ▸ adopt
                             (where plans are made less often, the others only observe)
    every 15 min   trade     ask the market about bids in doubt ▸ notice missed gates
    1 s to 60 s    act       rung of the ladder ▸ freeze ▸ share ▸ guard ▸ journal ▸ send ▸ confirm ▸ track
                             (how often: `steering/pace.py`; the details: the package `steering`)
    1 s to 1 h     report    what a market owes its dispatch centre or platform (`reports/reporting.py`)
    every 15 min   account   settle what was delivered ▸ money, carbon

Bids are not made here but when a market asks (`trading/trading.py`), from the plan that stands. Each cycle
takes `now` and finishes before its next tick, or that tick is skipped and counted (`run.py`).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from time import perf_counter
from typing import assert_never

import msgspec

from vpp.act.guard import guard
from vpp.act.ladder import SafeState
from vpp.errors import ConflictError, DataError, PlanError, UnavailableError
from vpp.model.schedule import Feasible, Optimal, Outcome, Schedule, Unsolved
from vpp.model.time import QUARTER, Interval, isoformat, latest_boundary
from vpp.plan.changes import changes, planned
from vpp.plan.problem import Problem, SolveOptions
from vpp.plan.validate import violations
from vpp.service import accounting, control, finality, inputs, notices, safestate, trace
from vpp.service.bids import curves as bidcurves
from vpp.service.calls import activations, reservedcharge, reserves
from vpp.service.correlation import correlated, tell_setpoints
from vpp.service.demandresponse import demandresponse
from vpp.service.demandresponse import money as drmoney
from vpp.service.demandresponse import plan as drplan
from vpp.service.events import Severity
from vpp.service.feeds import carbonseries
from vpp.service.feeds import watch as feedwatch
from vpp.service.forecasting.issuing import issue
from vpp.service.forecasting.scoring import score
from vpp.service.forecasting.watched import measured_net, measured_room
from vpp.service.planning import alone, uncertainty
from vpp.service.planning.announced import announced
from vpp.service.plant import PlanRecord, Plant
from vpp.service.quotas import quotas
from vpp.service.record import PLAN, append
from vpp.service.reports import reporting
from vpp.service.results import noting
from vpp.service.steering import acting, agc, overrides, owing, setpoints
from vpp.service.steering import record as actingrecord
from vpp.service.steering import results as actingresults
from vpp.service.steering import share as actingshare
from vpp.service.steering import track as actingtrack
from vpp.service.trading import awarding, nominating, outside, positions, trading
from vpp.service.tuning import changing as tuning
from vpp.service.tuning import trial as tuningtrial
from vpp.service.tuning.nofollow import Basis
from vpp.service.window import window

OBSERVED, OBSERVED_LATE = "observed", "observed-late"
"""Kinds of journal entries."""


def plan_number(plan_id: str) -> int:
    """The number in a plan's id, which is also its key in the journal."""
    return int(plan_id.removeprefix("plan-"))


# ---------------------------------------------------------------- plan


@correlated
async def plan(plant: Plant, now: datetime) -> None:
    """Learn from the interval that ended at `now`; where a plan is due, make it and adopt it if it holds."""
    began = perf_counter()
    finished = Interval(now - QUARTER, now)
    notices.tell_calendar(plant, now)
    feedwatch.tell_late(plant, now)
    outside.follow(plant, now)
    await _observe(plant, finished, now)
    await noting.note_quarter(plant, finished, now)
    accounting.note_peaks(plant, finished)
    await score(plant, now)
    if plan_is_due(plant, now):
        await _make_plan(plant, now, began)


async def replan(plant: Plant, now: datetime) -> None:
    """Make a plan before its turn where something asks for it: a limit order must not wait.

    What is about some enterprises alone is planned with the others as the standing plan has them, if that gives
    a plan; else all of it.
    """
    if plant.replan is None:
        return
    async with plant.planning:
        why, began = plant.replan, perf_counter()
        if why is None:
            return  # a plan that began meanwhile has seen it
        owners = ", ".join(sorted(alone.asked_about(plant)))
        problem = alone.problem_alone(plant, now)
        if problem is not None:
            plant.events.emit("replan", f"a new plan at once: {why}: {owners} alone", at=now)
            plant.replan = None
            if await _solve_alone(plant, problem, began):
                return
    plant.events.emit("replan", f"a new plan at once: {why}", at=now)
    await _make_plan(plant, latest_boundary(now, QUARTER), perf_counter())


async def _solve_alone(plant: Plant, problem: Problem, began: float) -> bool:
    """Solve what differs from the standing plan's problem in a few enterprises; whether its plan stands now."""
    assert plant.tuning.basis is not None
    told = announced(plant, problem.view.horizon)
    problem = replace(problem, options=_options(plant), **told)
    outcome = await plant.executor.solve(problem, hard_s=plant.file.planning.hard_s)
    seconds = perf_counter() - began
    if isinstance(outcome, Unsolved) or await _wrong(plant, problem, outcome.schedule):
        return False
    await _stand(plant, Basis(problem=problem, asked=plant.tuning.basis.asked), outcome, seconds)
    return True


async def _make_plan(plant: Plant, now: datetime, began: float) -> None:
    """Make the plan of the interval that begins at `now`, and adopt it if it holds."""
    async with plant.planning:
        plant.replan = None
        with suppress(UnavailableError):  # said and counted there: what waits waits on
            await tuning.take(plant, now)
        await _solve_and_adopt(plant, now, began)
        if (failed := tuningtrial.fall_back(plant)) is not None:
            await _solve_and_adopt(plant, now, perf_counter())
            await tuningtrial.judge(plant, failed, now)


async def _solve_and_adopt(plant: Plant, now: datetime, began: float) -> None:
    try:
        horizon = reporting.reaching(plant, drplan.reaching(plant, inputs.horizon_of(plant, now)))
        carbon = carbonseries.usable(plant, horizon, now)
        forecasts = await issue(plant, [*inputs.series_needed(plant), *carbon], horizon, now)
        view = inputs.build_view(plant, now, horizon, forecasts)
        view = uncertainty.with_margins(plant, view)
        asked = (
            *quotas.terms(plant, view),
            *activations.terms(plant, horizon),
            *drplan.terms(plant, horizon, now),
            *reserves.terms(plant, horizon),
        )
        calls, invitations = plant.book.calls.keys(), drplan.known(plant)
        futures, no_futures = uncertainty.futures_of(plant, view, asked)
        curves, uncurved = bidcurves.asks_of(plant, view, asked)
        terms = (*plant.strategies.terms(view), *asked)
        await asyncio.sleep(
            0
        )  # others first: writing a fleet down for the solver takes as long as seeing it
    except (PlanError, DataError) as error:
        _refuse_plan(plant, now, Unsolved(reason=str(error)), perf_counter() - began)
        return
    problem = Problem(
        view=view,
        terms=terms,
        options=_options(plant),
        **announced(plant, view.horizon),
        futures=futures,
        no_futures=no_futures,
        curves=curves,
    )
    hard_s = plant.file.planning.hard_s + sum(ask.soft_s for ask in curves)
    outcome = await plant.executor.solve(problem, hard_s=hard_s)
    seconds = perf_counter() - began
    plant.view, plant.terms = view, terms
    match outcome:
        case Unsolved():
            _refuse_plan(plant, now, outcome, seconds)
        case Optimal(schedule=schedule) | Feasible(schedule=schedule):
            if wrong := await _wrong(plant, problem, schedule):
                refused = Unsolved(reason=f"the plan breaks its own rules: {'; '.join(wrong)}")
                _refuse_plan(plant, now, refused, seconds)
            else:
                plant.calls_planned, plant.dr.planned = calls, invitations
                await _stand(plant, Basis(problem=problem, asked=asked), outcome, seconds)
                bidcurves.tell(plant, schedule, uncurved, now)
        case _:
            assert_never(outcome)


async def _wrong(plant: Plant, problem: Problem, schedule: Schedule) -> tuple[str, ...]:
    """What is wrong with a plan of a problem; looked for in a thread, for of a fleet it takes a while."""
    began, excess_per_kwh = perf_counter(), plant.file.planning.limit_excess_per_kwh
    found = await asyncio.to_thread(
        violations,
        schedule,
        problem.view,
        problem.terms,
        limit_excess_price_per_kwh=excess_per_kwh,
    )
    plant.validate_s = perf_counter() - began
    return found


async def _stand(plant: Plant, basis: Basis, outcome: Optimal | Feasible, seconds: float) -> None:
    """Let a plan stand that is not wrong, and what it was made from."""
    view, terms = basis.problem.view, basis.problem.terms
    await _adopt(plant, view.now, outcome, outcome.schedule, seconds)
    plant.view, plant.terms = view, terms
    plant.made_from, plant.tuning.basis = (view, terms), basis


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
            # Unavailable: said and counted there, learnt all the same. Conflict: as `put_observed` says.
            with suppress(UnavailableError, ConflictError):
                key = isoformat(interval.start)
                await append(plant, kind, key, msgspec.json.encode(kw), now=now)


def _options(plant: Plant) -> SolveOptions:
    plant.plan_count += 1
    return SolveOptions(
        plan_id=f"plan-{plant.plan_count:06d}",
        strategy_version=plant.strategy_version,
        gap=plant.file.planning.gap,
        soft_s=plant.file.planning.soft_s,
        limit_excess_price_per_kwh=plant.file.planning.limit_excess_per_kwh,
        method=plant.file.planning.method,
        cvar_weight=plant.file.planning.cvar_weight,
        cvar_level=plant.file.planning.cvar_level,
        doubt=plant.file.planning.scenario_doubt,
    )


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
    await noting.note_plan(plant, schedule, now)
    before = plant.schedule
    plant.changes = (
        None
        if before is None
        else await asyncio.to_thread(changes, planned(before), planned(schedule))
    )
    plant.schedule, plant.outcome = schedule, outcome
    plant.plan_log.append(
        PlanRecord(
            at=now, status=status, total_s=seconds, solve_s=schedule.solve_s, gap=schedule.gap
        )
    )
    trading.forget_offers(plant, now)
    positions.note_plan(plant, schedule)
    plant.metrics.plan(status, seconds, schedule.gap)
    if schedule.ties_left:
        plant.metrics.ties_left()
    plant.metrics.fallbacks(schedule.how.fallbacks)
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


@correlated
async def trade(plant: Plant, now: datetime) -> None:
    """Settle what became of our bids, and notice gates that passed without one."""
    await awarding.ask_about_doubts(plant, now)
    await demandresponse.advance(plant, now)
    unit = inputs.trading_unit(plant)
    for product in plant.file.products:
        if product.by_invitation:
            continue  # bid for where somebody invites, and then by ourselves
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
    await nominating.look(plant, now)


# ---------------------------------------------------------------- act


@correlated
async def act(plant: Plant, now: datetime) -> None:
    """Steer: share, guard, send; then see what became of the commands before, and of what is owed.

    Every resource that is to leave its default gets a set-point that expires. Where the ladder says
    RELEASE, those in an operator's hand alone do; where it says KILLED, nobody.
    """
    if (
        not plant.reconciled
    ):  # the trade cycle could not: nobody is steered until the market answers
        await awarding.ask_about_doubts(plant, now)
    plant.events.tell_alike(now)
    control.tell_latches(plant, now)
    await control.record_latches(plant)
    overrides.tell_expired(plant, now)
    picture = acting.picture(plant, now)
    actingresults.watch(plant, picture)
    # Either half takes a while of a large fleet; a kill is heard between them.
    await asyncio.sleep(0)
    rung = safestate.rung(plant, now)
    if rung.may_command or (rung.state is SafeState.RELEASE and overrides.in_force(plant, now)):
        wanted = actingshare.share_out(plant, picture, may_plan=rung.may_command)
        guarded = guard(
            picture.units,
            picture.seen,
            wanted.power_kw,
            now=max(picture.state.taken_at, plant.clock.now()),
            stopped=setpoints.stopped(plant),
            before=replace(plant.lives.before(now), period_s=picture.period.total_seconds()),
            reserved_kwh=reservedcharge.reserved_kwh(plant, now),
        )
        for clip in guarded.clipped:
            plant.clipped[clip.resource_id] += 1
        how = actingrecord.steered(plant, picture, wanted.settled, guarded)
        made = await setpoints.send(plant, guarded, how, now)
        tell_setpoints(plant, picture.state, made)
        actingresults.told(plant, picture, made)
        actingtrack.tell_shortfall(plant, picture, wanted)
    else:
        plant.lives.release(now, reason=f"{rung.state}: {rung.reason}")
        actingrecord.let_go(plant)
    actingtrack.confirm(plant, picture)
    actingtrack.judge(plant, picture)
    accounting.note_calls(plant)
    quotas.note_readings(plant)
    agc.note(plant, now)
    owed = picture.owed
    trace.keep(plant, picture.state, None if owed is None else owing.mean_kw(owed, now), now)
    window.note(plant)


# ---------------------------------------------------------------- account


@correlated
async def account(plant: Plant, now: datetime) -> None:
    """Settle what is delivered and metered, and say what it comes to."""
    settled = accounting.settle_due(plant, now)
    await finality.note_final(plant, now)
    await demandresponse.advance(plant, now)
    await agc.keep(plant, now)
    await reserves.settle_due(plant, now)
    await quotas.count(plant, now)
    plant.meters.thin(now - accounting.METERS_WHOLE, QUARTER)
    plant.meters.forget(now - accounting.METERS_KEPT)
    plant.book.calls.thin(now)
    plant.reach("settled")
    if not settled or plant.accounted_span is None:
        return
    for interval in settled:  # again, where a price came late: the newest figure counts
        plant.interval_money[interval] = accounting.money_of(plant, interval)
    peaks = accounting.demand_charge_so_far(plant, plant.accounted_span)
    market = sum(plant.interval_money.values(), Decimal(0))
    plant.money = round(market - peaks + drmoney.paid(plant) + reserves.paid(plant), 2)
    plant.metrics.money(float(plant.money), plant.file.park.currency)
    plant.events.emit(
        "settlement",
        f"{len(settled)} intervals settled, {plant.money} {plant.file.park.currency} so far",
        at=now,
        intervals=len(settled),
        money=str(plant.money),
    )
