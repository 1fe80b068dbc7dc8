"""What one enterprise is shown of itself: nothing in these messages is about another one."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from vpp.service.api.views import ConnectionPointView, LimitsView, ResourceView
from vpp.service.park.numbers import Exact, Numbers
from vpp.wire import WireModel
from vpp.wiremembers import WindowRequestView


class CourseView(WireModel):
    """Net injection of the enterprise by quarter-hour, kW; null where nothing is known."""

    start: datetime
    step_s: int
    net_kw: Numbers


class PlannedView(WireModel):
    plan_id: str
    issued_at: datetime
    course: CourseView


class OwnOfferView(WireModel):
    """An invitation to demand response, and the enterprise's own part in it."""

    invitation_id: str
    product: str
    start: datetime
    end: datetime
    direction: Literal["up", "down"]
    reply_by: datetime
    stage: str
    could_kw: float | None
    """What the newest plan would bring of it, mean over the window; null once no reply can be made."""
    refused: str
    """Why it may not take part; empty where it may, or where that is decided."""
    nominated_mw: Exact | None
    """Its share of what was nominated; null where nothing is, or it is not in it."""
    baseline_mwh: Exact | None
    actual_mwh: Exact | None
    response_mwh: Exact | None
    amount: Exact | None
    penalty: Exact | None
    provisional: bool


class InterruptionView(WireModel):
    """A call of a load of its own, for which it is paid."""

    resource_id: str
    began: datetime
    energy_kwh: Exact
    price_per_kwh: Exact


class OwnInstructionView(WireModel):
    """What one of its people was asked for by hand."""

    instruction_id: str
    resource_id: str
    state: str
    amount_kw: float
    promised_kw: float
    start: datetime
    end: datetime
    answer_by: datetime
    delivered_kw: float | None


class VetoView(WireModel):
    resources: list[str]
    """None named: everything."""
    covers: Literal["all", "calls"]
    first: date | None
    last: date | None
    days: list[str]
    hours: list[str]
    months: list[int]
    reason: str


class MaintenanceView(WireModel):
    resources: list[str]
    start: datetime
    end: datetime
    state: Literal["ahead", "under_way", "over"]
    reason: str


class AgreementView(WireModel):
    """What it has agreed to, as the strategy file that is live says."""

    strategy_version: str
    takes_part: bool
    calls_per_day: int | None
    calls_per_month: int | None
    call_hours_per_month: float | None
    vetoes: list[VetoView]
    maintenance: list[MaintenanceView]


class MemberView(WireModel):
    """One enterprise: what it does, what it is to do, what it agreed to."""

    enterprise_id: str
    name: str
    timezone: str
    currency: str
    now: datetime
    limits: LimitsView
    stopped_because: str | None
    """Why nothing of it is steered: the kill switch; null while it is."""
    power_kw: float | None
    """Net injection by its main meters; null where one of them is not heard."""
    points: list[ConnectionPointView]
    resources: list[ResourceView]
    measured: CourseView | None
    """The last day by its main meters; null where nothing was read."""
    planned: PlannedView | None
    agreement: AgreementView
    invitations: list[OwnOfferView]
    """The newest first."""
    interruptions: list[InterruptionView]
    """The newest first."""
    instructions: list[OwnInstructionView]
    requests: list[WindowRequestView]
