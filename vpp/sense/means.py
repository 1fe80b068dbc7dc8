"""Readings become quarter-hour means, the history that forecasts and baselines live on.

A mean comes from the energy register where the device has one (a register misses nothing while
the link is down), else from its powers, each one holding until the next. Where too little of the
interval is covered there is no mean: nothing is filled in silently.

All resources are closed at once: their readings stand in one log, a line of five numbers each, in the order in
which they came.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.measurement import Quality, Reading
from vpp.model.time import Interval

_ROUNDING_KWH = 0.5
"""Registers count in steps: so much may a difference be off."""

_US = timedelta(microseconds=1)
_HOUR_US = timedelta(hours=1) // _US
_LINE = 5
"""Numbers of a line of the log: row of the resource, s since 1970, power, register, available; NaN: not told."""

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What one resource did on average over an interval."""

    power_kw: float
    """Net injection."""

    from_register: bool
    """True where the power is a difference of the energy register."""

    coverage: float
    """Share of the interval that the power is known for, in [0.8, 1]."""

    available_kw: float | None
    """None where the device does not say, or not for long enough."""


class _Course(NamedTuple):
    """Values of several resources, by resource and time; arrays of shape (S,)."""

    row: Counts
    """Whose."""

    at_us: Counts
    """When, in microseconds since the interval began."""

    value: Floats


class _Covered(NamedTuple):
    """What is known of each resource over the interval; arrays of shape (N,)."""

    power_kw: Floats
    """NaN where nothing is."""

    us: Counts
    """For how much of the interval it is known, in microseconds."""


