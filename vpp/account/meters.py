"""Energy from the registers of main meters: differences of whole Wh, read at the boundaries.

    09:00      09:15      09:30
      ●  ●  ●  ●  ●     ×  ●  ●      ● a reading   × the register fell: reset or replaced
      └─ exact ──┘└─ provisional ─┘

A register counts what no message needs to bring, so a gap inside an interval does no harm. Only a
boundary without a reading is filled, between neighbours close to it, and called provisional.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

from vpp.model.ids import ResourceId
from vpp.model.measurement import MeterReading
from vpp.model.time import Interval, latest_boundary

MAX_GAP = timedelta(minutes=5)
"""A register that began anew in a longer step has lost an energy that nobody knows."""

MAX_HOLE = timedelta(hours=24)
"""Registers tell exactly what went through in a hole of readings; within it that is spread evenly,
provisionally. Readings farther apart say nothing about a moment between them."""

_ROUNDING_WH = 10


class MeteredEnergy(NamedTuple):
    """Energy over one interval, sizes in whole Wh."""

    import_wh: int
    export_wh: int
    provisional: bool
    """True where a boundary was interpolated, or a register began anew inside."""

    @property
    def net_wh(self) -> int:
        """Net injection."""
        return self.export_wh - self.import_wh


@dataclass(frozen=True, slots=True)
class _Read:
    measured_at: datetime
    received_at: datetime
    import_wh: int
    export_wh: int


@dataclass(frozen=True, slots=True)
class _Total:
    """A reading's registers as if they had never begun anew."""

    import_wh: int
    export_wh: int
    broken: bool
    """Whether a register began anew since the reading before: the step is an estimate."""


