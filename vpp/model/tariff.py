"""The two-part tariff of a connection point: energy by time of use, and a charge on the peak."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np

from vpp.errors import DataError
from vpp.model.horizon import Horizon, Profile
from vpp.model.resource import EVERY_DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class TouBand:
    """One band of the day: `price_per_kwh` from `start` to `end` on `days`, in local time."""

    name: str
    start: time
    end: time
    """00:00 means the end of the day."""

    days: tuple[int, ...] = EVERY_DAY
    """0 is Monday."""

    price_per_kwh: Decimal

    def holds(self, local: datetime) -> bool:
        """Whether the band holds at this local time."""
        clock = local.time()
        return (
            local.weekday() in self.days
            and self.start <= clock
            and (clock < self.end or self.end == time())
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoPartTariff:
    """Time-of-use price on each kWh imported, and a monthly price on the highest mean import.

    The first band that holds gives the price, so exceptions stand above the rule.
    """

    tariff_id: str
    bands: tuple[TouBand, ...]
    demand_charge_per_kw_month: Decimal
    """On the month's highest mean import of a quarter-hour."""

    def __post_init__(self) -> None:
        for day in EVERY_DAY:
            for quarter in range(96):
                # 1 January 2024 is a Monday; a band looks at weekday and time only, so any zone does.
                local = datetime(2024, 1, 1 + day, quarter // 4, quarter % 4 * 15, tzinfo=UTC)
                if not any(band.holds(local) for band in self.bands):
                    raise DataError(
                        f"no band holds on weekday {day} at {local:%H:%M}",
                        where=f"tariff {self.tariff_id}",
                        fix="Add a last band from 00:00 to 00:00 for every day",
                    )

    def band_at(self, moment: datetime, zone: ZoneInfo) -> TouBand:
        """The band that prices a kWh imported at `moment`."""
        local = moment.astimezone(zone)
        return next(band for band in self.bands if band.holds(local))

    def import_per_kwh(self, horizon: Horizon, zone: ZoneInfo) -> Profile:
        """Price of a kWh imported, for each step, in the park's currency."""
        prices = [float(self.band_at(start, zone).price_per_kwh) for start in horizon.starts()]
        return Profile(horizon, np.array(prices))


def billing_month(moment: datetime, zone: ZoneInfo) -> date:
    """The first day of the local month whose demand charge `moment` counts for."""
    return moment.astimezone(zone).date().replace(day=1)
