"""One enterprise's own view, made of what is its own alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from vpp.errors import DataError
from vpp.model.horizon import Floats
from vpp.model.ids import EnterpriseId
from vpp.model.market import Side
from vpp.model.measurement import Reading
from vpp.model.park import Enterprise, Limits
from vpp.model.time import QUARTER, Interval, latest_boundary
from vpp.sense.state import state_of
from vpp.service.api.instructions import view_of as instruction_view
from vpp.service.api.park import point_view, resource_view
from vpp.service.api.views import ConnectionPointView, LimitsView, ResourceView
from vpp.service.demandresponse import reply as drreply
from vpp.service.kill import ALL, Scope
from vpp.service.members.desk import AskedWindow
from vpp.service.members.views import (
    AgreementView,
    CourseView,
    InterruptionView,
    MaintenanceView,
    MemberView,
    OwnInstructionView,
    OwnOfferView,
    PlannedView,
    VetoView,
)
from vpp.service.park.numbers import finite, listed
from vpp.service.plant import Plant
from vpp.service.strategies.schema import MemberSection
from vpp.trade.drlifecycle import OPEN
from vpp.trade.invitations import Story
from vpp.wiremembers import WindowRequestView

BACK = timedelta(days=1)
MOST = 100
"""Of invitations, interruptions, instructions and requests each: the newest."""


def member_view(plant: Plant, enterprise_id: EnterpriseId, now: datetime) -> MemberView:
    """All that one enterprise is shown of itself."""
    owner = plant.file.park.enterprise_by_id[enterprise_id]
    points = _points(plant, enterprise_id, now)
    known = [point.power_kw for point in points if point.power_kw is not None]
    return MemberView(
        enterprise_id=enterprise_id,
        name=owner.name,
        timezone=plant.file.park.timezone.key,
        currency=plant.file.park.currency,
        now=now,
        limits=_limits(owner.limits),
        stopped_because=_stopped(plant, owner),
        power_kw=sum(known) if len(known) == len(points) else None,
        points=points,
        resources=_resources(plant, enterprise_id, now),
        measured=_measured(plant, enterprise_id, now),
        planned=_planned(plant, enterprise_id),
        agreement=_agreement(plant, enterprise_id, now),
        invitations=[*_invitations(plant, enterprise_id, now)][:MOST],
        interruptions=[*_interruptions(plant, enterprise_id)][:MOST],
        instructions=[*_instructions(plant, enterprise_id)][:MOST],
        requests=requests_of(plant, enterprise_id)[:MOST],
    )


def requests_of(plant: Plant, enterprise_id: EnterpriseId | None) -> list[WindowRequestView]:
    """What one member, or all of them, asked for; the newest first."""
    return [
        request_view(one)
        for one in reversed(plant.members.asked.values())
        if enterprise_id in (None, one.enterprise_id)
    ]


def request_view(one: AskedWindow) -> WindowRequestView:
    """A request as it is shown."""
    return WindowRequestView.model_validate(
        {
            "number": one.number,
            "enterprise_id": one.enterprise_id,
            "kind": one.kind,
            "resources": list(one.resources),
            "start": one.span.start,
            "end": one.span.end,
            "by": one.by,
            "reason": one.reason,
            "at": one.at,
            "state": one.state.value,
            "decided_by": one.decided_by,
            "decided_because": one.decided_because,
            "decided_at": one.decided_at,
            "strategy_version": one.strategy_version,
        }
    )


def _limits(limits: Limits) -> LimitsView:
    return LimitsView(import_kw=finite(limits.import_kw), export_kw=finite(limits.export_kw))


def _stopped(plant: Plant, owner: Enterprise) -> str | None:
    """Why it is stopped. Of a stop of the whole park no more than that: its reason may name another member."""
    latched = plant.kill.latched()
    if ALL in latched:
        return "the whole park"
    return latched.get(Scope("enterprise", owner.enterprise_id))


def _points(plant: Plant, owner: EnterpriseId, now: datetime) -> list[ConnectionPointView]:
    park = plant.file.park
    views = []
    for point in park.points_of_enterprise[owner]:
        behind = (r.resource_id for r in park.resources_of_point[point.connection_point_id])
        views.append(point_view(plant, point, behind, now))
    return views


def _resources(plant: Plant, owner: EnterpriseId, now: datetime) -> list[ResourceView]:
    shown = []
    for point in plant.file.park.points_of_enterprise[owner]:
        for resource in plant.file.park.resources_of_point[point.connection_point_id]:
            found = state_of(resource, plant.intake.newest.get(resource.resource_id), now)
            known = found if isinstance(found, Reading) else None
            reason = "" if isinstance(found, Reading) else found.reason
            shown.append(resource_view(plant, resource, known, reason, now))
    return shown


def _measured(plant: Plant, owner: EnterpriseId, now: datetime) -> CourseView | None:
    end = latest_boundary(now, QUARTER)
    meters = [p.meter_id for p in plant.file.park.points_of_enterprise[owner]]
    course: list[float | None] = []
    for interval in Interval(end - BACK, end).split(QUARTER):
        read = [plant.meters.energy_wh(meter, interval) for meter in meters]
        known = [one.net_wh for one in read if one is not None]
        whole = len(known) == len(meters)
        course.append(sum(known) / 1000 / interval.hours if whole else None)
    if all(kw is None for kw in course):
        return None
    return CourseView(start=end - BACK, step_s=int(QUARTER.total_seconds()), net_kw=course)


def _planned(plant: Plant, owner: EnterpriseId) -> PlannedView | None:
    schedule = plant.schedule
    own = plant.file.park.points_of_enterprise[owner]
    if schedule is None or not own:
        return None
    courses = [schedule.connection_point_kw[p.connection_point_id] for p in own]
    net_kw: Floats = sum(courses[1:], courses[0])
    return PlannedView(
        plan_id=schedule.plan_id,
        issued_at=schedule.issued_at,
        course=CourseView(
            start=schedule.horizon.start,
            step_s=int(schedule.horizon.step.total_seconds()),
            net_kw=listed(net_kw),
        ),
    )


def _agreement(plant: Plant, owner: EnterpriseId, now: datetime) -> AgreementView:
    strategies = plant.file.strategies
    said = strategies.section.members.get(owner) or MemberSection()
    return AgreementView(
        strategy_version=strategies.version,
        takes_part=said.takes_part,
        calls_per_day=said.call_caps.per_day,
        calls_per_month=said.call_caps.per_month,
        call_hours_per_month=said.call_caps.hours_per_month,
        vetoes=[
            VetoView.model_validate(
                {"days": [], "hours": [], "months": []}
                | {
                    name: value
                    for name, value in one.schedule.model_dump(
                        mode="json", exclude_defaults=True
                    ).items()
                    if name in ("days", "hours", "months")
                }
                | {
                    "resources": one.resources,
                    "covers": one.covers,
                    "first": one.first,
                    "last": one.last,
                    "reason": one.reason,
                }
            )
            for one in said.vetoes
        ],
        maintenance=[
            MaintenanceView(
                resources=list(one.resources),
                start=one.start,
                end=one.end,
                state="over" if one.end <= now else "ahead" if now < one.start else "under_way",
                reason=one.reason,
            )
            for one in said.maintenance
        ],
    )


def _invitations(plant: Plant, owner: EnterpriseId, now: datetime) -> Iterator[OwnOfferView]:
    for story in reversed(plant.dr.book.stories()):
        yield _own_offer(plant, story, owner, now)


def _own_offer(plant: Plant, story: Story, owner: EnterpriseId, now: datetime) -> OwnOfferView:
    one, nomination = story.invitation, story.nomination
    could_kw, refused = _could(plant, story, owner, now)
    result = None if story.evaluation is None else story.evaluation.members.get(owner)
    return OwnOfferView(
        invitation_id=one.invitation_id,
        product=one.product_id,
        start=one.window.start,
        end=one.window.end,
        direction="up" if one.side is Side.SELL else "down",
        reply_by=one.reply_by,
        stage=story.stage.value,
        could_kw=could_kw,
        refused=refused,
        nominated_mw=None if nomination is None else nomination.shares_mw.get(owner),
        baseline_mwh=None if result is None else result.baseline_mwh,
        actual_mwh=None if result is None else result.actual_mwh,
        response_mwh=None if result is None else result.response_mwh,
        amount=None if result is None else result.amount,
        penalty=None if result is None else result.penalty,
        provisional=story.evaluation is not None and story.evaluation.provisional,
    )


def _could(
    plant: Plant, story: Story, owner: EnterpriseId, now: datetime
) -> tuple[float | None, str]:
    """While a reply can be made: what it would bring, or why it may not."""
    if story.stage not in OPEN or story.invitation.reply_by <= now:
        return None, ""
    refused = drreply.able(plant, story.invitation)[1].get(owner)
    if refused is not None:
        return None, refused
    try:
        found = drreply.capability(plant, story.invitation, now)
    except DataError:
        return None, "it is not known yet"  # what lacks may be another's
    kw = found.response_kw.get(owner)
    return (None if kw is None else round(kw, 3)), found.refused.get(owner, "")


def _interruptions(plant: Plant, owner: EnterpriseId) -> Iterator[InterruptionView]:
    newest = sorted(plant.calls.items(), key=lambda item: item[0][1], reverse=True)
    for (name, began), call in newest:
        if call.enterprise_id == owner:
            yield InterruptionView(
                resource_id=name,
                began=began,
                energy_kwh=call.energy_kwh,
                price_per_kwh=call.price_per_kwh,
            )


def _instructions(plant: Plant, owner: EnterpriseId) -> Iterator[OwnInstructionView]:
    for story in reversed(plant.instructions.stories.values()):
        if story.instruction.enterprise_id == owner:
            shown = instruction_view(story)
            yield OwnInstructionView(
                instruction_id=shown.instruction_id,
                resource_id=shown.resource,
                state=shown.state,
                amount_kw=shown.amount_kw,
                promised_kw=shown.promised_kw,
                start=shown.start,
                end=shown.end,
                answer_by=shown.answer_by,
                delivered_kw=shown.delivered_kw,
            )
