"""What the routes give, as types; their schema is the OpenAPI document.

Powers are kW net injection, energies kWh, times UTC. Money and market quantities are strings that
hold a decimal; what a model only expects (prices ahead, shadow prices) are numbers. Series share
one axis: `start` and `step_s`, one number a step, null where nothing is known.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from vpp.service.park.numbers import Exact, Numbers
from vpp.wire import DeliveryView, ProductView, Span, WireModel

# ---------------------------------------------------------------- markets


class MarketsView(WireModel):
    products: list[ProductView]


class BidSetSummary(WireModel):
    """One bid set and what came of it."""

    bid_set_id: str
    revision: int
    unit: str
    delivery: Span
    issued_at: datetime
    valid_until: datetime
    status: Literal["open", "superseded", "withdrawn", "awarded", "unanswered", "shadow"]
    bids: int
    states: dict[str, int]
    """How many of its bids stand where: journalled, sent, unknown, acknowledged, superseded, withdrawn,
    rejected, awarded_in_part, awarded_whole, activated, delivered, settled, shadow."""
    offered_sell_mwh: Exact
    """Sum of all that is offered, at whatever price."""
    offered_buy_mwh: Exact
    sold_mwh: Exact
    bought_mwh: Exact
    proceeds: Exact
    """What the trades are worth at their cleared prices: sales less purchases."""
    currency: str


class BidSetsView(WireModel):
    """Newest first."""

    product: str
    bid_sets: list[BidSetSummary]


class DeliveriesView(WireModel):
    product: str
    deliveries: list[DeliveryView]


# ---------------------------------------------------------------- series


class SeriesTaken(WireModel):
    """On disk."""

    series_id: str
    values: int


class SeriesView(WireModel):
    series_id: str
    unit: str
    source: str
    known_by: datetime
    start: datetime
    step_s: int
    values: Numbers


# ---------------------------------------------------------------- park


class LimitsView(WireModel):
    """Sizes in kW; null where nothing limits."""

    import_kw: float | None
    export_kw: float | None


class FeederView(WireModel):
    feeder_id: str
    limits: LimitsView


class ConnectionPointView(WireModel):
    connection_point_id: str
    feeder_id: str | None
    limits: LimitsView
    meter_id: str
    tariff_id: str
    power_kw: float | None
    """By the main meter; null where it is not heard."""
    resource_ids: list[str]
    """Behind it; in a page of `GET /v1/park`, those that the page holds."""


class EnterpriseView(WireModel):
    enterprise_id: str
    name: str
    connection_points: list[ConnectionPointView]


class UnitView(WireModel):
    unit_id: str
    zone: str
    product_ids: list[str]
    connected_kw: float
    declared_kw: float
    tested_kw: float
    trades_from: datetime


class TraceView(WireModel):
    """The control cycles, oldest first; all lists have the same length."""

    at: list[datetime]
    park_kw: Numbers
    planned_kw: Numbers
    owed_kw: Numbers
    spot_per_mwh: Numbers
    stored_kwh: Numbers
    capacity_kwh: Numbers
    money: Numbers


class ParkView(WireModel):
    """The park as it is built, and as it stands at `now`."""

    park_id: str
    name: str
    timezone: str
    currency: str
    now: datetime
    limits: LimitsView
    feeders: list[FeederView]
    enterprises: list[EnterpriseView]
    """Those that own a resource of this page, with the connection points before it; in the first page, whoever owns none too."""
    units: list[UnitView]
    power_kw: float | None
    """Net injection by the last control cycle; null where a main meter is not heard."""
    money_so_far: Exact
    """Settled so far, market and network, credit positive."""
    safe_state: Literal["normal", "no_new_bids", "hold", "release", "killed"]
    safe_state_reason: str
    kill_reason: str | None
    """Null while the kill switch is released."""
    broker_connected: bool
    broker_since: datetime
    """When that last changed."""
    telemetry_accepted: int
    telemetry_refused: int
    telemetry_lost: int
    trace: TraceView
    next: str | None = None
    """Where more resources stand behind the last of these: ask again with `after` it."""


class SetpointView(WireModel):
    power_kw: float
    seq: int
    issued_at: datetime
    expires_at: datetime
    in_force: bool
    serves: str


class ResourceView(WireModel):
    resource_id: str
    kind: str
    enterprise_id: str
    connection_point_id: str
    node_id: str | None
    """Of the network whose carrier its power is of; None: electricity."""
    max_draw_kw: float
    max_feed_kw: float
    known: bool
    reason: str
    """Why nobody can speak for it; empty where it is known."""
    measured_at: datetime | None
    age_s: float | None
    power_kw: float | None
    """What is gone by."""
    raw_power_kw: float | None
    """What the device told last, where that was not believed; null where it is what is gone by."""
    soc: float | None
    temperature_degc: float | None
    available_kw: float | None
    tested_kw: float | None
    """What it proved in its newest test, the least of the directions tested; null where it was not tested. A
    bidding unit bids no more into products that ask for a test than its members add up to."""
    tested_up_kw: float | None
    tested_down_kw: float | None
    tested_at: datetime | None
    phase: str | None
    cars: int | None
    setpoint_taken: int | None
    """Sequence number of the newest command that the device has taken."""
    planned_kw: float | None
    setpoint: SetpointView | None


class ResourcesView(WireModel):
    now: datetime
    resources: list[ResourceView]
    next: str | None = None
    """Where more stand behind the last of these: ask again with `after` it."""


# ---------------------------------------------------------------- forecasts


class ForecastView(WireModel):
    """What was expected of a series, and how far off it may be."""

    series_id: str
    unit: str
    issued_at: datetime
    model: str
    """Name and version; `+known` where some values are published ones, `+stand-in` where the seasonal
    baseline stands for a model that fails."""
    start: datetime
    step_s: int
    values: Numbers
    """The mean."""
    levels: list[float]
    """Shares of outcomes expected at or below the quantiles."""
    quantiles: list[Numbers]
    """One list for each level."""


class ForecastsView(WireModel):
    forecasts: list[ForecastView]


class ForecastScoreView(WireModel):
    """How the forecasts of one series by one model did at one lead, against what came.

    Errors are in the unit of the series, less is better; null where nothing could be said.
    """

    series_id: str
    model: str
    lead: str
    cases: int
    mae: float | None
    nrmse: float | None
    """Root mean square error over the mean size of what came."""
    pinball: float | None
    crps: float | None
    coverage80: float | None
    """Share of values within the quantiles 0.1 and 0.9, of those that could be missed."""
    coverage90: float | None
    naive_mae: float | None
    """Of the same clock time on the newest known day of the same type."""
    skill: float | None
    """1 - our error / the naive one, over the same cases."""


class CandidateView(WireModel):
    """How a candidate did on the newest part of the series' past, when the choice was made."""

    model: str
    cases: int
    mae: float
    crps: float
    coverage80: float | None


