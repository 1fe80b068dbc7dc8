"""The market file, key by key: one product under rules of one date.

Only shape and ranges stand here; what joins one key with another is in `rules.py`, what the
service makes of a file in `pack.py`. Quantities in MW, prices per MWh (or as their `unit` says),
durations as ISO 8601 (PT15M), gates relative to the delivery (D-1T12:00, T-25min).
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from vpp.account.settlement import GapRule
from vpp.model.ids import PRODUCT_PATTERN
from vpp.service.park.schematypes import Currency, LocalTime, Section, SeriesId, Text, Zone

Mark = Literal["found", "recalled", "ours"]
Confidence = Literal["H", "M", "L"]
ProductName = Annotated[str, StringConstraints(pattern=PRODUCT_PATTERN)]
Rule = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""The name of a rule: that there is such a one, `rules.py` checks."""
Duration = Annotated[str, StringConstraints(pattern=r"^P([1-9]\d{0,2}D|T([1-9]\d{0,2}[HMS]))$")]
GateText = Annotated[
    str,
    StringConstraints(
        pattern=r"^(D-(\d|1[0-4])T([01]\d|2[0-3]):[0-5]\d|T-\d{1,5}min)$",
    ),
]
"""D-1T12:00: so many days before the delivery day, by the local clock. T-25min: before the delivery."""
Number = Annotated[Decimal, Field(max_digits=18)]
NotNegative = Annotated[Decimal, Field(ge=0, max_digits=18)]
AboveZero = Annotated[Decimal, Field(gt=0, max_digits=18)]
Fraction = Annotated[Decimal, Field(ge=0, le=1, max_digits=18)]
Seconds = Annotated[int, Field(ge=0, le=31 * 86_400)]
Params = dict[Rule, Number]

Kind = Literal[
    "energy_da",
    "energy_id",
    "energy_rt",
    "energy_bm",
    "reserve_capacity",
    "reserve_energy",
    "regulation",
    "fcas_contingency",
    "dr_event",
    "dr_contract",
    "capacity",
    "peak_regulation",
    "ramping",
]
Form = Literal[
    "curve_step",
    "curve_linear",
    "segments_mw_price",
    "price_bands_fixed",
    "single",
    "self_schedule",
    "bid_offer_pairs",
    "quantity_only",
    "block",
]


class Source(Section):
    """Where some of the numbers were read, or that they were not."""

    ref: Text
    mark: Mark
    """found: a text that says so was seen; recalled: general knowledge; ours: made for this project."""
    confidence: Confidence
    fields: Annotated[list[Text], Field(min_length=1)]
    """Dotted paths; a path stands for all that is below it."""
    valid_from: date | None = None
    """Where it differs from the file's."""
    valid_to: date | None = None


class Cleared(Section):
    """A person has held a field that was unverified against an official text."""

    field: Text
    document: Text
    """Title and number of the text, and where in it."""
    date: date
    by: Text


class CalendarSection(Section):
    tz: Zone
    delivery_interval: Duration
    settlement_interval: Duration
    intervals_per_day: Annotated[int, Field(ge=1, le=1440)] | None = None
    """On a day without a clock change; for information."""
    horizon: Duration | None = None
    gate_open: GateText | None = None
    """Left out: from the start of the local day of the gate."""
    gate_close: GateText
    results_at: GateText | None = None
    day_starts: LocalTime | None = None
    """Local time at which a delivery day begins; left out: midnight."""
    day_types: list[Literal["business", "weekend", "holiday"]] | None = None
    """The product is delivered on these days alone; left out: on every day."""


class Qualification(Section):
    test: Rule
    revalidate_days: Annotated[int, Field(ge=1, le=3660)] | None = None


class Eligibility(Section):
    """What a unit must be able to do."""

    unit_scope: Literal["node", "sub_lap", "zone", "vpp", "site"] | None = None
    min_mw: NotNegative | None = None
    min_mw_basis: Literal["up", "down", "up_plus_down", "any"] | None = None
    min_share_of_load: Fraction | None = None
    max_mw: NotNegative | None = None
    min_duration_h: NotNegative | None = None
    max_response_s: Seconds | None = None
    ramp_min_mw_per_min: NotNegative | None = None
    telemetry_period_s: Seconds | None = None
    metering_interval_s: Seconds | None = None
    resource_classes: list[Rule] | None = None
    qualification: Qualification | None = None
    export_allowed: bool | None = None