class IntervalMeans:
    """Collects readings and closes intervals. An interval may be closed again when late ones came."""

    def __init__(
        self,
        plausible_kw: Mapping[ResourceId, tuple[float, float]],
        *,
        max_hold: timedelta = timedelta(minutes=5),
        min_coverage: float = 0.8,
        keep: timedelta = timedelta(hours=2),
    ) -> None:
        """A value holds at most `max_hold`; readings older than `keep` before a close are dropped.

        `plausible_kw` is the lowest and highest net injection of each resource: a register that
        leaps beyond them was reset, and the mean comes from the powers.
        """
        self._plausible_kw = plausible_kw
        self._hold_us = max_hold // _US
        self._min_coverage = min_coverage
        self._keep = keep
        self._rows: dict[ResourceId, int] = {}
        self._log = array("d")

    def add(self, reading: Reading) -> None:
        """Take a reading, in any order. Values that the device calls bad are left out."""
        if reading.quality is Quality.BAD:
            return
        row = self._rows.setdefault(reading.resource_id, len(self._rows))
        register, available = reading.energy_kwh, reading.available_kw
        self._log.extend(
            (
                row,
                reading.measured_at.timestamp(),
                reading.power_kw,
                nan if register is None else register,
                nan if available is None else available,
            )
        )

    def close(self, interval: Interval) -> dict[ResourceId, Means]:
        """The means of every resource that is covered for long enough, in order of first reading."""
        length_us = (interval.end - interval.start) // _US
        powers, registers, availables = self._courses(interval)
        held, available = self._held(powers, length_us), self._held(availables, length_us)
        registered = self._registered(registers, length_us)
        from_register = registered.us / length_us >= self._min_coverage
        known = from_register | (held.us / length_us >= self._min_coverage)
        power_kw = np.where(from_register, registered.power_kw, held.power_kw)
        coverage = np.where(from_register, registered.us, held.us) / length_us
        available_kw = np.where(
            available.us / length_us >= self._min_coverage, available.power_kw, nan
        )
        columns = (known, power_kw, from_register, coverage, available_kw)
        return {
            name: Means(
                power_kw=kw,
                from_register=by_register,
                coverage=share,
                available_kw=None if could_kw != could_kw else could_kw,
            )
            for name, told, kw, by_register, share, could_kw in zip(
                self._rows, *(column.tolist() for column in columns), strict=True
            )
            if told
        }

    def _courses(self, interval: Interval) -> tuple[_Course, _Course, _Course]:
        """Powers, registers and what could be fed, of all that may matter; what is too old leaves the log."""
        log = np.frombuffer(self._log).reshape(-1, _LINE)
        began_s = interval.start.timestamp()
        # Rounded: a float of seconds is off by less than a microsecond, the difference of two by more.
        at_us = np.rint(log[:, 1] * 1e6).astype(np.int64) - round(began_s * 1e6)
        length_us = (interval.end - interval.start) // _US
        near = (at_us >= -self._hold_us) & (at_us <= length_us + self._hold_us)
        line, when = log[near], at_us[near]
        kept = log[at_us >= length_us - self._keep // _US].tobytes()
        del log  # the log cannot be written while somebody looks at it
        self._log = array("d", kept)
        row = line[:, 0].astype(np.int64)
        order = np.lexsort((when, row))  # stable: of two with one stamp the later one came last
        row, when, line = row[order], when[order], line[order]
        last = np.append((row[1:] != row[:-1]) | (when[1:] != when[:-1]), True)[: len(row)]
        row, when, line = row[last], when[last], line[last]

        def told(values: Floats) -> _Course:
            is_told = ~np.isnan(values)
            return _Course(row[is_told], when[is_told], values[is_told])

        return told(line[:, 2]), told(line[:, 3]), told(line[:, 4])

    def _held(self, course: _Course, length_us: int) -> _Covered:
        """Mean of values that hold until the next one, and for how long any of them did."""
        row, at_us, value = course
        until: Counts = at_us + self._hold_us
        followed = np.flatnonzero(row[1:] == row[:-1])
        until[followed] = np.minimum(until[followed], at_us[followed + 1])
        us = np.maximum(np.minimum(until, length_us) - np.maximum(at_us, 0), 0)
        covered = self._sums(row, us)
        total = self._sums(row, value * us)
        return _Covered(_ratio(total, covered), covered.astype(np.int64))

    def _registered(self, course: _Course, length_us: int) -> _Covered:
        """Mean power from the register, and over how much of the interval it was read."""
        inside = (course.at_us >= 0) & (course.at_us <= length_us)
        reads = [_Course(course.row[inside], course.at_us[inside], course.value[inside])]
        reads += [self._read_at(course, moment_us) for moment_us in (0, length_us)]
        row, at_us, kwh = (np.concatenate(columns) for columns in zip(*reads, strict=True))
        order = np.lexsort((at_us, row))
        row, at_us, kwh = row[order], at_us[order], kwh[order]
        pair = np.flatnonzero(row[1:] == row[:-1])
        us, moved_kwh = np.diff(at_us)[pair], np.diff(kwh)[pair]
        low_kw, high_kw = self._plausible(row[pair])
        hours = us / _HOUR_US
        leaps = (moved_kwh < low_kw * hours - _ROUNDING_KWH) | (
            moved_kwh > high_kw * hours + _ROUNDING_KWH
        )
        first = np.flatnonzero(np.diff(row, prepend=-1))
        last = np.append(first[1:], len(row))[: len(first)] - 1
        covered: Counts = np.zeros(len(self._rows), dtype=np.int64)
        total: Floats = np.zeros(len(self._rows))
        covered[row[first]] = at_us[last] - at_us[first]
        total[row[first]] = kwh[last] - kwh[first]
        covered[row[pair][leaps]] = 0  # a reset, or another meter
        return _Covered(_ratio(total, covered / _HOUR_US), covered)

    def _read_at(self, course: _Course, moment_us: int) -> _Course:
        """Registers between two readings not farther apart than a value holds, as they stood at a moment."""
        row, at_us, kwh = course
        around = (row[1:] == row[:-1]) & (at_us[:-1] < moment_us) & (at_us[1:] > moment_us)
        before = np.flatnonzero(around & (np.diff(at_us) <= self._hold_us))
        way = (moment_us - at_us[before]) / (at_us[before + 1] - at_us[before])
        then_kwh = kwh[before] + (kwh[before + 1] - kwh[before]) * way
        return _Course(row[before], np.full(len(before), moment_us), then_kwh)

    def _plausible(self, row: Counts) -> tuple[Floats, Floats]:
        """The lowest and the highest net injection of those in some rows, in kW."""
        limits = np.array([self._plausible_kw[name] for name in self._rows]).reshape(-1, 2)
        return limits[row, 0], limits[row, 1]

    def _sums(self, row: Counts, values: Floats | Counts) -> Floats:
        return np.bincount(row, weights=values, minlength=len(self._rows)).astype(np.float64)


def _ratio(total: Floats, parts: Floats) -> Floats:
    """One by the other, NaN where there is none of the other."""
    ratio: Floats = np.divide(total, parts, out=np.full(len(parts), nan), where=parts > 0)
    return ratio
