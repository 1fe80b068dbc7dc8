"""What routes give that are made for a view of the page: what it shows at once, and no more.

Powers are kW net injection, energies kWh, times UTC; money is text that holds a decimal. See `wire.py`.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from vpp.service.api.views import FeederView, LimitsView, ResourceView, TraceView
from vpp.service.park.numbers import Exact, Numbers
from vpp.service.planning.views import BrokenView, ChangesView, CostOfCause
from vpp.wire import Span, WireModel
from vpp.wirecontrol import SteeringView

Rung = Literal["normal", "no_new_bids", "hold", "release", "killed"]


class EnterpriseName(WireModel):
    enterprise_id: str
    name: str


class StatusView(WireModel):
    """What stands above every view: whose park, what time there, and whether all is well."""

    park_id: str
    name: str
    timezone: str
    currency: str
    now: datetime
    safe_state: Rung
    safe_state_reason: str
    kill_reason: str | None
    """Null where nothing is stopped."""
    broker_connected: bool
    broker_since: datetime
    enterprises: list[EnterpriseName]


class TodayView(WireModel):
    """What the local day brought so far, from meters."""

    day: date
    settled_until: datetime | None
    """Up to where meters and prices are known; null where nothing of today is settled."""
    money: Exact
    """Market and network of what is settled, credit positive; the demand charge is not in it."""
    import_kwh: float
    export_kwh: float
    carbon_kgco2: float
    carbon_by_figure_share: float | None
    """Of the import, what the park file's own figure speaks for, 0 to 1; null where nothing was drawn."""
    provisional: bool


class PositionLine(WireModel):
    product: str
    sold_mw: Exact
    """Mean over the interval that runs, bought below 0."""


class AheadView(WireModel):
    """The newest plan from the interval that runs on, for a day, with how sure its forecasts are."""

    start: datetime
    step_s: int
    net_kw: Numbers
    low_kw: Numbers
    """Net injection where forecasts err to the one side: in 1 of 10 cases it is below."""
    high_kw: Numbers
    """In 1 of 10 cases it is above. Both as if the series erred independently of each other."""
    sold_kw: Numbers
    spot_per_mwh: Numbers
    stored_kwh: Numbers


class TodoView(WireModel):
    """Something that closes, ends or waits for a person."""

    what: Literal["gate", "held_bid", "release", "override", "invitation"]
    at: datetime | None
    """When it closes or ends; null where it waits without end."""
    name: str
    """Product, resource, or scope of the kill switch."""
    delivery: Span | None
    state: Literal["open", "bid", "not_yet", "shadow", "waits", "in_force"]
    """Of a gate: `open` (nobody asked for bids yet), `bid` (bids stand), `not_yet` open, `shadow`."""
    detail: str


class OverviewView(WireModel):
    now: datetime
    power_kw: float | None
    power_at: datetime | None
    """Of the oldest main meter in it; null where one is not heard."""
    silent_meters: list[str]
    planned_kw: float | None
    owed_kw: float | None
    plan_id: str | None
    plan_issued_at: datetime | None
    spot_per_mwh: float | None
    """Published for the interval that runs."""
    price_series: str | None
    stored_kwh: float | None
    capacity_kwh: float
    position: list[PositionLine]
    today: TodayView
    trace: TraceView
    """Of the last day, thinned to some 300 moments."""
    ahead: AheadView | None
    todo: list[TodoView]
    """Nearest first."""


class TreeEnterprise(EnterpriseName):
    place: int
    """Among all enterprises of the park."""


class TreePoint(WireModel):
    place: int
    """Among all connection points of the park."""
    connection_point_id: str
    enterprise: int
    """Its `place`."""
    feeder_id: str | None
    limits: LimitsView
    meter_id: str


class TreeResources(WireModel):
    """Resources as columns, in the park's order: what a screen needs of many, in few words."""

    resource_id: list[str]
    kind: list[int]
    """Place in `kinds`."""
    point: list[int]
    """Its `place`."""
    max_draw_kw: Numbers
    max_feed_kw: Numbers


