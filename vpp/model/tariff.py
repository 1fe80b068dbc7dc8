"""The two-part tariff of a connection point: energy by time of use, and a demand charge.

    calendar   month, weekday, holiday, time of day ──▶ the first band that holds ──▶ price of a kWh
    demand     the month's highest import, a contract, or the capacity (`demand.py`)

A price that floats with the market is a ratio of a base, plus what does not float: `floating_price`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np

from vpp.errors import DataError
from vpp.model.demand import DemandCharge
from vpp.model.horizon import Horizon, Profile
from vpp.model.hours import EVERY_MONTH, Hours
from vpp.model.resource import EVERY_DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class TouBand(Hours):
    """One band of the calendar: `price_per_kwh` in its hours."""

    name: str
    price_per_kwh: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoPartTariff:
    """Time-of-use price on each kWh imported, and a monthly charge on demand or capacity.

    The first band that holds gives the price, so exceptions stand above the rule.
    """

    tariff_id: str
    bands: tuple[TouBand, ...]
    demand: DemandCharge
    holidays: frozenset[date] = frozenset()
    """Local days on which bands and windows that look at holidays hold, or do not."""

    def __post_init__(self) -> None:
        for local, holiday in self._kinds_of_moment():
            if not any(band.hold(local, holiday=holiday) for band in self.bands):
                by_month = any(band.months != EVERY_MONTH for band in self.bands)
                raise DataError(
                    f"no band holds on weekday {local.weekday()} at {local:%H:%M}"
                    + (f" in month {local.month}" if by_month else "")
                    + (" on a holiday" if holiday else ""),
                    where=f"tariff {self.tariff_id}",
                    fix="Add a last band from 00:00 to 00:00 for every day",
                )

    def _kinds_of_moment(self) -> Iterator[tuple[datetime, bool]]:
        """A local moment of every kind that bands can tell apart."""
        clocks = sorted({time(), *(b.start for b in self.bands), *(b.end for b in self.bands)})
        looks = any(band.holidays is not None for band in self.bands)
        for month in EVERY_MONTH:
            for day in EVERY_DAY:
                for clock in clocks:
                    # A band looks at month, weekday and time only, so any year and zone do.
                    first = datetime.combine(date(2024, month, 1), clock, UTC)
                    local = first + timedelta(days=(day - first.weekday()) % 7)
                    yield local, False
                    if looks:
                        yield local, True

    def band_at(self, moment: datetime, zone: ZoneInfo) -> TouBand:
        """The band that prices a kWh imported at `moment`."""
        local = moment.astimezone(zone)
        holiday = local.date() in self.holidays
        return next(band for band in self.bands if band.hold(local, holiday=holiday))

    def import_per_kwh(self, horizon: Horizon, zone: ZoneInfo) -> Profile:
        """Price of a kWh imported, for each step, in the park's currency."""
        prices = [float(self.band_at(start, zone).price_per_kwh) for start in horizon.starts()]
        return Profile(horizon, np.array(prices))

    def makes_peak(self, moment: datetime, zone: ZoneInfo) -> bool:
        """Whether what is imported at `moment` can raise the month's peak."""
        return self.demand.measuring.counts(moment, zone, self.holidays)


def floating_price(base_per_kwh: Decimal, ratio: Decimal, fixed_per_kwh: Decimal) -> Decimal:
    """The price of a band whose energy floats: `ratio` of the base, plus what does not float."""
    return base_per_kwh * ratio + fixed_per_kwh


def billing_month(moment: datetime, zone: ZoneInfo) -> date:
    """The first day of the local month whose demand charge `moment` counts for."""
    return moment.astimezone(zone).date().replace(day=1)
