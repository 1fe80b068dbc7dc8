"""Messages of our own MQTT and HTTP contract, as types: one file for both sides of the wire.

MQTT, QoS 1, topic `vpp/v1/{enterprise}/{site}/{device}/{telemetry|cmd|ack|status|resend}`: msgspec structs,
since a message must cost microseconds. `{site}` is the connection point, `{device}` a resource
or a main meter. Times are ISO 8601 with a zone, powers kW net injection, energies kWh.

HTTP: pydantic models, since their JSON Schema is our OpenAPI document. Times are ISO 8601 with a
zone, money and market quantities are strings that hold a decimal.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from vpp.model.command import Setpoint
from vpp.model.ids import ID_PATTERN, PRODUCT_PATTERN
from vpp.model.time import isoformat

TOPIC_ROOT = "vpp/v1"


def topic(enterprise_id: str, site_id: str, device_id: str, leaf: str) -> str:
    """The topic of one device; `leaf` is telemetry, cmd, ack or status."""
    return f"{TOPIC_ROOT}/{enterprise_id}/{site_id}/{device_id}/{leaf}"


# ---------------------------------------------------------------- MQTT


class SessionMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A car that is plugged in."""

    session_id: str
    departs_at: str
    wanted_kwh: float
    """Still to be charged, counted in the car."""

    lends_kwh: float = 0.0
    """How much may be taken out of the car on the way; it wants that back too."""


class TelemetryMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a device publishes each period. Unknown further fields are ignored."""

    ts: str
    seq: int
    power_kw: float
    """Net injection: positive feeds the grid."""

    quality: Literal["good", "uncertain", "bad"] = "good"
    energy_kwh: float | None = None
    soc: float | None = None
    temperature_degc: float | None = None
    available_kw: float | None = None
    phase: Literal["waiting", "running", "called", "done"] | None = None
    phase_since: str | None = None
    calls_today: int | None = None
    """Calls, starts or runs since local midnight, those that go on included."""
    hours_on_today: float | None = None
    done_kwh: float | None = None
    """Energy drawn so far in the window of work that is open now."""
    discharged_today_kwh: float | None = None
    reactive_kvar: float | None = None
    sessions: tuple[SessionMessage, ...] | None = None
    setpoint_seq: int | None = None
    import_wh: int | None = None
    """Main meters only: registers in whole Wh."""
    export_wh: int | None = None


class CommandMessage(msgspec.Struct, frozen=True):
    """A set-point on its way to a device; never retained."""

    command_id: str
    seq: int
    issued_at: str
    expires_at: str
    power_kw: float


def command_of(setpoint: Setpoint) -> CommandMessage:
    """A set-point as it goes over the wire."""
    return CommandMessage(
        command_id=setpoint.command_id,
        seq=setpoint.seq,
        issued_at=isoformat(setpoint.issued_at),
        expires_at=isoformat(setpoint.expires_at),
        power_kw=setpoint.power_kw,
    )


class AckMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A device's answer to a command that changed something, or that it refuses.

    A refresh of the value in force is confirmed by `setpoint_seq` in telemetry alone.
    """

    command_id: str
    seq: int
    ts: str
    accepted: bool
    reason: str | None = None


class StatusMessage(msgspec.Struct, frozen=True):
    """Retained; `online: false` is the gateway's last will."""

    online: bool


# ---------------------------------------------------------------- HTTP

Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
ProductName = Annotated[str, StringConstraints(pattern=PRODUCT_PATTERN)]
RequestId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
LongId = Annotated[str, StringConstraints(min_length=1, max_length=200)]
FiniteDecimal = Annotated[Decimal, Field(allow_inf_nan=False, max_digits=24)]
_LEFT_OUT = Field(exclude_if=lambda value: value is None)
"""Not written where there is none."""
OptionalPrice = Annotated[FiniteDecimal | None, _LEFT_OUT]


def _in_utc(moment: datetime) -> datetime:
    """The same moment in UTC; a year at the end of the calendar has none in some zone."""
    if not 1970 <= moment.year <= 2200:
        raise ValueError("lies outside the years 1970 to 2200")
    return moment.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A time that names its zone, as UTC from the door on."""


class WireModel(BaseModel):
    """Frozen, unknown fields refused, no NaN."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