class MeterBook:
    """The registers of all main meters."""

    def __init__(self, most_kw: Mapping[ResourceId, float] = MappingProxyType({})) -> None:
        """`most_kw` is the greatest believable import or export of a meter, a size.

        A register that rises faster was swapped for another; without a figure, only a fall shows.
        """
        self._most_kw = most_kw
        self._reads: dict[ResourceId, list[_Read]] = {}
        self._totals: dict[ResourceId, list[_Total]] = {}
        self._changed_from: datetime | None = None

    def add(self, reading: MeterReading) -> None:
        """Take a reading, in any order. The same again changes nothing.

        Of two different readings of one moment the one that was received later counts.
        """
        read = _Read(reading.measured_at, reading.received_at, reading.import_wh, reading.export_wh)
        reads = self._reads.setdefault(reading.meter_id, [])
        at = bisect_left(reads, read.measured_at, key=_when)
        if at < len(reads) and reads[at].measured_at == read.measured_at:
            if read.received_at < reads[at].received_at:
                return
            reads[at] = read
        else:
            reads.insert(at, read)
        if at < len(reads) - 1:  # what was interpolated over the gap that it lies in is known now
            since = reads[max(at - 1, 0)].measured_at
            self._changed_from = min(since, self._changed_from or since)
        self._recount(reading.meter_id, at)

    def take_changed_from(self) -> datetime | None:
        """Since when energy is otherwise than it was by readings that came late; None where it is not.

        Forgets it: who asks counts again.
        """
        changed_from, self._changed_from = self._changed_from, None
        return changed_from

    def first_read_at(self, meter_id: ResourceId) -> datetime | None:
        """The oldest reading kept of a meter; None where there is none."""
        reads = self._reads.get(meter_id)
        return reads[0].measured_at if reads else None

    def last_read_at(self, meter_id: ResourceId, by: datetime) -> datetime | None:
        """The newest reading of a meter that was measured by then; None where there is none."""
        reads = self._reads.get(meter_id, [])
        at = bisect_right(reads, by, key=_when)
        return reads[at - 1].measured_at if at else None

    def energy_wh(self, meter_id: ResourceId, interval: Interval) -> MeteredEnergy | None:
        """What went through the meter during `interval`.

        Exact where both boundaries were read. A boundary without a reading is interpolated between
        neighbours at most a day apart, and marked provisional. None where that is impossible, or
        where a register began anew in a step of more than 5 minutes: nobody knows then.
        """
        begin = self._at(meter_id, interval.start)
        end = self._at(meter_id, interval.end)
        if begin is None or end is None:
            return None
        breaks = self._breaks(meter_id, interval)
        if any(gap > MAX_GAP for _, gap in breaks):
            return None
        return MeteredEnergy(
            import_wh=end[0] - begin[0],
            export_wh=end[1] - begin[1],
            provisional=bool(breaks) or not (begin[2] and end[2]),
        )

    def peak_import_kw(self, meter_id: ResourceId, interval: Interval) -> float | None:
        """Mean import over `interval` as the import register counts it, a size; None if unknown."""
        energy = self.energy_wh(meter_id, interval)
        if energy is None:
            return None
        return energy.import_wh / 1000 / interval.hours

    def epochs(self, meter_id: ResourceId) -> tuple[datetime, ...]:
        """When a register was first read after it had begun anew: for a person to look at."""
        pairs = zip(self._reads.get(meter_id, ()), self._totals.get(meter_id, ()), strict=True)
        return tuple(read.measured_at for read, total in pairs if total.broken)

    def forget(self, before: datetime) -> None:
        """Drop what no interval from `before` on needs."""
        for meter_id, reads in self._reads.items():
            keep = max(bisect_right(reads, before, key=_when) - 1, 0)
            del reads[:keep]
            del self._totals[meter_id][:keep]

    def thin(self, before: datetime, step: timedelta) -> None:
        """Of readings older than `before` keep those on multiples of `step`, and around breaks.

        Registers need no more: the energy of every interval on the grid stays what it was.
        """
        for meter_id, reads in self._reads.items():
            totals = self._totals[meter_id]
            old = bisect_left(reads, before, key=_when)
            kept = [
                at
                for at in range(old)
                if latest_boundary(reads[at].measured_at, step) == reads[at].measured_at
                or totals[at].broken
                or (at + 1 < len(reads) and totals[at + 1].broken)
            ]
            if len(kept) < old:
                reads[:old] = [reads[at] for at in kept]
                totals[:old] = [totals[at] for at in kept]

    def _recount(self, meter_id: ResourceId, first: int) -> None:
        """Make the totals from reading `first` on new; at the end of the list that is one step."""
        reads = self._reads[meter_id]
        totals = self._totals.setdefault(meter_id, [])
        del totals[first:]
        for at in range(first, len(reads)):
            if at == 0:
                totals.append(_Total(reads[0].import_wh, reads[0].export_wh, broken=False))
            else:
                totals.append(self._next_total(meter_id, at))

    def _next_total(self, meter_id: ResourceId, at: int) -> _Total:
        reads, totals = self._reads[meter_id], self._totals[meter_id]
        rise = self._rise(meter_id, reads[at - 1], reads[at])
        broken = rise is None
        if rise is None:
            # Carry on at the pace of the step before; the interval is provisional all the same.
            rise = (0, 0)
            if at >= 2 and not totals[at - 1].broken:
                pace = (reads[at].measured_at - reads[at - 1].measured_at) / (
                    reads[at - 1].measured_at - reads[at - 2].measured_at
                )
                rise = (
                    round((totals[at - 1].import_wh - totals[at - 2].import_wh) * pace),
                    round((totals[at - 1].export_wh - totals[at - 2].export_wh) * pace),
                )
        return _Total(
            totals[at - 1].import_wh + rise[0], totals[at - 1].export_wh + rise[1], broken
        )

    def _rise(self, meter_id: ResourceId, early: _Read, late: _Read) -> tuple[int, int] | None:
        """Import and export between two readings; None where a register cannot have moved so."""
        rise = (late.import_wh - early.import_wh, late.export_wh - early.export_wh)
        if min(rise) < 0:
            return None
        most_kw = self._most_kw.get(meter_id)
        if most_kw is not None:
            hours = (late.measured_at - early.measured_at) / timedelta(hours=1)
            if max(rise) > most_kw * hours * 1000 + _ROUNDING_WH:
                return None
        return rise

    def _at(self, meter_id: ResourceId, moment: datetime) -> tuple[int, int, bool] | None:
        """Totals at `moment`, and whether they were read just then."""
        reads, totals = self._reads.get(meter_id, []), self._totals.get(meter_id, [])
        after = bisect_left(reads, moment, key=_when)
        if after == len(reads):
            return None
        if reads[after].measured_at == moment:
            return totals[after].import_wh, totals[after].export_wh, True
        if after == 0:
            return None
        start, end = reads[after - 1].measured_at, reads[after].measured_at
        if end - start > MAX_HOLE:
            return None
        share = (moment - start) / (end - start)
        one, other = totals[after - 1], totals[after]
        return (
            one.import_wh + round((other.import_wh - one.import_wh) * share),
            one.export_wh + round((other.export_wh - one.export_wh) * share),
            False,
        )

    def _breaks(self, meter_id: ResourceId, interval: Interval) -> list[tuple[datetime, timedelta]]:
        """Steps inside or across `interval` over which a register began anew, with their length."""
        reads, totals = self._reads[meter_id], self._totals[meter_id]
        first = max(bisect_right(reads, interval.start, key=_when), 1)
        last = min(bisect_left(reads, interval.end, key=_when), len(reads) - 1)
        return [
            (reads[at].measured_at, reads[at].measured_at - reads[at - 1].measured_at)
            for at in range(first, last + 1)
            if totals[at].broken
        ]


def _when(read: _Read) -> datetime:
    return read.measured_at
