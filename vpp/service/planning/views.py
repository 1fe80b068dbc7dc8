"""A plan as `GET /v1/plan`, `POST /v1/plan` and `vpp plan --json` give it: one document for all three.

Powers are kW net injection of electricity, or of the carrier of the node that a resource names; series
have one number a step, from `start` on.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from vpp.service.park.numbers import Exact, Numbers
from vpp.wire import Span, WireModel

ShadowPrices = Literal["exact", "on/off decisions fixed", "from the inside"]
"""The last of a solver that comes from the inside of what is optimal: prices that prove it, of several that do."""


class PortPlan(WireModel):
    """What a converter feeds into a carrier node (draws below 0)."""

    node: str
    power_kw: Numbers


class ResourcePlan(WireModel):
    resource_id: str
    power_kw: Numbers
    ports: list[PortPlan]
    stored_kwh: Numbers | None
    """At the end of each step; storages only."""
    stored_value_per_kwh: Numbers | None
    """What one more kWh in the storage is worth then."""
    temperature_degc: Numbers | None
    """At the end of each step; zones only."""
    curtailed_kw: Numbers | None
    """How much less it draws than it would; curtailable loads only."""
    on: list[bool] | None
    """Machines that are on or off only."""
    starts: list[int]
    """Steps at which a run or a call begins."""
    start_lengths: list[int]
    """How many steps each lasts, where that is chosen."""


class PointPlan(WireModel):
    connection_point_id: str
    power_kw: Numbers
    value_per_kwh: Numbers | None
    """What one more kWh fed behind it saves."""


class NodePlan(WireModel):
    node_id: str
    value_per_kwh: Numbers
    """What one more kWh fed into it saves."""
    spilled_kw: Numbers | None
    lacking_kw: Numbers | None


class PipePlan(WireModel):
    pipe_id: str
    power_kw: Numbers
    """What enters it."""


class CarPlan(WireModel):
    session: str
    """`resource id/session id`."""
    power_kw: Numbers | None
    unserved_kwh: float
    """What it leaves without."""


class KeptBy(WireModel):
    resource_id: str
    power_kw: Numbers


class ReservePlan(WireModel):
    name: str
    """`product id up` or `product id down`."""
    kept: list[KeptBy]
    sold_kw: Numbers
    lacking_kw: Numbers


class TradePlan(WireModel):
    product: str
    power_kw: Numbers


class PriceAhead(WireModel):
    name: str
    per_kwh: Numbers


class LimitPriceView(WireModel):
    """A limit that binds, in the words of the park file."""

    limit: str
    steps: list[int]
    """Where it binds; a limit of the whole horizon stands in the last step."""
    per_unit: list[float]
    """Change of cost for one kW (or kWh) more room in that step: never above 0."""


class BrokenView(WireModel):
    """A limit that the plan breaks, since it cannot keep them all: as little as it can."""

    limit: str
    most: float
    """At most in any step, in the limit's own unit."""
    start: datetime
    end: datetime


class CostOfCause(WireModel):
    cause: str
    cost: Exact


class Undone(WireModel):
    window: str
    """`resource id/start of the window`."""
    units: float


class HedgedBid(WireModel):
    product: str
    power_kw: Numbers
    """One quantity for all futures beside what is sold already; null where it need not be bid yet."""


class HowSolvedView(WireModel):
    """What solved the linear programme behind the plan."""

    method: str
    """`HiGHS`, `structured (numpy)`, …; both names where each had some trees."""
    why: str
    """Why that method."""
    gap: float
    """Relative gap that it proves by itself; 0 for a vertex of HiGHS."""
    residual: float
    """The largest violation of a row, relative to 1 and the sizes in it."""
    iterations: int
    fallbacks: int
    """Trees that the structured solver gave up, and HiGHS solved."""


class UncertaintyView(WireModel):
    """How the plan was made for several futures at once, each as likely as the others."""

    status: str
    """`hedged`, or `point plan: <reason>` where the plan trusts its forecast all the same."""
    futures: int
    cvar_weight: float
    cvar_level: float
    costs: Numbers
    """Of each future, with what is decided now and the best that can be made of it then."""
    expected_cost: float | None
    cvar_cost: float | None
    """Mean of the dearest `1 - cvar_level` of `costs`."""
    objective: float | None
    """`(1 - cvar_weight) · expected_cost + cvar_weight · cvar_cost`."""
    point_objective: float | None
    """The same with what the point plan would decide now: hedging saves the difference. Null where that
    would be impossible in some future."""
    first_stage: list[str]
    """What is decided now, the same in all futures."""
    bids: list[HedgedBid]
    how: HowSolvedView
    """What solved the futures together; its gap is that of what is decided now."""
    solve_s: float


class SizeView(WireModel):
    columns: int
    rows: int
    nonzeros: int
    binaries: int