class ChoiceView(WireModel):
    """Which model a series got, and why."""

    series_id: str
    model: str
    trained_at: datetime
    candidates: list[CandidateView]
    refused: dict[str, str]
    """Candidates that could not learn it, and why."""
    defects: list[str]
    """What is wrong with the series itself."""


class ForecastScoresView(WireModel):
    since: date
    """The first local day that counts."""
    scores: list[ForecastScoreView]
    choices: list[ChoiceView]


# ---------------------------------------------------------------- money


class StatementLineView(WireModel):
    item: str
    detail: str
    energy_kwh: Exact
    amount: Exact


class StatementView(WireModel):
    """What one enterprise gets (above 0) and pays for a span."""

    enterprise_id: str
    name: str
    span: Span
    currency: str
    lines: list[StatementLineView]
    total: Exact
    import_kwh: Exact
    export_kwh: Exact
    baseline_kwh: Exact
    carbon_kgco2: float
    carbon_by_figure_kwh: Exact
    """Of the import, what the park file's carbon figure speaks for: no live series told of it."""
    provisional: bool


class StatementsView(WireModel):
    currency: str
    total: Exact
    statements: list[StatementView]


# ---------------------------------------------------------------- service


class EventView(WireModel):
    number: int
    at: datetime
    kind: str
    severity: Literal["info", "warning", "alarm"]
    text: str
    data: dict[str, object]


class EventsView(WireModel):
    """Oldest first."""

    events: list[EventView]


class LimitOrderView(WireModel):
    """A limit order, and whether it holds."""

    order_id: str
    place: str
    start: datetime
    end: datetime
    import_kw: float | None
    export_kw: float | None
    source: str
    priority: int
    orderly_use: bool
    revision: int
    received_at: datetime
    state: Literal["to_come", "in_force", "over", "withdrawn"]


class LimitOrdersView(WireModel):
    limits: list[LimitOrderView]


class LiveView(WireModel):
    """How a product stands, and the newest act on it."""

    product: str
    market: Literal["live", "shadow", "simulated"]
    shadow_because: str | None
    by: str | None
    reason: str | None
    at: datetime | None
    build: str
    """What would bid now: service, strategies, rules. An act holds for the build it was made on."""


class HeldBidView(WireModel):
    """A bid that a person must look at, or has looked at."""

    held_id: str
    unit: str
    delivery: Span
    at: datetime
    why: str
    approved_by: str | None
    """Null while it waits."""
    approved_because: str | None


class HeldBidsView(WireModel):
    """Oldest first."""

    product: str
    held: list[HeldBidView]


class ActivationView(WireModel):
    """One activation as it stands."""

    activation_id: str
    revision: int
    status: Literal["booked", "withdrawn", "superseded"]
    """`superseded`: a higher revision was known already."""
    unit: str
    start: datetime
    end: datetime
    direction: Literal["up", "down"]
    quantity_mw: Exact
    source: str
    received_at: datetime


class ActivationsView(WireModel):
    """Oldest first, those that are over or taken back too."""

    product: str
    activations: list[ActivationView]


class LatchView(WireModel):
    """One thing that is stopped."""

    scope: Literal["all", "market", "enterprise"]
    name: str
    reason: str


class ReleaseView(WireModel):
    """A release that waits for a second person."""

    scope: Literal["all", "market", "enterprise"]
    name: str
    asked_by: str
    until: datetime


class KillView(WireModel):
    killed: bool
    """Everything is stopped."""
    reason: str | None
    latches: list[LatchView]
    releases: list[ReleaseView]


class WindowView(WireModel):
    """The Redis window: a service whose window is down is as well as any other."""

    up: bool
    since: datetime | None
    """When that last changed; null before the first try."""
    fault: str | None
    """Why it is down; null while it is up."""


class HealthView(WireModel):
    """That the cycles run, not that a port is open."""

    status: Literal["ok"]
    now: datetime
    last_control_cycle: datetime | None
    last_plan: datetime | None
    oldest_reading_s: float | None
    """Age of the oldest newest reading of a resource."""
    window: WindowView | None
    """Null where the park file has no section `redis`."""


class ReadyView(WireModel):
    """Set-points go out and bids are made."""

    ready: Literal[True]
    plan_id: str
    plan_age_s: float
