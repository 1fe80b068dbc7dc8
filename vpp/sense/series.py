"""The one door for time series, each value with the moment since which it was known.

    interval      00:00     00:15     00:30
    version 1      40.1      38.0      37.2      issued 12:45 the day before
    version 2                38.4                issued 23:10
                  ─────────────────────────
    known by 20:00 40.1      38.0      37.2
    known by 23:30 40.1      38.4      37.2

The later `issued_at` wins, with equal ones the higher revision; what was replaced stays visible to
whoever asks by an earlier moment. So a back-test sees what a live run saw. Starts lie on a grid
of the series' resolution, counted from 1970 UTC. The newest version of all values stands in
arrays, older ones aside.
"""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vpp.errors import ConflictError, DataError
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.time import EPOCH, require_utc

Ints: TypeAlias = NDArray[np.int64]

MAX_STEPS = 600_000
"""Longest span of one series: 17 years of quarter-hours. A wrong year must not fill the memory."""

_ID = re.compile(r"[a-z0-9][a-z0-9.-]{0,79}")
_NEVER = np.iinfo(np.int64).max
"""`known_us` of a step nobody has given a value for."""

_MICROSECOND = timedelta(microseconds=1)


class SeriesStore:
    """All time series of the service, by id such as `power.<resource>` or `price.day-ahead.se3`."""

    def __init__(self) -> None:
        self._series: dict[str, _Series] = {}

    def put(
        self,
        series_id: str,
        *,
        unit: str,
        resolution: timedelta,
        issued_at: datetime,
        source: str,
        revision: int,
        values: Iterable[tuple[datetime, float | None]],
    ) -> None:
        """Take values that were known from `issued_at` on. The same again changes nothing.

        `values` are (interval start, number in `unit`); None withdraws what was there: from
        `issued_at` on the value is unknown. All values are taken, or none.

        Raises:
            DataError: Another unit or resolution than the series has, a start off the grid, a
                number that is not finite, or no proper id, resolution, revision or time.
            ConflictError: The same issue and revision came before with another number.
        """
        _require_head(series_id, resolution, revision)
        require_utc(issued_at, where=f"series {series_id}.issued_at")
        given: dict[int, float] = {}
        for start, value in values:
            index = _index(series_id, start, resolution)
            number = _number(series_id, start, value)
            if index in given and not _same(given[index], number):
                raise _conflict(series_id, start)
            given[index] = number
        indices = np.fromiter(given.keys(), np.int64, len(given))
        numbers = np.fromiter(given.values(), np.float64, len(given))
        known_us = np.full(len(given), _us(issued_at), np.int64)
        self._take(series_id, unit, resolution, source, revision, indices, numbers, known_us)

    def put_profile(
        self,
        series_id: str,
        *,
        unit: str,
        profile: Profile,
        known_at: datetime | Literal["interval_end"],
        source: str,
        revision: int = 1,
    ) -> None:
        """Take thousands of values at once; steps that are NaN are left out.

        `known_at` is one moment for all (a forecast, an auction's result), or says that each value
        became known when its interval ended (a measurement).

        Raises:
            DataError: As `put`.
            ConflictError: As `put`.
        """
        horizon = profile.horizon
        _require_head(series_id, horizon.step, revision)
        first = _index(series_id, horizon.start, horizon.step)
        if np.isinf(profile.values).any():
            raise _not_finite(series_id, horizon.start)
        steps = np.flatnonzero(~np.isnan(profile.values))
        if known_at == "interval_end":
            known_us = (first + steps + 1) * (horizon.step // _MICROSECOND)
        else:
            require_utc(known_at, where=f"series {series_id}.known_at")
            known_us = np.full(steps.size, _us(known_at), np.int64)
        self._take(
            series_id,
            unit,
            horizon.step,
            source,
            revision,
            first + steps,
            profile.values[steps],
            known_us,
        )

    def known(self, series_id: str, horizon: Horizon, known_by: datetime) -> Profile:
        """The values as anyone could know them at `known_by`, NaN where nobody could.

        A series that is coarser than the horizon holds its value over its own interval.

        Raises:
            DataError: No such series, or the horizon does not lie on its grid.
        """
        require_utc(known_by, where="known_by")
        series = self._get(series_id)
        first, each = _place_of(series, horizon)
        steps = -(-(horizon.steps + first % each) // each)
        values = series.read(first // each, steps, _us(known_by))
        if each > 1:
            values = np.repeat(values, each)[first % each :][: horizon.steps]
        return Profile(horizon, values)

    def known_when(
        self, series_id: str, start: datetime, step: timedelta, moments: Sequence[datetime]
    ) -> Floats:
        """One step's value as anyone could know it at each of `moments`, shape (moments,); raises as `known`."""
        series = self._get(series_id)
        first, each = _place_of(series, Horizon(start, step, 1))
        return series.versions(first // each, np.array([_us(one) for one in moments], np.int64))

    def course(self, series_id: str) -> Profile:
        """All values as they were issued last, from the first step to the last, NaN between.

        Raises:
            DataError: No such series.
        """
        series = self._get(series_id)
        horizon = Horizon(
            EPOCH + series.first * series.resolution, series.resolution, series.numbers.size
        )
        return Profile(horizon, np.where(series.known_us == _NEVER, np.nan, series.numbers))

    def last_known(self, series_id: str, known_by: datetime) -> datetime | None:
        """When the newest interval ends whose value anyone could know at `known_by`; None without one.

        Raises:
            DataError: No such series.
        """
        series = self._get(series_id)
        values = series.read(series.first, series.numbers.size, _us(known_by))
        known = np.flatnonzero(~np.isnan(values))
        if not known.size:
            return None
        return EPOCH + (series.first + int(known[-1]) + 1) * series.resolution

    def has(self, series_id: str) -> bool:
        """Whether any value of the series was ever taken."""
        return series_id in self._series

    def unit(self, series_id: str) -> str:
        """The unit of the series.

        Raises:
            DataError: No such series.
        """
        return self._get(series_id).unit

    def resolution(self, series_id: str) -> timedelta:
        """The length of the series' intervals.

        Raises:
            DataError: No such series.
        """
        return self._get(series_id).resolution

    def source(self, series_id: str) -> str:
        """Where the values taken last came from.

        Raises:
            DataError: No such series.
        """
        return self._get(series_id).source

    def part(self, series_ids: Iterable[str]) -> SeriesStore:
        """A store of these series only, those that it has; to hand on, for what is put here shows there."""
        part = SeriesStore()
        part._series = {name: self._series[name] for name in series_ids if name in self._series}
        return part

    @property
    def ids(self) -> tuple[str, ...]:
        """All series, in the order in which they first came."""
        return tuple(self._series)

    def _get(self, series_id: str) -> _Series:
        series = self._series.get(series_id)
        if series is None:
            name = series_id[:80]
            raise DataError(
                "no such series",
                where=f"series {name}",
                fix=f"PUT /v1/series/{name} takes its values; what devices measure comes from their telemetry",
            )
        return series

    def _take(
        self,
        series_id: str,
        unit: str,
        resolution: timedelta,
        source: str,
        revision: int,
        indices: Ints,
        numbers: Floats,
        known_us: Ints,
    ) -> None:
        series = self._series.get(series_id) or _Series(series_id, unit, resolution)
        if (series.unit, series.resolution) != (unit, resolution):
            raise DataError(
                f"came in {unit} every {resolution}, stands in {series.unit} every"
                f" {series.resolution}",
                where=f"series {series_id}",
                fix="Convert the values, or give them a series of their own",
            )
        if indices.size:
            series.write(indices, numbers, known_us, revision)
            series.source = source
            self._series[series_id] = series


class _Series:
    """One series: the newest version of each step in arrays, older versions in a dict of lists."""

    def __init__(self, series_id: str, unit: str, resolution: timedelta) -> None:
        self.series_id = series_id
        self.unit = unit
        self.resolution = resolution
        self.source = ""
        self.first = 0
        """Grid index of the arrays' first element."""
        self.numbers: Floats = np.empty(0)
        self.known_us: Ints = np.empty(0, np.int64)
        self.revisions: Ints = np.empty(0, np.int64)
        self.older: dict[int, list[tuple[int, int, float]]] = {}
        """By grid index: (known_us, revision, number), rising."""

    def write(self, indices: Ints, numbers: Floats, known_us: Ints, revision: int) -> None:
        """Take versions of distinct steps: all of them, or none."""
        where = self._make_room(int(indices.min()), int(indices.max()), indices)
        empty = self.known_us[where] == _NEVER
        taken = np.flatnonzero(~empty)
        for i in taken:
            self._require_no_conflict(
                int(indices[i]), int(known_us[i]), revision, float(numbers[i])
            )
        for i in taken:
            self._merge(int(indices[i]), (int(known_us[i]), revision, float(numbers[i])))
        fresh = where[empty]
        self.numbers[fresh] = numbers[empty]
        self.known_us[fresh] = known_us[empty]
        self.revisions[fresh] = revision

    def read(self, first: int, steps: int, by_us: int) -> Floats:
        """The numbers from grid index `first` on as known at `by_us`, NaN where they were not."""
        values = np.full(steps, np.nan)
        low = min(max(first, self.first), first + steps)
        high = max(min(first + steps, self.first + self.numbers.size), low)
        held = slice(low - self.first, high - self.first)
        seen = self.known_us[held] <= by_us
        values[low - first : high - first][seen] = self.numbers[held][seen]
        if self.older:
            replaced = ~seen & (self.known_us[held] != _NEVER)
            for index in (np.flatnonzero(replaced) + low).tolist():
                versions = self.older.get(index, [])
                at = bisect_left(versions, by_us + 1, key=lambda version: version[0])
                if at:
                    values[index - first] = versions[at - 1][2]
        return values

    def versions(self, index: int, by_us: Ints) -> Floats:
        """The number at a grid index as known at each of several moments, NaN where it was not."""
        at = index - self.first
        if not 0 <= at < self.numbers.size or self.known_us[at] == _NEVER:
            return np.full(by_us.size, np.nan)
        versions = [*self.older.get(index, ()), self._newest(index)]
        newest = np.searchsorted([known_us for known_us, _, _ in versions], by_us, side="right")
        numbers = np.array([np.nan, *(number for _, _, number in versions)])
        return numbers[newest]

    def _make_room(self, low: int, high: int, indices: Ints) -> Ints:
        """Let the arrays reach from `low` to `high`; give the positions of `indices` in them."""
        size = self.numbers.size
        if size == 0:
            self.first = low
        start, end = min(low, self.first), max(high + 1, self.first + size)
        if end - start > MAX_STEPS:
            raise DataError(
                f"would span {end - start} steps, at most {MAX_STEPS}",
                where=f"series {self.series_id}",
                fix="Look for a wrong year among the starts, or cut the history",
            )
        if (start, end) != (self.first, self.first + size):
            # Grow by half at least, so that appending one by one stays cheap.
            end = end if end == self.first + size else max(end, start + size + size // 2)
            before, after = self.first - start, end - self.first - size
            self.numbers = np.pad(self.numbers, (before, after), constant_values=np.nan)
            self.known_us = np.pad(self.known_us, (before, after), constant_values=_NEVER)
            self.revisions = np.pad(self.revisions, (before, after))
            self.first = start
        return indices - self.first

    def _newest(self, index: int) -> tuple[int, int, float]:
        at = index - self.first
        return int(self.known_us[at]), int(self.revisions[at]), float(self.numbers[at])

    def _require_no_conflict(self, index: int, known_us: int, revision: int, number: float) -> None:
        for version in (self._newest(index), *self.older.get(index, ())):
            if version[:2] == (known_us, revision) and not _same(version[2], number):
                raise _conflict(self.series_id, EPOCH + index * self.resolution)

    def _merge(self, index: int, version: tuple[int, int, float]) -> None:
        newest = self._newest(index)
        older = self.older.setdefault(index, [])
        known = {(known_us, revision) for known_us, revision, _ in (newest, *older)}
        if version[:2] not in known:
            keep, new = sorted((newest, version), key=lambda one: one[:2])
            insort(older, keep, key=lambda one: one[:2])
            at = index - self.first
            self.known_us[at], self.revisions[at], self.numbers[at] = new
        if not older:
            del self.older[index]


def _place_of(series: _Series, horizon: Horizon) -> tuple[int, int]:
    """Where the horizon starts, in its own steps since 1970, and how many make one of the series."""
    each, uneven = divmod(series.resolution, horizon.step)
    first, off_grid = divmod(horizon.start - EPOCH, horizon.step)
    if uneven or off_grid:
        raise DataError(
            f"steps of {horizon.step} from {horizon.start} on a series of {series.resolution}",
            where=f"series {series.series_id}",
            fix="Ask for steps that lie on the series' grid and divide its resolution",
        )
    return first, each


def _require_head(series_id: str, resolution: timedelta, revision: int) -> None:
    if not _ID.fullmatch(series_id):
        raise DataError(
            f"{series_id[:80]!r} is no series id",
            where="series",
            fix="Use 1 to 80 of a-z, 0-9, hyphen and point, a letter or digit first",
        )
    if not timedelta(0) < resolution <= timedelta(days=1) or resolution % timedelta(seconds=1):
        raise DataError(
            f"resolution is {resolution}",
            where=f"series {series_id}",
            fix="Give whole seconds, at most a day",
        )
    if not 1 <= revision < 2**31:
        raise DataError("revision is out of range", where=f"series {series_id}", fix="Count from 1")


def _index(series_id: str, start: datetime, resolution: timedelta) -> int:
    require_utc(start, where=f"series {series_id}")
    index, rest = divmod(start - EPOCH, resolution)
    if rest:
        raise DataError(
            f"{start} is not on the grid of {resolution}",
            where=f"series {series_id}",
            fix="Give interval starts that are multiples of the resolution since 1970 UTC",
        )
    return index


def _number(series_id: str, start: datetime, value: float | None) -> float:
    if value is None:
        return np.nan
    try:
        number = float(value)
    except OverflowError:  # an integer of more than 308 digits
        number = np.inf
    if not np.isfinite(number):
        raise _not_finite(series_id, start)
    return number


def _not_finite(series_id: str, start: datetime) -> DataError:
    return DataError(
        f"a value from {start} on is not finite",
        where=f"series {series_id}",
        fix="Leave the step out, or withdraw it with None",
    )


def _conflict(series_id: str, start: datetime) -> ConflictError:
    return ConflictError(
        f"{start} came before with another number in the same issue and revision",
        where=f"series {series_id}",
        fix="Raise the revision",
    )


def _same(one: float, other: float) -> bool:
    return one == other or (np.isnan(one) and np.isnan(other))


def _us(moment: datetime) -> int:
    return (moment - EPOCH) // _MICROSECOND