class TreeView(WireModel):
    """How the park is built, for one page of its resources: what does not change while the service runs."""

    limits: LimitsView
    feeders: list[FeederView]
    enterprises: list[TreeEnterprise]
    """Those that own a resource of this page; in the first one, those without any too."""
    kinds: list[str]
    """Those that occur in this page."""
    points: list[TreePoint]
    """Those before a resource of this page; in the first one, those before none too."""
    resources: TreeResources
    first: int
    """Place of the first of these resources among all of the park."""
    in_park: int
    """So many resources has the whole park."""
    next: str | None = None
    """Where more stand behind the last of these: ask again with `after` it."""


class FlowView(WireModel):
    """What flows at a connection point, or at all those of an enterprise together."""

    place: int
    """Among all connection points, or all enterprises, of the park."""
    power_kw: float | None
    """By main meters, net injection; null where one is not heard."""
    age_s: float | None
    """Of the oldest of these readings; null where a meter was never heard."""
    planned_kw: float | None


class ResourceFlowView(WireModel):
    """How one resource does now."""

    place: int
    power_kw: float | None
    planned_kw: float | None
    told_kw: float | None
    """The set-point in force; null where it is left to itself."""
    soc: float | None
    age_s: float | None
    state: Literal["well", "unknown", "in_hand", "left_out"]
    why: str


class TreeFlowsView(WireModel):
    """What flows now: in the whole, through each feeder, and where it was asked for."""

    now: datetime
    power_kw: float | None
    planned_kw: float | None
    feeders: list[float | None]
    """In the tree's order; null where a meter behind it is not heard."""
    enterprises: list[FlowView]
    points: list[FlowView]
    resources: list[ResourceFlowView]


class TelemetryView(WireModel):
    """What a resource told lately, thinned to some 300 moments."""

    at: list[datetime]
    power_kw: Numbers
    soc: Numbers
    temperature_degc: Numbers


class ResourceAheadView(WireModel):
    """What the newest plan has a resource do from the step that runs on."""

    start: datetime
    step_s: int
    power_kw: Numbers
    stored_kwh: Numbers | None
    """At the end of each step."""
    value_per_kwh: Numbers | None
    """What one more kWh fed behind its connection point saves."""


class ResourcePageView(WireModel):
    """One resource: what it is, how it does, how it is steered, what is planned."""

    now: datetime
    resource: ResourceView
    steering: SteeringView | None
    """Null for what is never steered."""
    capacity_kwh: float | None
    telemetry: TelemetryView
    telemetry_missing: str
    """Why there is none; empty where there is some."""
    ahead: ResourceAheadView | None
    plan_id: str | None


class ForecastName(WireModel):
    series_id: str
    unit: str


class KindPlan(WireModel):
    kind: str
    resources: int
    power_kw: Numbers


class BindingLimit(WireModel):
    """A limit that costs something in the newest plan, in the words of the park file."""

    limit: str
    steps: int
    """In so many it binds."""
    dearest_at: datetime
    dearest_per_unit: float
    """What one kW (or kWh) more room in that step would save."""
    sum_per_unit: float
    """The same over all steps: what one more unit of room would be worth over the horizon."""


class PlanPageView(WireModel):
    """The newest plan as a person reads it: who draws and feeds, what it costs and why, what changed."""

    status: str
    reason: str
    plan_id: str | None
    issued_at: datetime | None
    strategy_version: str
    gap: float | None
    solve_s: float | None
    shadow_prices: str
    start: datetime | None
    step_s: int
    kinds: list[KindPlan]
    """Electricity only; they add up to `net_kw`."""
    net_kw: Numbers
    low_kw: Numbers
    high_kw: Numbers
    """As in the overview."""
    spot_per_mwh: Numbers
    value_per_mwh: Numbers
    """Shadow price of net injection."""
    stored_kwh: Numbers
    cost: Exact | None
    cost_by_cause: list[CostOfCause]
    limits: list[BindingLimit]
    """Dearest first, at most 60."""
    limits_left_out: int
    broken: list[BrokenView]
    """The first of them, in the order of the plan."""
    broken_left_out: int
    uncertainty: str
    changes: ChangesView | None
    """Its sentences and powers cut to the 12 largest."""
    series: list[ForecastName]
    """Forecasts that the plan goes by."""
