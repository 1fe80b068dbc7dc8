"""What the routes of accounts answer: periods, statements of one, settlement by interval, rows for a table."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from vpp.service.api.views import StatementView
from vpp.service.park.numbers import Exact
from vpp.wire import Span, WireModel


class PeriodView(WireModel):
    """A local day or a calendar month of which something is settled."""

    period: str
    """`2025-12-03` or `2025-12`."""
    span: Span
    settled: int
    """Quarter-hours of it."""
    provisional: int
    """Of these, how many wait for a price or a reading."""


class PeriodsView(WireModel):
    """The newest first."""

    timezone: str
    currency: str
    days: list[PeriodView]
    months: list[PeriodView]


class WaitView(WireModel):
    """Quarter-hours that are not settled for good, and for want of what."""

    what: Literal["main_meter", "day_ahead_price", "imbalance_price", "filled_reading", "elsewhere"]
    """`elsewhere`: with another member, whose name is not told."""
    name: str
    """Of the meter, of the series, or of the enterprise whose reading stands in."""
    intervals: int
    start: datetime
    end: datetime
    given_up: bool
    """Nobody settles it by itself any more: `trading.unmetered_given_up_after_hours`."""


class PeriodStatementsView(WireModel):
    """The statements of a period, of the part that is settled."""

    period: str
    span: Span | None
    """From the first to the newest settled interval of it; null where nothing is settled."""
    currency: str
    total: Exact
    statements: list[StatementView]
    waits: list[WaitView]
    """What comes by itself once these are there: nobody needs to ask for it."""


class SettlementLineView(WireModel):
    kind: str
    energy_mwh: Exact
    """Sold above 0."""
    price_per_mwh: Exact
    amount: Exact
    """Credit to the unit."""
    provisional: bool


class MeteredView(WireModel):
    """Main meters of one enterprise."""

    enterprise_id: str
    net_kwh: Exact
    """Fed above 0."""
    provisional: bool


class SettledIntervalView(WireModel):
    """One settled quarter-hour of the unit."""

    start: datetime
    end: datetime
    day_ahead_per_mwh: Exact | None
    net_kwh: Exact
    amount: Exact
    provisional: bool
    metered: list[MeteredView]
    lines: list[SettlementLineView]


class SettlementView(WireModel):
    """A period by interval, oldest first."""

    period: str
    currency: str
    amount: Exact
    intervals: list[SettledIntervalView]
    waits: list[WaitView]


class StatementRow(WireModel):
    """A line of a statement, as a row of a table."""

    period: str
    enterprise_id: str
    enterprise: str
    item: str
    detail: str
    energy_kwh: Exact
    amount: Exact
    currency: str
    provisional: str


class SettlementRow(WireModel):
    """A line of the venue, as a row of a table."""

    start: datetime
    end: datetime
    kind: str
    energy_mwh: Exact
    price_per_mwh: Exact
    amount: Exact
    currency: str
    provisional: str
