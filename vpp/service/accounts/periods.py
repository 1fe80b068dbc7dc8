"""Which days and months can be shown, and what is settled of one: on the park's calendar."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, datetime, time

from vpp.account.peaks import next_month
from vpp.account.statements import AccountedInterval
from vpp.errors import DataError
from vpp.model.time import Interval, local_date, local_day, local_moment
from vpp.service.accounts.views import PeriodsView, PeriodView
from vpp.service.plant import Plant
from vpp.wire import Span

PERIOD = r"^\d{4}-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?$"
"""A local day, or a month."""


def span_of(plant: Plant, period: str) -> Interval:
    """All of a day or month, `2025-12-03` or `2025-12`.

    Raises:
        DataError: No such day.
    """
    zone = plant.file.park.timezone
    try:
        if not re.match(PERIOD, period):
            raise ValueError("neither a day nor a month")
        if len(period) == len("2025-12"):
            first = date.fromisoformat(f"{period}-01")
            return Interval(
                local_moment(first, time(), zone), local_moment(next_month(first), time(), zone)
            )
        return local_day(date.fromisoformat(period), zone)
    except (ValueError, OverflowError) as error:
        raise DataError(
            f"{period[:20]}: {error}", where="period", fix="Write 2025-12-03 or 2025-12"
        ) from error


def settled_in(plant: Plant, span: Interval) -> list[AccountedInterval]:
    """What is settled of a span, oldest first."""
    found = (one for interval, one in plant.accounted.items() if span.covers(interval))
    return sorted(found, key=lambda one: one.interval.start)


def hull(intervals: list[AccountedInterval]) -> Interval | None:
    """From the first to the last; None of none."""
    if not intervals:
        return None
    return Interval(intervals[0].interval.start, intervals[-1].interval.end)


def is_provisional(one: AccountedInterval) -> bool:
    """Whether a price or a reading of it is one that stands in."""
    lines = any(line.provisional for line in one.lines)
    return lines or any(energy.provisional for energy in one.metered.values())


def periods(plant: Plant) -> PeriodsView:
    """Every day and month of which something is settled, the newest first."""
    zone = plant.file.park.timezone
    settled: Counter[str] = Counter()
    open_: Counter[str] = Counter()
    for interval, one in plant.accounted.items():
        day = local_date(interval.start, zone).isoformat()
        for period in (day, day[:7]):
            settled[period] += 1
            open_[period] += is_provisional(one)
    views = [
        _view(plant, name, settled[name], open_[name]) for name in sorted(settled, reverse=True)
    ]
    return PeriodsView(
        timezone=zone.key,
        currency=plant.file.park.currency,
        days=[one for one in views if len(one.period) > len("2025-12")],
        months=[one for one in views if len(one.period) == len("2025-12")],
    )


def _view(plant: Plant, name: str, settled: int, provisional: int) -> PeriodView:
    whole = span_of(plant, name)
    return PeriodView(
        period=name,
        span=Span(start=whole.start, end=whole.end),
        settled=settled,
        provisional=provisional,
    )


def ended_part(span: Interval, now: datetime) -> Interval | None:
    """The part of a span that is over; None where none is."""
    return None if span.start >= now else Interval(span.start, min(span.end, now))
