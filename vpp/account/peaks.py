"""The highest mean import of each billing month: what the demand charge is paid on.

    quarters        ▕ 90 ▕ 70 ▕ 20 ▕ 40 ▕ …        as the main meters count them
    half hours      ▕   80    ▕   30    ▕ …        what a tariff measures by is their mean

The month is the local one. Of the month in which the service begins, the park file says how high
the peak stood before; only what a span adds to it is that span's cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from math import isfinite
from types import MappingProxyType
from zoneinfo import ZoneInfo

from vpp.errors import DataError
from vpp.model.demand import Measuring
from vpp.model.ids import ConnectionPointId
from vpp.model.tariff import TwoPartTariff, billing_month
from vpp.model.time import QUARTER, Interval, local_moment


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakIncrease:
    """How far one billing month's peak rose within a span."""

    month: date
    """The first day of the local month."""

    before_kw: float
    after_kw: float

    @property
    def increase_kw(self) -> float:
        return self.after_kw - self.before_kw


class MonthlyPeaks:
    """Mean imports by connection point and billing month, and their maxima. Powers are sizes, kW."""

    def __init__(
        self,
        zone: ZoneInfo,
        opening_kw: Mapping[ConnectionPointId, float],
        started_at: datetime,
        tariffs: Mapping[ConnectionPointId, TwoPartTariff] = MappingProxyType({}),
    ) -> None:
        """`opening_kw` is the period-to-date peak of the month of `started_at`.

        `tariffs` say how each point's peak is measured: by the quarter-hour where there is none.
        """
        self._zone = zone
        self._tariffs = tariffs
        self._opening_kw = opening_kw
        self._opening_month = billing_month(started_at, zone)
        self._means: dict[tuple[ConnectionPointId, date], dict[datetime, float]] = {}

    def add(self, point: ConnectionPointId, interval: Interval, import_kw: float) -> None:
        """Take the mean import of one quarter-hour; a later figure for the same one replaces it.

        Raises:
            DataError: `import_kw` is negative or not finite.
        """
        if not (import_kw >= 0 and isfinite(import_kw)):
            raise DataError(
                f"import_kw is {import_kw}",
                where=f"connection point {point}",
                fix="Give a size: what is fed counts as 0",
            )
        month = billing_month(interval.start, self._zone)
        self._means.setdefault((point, month), {})[interval.start] = import_kw

    def peak_kw(self, point: ConnectionPointId, moment: datetime) -> float:
        """The peak of the billing month of `moment`, of intervals that began before `moment`."""
        return self._peak_kw(point, billing_month(moment, self._zone), moment)

    def running_kw(self, point: ConnectionPointId, moment: datetime) -> float:
        """Mean import of the measuring interval that runs at `moment`, up to then.

        Quarter-hours that were not metered count as the mean of the others, as in `peak_kw`; 0 where
        none was.
        """
        began = self._measuring(point).began(moment, self._zone)
        means = self._means.get((point, billing_month(moment, self._zone)), {})
        passed = [kw for start, kw in means.items() if began <= start < moment]
        return sum(passed) / len(passed) if passed else 0.0

    def increases(self, point: ConnectionPointId, span: Interval) -> tuple[PeakIncrease, ...]:
        """How far the peak rose within `span`, for each billing month that it touches."""
        increases = []
        start = span.start
        while start < span.end:
            month = billing_month(start, self._zone)
            following = local_moment(next_month(month), time(), self._zone)
            end = min(following, span.end)
            increases.append(
                PeakIncrease(
                    month=month,
                    before_kw=self._peak_kw(point, month, start),
                    after_kw=self._peak_kw(point, month, end),
                )
            )
            start = end
        return tuple(increases)

    def forget(self, before: datetime) -> None:
        """Drop the billing months that ended before that of `before`."""
        kept = billing_month(before, self._zone)
        self._means = {key: means for key, means in self._means.items() if key[1] >= kept}

    def _peak_kw(self, point: ConnectionPointId, month: date, until: datetime) -> float:
        opening = self._opening_kw.get(point, 0.0) if month == self._opening_month else 0.0
        return max(opening, *self._measured(point, month, until), 0.0)

    def _measured(self, point: ConnectionPointId, month: date, until: datetime) -> Iterator[float]:
        """Mean imports of the measuring intervals that are complete, or over, by `until`."""
        measuring, tariff = self._measuring(point), self._tariffs.get(point)
        intervals: dict[datetime, list[float]] = {}
        counted: set[datetime] = set()
        for start, kw in self._means.get((point, month), {}).items():
            if start < until:
                began = measuring.began(start, self._zone)
                intervals.setdefault(began, []).append(kw)
                if tariff is None or tariff.makes_peak(start, self._zone):
                    counted.add(began)
        quarters = max(measuring.interval // QUARTER, 1)
        for began in counted:
            parts = intervals[began]
            if len(parts) == quarters or began + measuring.interval <= until:
                yield sum(parts) / len(parts)

    def _measuring(self, point: ConnectionPointId) -> Measuring:
        return self._tariffs[point].demand.measuring if point in self._tariffs else Measuring()


def next_month(month: date) -> date:
    """The first day of the month after that of a first day."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)
