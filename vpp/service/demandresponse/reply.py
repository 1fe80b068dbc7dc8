"""What is offered to an invitation: who may take part, what the newest plan says they bring, how sure that is.

    members ─▶ no veto, calls left, no orderly use ─▶ Σ (plan − baseline) over the window ─▶ × reliability
            ─▶ whole steps, within what is wanted and tested ─▶ shares ─▶ bids of the window

While an invitation is open the plan is paid for response at the price that will be offered (`plan.py`), so what
it does beyond the baseline is what is worth offering. What counts is the mean over the window: response is
settled by its energy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal

import numpy as np

from vpp.errors import DataError
from vpp.model.demandresponse import Invitation, Stage
from vpp.model.gate import InvitedGate
from vpp.model.horizon import Floats
from vpp.model.ids import EnterpriseId
from vpp.model.market import MarketProduct
from vpp.model.members import MemberRule
from vpp.model.money import exact
from vpp.model.schedule import Schedule
from vpp.model.time import QUARTER, Interval, local_date
from vpp.service.calls.activations import listed
from vpp.service.calls.limits import under_orderly_use
from vpp.service.demandresponse import baseline as drbaseline
from vpp.service.inputs import trading_unit
from vpp.service.plant import Plant
from vpp.service.strategies import selling
from vpp.trade.calendar import Refusal, TradeRefusal
from vpp.trade.drlifecycle import CALLED
from vpp.trade.limits import most_mw

NOISE_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """What could be offered, and why not more."""

    response_kw: Mapping[EnterpriseId, float]
    """Mean over the window beyond the baseline in the invited direction, by the plan; members that may."""
    refused: Mapping[EnterpriseId, str]
    """Members that may not, and why."""
    reliability: Decimal
    quantity_mw: Decimal
    """What is offered: 0 where it is less than the product takes."""
    shares_mw: Mapping[EnterpriseId, Decimal]


def sign_of(invitation: Invitation) -> int:
    """+1 where less is to be drawn, -1 where more: what turns a response into net injection."""
    return invitation.side.sign


def able(
    plant: Plant, invitation: Invitation
) -> tuple[tuple[EnterpriseId, ...], Mapping[EnterpriseId, str]]:
    """Members that may take part, in park order, and why the others may not."""
    refused: dict[EnterpriseId, str] = {}
    unit = trading_unit(plant)
    names = dict.fromkeys(
        r.enterprise_id for r in plant.file.park.resources if r.resource_id in unit.resource_ids
    )
    answers = selling.terms_of(plant.strategies, selling.ANSWERS, invitation.window.start)
    for name in names:
        why = _not_answered(plant, invitation, name, answers)
        if why is None:
            why = _refusal(plant, invitation, plant.strategies.member(name))
        if why is not None:
            refused[name] = why
    return tuple(name for name in names if name not in refused), refused


def calls_left(
    plant: Plant, invitation: Invitation, rule: MemberRule
) -> tuple[int | None, int | None]:
    """Of the day and of the month of a window; None where there is no limit. The invitation itself is not counted."""
    day, month = called_days(plant, invitation, rule.enterprise_id)
    first = _first_month(plant)
    here = local_date(invitation.window.start, plant.file.park.timezone)
    before = rule.called_before if (here.year, here.month) == first else 0
    left_day = None if rule.calls_per_day is None else rule.calls_per_day - day
    left_month = None if rule.calls_per_month is None else rule.calls_per_month - month - before
    return left_day, left_month


def hours_left(plant: Plant, invitation: Invitation, rule: MemberRule) -> float | None:
    """Hours of calls left of the month once this one is over, below 0 where it is too long; None: no limit."""
    if rule.hours_per_month is None:
        return None
    here = local_date(invitation.window.start, plant.file.park.timezone)
    called = _called(plant, invitation, rule.enterprise_id)
    days = [local_date(window.start, plant.file.park.timezone) for window in called]
    called_h = sum(
        window.hours
        for window, day in zip(called, days, strict=True)
        if (day.year, day.month) == (here.year, here.month)
    )
    before_h = rule.hours_before if (here.year, here.month) == _first_month(plant) else 0.0
    return rule.hours_per_month - called_h - before_h - invitation.window.hours


def _called(plant: Plant, invitation: Invitation, name: EnterpriseId) -> list[Interval]:
    """Windows in which a member is called by other invitations."""
    return [
        story.invitation.window
        for story in plant.dr.book.stories()
        if story.invitation.invitation_id != invitation.invitation_id
        and story.stage in CALLED | {Stage.NOMINATED}
        and story.nomination is not None
        and name in story.nomination.members
    ]


def called_days(plant: Plant, invitation: Invitation, name: EnterpriseId) -> tuple[int, int]:
    """How often a member is called by other invitations on the day, and in the month, of a window."""
    zone = plant.file.park.timezone
    here = local_date(invitation.window.start, zone)
    days = [local_date(window.start, zone) for window in _called(plant, invitation, name)]
    month = sum((day.year, day.month) == (here.year, here.month) for day in days)
    return sum(day == here for day in days), month


def require_room(plant: Plant, invitation: Invitation) -> None:
    """Refuse what the product's own rules do not allow: too short, too often, too long in a day.

    Raises:
        DataError: Which rule, and by how much.
    """
    section = listed(plant, invitation.product_id).section
    where = f"invitation {invitation.invitation_id}"
    hours = exact(invitation.window.hours)
    least = section.eligibility.min_duration_h
    if least is not None and hours < least:
        raise DataError(
            f"{hours} h is shorter than {least} h", where=where, fix="Invite for a longer window"
        )
    activation = section.activation
    if activation is None:
        return
    zone, here = plant.file.park.timezone, invitation.window
    same_day = [
        story.invitation.window
        for story in plant.dr.book.stories(invitation.product_id)
        if story.invitation.invitation_id != invitation.invitation_id
        and story.stage in CALLED | {Stage.NOMINATED}
        and local_date(story.invitation.window.start, zone) == local_date(here.start, zone)
    ]
    most_calls, most_hours = activation.max_calls_per_day, activation.max_hours_per_day
    if most_calls is not None and len(same_day) + 1 > most_calls:
        raise DataError(
            f"it would be call {len(same_day) + 1} of the day",
            where=where,
            fix=f"Invite at most {most_calls} times a day",
        )
    total = sum((exact(window.hours) for window in same_day), hours)
    if most_hours is not None and total > most_hours:
        raise DataError(
            f"{total} h in a day", where=where, fix=f"Invite for at most {most_hours} h a day"
        )


def capability(plant: Plant, invitation: Invitation, now: datetime) -> Capability:
    """What the newest plan brings beyond the baseline, discounted, in whole steps.

    Raises:
        TradeRefusal: `no_plan`, or `plan_too_short` where the plan does not cover the window.
        DataError: As `require_room`.
    """
    require_room(plant, invitation)
    schedule, where = plant.schedule, f"invitation {invitation.invitation_id}"
    if schedule is None:
        raise TradeRefusal(
            "there is no plan yet", code=Refusal.NO_PLAN, where=where, fix="Ask after the next plan"
        )
    if not schedule.horizon.span.covers(invitation.window):
        raise TradeRefusal(
            f"the plan ends at {schedule.horizon.end}",
            code=Refusal.PLAN_TOO_SHORT,
            where=where,
            fix="Ask after the next plan",
        )
    members, refused = able(plant, invitation)
    pack, because = listed(plant, invitation.product_id), dict(refused)
    response: dict[EnterpriseId, float] = {}
    for name in members:
        try:
            base = drbaseline.expected_mwh(plant, pack, [name], invitation.window, now=now)[name]
        except DataError as error:
            because[name] = f"{error.where}: {error.what}"
            continue
        planned = planned_kw(plant, schedule, [name], invitation.window)
        beyond = planned + kw_of(base)
        response[name] = float(beyond.mean()) * sign_of(invitation)
    sure = reliability(plant, invitation)
    answers = selling.terms_of(plant.strategies, selling.ANSWERS, invitation.window.start)
    share = exact(1.0 if answers is None else answers.most_share)
    most = round(exact(sum(response.values())), NOISE_DIGITS) / 1000 * sure * share
    quantity = in_steps(plant, invitation, most)
    return Capability(
        response_kw=response,
        refused=because,
        reliability=sure,
        quantity_mw=quantity,
        shares_mw=_shares(response, quantity),
    )


def in_steps(plant: Plant, invitation: Invitation, mw: Decimal) -> Decimal:
    """What can be offered of so much: whole steps, within what is wanted and tested; 0 below the least."""
    product = plant.products[invitation.product_id]
    most = min(mw, most_offered_mw(plant, invitation))
    steps = (most / product.lot_mw).to_integral_value(ROUND_FLOOR)
    quantity = (steps * product.lot_mw).quantize(product.lot_mw)
    return quantity if quantity > 0 and quantity >= product.least_mw else Decimal(0)


def most_offered_mw(plant: Plant, invitation: Invitation) -> Decimal:
    """What is wanted, as far as the unit is tested for it."""
    product = plant.products[invitation.product_id]
    return min(invitation.wanted_mw, most_mw(product, trading_unit(plant)))


def offered_price(plant: Plant, invitation: Invitation) -> Decimal:
    """What is asked: the fixed price, or the park's share of the cap, rounded down to the product's tick."""
    if invitation.fixed_price_per_mwh is not None:
        return invitation.fixed_price_per_mwh
    asked = invitation.price_per_mwh * plant.file.demand_response.price_share
    grid = plant.products[invitation.product_id].price
    if grid is None:
        return asked
    ticks = (min(asked, grid.most) / grid.tick).to_integral_value(ROUND_FLOOR)
    return max((ticks * grid.tick).quantize(grid.tick), grid.least)


def invited_product(plant: Plant, invitation: Invitation) -> MarketProduct:
    """The product as it is bid for one window, until the reply is due."""
    product = plant.products[invitation.product_id]
    gate = InvitedGate(
        window=invitation.window, opens=invitation.received_at, closes=invitation.reply_by
    )
    return replace(product, gate=gate)


def reliability(plant: Plant, invitation: Invitation) -> Decimal:
    """What part of the last calls of the product was delivered, each at most whole; 1 without any."""
    settings = plant.file.demand_response
    done = [
        min(Decimal(1), story.evaluation.completion)
        for story in plant.dr.book.stories(invitation.product_id)
        if story.evaluation is not None and story.stage in (Stage.EVALUATED, Stage.SETTLED)
    ]
    last = done[-settings.reliability_calls :] if settings.reliability_calls else []
    mean = sum(last, Decimal(0)) / len(last) if last else Decimal(1)
    return max(mean, settings.least_reliability)


def planned_kw(
    plant: Plant, schedule: Schedule, members: Sequence[EnterpriseId], window: Interval
) -> Floats:
    """Net injection of members in each quarter-hour of a window that the plan covers, shape (n,)."""
    inside = schedule.horizon.slice(window)
    total = 0 * schedule.net_kw[inside]
    for name in members:
        for point in drbaseline.points_of(plant, name):
            total = total + schedule.connection_point_kw[point][inside]
    return total


def kw_of(mwh: Sequence[Decimal]) -> Floats:
    """Mean power of each quarter-hour."""
    per_quarter = float(timedelta(hours=1) / QUARTER) * 1000
    return np.array([float(energy) * per_quarter for energy in mwh])


def too_little(invitation: Invitation, found: Capability) -> str:
    """Why nothing is offered."""
    brings = sum(found.response_kw.values()) / 1000
    told = "; ".join(f"{name} {why}" for name, why in found.refused.items())
    return (
        f"too little: {brings:.3f} MW by the plan, discounted by {found.reliability:.2f},"
        f" of {invitation.wanted_mw} MW wanted{f' ({told})' if told else ''}"
    )


def checked(
    plant: Plant, invitation: Invitation, found: Capability, shares: Mapping[EnterpriseId, Decimal]
) -> Mapping[EnterpriseId, Decimal]:
    """Shares as a person gives them: of members that may, and in all a quantity of the product."""
    where = f"invitation {invitation.invitation_id}"
    for name, mw in shares.items():
        if name not in found.response_kw or mw <= 0:
            why = found.refused.get(name, "is no member that has something to bring")
            raise DataError(
                f"{name}: {mw} MW: {why}",
                where=where,
                fix=f"Name some of {sorted(found.response_kw)}, each with more than 0 MW",
            )
    total = sum(shares.values(), Decimal(0))
    if not total or in_steps(plant, invitation, total) != total:
        raise DataError(
            f"{total} MW cannot be offered",
            where=where,
            fix="Give whole steps of the product, within what is wanted and tested",
        )
    return shares


def _not_answered(
    plant: Plant, invitation: Invitation, name: EnterpriseId, answers: selling.Terms | None
) -> str | None:
    """Why no strategy answers for a member; None where one does, or the file has none that answers calls."""
    if answers is None:
        return None
    if not selling.owners(plant.strategies, answers).get(name, False):
        return "no strategy answers calls then for anything of it"
    paid = offered_price(plant, invitation)
    if paid < exact(answers.least_price):
        who = " and ".join(answers.names)
        return f"{paid} per MWh is less than {answers.least_price:g}, the least of {who}"
    return None


def _refusal(plant: Plant, invitation: Invitation, rule: MemberRule) -> str | None:
    """Why a member takes no part; None where it may."""
    if not rule.takes_part:
        return "takes no part"
    for window in rule.windows:
        if not window.resources and window.touches(invitation.window, plant.file.calendar):
            return window.reason
    for left, of in zip(calls_left(plant, invitation, rule), ("day", "month"), strict=True):
        if left is not None and left < 1:
            return f"no call left this {of}"
    if (hours := hours_left(plant, invitation, rule)) is not None and hours < 0:
        return f"the call would be {-hours:g} h too long for its hours of this month"
    if (order := under_orderly_use(plant, rule.enterprise_id, invitation.window)) is not None:
        return f"under order {order} of orderly use"
    return None


def _first_month(plant: Plant) -> tuple[int, int]:
    """In which the record begins: what was called before it is in the park file."""
    began = plant.quotas.began_at.astimezone(plant.file.park.timezone)
    return began.year, began.month


def _shares(
    response_kw: Mapping[EnterpriseId, float], quantity_mw: Decimal
) -> dict[EnterpriseId, Decimal]:
    """By what each brings, to the watt; the last one takes what rounding leaves."""
    brings = {name: kw for name, kw in response_kw.items() if kw > 0}
    total = sum(brings.values())
    if not quantity_mw or not total:
        return {}
    watt = Decimal("0.000001")
    shares = {
        name: (quantity_mw * exact(kw) / exact(total)).quantize(watt) for name, kw in brings.items()
    }
    last = next(reversed(shares))
    shares[last] += quantity_mw - sum(shares.values(), Decimal(0))
    return shares
