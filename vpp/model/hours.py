"""Hours of the clock, on some days of some months: when a price band, or a window of peak hours, holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time

from vpp.errors import DataError
from vpp.model.resource.common import EVERY_DAY

EVERY_MONTH = tuple(range(1, 13))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """From `start` to `end`, in local time, on days that fit all that is said of them."""

    start: time
    end: time
    """00:00 means the end of the day."""

    days: tuple[int, ...] = EVERY_DAY
    """0 is Monday."""

    months: tuple[int, ...] = EVERY_MONTH
    """1 is January."""

    holidays: bool | None = None
    """True: on holidays only; False: on other days only; None: on both."""

    def __post_init__(self) -> None:
        if self.end <= self.start and self.end != time():
            raise DataError(
                f"from {self.start:%H:%M} to {self.end:%H:%M}",
                where="hours of a tariff",
                fix="Let them end after they begin, and split what passes midnight in two",
            )
        if not set(self.days) <= set(EVERY_DAY) or not set(self.months) <= set(EVERY_MONTH):
            raise DataError(
                f"days {self.days}, months {self.months}",
                where="hours of a tariff",
                fix="Give days from 0 (Monday) to 6, months from 1 to 12",
            )

    def on(self, day: date, *, holiday: bool) -> bool:
        """Whether they are of this local day."""
        return (
            day.month in self.months
            and day.weekday() in self.days
            and self.holidays in (None, holiday)
        )

    def hold(self, local: datetime, *, holiday: bool) -> bool:
        """Whether they hold at this local time."""
        clock = local.time()
        return (
            self.start <= clock
            and (clock < self.end or self.end == time())
            and self.on(local.date(), holiday=holiday)
        )
