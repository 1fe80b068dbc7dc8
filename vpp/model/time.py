"""Time as markets and meters see it: half-open intervals, always UTC.

    08:00        08:15        08:30
      ├────────────┼────────────┤
      [  interval  )[ interval  )        08:15 belongs to the second one

Rules
-----
* A `datetime` here is timezone-aware and in UTC. Local time exists in three places
  only: calendars (a delivery day, a tariff band, a forecast's time of day), an adapter
  whose venue speaks it, and text shown to people.
* Hours are measured, never counted: a delivery day has 92, 94, 96, 98 or 100 quarter-hours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from vpp.errors import DataError

QUARTER = timedelta(minutes=15)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def require_utc(moment: datetime, *, where: str) -> None:
    """Refuse a time that is naive or in another zone.

    Raises:
        DataError: `moment` is not aware UTC.
    """
    if moment.tzinfo is not UTC:
        raise DataError(
            f"{moment!r} is not in UTC",
            where=where,
            fix="Convert with .astimezone(UTC) where the value enters",
        )


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """The span [start, end)."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        require_utc(self.start, where="Interval.start")
        require_utc(self.end, where="Interval.end")
        if self.end <= self.start:
            raise DataError(
                f"end {self.end} is not after start {self.start}",
                where="Interval",
                fix="Swap them, or drop the empty interval",
            )

    @property
    def hours(self) -> float:
        """Length in hours: what turns kW into kWh."""
        return (self.end - self.start) / timedelta(hours=1)

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    def covers(self, other: Interval) -> bool:
        """Whether `other` lies wholly inside."""
        return self.start <= other.start and other.end <= self.end

    def overlaps(self, other: Interval) -> bool:
        """Whether some moment lies in both; neighbours share none."""
        return self.start < other.end and other.start < self.end

    def split(self, step: timedelta) -> Iterator[Interval]:
        """Yield consecutive intervals of length `step`; the last may be shorter."""
        start = self.start
        while start < self.end:
            end = min(start + step, self.end)
            yield Interval(start, end)
            start = end


def latest_boundary(moment: datetime, step: timedelta) -> datetime:
    """The newest multiple of `step` since the epoch that is not after `moment`."""
    return moment - (moment - EPOCH) % step


def local_day(day: date, zone: ZoneInfo) -> Interval:
    """The span of one calendar day in `zone`: 23, 23.5, 24, 24.5 or 25 hours."""
    start = datetime.combine(day, time(), zone)
    end = datetime.combine(day + timedelta(days=1), time(), zone)
    return Interval(start.astimezone(UTC), end.astimezone(UTC))


def local_moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    """A wall-clock time of `day` in `zone`, in UTC.

    A time that the spring change skips is read with the offset before the change; one that
    the autumn change repeats means its first occurrence (`fold=0` of PEP 495).
    """
    return datetime.combine(day, at, zone).astimezone(UTC)


def local_date(moment: datetime, zone: ZoneInfo) -> date:
    """The calendar day in `zone` that `moment` belongs to."""
    return moment.astimezone(zone).date()


def utc_of_labels(labels: Sequence[datetime], zone: ZoneInfo) -> tuple[datetime | None, ...]:
    """Wall-clock labels without an offset, in order of time, as UTC.

    A label that comes a second time is the second occurrence of an hour that the autumn change
    repeats. None for a label that the spring change skips: no such time ever was.

    Raises:
        DataError: A label that comes too often, lies before the one before it, or names a zone;
            `where` is its place, from 0.
    """
    starts: list[datetime | None] = []
    times: dict[datetime, int] = {}
    newest: datetime | None = None
    for place, label in enumerate(labels):
        if label.tzinfo is not None:
            raise DataError(f"{label} names a zone", where=str(place), fix="Use its own offset")
        fold = times[label] = times.get(label, -1) + 1
        local = label.replace(tzinfo=zone, fold=min(fold, 1))
        if fold > (local.utcoffset() != local.replace(fold=0).utcoffset()):
            raise DataError(
                f"{label} comes again", where=str(place), fix="Drop the row that is written twice"
            )
        moment = local.astimezone(UTC)
        shown = moment.astimezone(zone).replace(tzinfo=None, fold=0)
        if shown != label:
            starts.append(None)
            continue
        if newest is not None and moment < newest:
            raise DataError(
                f"{label} lies before the label before it",
                where=str(place),
                fix="Sort the rows by time, or write offsets: order tells a repeated hour apart",
            )
        newest = moment
        starts.append(moment)
    return tuple(starts)


def isoformat(moment: datetime) -> str:
    """UTC ISO 8601 with `Z`, the one text form of a time on our wires: `2025-12-03T00:00:00Z`."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_utc(text: str, *, where: str) -> datetime:
    """Read an ISO 8601 time that names its zone, as UTC.

    Raises:
        DataError: Not a time, or a time without a zone, or one that the calendar of UTC does not reach.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise DataError(
            f"{text!r} is not an ISO 8601 time", where=where, fix="Write 2025-12-03T00:00:00Z"
        ) from error
    if moment.tzinfo is None:
        raise DataError(f"{text!r} has no time zone", where=where, fix="Add Z or an offset")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:  # the last evening of the calendar, west of Greenwich
        raise DataError(f"{text!r} is beyond the calendar", where=where, fix="Mend it") from error
