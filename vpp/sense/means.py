"""Readings become quarter-hour means, the history that forecasts and baselines live on.

A mean comes from the energy register where the device has one (a register misses nothing while
the link is down), else from its powers, each one holding until the next. Where too little of the
interval is covered there is no mean: nothing is filled in silently.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from vpp.model.ids import ResourceId
from vpp.model.measurement import Quality, Reading
from vpp.model.time import Interval

_ROUNDING_KWH = 0.5
"""Registers count in steps: so much may a difference be off."""


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


@dataclass(frozen=True, slots=True)
class _Sample:
    measured_at: datetime
    power_kw: float
    energy_kwh: float | None
    available_kw: float | None


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
        self._max_hold = max_hold
        self._min_coverage = min_coverage
        self._keep = keep
        self._samples: dict[ResourceId, list[_Sample]] = {}

    def add(self, reading: Reading) -> None:
        """Take a reading, in any order. Values that the device calls bad are left out."""
        if reading.quality is Quality.BAD:
            return
        sample = _Sample(
            reading.measured_at, reading.power_kw, reading.energy_kwh, reading.available_kw
        )
        samples = self._samples.setdefault(reading.resource_id, [])
        if not samples or samples[-1].measured_at < sample.measured_at:
            samples.append(sample)
            return
        at = bisect_left(samples, sample.measured_at, key=_when)
        if samples[at].measured_at == sample.measured_at:
            samples[at] = sample
        else:
            samples.insert(at, sample)

    def close(self, interval: Interval) -> dict[ResourceId, Means]:
        """The means of every resource that is covered for long enough, in order of first reading."""
        means = {}
        for resource_id, samples in self._samples.items():
            mean = self._mean(samples, interval, self._plausible_kw[resource_id])
            if mean is not None:
                means[resource_id] = mean
            del samples[: bisect_left(samples, interval.end - self._keep, key=_when)]
        return means

    def _mean(
        self, samples: Sequence[_Sample], interval: Interval, plausible_kw: tuple[float, float]
    ) -> Means | None:
        length = interval.end - interval.start
        registered = self._registered(samples, interval, plausible_kw)
        held = self._held([(s.measured_at, s.power_kw) for s in samples], interval)
        if registered is not None and registered[1] / length >= self._min_coverage:
            (power_kw, covered), from_register = registered, True
        elif held is not None and held[1] / length >= self._min_coverage:
            (power_kw, covered), from_register = held, False
        else:
            return None
        available = self._held(
            [(s.measured_at, s.available_kw) for s in samples if s.available_kw is not None],
            interval,
        )
        enough = available is not None and available[1] / length >= self._min_coverage
        return Means(
            power_kw=power_kw,
            from_register=from_register,
            coverage=covered / length,
            available_kw=available[0] if available is not None and enough else None,
        )

    def _held(
        self, values: Sequence[tuple[datetime, float]], interval: Interval
    ) -> tuple[float, timedelta] | None:
        """Mean of values that hold until the next one, and for how long any of them did."""
        first = max(bisect_right(values, interval.start, key=lambda value: value[0]) - 1, 0)
        total, covered = 0.0, timedelta(0)
        for at in range(first, len(values)):
            begins, value = values[at]
            if begins >= interval.end:
                break
            ends = begins + self._max_hold
            if at + 1 < len(values):
                ends = min(ends, values[at + 1][0])
            held = min(ends, interval.end) - max(begins, interval.start)
            if held > timedelta(0):
                total += value * held.total_seconds()
                covered += held
        return (total / covered.total_seconds(), covered) if covered else None

    def _registered(
        self, samples: Sequence[_Sample], interval: Interval, plausible_kw: tuple[float, float]
    ) -> tuple[float, timedelta] | None:
        """Mean power from the register, and over how much of the interval it was read."""
        reads = [(s.measured_at, s.energy_kwh) for s in samples if s.energy_kwh is not None]
        inside = [read for read in reads if interval.start <= read[0] <= interval.end]
        for boundary in (interval.start, interval.end):
            read = self._read_at(reads, boundary)
            if read is not None and read not in inside:
                inside.append(read)
        inside.sort()
        if len(inside) < 2 or not self._unbroken(inside, *plausible_kw):
            return None
        covered = inside[-1][0] - inside[0][0]
        return (inside[-1][1] - inside[0][1]) / (covered / timedelta(hours=1)), covered

    def _read_at(
        self, reads: Sequence[tuple[datetime, float]], moment: datetime
    ) -> tuple[datetime, float] | None:
        """The register at `moment`, between two readings not farther apart than a value holds."""
        after = bisect_left(reads, moment, key=lambda read: read[0])
        if after == len(reads) or after == 0:
            return None
        (t0, e0), (t1, e1) = reads[after - 1], reads[after]
        if t1 == moment or t1 - t0 > self._max_hold:
            return None
        return moment, e0 + (e1 - e0) * ((moment - t0) / (t1 - t0))

    def _unbroken(
        self, reads: Sequence[tuple[datetime, float]], low_kw: float, high_kw: float
    ) -> bool:
        """Whether the register moved as the device's size allows; a reset or a swap leaps."""
        for (t0, e0), (t1, e1) in pairwise(reads):
            hours = (t1 - t0) / timedelta(hours=1)
            if not low_kw * hours - _ROUNDING_KWH <= e1 - e0 <= high_kw * hours + _ROUNDING_KWH:
                return False
        return True


def _when(sample: _Sample) -> datetime:
    return sample.measured_at
