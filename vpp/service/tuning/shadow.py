"""A candidate beside the live version: it plans what they plan, is never followed, and is scored.

    each plan that stands ─▶ the candidate's plan of the same picture ─▶ both sets of bids compared ─▶ journal
    each day that is over ─▶ played again under both ───────────────────────────────────────────────▶ journal

It has a seat of its own at the clock and processes of its own, of low priority: no cycle waits for it.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import msgspec

from vpp.clock import Clock
from vpp.errors import ConfigError, ConflictError, UnavailableError, VppError
from vpp.model.schedule import Schedule
from vpp.model.time import QUARTER, latest_boundary, local_date
from vpp.service.events import Severity
from vpp.service.plant import Plant
from vpp.service.record import append
from vpp.service.run import Loop
from vpp.service.strategies.strategies import Strategies
from vpp.service.tuning.desk import Shadow
from vpp.service.tuning.nofollow import Basis, offering_of, problem_under
from vpp.service.tuning.planpair import PlanPair
from vpp.service.tuning.previewing import (
    PLAN_HARD_S,
    ask_child,
    both_lives,
    day_figures,
    days_before,
)
from vpp.service.tuning.record import (
    SHADOW,
    SHADOW_DAY,
    SHADOW_END,
    SHADOW_PLAN,
    ShadowRecord,
    key_of,
)
from vpp.wirestrategies import PreviewPlanView, ShadowDayView, ShadowPlanView


def loops(plant: Plant, seat: Callable[[str], Clock]) -> dict[str, Loop]:
    """Looks after each quarter-hour's plan, and beside it the day that is over.

    While one works its ticks pass and none of them is missed. A day takes as long as it takes to play it
    again: no plan waits for that to be compared.
    """

    def looking(clock: Clock, look: Callable[[Plant, datetime], Awaitable[None]]) -> Loop:
        async def loop(stop: asyncio.Event) -> None:
            due = clock.now()
            while await clock.wait_until(due, stop):
                await look(plant, due)
                due = latest_boundary(clock.now(), QUARTER) + QUARTER

        return loop

    return {
        "shadow": looking(seat("shadow"), follow),
        "shadow_day": looking(seat("shadow_day"), score),
    }


async def start(
    plant: Plant, strategies: Strategies, *, by: str, reason: str, now: datetime
) -> Shadow:
    """Let a candidate run beside the live version, in the place of one that does.

    Raises:
        ConflictError: It is the live version.
        UnavailableError: The journal cannot be written: nothing runs.
    """
    desk = plant.tuning
    if strategies.version == plant.strategy_version:
        raise ConflictError(
            "it is live already", where="shadow", fix="Give a file that differs from the live one"
        )
    number = 1 if desk.shadow is None else desk.shadow.number + 1
    kept = ShadowRecord(version=strategies.version, text=strategies.text, by=by, reason=reason)
    await append(plant, SHADOW, key_of(number), msgspec.json.encode(kept), now=now)
    desk.shadow = Shadow(number=number, strategies=strategies, by=by, reason=reason, since=now)
    _tell(plant, f"{strategies.version} runs in the shadow: {by}: {reason}", now)
    return desk.shadow


async def end(plant: Plant, *, by: str, reason: str, now: datetime) -> Shadow | None:
    """Let the candidate rest; again changes nothing.

    Raises:
        UnavailableError: The journal cannot be written: it goes on.
    """
    shadow = plant.tuning.shadow
    if shadow is None or shadow.ended:
        return shadow
    body = msgspec.json.encode({"by": by, "reason": reason})
    await append(plant, SHADOW_END, key_of(shadow.number), body, now=now)
    shadow.ended = True
    _tell(plant, f"{shadow.strategies.version} leaves the shadow: {by}: {reason}", now)
    return shadow


async def follow(plant: Plant, now: datetime) -> None:
    """Plan what the newest plan planned, where a candidate runs."""
    shadow = plant.tuning.shadow
    if shadow is None or shadow.ended:
        return
    basis, live = plant.tuning.basis, plant.schedule
    if basis is not None and live is not None and live.plan_id != shadow.compared_with:
        shadow.compared_with = live.plan_id
        if basis.problem.options.plan_id == live.plan_id:
            await _compare(plant, shadow, basis, live, now)


async def _compare(
    plant: Plant, shadow: Shadow, basis: Basis, live: Schedule, now: datetime
) -> None:
    """The candidate's plan of the same picture, and what it would bid."""
    answer: PreviewPlanView | str
    try:
        problem = problem_under(plant, basis, shadow.strategies)
        pair = PlanPair(
            old=live,
            old_view=basis.problem.view,
            new=problem,
            offering=offering_of(plant, now),
            old_strategies=plant.strategies,
            new_strategies=shadow.strategies,
        )
    except VppError as error:
        answer = str(error)
    else:
        payload = await asyncio.to_thread(pickle.dumps, pair, pickle.HIGHEST_PROTOCOL)
        answer = await ask_child(payload, PLAN_HARD_S)
    told = _plan_view(live, answer, now)
    await _keep(
        plant, SHADOW_PLAN, f"{key_of(shadow.number)}/{live.plan_id}", told.model_dump_json(), now
    )
    shadow.plans += 1
    shadow.unsolved += told.shadow_cost is None
    shadow.newest = told