class Span(WireModel):
    """A half-open span of time."""

    start: Moment
    end: Moment


class BidRequest(WireModel):
    """What a market (or a simulator) asks. The same `request_id` gives the same bytes."""

    request_id: RequestId
    delivery: Span
    unit: Id | None = None
    prices_per_mwh: list[FiniteDecimal] | None = Field(default=None, max_length=400)
    """The asker's own price expectation: part of what makes a request the same; bids do not follow it."""
    dry_run: bool = False


class WireStep(WireModel):
    quantity_mw: FiniteDecimal
    price_per_mwh: FiniteDecimal


class CurveStepOffer(WireModel):
    """Increments, best price first: a buyer's prices fall, a seller's rise."""

    form: Literal["curve_step"] = "curve_step"
    steps: list[WireStep]


class WirePoint(WireModel):
    price_per_mwh: FiniteDecimal
    quantity_mw: FiniteDecimal
    """In all, at this price."""


class CurveLinearOffer(WireModel):
    """Points of a line, best price first: between two of them a price takes its share."""

    form: Literal["curve_linear"] = "curve_linear"
    points: list[WirePoint]


class WireSegment(WireModel):
    from_mw: FiniteDecimal
    to_mw: FiniteDecimal
    price_per_mwh: FiniteDecimal


class SegmentsOffer(WireModel):
    """Segments one on the other from 0 MW on, best price first."""

    form: Literal["segments"] = "segments"
    segments: list[WireSegment]


class EnvelopeOffer(WireModel):
    """`lower_mw` whatever the price, and by segments on to `upper_mw`."""

    form: Literal["envelope"] = "envelope"
    lower_mw: FiniteDecimal
    upper_mw: FiniteDecimal
    segments: list[WireSegment]


class WireBand(WireModel):
    quantity_mw: FiniteDecimal
    price_per_mwh: OptionalPrice = None
    capacity_price_per_mw_h: OptionalPrice = None


class WireTrapezium(WireModel):
    """How much reserve goes with which dispatch of energy (net injection)."""

    enablement_min_mw: FiniteDecimal
    low_breakpoint_mw: FiniteDecimal
    high_breakpoint_mw: FiniteDecimal
    enablement_max_mw: FiniteDecimal
    max_available_mw: FiniteDecimal


class PriceBandsOffer(WireModel):
    """Bands whose prices are the same in every interval of the day; some hold 0 MW."""

    form: Literal["price_bands"] = "price_bands"
    bands: list[WireBand]
    trapezium: Annotated[WireTrapezium | None, _LEFT_OUT] = None


class SingleOffer(WireModel):
    """One quantity, of which at least `min_share` is taken or nothing.

    One price clears it; beside one for capacity, `price_per_mwh` is what energy costs when it is called.
    """

    form: Literal["single"] = "single"
    quantity_mw: FiniteDecimal
    min_share: FiniteDecimal = Decimal(0)
    price_per_mwh: OptionalPrice = None
    capacity_price_per_mw_h: OptionalPrice = None
    capacity_price_per_mw: OptionalPrice = None
    """For all of a delivery interval."""
    mileage_price_per_mw: OptionalPrice = None
    call_price_per_mw: OptionalPrice = None
    """For a call that is answered."""


class WirePair(WireModel):
    number: int
    """1, 2 … upwards from the schedule (sell), -1, -2 … downwards (buy)."""
    quantity_mw: FiniteDecimal
    price_per_mwh: FiniteDecimal
    undo_price_per_mwh: FiniteDecimal


class BidOfferPairsOffer(WireModel):
    """Steps away from the notified schedule, each with the price of undoing it."""

    form: Literal["bid_offer_pairs"] = "bid_offer_pairs"
    pairs: list[WirePair]


class WirePart(WireModel):
    start: datetime
    end: datetime
    quantity_mw: FiniteDecimal


class BlockOffer(WireModel):
    """One share of every part is taken, at least `min_share`, or nothing.

    Of an exclusive group the shares add up to 1 at most; a linked block is taken to the share of the
    other at most.
    """

    form: Literal["block"] = "block"
    parts: list[WirePart]
    price_per_mwh: FiniteDecimal
    min_share: FiniteDecimal
    exclusive_group: Annotated[LongId | None, _LEFT_OUT] = None
    linked_to: Annotated[LongId | None, _LEFT_OUT] = None
    """The `bid_id` of another block of the set."""


