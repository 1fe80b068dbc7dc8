"""What is asked of simulations and what they tell, as types; their schema is in the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from vpp.service.park.numbers import Exact
from vpp.wire import Moment, WireModel

ParkName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
Seed = Annotated[int, Field(ge=0, le=2**31)]


class SimulationRequest(WireModel):
    """Which park, from when on, and how it is run."""

    park: ParkName
    """A park file beside the one that is served, by its name without `.yaml`; else a shipped park."""
    seed: Seed = 1
    """Of everything that is drawn by chance."""
    start: Moment | None = None
    """A whole quarter-hour; 11:00 local time on the eve of the park's first delivery day, where left out."""
    plan_every_minutes: Annotated[int, Field(ge=15, le=720, multiple_of=15)] = 60
    control_period_s: Annotated[int, Field(ge=60, le=900, multiple_of=60)] = 300
    """How often devices are steered, and how finely they live; divides the quarter-hour."""
    bids: Literal["as_filed", "point_plan"] = "as_filed"
    """Whether plans and bids are made as the park file says, or, quicker, for one future alone: then
    curves come from the point plan."""
    failing_share: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.0
    """At any moment about this share of all resources fails for ten minutes, in one of some ways: silent,
    without power, refusing, lying, doing half, or telling the same again and again."""
    prices: Literal["recorded", "caller"] = "recorded"
    """Who publishes day-ahead and imbalance prices: the simulated world, as recorded; or whoever asks."""


class StepRequest(WireModel):
    until: Moment
    """Everything that is due up to this moment is done before the answer; not before the present."""


class ResetRequest(WireModel):
    seed: Seed | None = None
    """The same as before, where left out."""


class SnapshotRequest(WireModel):
    """Nothing more is to be said: the present is kept."""


class BranchRequest(WireModel):
    snapshot_id: Annotated[str, Field(max_length=80)] | None = None
    """Where to branch off; the present, where left out."""


class PriceSeries(WireModel):
    """Under which names prices are published, by `PUT …/series/{id}`."""

    day_ahead: str
    quarter_hour: str | None
    """Null where the market holds no such auction."""
    imbalance_short: str
    imbalance_long: str
    unit: str


class SimulationView(WireModel):
    simulation_id: str
    status: Literal["standing", "stepping", "failed", "removed"]
    why: str | None
    """Of a failed one: what broke it. It can be reset or removed."""
    asked: SimulationRequest
    branch_of: str | None
    """The snapshot that it went on from."""
    start: datetime
    now: datetime
    ends: datetime
    """How far the park's series reach: no step goes beyond."""
    series: PriceSeries
    requests: int
    """So many that change something were made of it, and are done again by `branch`."""
    plans: int
    warnings: dict[str, int]
    """Warnings and alarms so far, by kind of event. What would wait for a person in a live park is told
    here and goes on."""
    removed_after_idle_s: float


class SimulationsView(WireModel):
    at_most: int
    simulations: list[SimulationView]


class SnapshotView(WireModel):
    snapshot_id: str
    simulation_id: str
    at: datetime
    requests: int
    record_digest: str
    """SHA-256 of the record up to here; a branch has the same or is refused."""


class ManifestView(WireModel):
    """What a run was made of: with the same of all this it gives the same record."""

    simulation: SimulationView
    park_digest: str
    pack_digests: dict[str, str]
    """Of each market file, by product."""
    strategy_version: str
    versions: dict[str, str]
    record_digest: str
    """SHA-256 over every plan, set-point, bid, award and series of the record, byte by byte."""
    record_entries: dict[str, int]
    """By kind."""
    plans_cut_off: int
    """By the solver's time limit: only these let two runs differ."""
    plans_failed: int


Record = Literal["bid", "award", "delivery"]


class TableRow(WireModel):
    """One line of the table; what does not belong to a line of its kind is null."""

    record: Record
    product: str | None = None
    """Null for deliveries: the meters know the sum of all products alone."""
    unit: str | None = None
    bid_set_id: str | None = None
    revision: int | None = None
    bid_id: str | None = None
    award_id: str | None = None
    status: str | None = None
    """Of the bid set."""
    start: datetime
    end: datetime
    side: Literal["buy", "sell"] | None = None
    form: str | None = None
    quantity_mw: Exact | None = None
    """The most that is offered, or what was awarded."""
    price_per_mwh: Exact | None = None
    """Cleared; null for bids, whose prices stand in `offer`."""
    money: Exact | None = None
    """Of an award: sales above 0."""
    offer: dict[str, Any] | None = None
    """As it was sent."""
    owed_kwh: float | None = None
    delivered_kwh: float | None = None


class TableView(WireModel):
    currency: str
    rows: list[TableRow]
