"""What a day or a month came to, and why, as messages. Credit is positive; money in decimals as text."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from vpp.wire import Id, Moment, Span, WireModel


class AttributionView(WireModel):
    """The result as planned, and what led away from it (`docs/report.md`)."""

    planned: Decimal
    forecast: Decimal
    price: Decimal
    delivery: Decimal
    override: Decimal
    model: Decimal


class UnsplitDay(WireModel):
    """A local day whose result is not split."""

    day: str
    total: Decimal
    reason: str


class ResultItemView(WireModel):
    """One kind of line of all statements together."""

    item: str
    amount: Decimal


class MemberResult(WireModel):
    enterprise_id: Id
    name: str
    total: Decimal
    import_kwh: Decimal
    export_kwh: Decimal
    carbon_kgco2: float
    provisional: bool


class ResultDay(WireModel):
    """One local day of a month."""

    day: str
    total: Decimal
    split: AttributionView | None
    import_kwh: Decimal
    export_kwh: Decimal
    highest_draw_kw: float


class ResultQuarterView(WireModel):
    """A quarter-hour of a day's report; net injection."""

    start: Moment
    metered_kw: float
    planned_kw: float | None
    """By the plan that was bid on; None where that is not on record."""

    sold_kw: float
    spot_per_mwh: float | None


class PeriodResultView(WireModel):
    """A day or a month."""

    period: str
    span: Span
    """Local."""

    settled: Span | None
    """From the first settled quarter-hour to the last; None where nothing is."""

    timezone: str
    currency: str
    total: Decimal
    """Of all statements: equal to `split` and `unsplit` together, to the cent."""

    provisional: bool
    split: AttributionView | None
    unsplit: list[UnsplitDay] = Field(default_factory=list)
    items: list[ResultItemView]
    members: list[MemberResult]
    import_kwh: Decimal
    export_kwh: Decimal
    highest_draw_kw: float
    """Of the whole park over a quarter-hour; a size."""

    carbon_kgco2: float
    carbon_by_figure_kwh: Decimal
    imbalance_kwh: float
    """Sum of sizes: what was delivered otherwise than sold."""

    plans: int
    days: list[ResultDay] = Field(default_factory=list)
    """Of a month."""

    quarters: list[ResultQuarterView] = Field(default_factory=list)
    """Of a day."""