class SelfScheduleOffer(WireModel):
    """Taken as it is told, at whatever price comes."""

    form: Literal["self_schedule"] = "self_schedule"
    quantity_mw: FiniteDecimal


class QuantityOnlyOffer(WireModel):
    """Up to so much, at a price that a rule sets."""

    form: Literal["quantity_only"] = "quantity_only"
    quantity_mw: FiniteDecimal


WireOffer = Annotated[
    CurveStepOffer
    | CurveLinearOffer
    | SegmentsOffer
    | EnvelopeOffer
    | PriceBandsOffer
    | SingleOffer
    | BidOfferPairsOffer
    | BlockOffer
    | SelfScheduleOffer
    | QuantityOnlyOffer,
    Field(discriminator="form"),
]
"""Tagged union on `form`; `vpp/model/offer.py` says what each one means and which are valid."""


class WireBid(WireModel):
    bid_id: LongId
    start: datetime
    end: datetime
    side: Literal["buy", "sell"]
    offer: WireOffer


class BidSetResponse(WireModel):
    """The answer to a bid request, and what `GET …/bids/{bid_set_id}` shows."""

    bid_set_id: LongId
    request_id: RequestId
    revision: int
    product: ProductName
    unit: Id
    delivery: Span
    issued_at: datetime
    valid_until: datetime
    plan_id: str
    strategy_version: str
    pack_digest: str
    status: Literal["open", "superseded", "withdrawn", "awarded", "unanswered", "shadow", "dry_run"]
    """`unanswered`: given up, its headroom is free again. `shadow`: shown here, given to no venue."""
    bids: list[WireBid]


class WireCleared(WireModel):
    bid_id: LongId
    start: Moment
    end: Moment
    quantity_mw: FiniteDecimal
    price_per_mwh: FiniteDecimal
    """Of a product that is not cleared by energy: in its own `price_unit`."""


class AwardRequest(WireModel):
    """A venue's answer to one bid set. A higher revision replaces a lower one."""

    award_id: LongId
    revision: int = Field(ge=1, le=1_000_000)
    final: bool
    bid_set_id: LongId
    cleared: list[WireCleared] = Field(max_length=2000)
    rejected: list[LongId] = Field(default=[], max_length=2000)


class AwardResponse(WireModel):
    """Sent when the award is on disk."""

    award_id: str
    revision: int
    status: Literal["booked", "quarantined"]
    """`quarantined`: we know no such bid; it is counted as owed until a person looks."""


class ActivationRequest(WireModel):
    """A demand-response call or an operator's instruction, against what would be fed or drawn without it.

    A higher revision replaces a lower one; 0 MW takes it back.
    """

    activation_id: LongId
    revision: int = Field(ge=1, le=1_000_000)
    unit: Id | None = None
    start: Moment
    end: Moment
    direction: Literal["up", "down"]
    """up: feed more or draw less; down: feed less or draw more."""
    quantity_mw: Annotated[FiniteDecimal, Field(ge=0)]
    source: str = Field(min_length=1, max_length=120)
    """Who calls, as people know them."""


class SeriesValue(WireModel):
    interval_start: Moment
    value: float | None
    """None withdraws the value."""


class SeriesUpload(WireModel):
    """Values of one series, all issued at one moment. Sending the same again changes nothing."""

    unit: str = Field(max_length=32)
    resolution_s: int = Field(gt=0, le=86_400)
    issued_at: Moment
    source: str = Field(max_length=120)
    revision: int = Field(default=1, ge=1)
    values: list[SeriesValue] = Field(max_length=40_000)


class GateView(WireModel):
    delivery: Span
    opens_at: datetime
    closes_at: datetime


class SourceView(WireModel):
    """Where some fields of a rule file were read."""

    ref: str
    mark: Literal["found", "recalled", "ours"]
    confidence: Literal["H", "M", "L"]
    fields: list[str]
    valid_from: date
    valid_to: date | None


class ClearedView(WireModel):
    """A field that a person held against an official text."""

    field: str
    document: str
    date: date
    by: str


class WaiverView(WireModel):
    """A decision to trade by fields that nobody has cleared."""

    fields: list[str]
    reason: str
    date: date
    by: str