class ScheduleView(WireModel):
    plan_id: str
    issued_at: datetime
    start: datetime
    step_s: int
    steps: int
    currency: str
    resources: list[ResourcePlan]
    connection_points: list[PointPlan]
    nodes: list[NodePlan]
    pipes: list[PipePlan]
    cars: list[CarPlan]
    reserve: list[ReservePlan]
    undone: list[Undone]
    """What windows of work lack."""
    net_kw: Numbers
    committed_kw: Numbers
    trades: list[TradePlan]
    """What the plan means to sell (buy below 0) of products that are still open."""
    prices: list[PriceAhead]
    """`spot` as known or forecast, `net_value` the shadow price of net injection."""
    broken: list[BrokenView]
    """Limits that are broken; empty on ordinary days."""
    limit_prices: list[LimitPriceView]
    shadow_prices: ShadowPrices
    """What all values and limit prices hold for."""
    cost: Exact
    cost_by_cause: list[CostOfCause]
    """They add up to `cost`, the objective."""
    gap: float
    binaries: int
    size: SizeView
    how: HowSolvedView
    build_s: float
    solve_s: float
    ties_s: float
    """Spent on choosing among plans that cost the same."""
    ties_left: str
    """Why they are left as the solver found them; empty where one was chosen."""
    uncertainty: UncertaintyView | None = None
    """Null where the plan was made for its forecast alone."""
    validate_s: float | None
    """Null for a plan that an earlier run of the service checked."""
    strategy_version: str
    input_digest: str


class PowerChangeView(WireModel):
    resource_id: str
    moved_kwh: float
    most_at: datetime
    before_kw: float
    now_kw: float


class StartChangeView(WireModel):
    resource_id: str
    before: list[datetime]
    now: list[datetime]


class ChangesView(WireModel):
    """What this plan does otherwise than an older one, over the steps that both cover."""

    since: str
    span: Span | None
    powers: list[PowerChangeView]
    """Most moved first."""
    net: PowerChangeView | None
    starts: list[StartChangeView]
    cost_by_cause: list[CostOfCause] | None
    """New less old; null where the two cover different hours."""
    sentences: list[str]


class QuotaView(WireModel):
    """A budget that reaches beyond the horizon, and the price at which it stands in the plan."""

    quota: str
    counts: str
    """Which activity; the ratios of a green direct connection are two: `green_use` and `export`."""
    resource_id: str | None
    first_day: date
    end_day: date
    """The first local day that is not of the period."""
    unit: Literal["kWh", "calls", "h", "kgCO2"]
    used: float
    """So far in the period, as far as it is known."""
    least: float | None
    most: float | None
    price_per_unit: float
    """What the last unit is worth; below 0 where enough must be done."""
    state: Literal["free", "scarce", "unreachable"]
    """Free: worth nothing, as things are expected. Unreachable: it cannot be kept any more."""
    missed_by: float | None
    """Where it is unreachable: by so much at least."""
    uncounted_h: float
    """Hours of which no meter tells how much was used."""


class ComingPeakView(WireModel):
    """The peak of a billing month, as the days behind the horizon price it in the plan."""

    quota: str
    connection_point_id: str
    first_day: date
    end_day: date
    """The first local day that is not of the month."""
    paid_kw: float
    free_kw: float
    """Up to this the plan's peak costs nothing: it is paid, or a later day makes as high a one."""
    price_per_kw: float
    """Of the first kW above it; further ones may cost more, up to the whole charge."""


class PlanView(WireModel):
    """The newest outcome, and the newest schedule that passed the validator.

    With rows, places, limits and changes of a page of resources; a connection point or an enterprise goes with the
    first of its resources, and what is of the whole park stands in every page.
    """

    status: Literal["none", "optimal", "feasible", "unsolved"]
    reason: str
    schedule: ScheduleView | None
    """Where the newest plan failed, the one before it, which HOLD keeps for a while."""
    changes: ChangesView | None = None
    """What changed since the last plan; null where there is none to compare."""
    quotas: list[QuotaView] = Field(default_factory=list)
    """Budgets of a day, a month or a year, as they were priced."""
    peaks: list[ComingPeakView] = Field(default_factory=list)
    """Peaks of which a quota says what the rest of the month makes of them."""
    next: str | None = None
    """Where more resources stand behind the last of these: ask again with `after` it, of the same `plan_id`."""


class WhatIfView(WireModel):
    """A case, planned; nothing of it is kept or followed."""

    status: Literal["optimal", "feasible", "unsolved"]
    reason: str
    """Where it is unsolved: which limits clash, and what would help."""
    schedule: ScheduleView | None
    unheard: list[str]
    """Resources of which the case says nothing, though a plan would have to know: they are not moved."""
    changes: ChangesView | None
    """Against the plan that stands, where the two meet."""
    quotas: list[QuotaView] = Field(default_factory=list)
    """Budgets of the case."""


class BindingView(WireModel):
    limit: str
    saves: float
    """What one unit of room more would save."""


class ExplanationView(WireModel):
    """Why one resource does what it is planned to do in one step."""

    plan_id: str
    resource_id: str
    start: datetime
    end: datetime
    power_kw: float
    value_per_kwh: float | None
    stored_value_per_kwh: float | None
    binding: list[BindingView]
    sentences: list[str]
