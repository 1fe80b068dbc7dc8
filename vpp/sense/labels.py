"""Rows as others stamp them, put on one grid in UTC; what does not fit is said.

local labels      01:30  01:45  03:00  03:15      spring: two labels are never there
local labels      02:45  02:00  02:15  02:30      autumn: an hour of labels comes twice, in order
mixed rows        [─ 60 min ─][15][15][15][15]    a source that changed its resolution
wrong offset      noon by the sun jumps by an hour in March: stamps follow the wall clock
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from vpp.errors import DataError
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.time import EPOCH, latest_boundary, require_utc, utc_of_labels
from vpp.sense.cleaning import Action, Cleaned, Defect, Finding, finding

SUN_DAYS = 14
"""Days before and after a clock change whose noons are compared: the sun's own noon moves by less
than ten minutes meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One raw value and the interval it stands for."""

    start: datetime
    lasts: timedelta
    value: float
    """NaN where the row says that it knows nothing."""


def on_grid(rows: Iterable[Row], step: timedelta) -> Cleaned:
    """Rows of several lengths as one series; a coarse row holds its value over its own interval.

    Where rows overlap the shorter one counts. One interval given twice with different numbers stays
    unknown. Steps without a row are NaN.

    Raises:
        DataError: No row at all, or one whose interval is not made of whole steps.
    """
    given = sorted(rows, key=lambda row: (row.lasts, row.start), reverse=True)
    if not given:
        raise DataError("no rows", where="series", fix="Give at least one")
    for row in given:
        require_utc(row.start, where="row.start")
        if (row.start - EPOCH) % step or row.lasts % step or row.lasts <= timedelta(0):
            raise DataError(
                f"a row of {row.lasts} from {row.start} on a grid of {step}",
                where="series",
                fix="Choose a step that divides every interval",
            )
    start = min(row.start for row in given)
    end = max(row.start + row.lasts for row in given)
    horizon = Horizon(start, step, (end - start) // step)
    values = np.full(horizon.steps, np.nan)
    doubled, coarse = np.zeros((2, horizon.steps), dtype=bool)
    seen: dict[tuple[datetime, timedelta], float] = {}
    for row in given:
        first = horizon.index(row.start)
        where = slice(first, first + row.lasts // step)
        before = seen.setdefault((row.start, row.lasts), row.value)
        again = before != row.value and not (np.isnan(before) and np.isnan(row.value))
        values[where] = np.nan if again else row.value
        doubled[where] |= again
        coarse[where] = row.lasts > step
    found = []
    if coarse.any() and not coarse.all():
        what = f"rows longer than {step}, each held over its own interval"
        found.append(finding(Defect.MIXED_STEPS, Action.FILLED, horizon, coarse, what))
    if doubled.any():
        what = "given twice with different numbers"
        found.append(finding(Defect.DOUBLED, Action.TAKEN_OUT, horizon, doubled, what))
    return Cleaned(profile=Profile(horizon, values), findings=tuple(found))


def utc_starts(
    labels: Sequence[datetime], zone: ZoneInfo, step: timedelta
) -> tuple[tuple[datetime | None, ...], tuple[Finding, ...]]:
    """Wall-clock labels as UTC, and which of them a clock change repeats or skips.

    Raises:
        DataError: As `utc_of_labels`.
    """
    starts = utc_of_labels(labels, zone)
    odd = []
    for label, start in zip(labels, starts, strict=True):
        if start is None:
            odd.append(label.replace(tzinfo=zone).astimezone(UTC))
        elif start.astimezone(zone).fold:
            odd.append(start)
    return starts, _clock_change(odd, step)


def _clock_change(odd: Sequence[datetime], step: timedelta) -> tuple[Finding, ...]:
    if not odd:
        return ()
    first = latest_boundary(min(odd), step)
    horizon = Horizon(first, step, (max(odd) - first) // step + 1)
    where = np.zeros(horizon.steps, dtype=bool)
    where[[horizon.index(moment) for moment in odd]] = True
    what = "labels that a clock change repeats or skips"
    return (finding(Defect.CLOCK_CHANGE, Action.MOVED, horizon, where, what),)


def by_the_sun(power_kw: Profile, zone: ZoneInfo) -> Cleaned:
    """A PV series whose stamps follow the wall clock of `zone` though they claim its winter offset.

    The middle of each day's production is compared before and after each clock change: it jumps by
    the change where the stamps do, and stays where they are true. Steps of the hour that spring skips
    and autumn repeats are unknown. A series that shows no jump, or spans no change, comes back as is.
    """
    jumps = [
        (jump, shift)
        for at, shift in _changes(power_kw.horizon, zone)
        if (jump := _noon_jump(power_kw, at)) is not None
    ]
    if not jumps or not all(
        jump > 0.5 * shift if shift > timedelta(0) else jump < 0.5 * shift for jump, shift in jumps
    ):
        return Cleaned(profile=power_kw, findings=())
    horizon, values = power_kw.horizon, np.full(power_kw.horizon.steps, np.nan)
    moved = np.zeros(horizon.steps, dtype=bool)
    winter = _winter_offset(horizon, zone)
    for step, label in enumerate(horizon.starts()):
        wall = (label + winter).replace(tzinfo=zone)
        true = wall.astimezone(UTC)
        if not 0 <= (to := horizon.index(true)) < horizon.steps:
            continue
        moved[step] = true != label
        values[to] = power_kw.values[step]
    what = "stamps follow the wall clock: read as such"
    return Cleaned(
        profile=Profile(horizon, values),
        findings=(finding(Defect.WALL_CLOCK, Action.MOVED, horizon, moved, what),),
    )


def _winter_offset(horizon: Horizon, zone: ZoneInfo) -> timedelta:
    """The standard offset of the zone: the smaller one of those of its year."""
    offsets = [horizon.start.replace(month=month, day=1).astimezone(zone) for month in (1, 7)]
    return min(local.utcoffset() or timedelta(0) for local in offsets)


def _changes(horizon: Horizon, zone: ZoneInfo) -> list[tuple[datetime, timedelta]]:
    """First midnight (by the winter offset) after each clock change, and how far clocks were put forward."""
    day, winter = timedelta(days=1), _winter_offset(horizon, zone)
    midnight = latest_boundary(horizon.start + winter, day) - winter
    days = Horizon(midnight, day, (horizon.end - midnight) // day + 1).starts()
    offsets = [moment.astimezone(zone).utcoffset() or timedelta(0) for moment in days]
    return [
        (moment, after - before)
        for moment, before, after in zip(days[1:], offsets, offsets[1:], strict=False)
        if after != before
    ]


def _noon_jump(power_kw: Profile, at: datetime) -> timedelta | None:
    """How much later the middle of production lies after `at`; None where there is too little."""
    before = _noon_h(power_kw, at - timedelta(days=SUN_DAYS + 1))
    after = _noon_h(power_kw, at)
    if np.isnan(before) or np.isnan(after):
        return None
    return timedelta(hours=after - before)


def _noon_h(power_kw: Profile, first: datetime) -> float:
    """Median over `SUN_DAYS` days of the hour around which a day's production lies."""
    horizon, days = power_kw.horizon, []
    hour = np.array([i * horizon.step_hours for i in range(timedelta(days=1) // horizon.step)])
    for day in range(SUN_DAYS):
        begin = horizon.index(first + timedelta(days=day))
        values: Floats = power_kw.values[max(begin, 0) : begin + hour.size]
        if (
            begin >= 0
            and values.size == hour.size
            and not np.isnan(values).any()
            and values.sum() > 0
        ):
            days.append(float((values * hour).sum() / values.sum()))
    return float(np.median(days)) if len(days) * 2 >= SUN_DAYS else float("nan")