class ProductView(WireModel):
    """One market product, what its rules rest on, and its next gates."""

    product: ProductName
    version: str
    valid_from: date
    valid_to: date | None
    kind: str
    direction: str
    form: str
    biddable: bool
    """False: a request for bids is refused with `not_biddable`."""
    not_biddable: str | None
    """Why."""
    market: Literal["live", "shadow", "simulated"]
    """Of a simulated park the market is ours: rules that are unverified need no waiver there. In the shadow
    bids are made and shown, and a request for them is refused with `shadow`."""
    shadow_because: str | None
    """Null where bids leave."""
    currency: str
    timezone: str
    delivery_interval_s: int
    lot_mw: FiniteDecimal
    tick_per_mwh: FiniteDecimal | None
    """This and the bounds are per `price_unit`; null where nothing is priced."""
    min_price_per_mwh: FiniteDecimal | None
    max_price_per_mwh: FiniteDecimal | None
    price_unit: str | None
    max_quantity_mw: FiniteDecimal | None
    exclusivity_group: str
    unverified: list[str]
    """Fields that no official text was seen for and that nobody has cleared."""
    cleared: list[ClearedView]
    waived: list[WaiverView]
    sources: list[SourceView]
    pack_digest: str
    """SHA-256 of the rule file; each bid set cites it."""
    units: list[str]
    schema_url: str
    next_delivery: GateView


class DeliveryView(WireModel):
    """Owed against delivered for one interval, net injection in kWh."""

    start: datetime
    end: datetime
    owed_kwh: float
    """Of this product."""
    owed_all_kwh: float
    """Of all products that trade energy, and of all calls: what `delivered_kwh` is to be held against."""
    activated_kwh: float
    """Of it, what this product's activations call for."""
    baseline_kwh: float | None
    """What was planned before the first of them came; null without one."""
    delivered_kwh: float | None
    """By the main meters; null until they are read."""


class LimitRequest(WireModel):
    """A limit order: what one place may draw or feed at most, for a while."""

    place: Id
    """The park, a feeder, an enterprise or a connection point."""
    start: Moment
    end: Moment
    import_kw: float | None = Field(default=None, ge=0, le=1e9, allow_inf_nan=False)
    """The most it may draw; left out: as before."""
    export_kw: float | None = Field(default=None, ge=0, le=1e9, allow_inf_nan=False)
    """The most it may feed; left out: as before."""
    source: str = Field(min_length=1, max_length=120)
    """Who ordered it, as people know them."""
    priority: int = Field(default=0, ge=0, le=100)
    """Where not all limits can be kept, those of a higher priority are kept first."""
    revision: int = Field(default=1, ge=1, le=2**31)
    orderly_use: bool = Field(default=False, exclude_if=lambda ordered: not ordered)
    """Ordered by the authority (有序用电): it outranks demand response and trading, and marks the day for baselines."""

    @model_validator(mode="after")
    def _limits_something(self) -> LimitRequest:
        if self.end <= self.start or (self.import_kw is None and self.export_kw is None):
            raise ValueError("give import_kw or export_kw, and an end after the start")
        return self


class KillRequest(WireModel):
    """Stop bids and set-points; `killed: false` asks to release, and takes two persons."""

    killed: bool
    reason: str = Field(min_length=3, max_length=500)
    by: str | None = Field(default=None, min_length=2, max_length=120)
    """Who asks; a release needs it, twice, with two names."""
    market: ProductName | None = None
    """Bids of this product alone."""
    enterprise: Id | None = None
    """Set-points to this enterprise, and bids of units that it is in. Neither: everything."""

    @model_validator(mode="after")
    def _names_one_scope_and_who_releases(self) -> KillRequest:
        if self.market is not None and self.enterprise is not None:
            raise ValueError("give market or enterprise, not both")
        if not self.killed and self.by is None:
            raise ValueError("give by: a release takes two persons")
        return self


class ProblemFault(WireModel):
    """One thing that is wrong with a request."""

    path: str
    """Where in the request, such as `body.delivery.start`."""
    what: str


class Problem(WireModel):
    """RFC 9457 problem+json with a stable `code`."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[ProblemFault] = []
    """All that is wrong, where more than one thing can be."""
    correlation_id: str = ""
    """What the service's log calls this request."""