def _plan_view(live: Schedule, answer: PreviewPlanView | str, now: datetime) -> ShadowPlanView:
    if isinstance(answer, str):
        return ShadowPlanView(
            at=now,
            live_plan_id=live.plan_id,
            live_cost=None,  # by the candidate's picture, of which there is none
            shadow_cost=None,
            bids=[],
            bids_changed=0,
            bids_compared=0,
            reason=answer,
        )
    return ShadowPlanView(
        at=now,
        live_plan_id=live.plan_id,
        live_cost=answer.old.cost,
        shadow_cost=answer.new.cost,
        bids=answer.bids,
        bids_changed=answer.bids_changed,
        bids_compared=answer.bids_compared,
        reason="",
    )


async def score(plant: Plant, now: datetime) -> None:
    """Play the newest day that is over again, once, where it ended after the candidate began."""
    shadow, zone = plant.tuning.shadow, plant.file.park.timezone
    if shadow is None or shadow.ended:
        return
    today = local_date(now, zone)
    if today <= local_date(shadow.since, zone) or shadow.scored_on == today:
        return
    told = await _day(plant, shadow, now)
    if shadow is not plant.tuning.shadow or shadow.ended:
        return  # it left while its day was played: the journal has its end already
    shadow.scored_on = (
        today  # only now: a day that could not be played is played when next looked at
    )
    key = f"{key_of(shadow.number)}/{told.day.isoformat()}"
    await _keep(plant, SHADOW_DAY, key, told.model_dump_json(), now)
    shadow.days[told.day] = told
    if told.live is not None and told.shadow is not None:
        gain = told.live.cost - told.shadow.cost
        what = (
            f"{told.day}: {shadow.strategies.version} in the shadow would have cost {gain:+} less"
        )
        _tell(plant, what, now)


async def _day(plant: Plant, shadow: Shadow, now: datetime) -> ShadowDayView:
    day = local_date(now, plant.file.park.timezone) - timedelta(days=1)
    try:
        span = days_before(plant.file, now, 1)
        lives = await both_lives(
            plant.file,
            plant.strategies,
            shadow.strategies,
            span,
            progress=lambda name, at: None,
        )
    except ConfigError as error:
        return ShadowDayView(day=day, live=None, shadow=None, reason=f"{error.what}: {error.fix}")
    except VppError as error:
        return ShadowDayView(day=day, live=None, shadow=None, reason=str(error))
    live, other = (day_figures(life.days[0]) for life in lives)
    return ShadowDayView(day=lives[0].days[0].day, live=live, shadow=other, reason="")


async def _keep(plant: Plant, kind: str, key: str, body: str, now: datetime) -> None:
    """What cannot be put on record is said and counted there, and shown all the same."""
    try:
        await append(plant, kind, key, body.encode(), now=now)
    except (UnavailableError, ConflictError) as error:
        _tell(plant, f"of the shadow not on record: {error}", now)


def _tell(plant: Plant, text: str, now: datetime) -> None:
    plant.events.emit("shadow", text, at=now, severity=Severity.INFO)