class Segments(Section):
    min: Annotated[int, Field(ge=1, le=1000)]
    max: Annotated[int, Field(ge=1, le=1000)]


class Quantity(Section):
    unit: Literal["MW"]
    min: NotNegative
    step: AboveZero
    max: NotNegative | None = None
    """Most that one unit may bid per interval and side."""


class PriceRange(Section):
    unit: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}/(MWh|MW|MW/h)$")]
    """EUR/MWh; EUR/MW for mileage or a call; EUR/MW/h for capacity held an hour."""
    min: Number
    max: Number
    step: AboveZero
    decimals: Annotated[int, Field(ge=0, le=6)] | None = None


class Block(Section):
    allowed: bool
    min_acceptance_ratio: Fraction | None = None
    linked: bool = False
    exclusive_groups: bool = False


class OfferLimits(Section):
    upper_lower_mw: bool
    """A demand envelope goes with the offer."""


class OfferSection(Section):
    form: Form
    sense: Literal["supply", "demand"]
    """supply: prices do not fall as MW grow; demand: they do not rise."""
    segments: Segments | None = None
    quantity: Quantity
    price: PriceRange | None = None
    monotonic: bool | None = None
    per_interval: bool = True
    """false: prices hold for the day, MW are per interval."""
    capacity_price: PriceRange | None = None
    block: Block | None = None
    limits: OfferLimits | None = None
    undo_price: bool = False
    trapezium: bool = False
    direct_vs_indirect: Text | None = None


class Activation(Section):
    trigger: Literal["schedule", "agc", "setpoint", "invitation", "manual", "frequency"]
    notice: Duration | None = None
    full_activation_s: Seconds | None = None
    min_hold_s: Seconds | None = None
    max_hold_s: Seconds | None = None
    max_calls_per_day: Annotated[int, Field(ge=1, le=1440)] | None = None
    max_hours_per_day: Annotated[Decimal, Field(gt=0, le=24, max_digits=18)] | None = None
    divisible: bool | None = None
    signal_period_s: Seconds | None = None
    survives_largest: bool = False
    """What is held must suffice even if the largest resource that holds it fails."""


class Clearing(Section):
    pricing: Literal["pay_as_bid", "pay_as_cleared", "fixed", "regulated", "nodal"]
    price_scope: Literal["system", "zone", "node"] | None = None
    ranking: Literal["price", "price_per_performance"] = "price"
    co_optimised: bool = False


class Select(Section):
    rank: Literal["all", "highest", "lowest"]
    k: Annotated[int, Field(ge=1, le=60)]


class Adjustment(Section):
    kind: Literal["none", "ratio", "additive"]
    window_h: NotNegative | None = None
    skip_h: NotNegative | None = None
    min: NotNegative | None = None
    max: NotNegative | None = None


class AccuracyGate(Section):
    metric: Literal["rrmse"]
    max: NotNegative
    bias_max: NotNegative | None = None


class Baseline(Section):
    method: Rule
    n_days: Annotated[int, Field(ge=1, le=60)] | None = None
    window_days: Annotated[int, Field(ge=1, le=366)] | None = None
    select: Select | None = None
    exclude: list[
        Literal["event", "outage", "orderly_use", "holiday", "low_quality", "energy_outlier_25pct"]
    ] = Field(default_factory=list)
    same_type: bool | None = None
    min_days: Annotated[int, Field(ge=1, le=60)] | None = None
    adjustment: Adjustment | None = None
    aggregate: Literal["members_sum", "aggregate_curve"] = "members_sum"
    accuracy_gate: AccuracyGate | None = None


class Band(Section):
    """What a completion (delivered over cleared) from `from` to below `to` is paid by."""

    from_: Annotated[Decimal, Field(alias="from", ge=0, max_digits=18)]
    to: AboveZero | None = None
    """Left out: without end."""
    factor: NotNegative
    basis: Literal["actual", "cleared"] = "actual"
    cap_ratio: AboveZero | None = None


