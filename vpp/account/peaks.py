"""The highest mean import of each billing month: what the demand charge is paid on.

    quarters        ▕ 90 ▕ 70 ▕ 20 ▕ 40 ▕ …        as the main meters count them
    half hours      ▕   80    ▕   30    ▕ …        what a tariff measures by is their mean

The month is the local one. Of the month in which the service begins, the park file says how high
the peak stood before; only what a span adds to it is that span's cost.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
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
        self._months: dict[tuple[ConnectionPointId, date], _Month] = {}

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
        measured = self._months.get((point, month))
        if measured is None:
            measured = self._months[point, month] = _Month(self._measuring(point).interval)
        tariff = self._tariffs.get(point)
        measured.add(
            self._measuring(point).began(interval.start, self._zone),
            interval.start,
            import_kw,
            counts=tariff is None or tariff.makes_peak(interval.start, self._zone),
        )

    def peak_kw(self, point: ConnectionPointId, moment: datetime) -> float:
        """The peak of the billing month of `moment`, of intervals that began before `moment`."""
        return self._peak_kw(point, billing_month(moment, self._zone), moment)

    def running_kw(self, point: ConnectionPointId, moment: datetime) -> float:
        """Mean import of the measuring interval that runs at `moment`, up to then.

        Quarter-hours that were not metered count as the mean of the others, as in `peak_kw`; 0 where
        none was.
        """
        began = self._measuring(point).began(moment, self._zone)
        measured = self._months.get((point, billing_month(moment, self._zone)))
        passed = [] if measured is None else measured.parts_kw(began, moment)
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
        self._months = {key: month for key, month in self._months.items() if key[1] >= kept}

    def _peak_kw(self, point: ConnectionPointId, month: date, until: datetime) -> float:
        opening = self._opening_kw.get(point, 0.0) if month == self._opening_month else 0.0
        measured = self._months.get((point, month))
        return max(opening, 0.0 if measured is None else measured.peak_kw(until))

    def _measuring(self, point: ConnectionPointId) -> Measuring:
        return self._tariffs[point].demand.measuring if point in self._tariffs else Measuring()


class _Month:
    """Mean imports of one point in one billing month, by measuring interval, and their rising maximum.

    Asked at each control cycle and grown by a quarter-hour at a time, so neither walks the month.
    """

    def __init__(self, interval: timedelta) -> None:
        self._interval = interval
        self._quarters = max(interval // QUARTER, 1)
        self._parts: dict[datetime, dict[datetime, float]] = {}
        """Quarter-hours of each measuring interval, by the beginning of both."""

        self._counted: set[datetime] = set()
        self._began: list[datetime] = []
        """Of the measuring intervals, in order."""

        self._highest_kw: list[float] = []
        """Of each measuring interval and all before it."""

    def add(self, began: datetime, start: datetime, kw: float, *, counts: bool) -> None:
        """Take the quarter-hour at `start` of the measuring interval that began then."""
        at = bisect_left(self._began, began)
        if began not in self._parts:
            self._parts[began] = {}
            self._began.insert(at, began)
            self._highest_kw.insert(at, 0.0)
        self._parts[began][start] = kw
        if counts:
            self._counted.add(began)
        for later in range(at, len(self._began)):  # one, but where a figure comes late
            before = self._highest_kw[later - 1] if later else 0.0
            self._highest_kw[later] = max(before, self._mean_kw(self._began[later]))

    def parts_kw(self, began: datetime, until: datetime) -> list[float]:
        """The quarter-hours of one measuring interval that began before `until`."""
        return [kw for start, kw in self._parts.get(began, {}).items() if start < until]

    def peak_kw(self, until: datetime) -> float:
        """The highest mean of the measuring intervals that are complete, or over, by `until`."""
        over = bisect_right(self._began, until - self._interval)
        highest = self._highest_kw[over - 1] if over else 0.0
        if over < len(self._began):
            running = self._began[over]
            if len(self.parts_kw(running, until)) == self._quarters:
                highest = max(highest, self._mean_kw(running))
        return highest

    def _mean_kw(self, began: datetime) -> float:
        parts = self._parts[began]
        return sum(parts.values()) / len(parts) if began in self._counted else 0.0


def next_month(month: date) -> date:
    """The first day of the month after that of a first day."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)
