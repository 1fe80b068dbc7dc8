"""What calls came to: evaluated by the product's rules once the meters are read, booked to the members.

window over ─▶ meters of all who take part ─▶ baseline, now with its same-day correction ─▶ evaluation ─▶ journal
                                                                      statement lines ◀── by contribution
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from vpp.account.response import MemberMeters, ResponseRules, ShortfallRule, evaluate
from vpp.model.demandresponse import Evaluation
from vpp.model.ids import EnterpriseId
from vpp.model.market import Direction
from vpp.model.settlement import StatementLine
from vpp.model.time import QUARTER, Interval
from vpp.service.calls.activations import listed
from vpp.service.demandresponse import baseline as drbaseline
from vpp.service.demandresponse import plan as drplan
from vpp.service.markets.pack import Pack
from vpp.service.plant import Plant
from vpp.trade.invitations import Story

KWH_PER_MWH = 1000


def rules_of(pack: Pack) -> ResponseRules:
    """What the market file says of the evaluation."""
    section = pack.section
    lacking = [p for p in section.settlement.penalties if p.rule == "shortfall"]
    return ResponseRules(
        direction=Direction(section.direction),
        formula=section.settlement.formula,
        bands=pack.bands(),
        validity=tuple(section.performance.validity),
        shortfall=None
        if not lacking
        else ShortfallRule(
            ratio=lacking[0].ratio or Decimal(0), multiplier=lacking[0].multiplier or Decimal(1)
        ),
        intervals_per_hour=timedelta(hours=1) // QUARTER,
    )


def evaluation_of(plant: Plant, story: Story, now: datetime) -> Evaluation | None:
    """How a call was answered; None while a meter of a member is not read.

    Raises:
        DataError: A member has no baseline any more, or the product settles otherwise.
    """
    nomination, confirmation = story.nomination, story.confirmation
    if nomination is None or confirmation is None:
        return None
    window, pack = story.invitation.window, listed(plant, story.invitation.product_id)
    drawn = {
        name: [drbaseline.drawn_mwh(plant, [name], q) for q in window.split(QUARTER)]
        for name in nomination.members
    }
    if any(one is None for course in drawn.values() for one in course):
        return None
    expected = drbaseline.expected_mwh(plant, pack, nomination.members, window, now=now)
    known = {name: [one for one in course if one is not None] for name, course in drawn.items()}
    return evaluate(
        rules_of(pack),
        cleared_mw=drplan.called_mw(plant, story),
        price=confirmation.price_per_mwh,
        meters={
            name: MemberMeters(
                baseline_mwh=expected[name], actual_mwh=tuple(mwh for mwh, _ in known[name])
            )
            for name in nomination.members
        },
        nominated_mw=nomination.shares_mw,
        minor_unit=plant.file.park.minor_unit,
        at=now,
        provisional=any(filled for course in known.values() for _, filled in course),
    )


def paid(plant: Plant) -> Decimal:
    """All evaluations, penalties taken off."""
    return sum(
        (s.evaluation.net for s in plant.dr.book.stories() if s.evaluation is not None), Decimal(0)
    )


def statement_lines(plant: Plant, span: Interval) -> Mapping[EnterpriseId, list[StatementLine]]:
    """What members get and owe for calls whose window begins in `span`; adds up to what was paid for them."""
    lines: dict[EnterpriseId, list[StatementLine]] = {}
    for story in plant.dr.book.stories():
        evaluation, invitation = story.evaluation, story.invitation
        if evaluation is None or invitation.window.start not in span:
            continue
        detail = f"{invitation.invitation_id} {invitation.window.start:%Y-%m-%d %H:%M}Z"
        for name, result in evaluation.members.items():
            own = lines.setdefault(name, [])
            brought_kwh = result.response_mwh * KWH_PER_MWH
            own.append(_line("demand_response", detail, brought_kwh, result.amount))
            if result.penalty:
                own.append(_line("demand_response_penalty", detail, Decimal(0), -result.penalty))
    return lines


def _line(item: str, detail: str, energy_kwh: Decimal, amount: Decimal) -> StatementLine:
    return StatementLine(item=item, detail=detail, energy_kwh=energy_kwh, amount=amount)