class Tolerance(Section):
    pct: Fraction
    abs_mw: NotNegative = Decimal(0)


class Performance(Section):
    index: Rule = "none"
    params: Params = Field(default_factory=dict)
    min_value: NotNegative | None = None
    bands: list[Band] = Field(default_factory=list)
    validity: list[Literal["max_load_below_baseline", "mean_load_below_baseline"]] = Field(
        default_factory=list
    )
    tolerance: Tolerance | None = None


class Deviation(Section):
    family: Rule
    band_pct: Fraction | None = None
    k: NotNegative | None = None


class Penalty(Section):
    """A named rule and its parameters, no expression."""

    rule: Rule
    ratio: NotNegative | None = None
    multiplier: NotNegative | None = None


class GapSection(Section):
    """What a missing imbalance price settles at until it is published."""

    valid_from: date
    """First delivery day it holds for."""
    max_age_minutes: Annotated[int, Field(ge=0, le=1440)]
    """The newest known price is carried on for at most so long; after that the day-ahead one."""

    def noun(self) -> GapRule:
        """The rule as settlement knows it."""
        return GapRule(valid_from=self.valid_from, max_age=timedelta(minutes=self.max_age_minutes))


class PriceRefs(Section):
    """Series of this service that hold the prices."""

    clearing: SeriesId | None = None
    """The product's own price; left out: `price.` and the product's id."""
    da: SeriesId | None = None
    rt: SeriesId | None = None
    mlt: SeriesId | None = None
    imbalance: SeriesId | None = None


class SettlementSection(Section):
    formula: Rule
    params: Params = Field(default_factory=dict)
    deviation: Deviation | None = None
    penalties: list[Penalty] = Field(default_factory=list)
    price_refs: PriceRefs = PriceRefs()
    gap_rules: list[GapSection] = Field(default_factory=list)
    """Of a day-ahead market: the newest rule that is valid on the delivery day counts."""


class ForecastDuty(Section):
    horizon: Duration
    step: Duration


class Reporting(Section):
    """What the dispatch centre or the platform is owed."""

    telemetry_s: Annotated[int, Field(ge=1, le=3600)] | None = None
    """How often the unit's powers, room and working point are told; left out: never."""
    members_s: Annotated[int, Field(ge=1, le=3600)] | None = None
    """How often each resource is told beside the sum; left out: never."""
    holds: Annotated[list[Duration], Field(min_length=1, max_length=8)] = Field(
        default_factory=lambda: ["PT15M", "PT1H"]
    )
    """For how long the room that is told could be held, shortest first."""
    forecast: ForecastDuty | None = None
    """At the beginning of each `step`, what is planned over the `horizon`, and the room beside it."""
    schedule_points: Annotated[int, Field(ge=1, le=1440)] | None = None
    """So many points of each day's plan, on a day without a clock change."""
    schedule_at: GateText = "D-1T18:00"
    """When the plan of a day is told."""
    settlement_lag_days: Annotated[int, Field(ge=0, le=366)] | None = None
    objection_days: Annotated[int, Field(ge=0, le=366)] | None = None


class Claims(Section):
    carbon: Literal["none", "green_energy"]


class MarketSection(Section):
    """A market product as data."""

    id: ProductName
    version: Text
    valid_from: date
    """First delivery day these rules hold for."""
    valid_to: date | None = None
    """First delivery day they no longer hold for."""
    jurisdiction: Text
    zone: Text | None = None
    """Bidding zone; left out: a unit of any zone may trade it."""
    kind: Kind
    direction: Literal["up", "down", "both_separate", "symmetric", "net"]
    currency: Currency
    unverified: list[Text]
    """Dotted paths of fields no official text was seen for: illustrative until a person clears them."""
    cleared: list[Cleared] = Field(default_factory=list)
    sources: list[Source]
    calendar: CalendarSection
    eligibility: Eligibility = Eligibility()
    offer: OfferSection
    activation: Activation | None = None
    clearing: Clearing | None = None
    baseline: Baseline = Baseline(method="none")
    performance: Performance = Performance()
    settlement: SettlementSection
    reporting: Reporting | None = None
    exclusivity_group: ProductName
    """A MW is sold once within a group, and units that trade products of one group share no resource."""
    claims: Claims | None = None
