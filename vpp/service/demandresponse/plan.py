"""Demand response in the plan: a cap on those who take part, against the baseline that will settle it.

    invited      net >= baseline + wanted      what lacks costs the price that will be offered
    nominated    net >= baseline + nominated   what lacks costs `trading.activation_shortfall_per_kwh`
    confirmed    net >= baseline + confirmed   (a call of less: that)                 the same

(A fill the other way round.) An activation of another product is owed against what was planned without it, for
that is all its venue can know. Here the reference is the product's own baseline from measured days, since that
alone is paid: a plan that shifts its own starting point earns nothing by it, and what the plan did anyway (a
battery that would have fed at that hour) counts as response, as the meter will say. The baseline is worked out
anew for each plan, so the same-day correction is in it as soon as its hours are metered. Preparation before the
window (cooling, charging) and rebound after it are the optimiser's, out of the same cap: the horizon reaches
beyond the window for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np

from vpp.errors import DataError
from vpp.model.demandresponse import Stage
from vpp.model.horizon import Floats, Horizon
from vpp.model.ids import EnterpriseId
from vpp.model.time import QUARTER, Interval
from vpp.plan.terms import Cap
from vpp.service.calls.activations import listed
from vpp.service.demandresponse import baseline as drbaseline
from vpp.service.demandresponse import reply as drreply
from vpp.service.plant import Plant
from vpp.trade.drlifecycle import OWED, PLANNED
from vpp.trade.invitations import Story

AFTER = timedelta(hours=2)
"""So long beyond a window a plan looks: what is drawn again after it belongs to its cost."""

LOOKAHEAD = timedelta(hours=48)
"""A window that begins within this is planned for: a day ahead, and the day of it."""


def known(plant: Plant) -> frozenset[tuple[str, int]]:
    """Invitations, by id and revision, that a plan made now knows."""
    return frozenset(
        (story.invitation.invitation_id, story.invitation.revision)
        for story in plant.dr.book.stories()
    )


def reaching(plant: Plant, horizon: Horizon) -> Horizon:
    """A horizon, longer where a window that is planned for ends later."""
    end = horizon.end
    for story in plant.dr.book.stories():
        window = story.invitation.window
        if story.stage in PLANNED and window.start < horizon.start + LOOKAHEAD:
            end = max(end, window.end + AFTER)
    return Horizon(horizon.start, horizon.step, -((horizon.start - end) // horizon.step))


def terms(plant: Plant, horizon: Horizon, now: datetime) -> tuple[Cap, ...]:
    """What the plan keeps to, or is paid for, in every window that reaches into its horizon."""
    return tuple(_caps(plant, horizon, now))


def owed_kw(plant: Plant, interval: Interval, otherwise_kw: float | None) -> float | None:
    """Net injection of the park that is owed in a quarter-hour: at least (of a fill, at most) what was called.

    From the confirmation to the rebound the plan has weighed preparation against what was sold: storage then
    makes up for errors of the plan, and does not take back what the plan does beside the position. Where
    nothing is called, what is owed otherwise.
    """
    if otherwise_kw is not None and _prepares(plant, interval):
        schedule = plant.schedule
        if schedule is not None and schedule.horizon.span.covers(interval):
            otherwise_kw = float(schedule.net_kw[schedule.horizon.index(interval.start)])
    for story in plant.dr.book.stories():
        if story.stage not in OWED or not story.invitation.window.covers(interval):
            continue
        now = plant.clock.now()
        members = _members(plant, story, now)
        base = _base_kw(plant, story, members, interval, now)
        schedule = plant.schedule
        if base is None or schedule is None or not schedule.horizon.span.covers(interval):
            continue
        sign = drreply.sign_of(story.invitation)
        inside = schedule.horizon.index(interval.start)
        theirs = drreply.planned_kw(plant, schedule, members, interval)[0]
        others = float(schedule.net_kw[inside]) - float(theirs)
        due = others - float(base[0]) + sign * float(called_mw(plant, story)) * 1000
        known_kw = due if otherwise_kw is None else otherwise_kw
        otherwise_kw = max(due, known_kw) if sign > 0 else min(due, known_kw)
    return otherwise_kw


def _prepares(plant: Plant, interval: Interval) -> bool:
    """Whether a confirmed call is ahead, or under way, or its rebound."""
    return any(
        story.stage in OWED | {Stage.EVALUATED, Stage.SETTLED}
        and interval.start < story.invitation.window.end + AFTER
        for story in plant.dr.book.stories()
    )


def called_mw(plant: Plant, story: Story) -> Decimal:
    """What is called: what was confirmed, or what the platform's own call asks of it where that is less."""
    calls = [
        call.quantity_mw
        for call in plant.book.calls.standing_in(story.invitation.window)
        if call.invitation_id == story.invitation.invitation_id and call.quantity_mw
    ]
    return min([story.owed_mw, *calls])


def _caps(plant: Plant, horizon: Horizon, now: datetime) -> Iterator[Cap]:
    for story in plant.dr.book.stories():
        invitation = story.invitation
        if story.stage not in PLANNED or not invitation.window.overlaps(horizon.span):
            continue
        members = _members(plant, story, now)
        base = _base_kw(plant, story, members, invitation.window, now) if members else None
        if base is None:
            continue
        if story.stage is Stage.INVITED:
            quantity, per_kwh = (
                drreply.most_offered_mw(plant, invitation),
                drreply.offered_price(plant, invitation) / 1000,
            )
        else:
            quantity = called_mw(plant, story)
            per_kwh = plant.file.trading.activation_shortfall_per_kwh
        sign = drreply.sign_of(invitation)
        bound = np.full(horizon.steps, -sign * np.inf)
        inside = horizon.slice(invitation.window)
        skipped = max(horizon.index(invitation.window.start) * -1, 0)
        due = -base + sign * float(quantity) * 1000
        bound[inside] = due[skipped : skipped + inside.stop - inside.start]
        everyone = len(members) == len(plant.file.park.enterprises)
        places = (plant.file.park.park_id,) if everyone else members
        yield Cap(
            place=places[0],
            also=tuple(places[1:]),
            # A limit below 0 asks for the other direction: at least so much is fed, or drawn.
            import_kw=-bound if sign > 0 else None,
            export_kw=bound if sign < 0 else None,
            excess_per_kwh=float(per_kwh),
            reason=f"demand response {invitation.invitation_id}",
        )


def _members(plant: Plant, story: Story, now: datetime) -> tuple[EnterpriseId, ...]:
    """Whose meters count: those nominated, before that all who may take part and have a baseline."""
    if story.nomination is not None:
        return story.nomination.members
    invitation = story.invitation
    return tuple(
        name
        for name in drreply.able(plant, invitation)[0]
        if _base_kw(plant, story, (name,), invitation.window, now) is not None
    )


def _base_kw(
    plant: Plant,
    story: Story,
    members: tuple[EnterpriseId, ...],
    window: Interval,
    now: datetime,
) -> Floats | None:
    """The baseline of members together as power drawn, by quarter-hour; None where there is none yet."""
    try:
        pack = listed(plant, story.invitation.product_id)
        courses = drbaseline.expected_mwh(plant, pack, members, story.invitation.window, now=now)
    except DataError:
        return None  # the reply says so; a product that the park file dropped was told at the start
    whole: Floats = np.sum([drreply.kw_of(course) for course in courses.values()], axis=0)
    first = (window.start - story.invitation.window.start) // QUARTER
    return whole[first : first + (window.end - window.start) // QUARTER]
