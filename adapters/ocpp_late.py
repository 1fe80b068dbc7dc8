"""What a car park drew while a station was away, told when the station has brought it.

    tick ── told with what the station drew last, called uncertain; a number is kept free for it
    back ── old samples at their own times ─▶ each such tick told anew, at its time, under that number

Where nobody was heard a tick is not told at all until then. What never comes stays as it was told, or missing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

MOST_TICKS = 8640
"""A day of ticks of ten seconds; of a longer absence the beginning is given up."""
MOST_SAMPLES = 20_000
"""Of one station that comes back; of more the newest mend nothing."""


@dataclass(slots=True)
class Gap:
    """A tick at which a station was away."""

    at: datetime
    seq: int
    """The number that is kept free."""
    kw: float
    """What was told, or would have been."""
    told: bool
    away: Mapping[str, Mapping[int, float | None]]
    """By station: what each point drew last, None where no car was there. One object for many gaps."""
    mended: bool = False
    sure: bool = True
    """Whether nothing of it is still guessed."""


@dataclass(frozen=True, slots=True)
class Mended:
    """A tick as it really was."""

    at: datetime
    seq: int
    kw: float
    sure: bool
    """Whether every station that was away has brought what it drew then."""


@dataclass(slots=True)
class _Course:
    """Samples of one point, by time."""

    at: list[datetime] = field(default_factory=list)
    kw: list[float] = field(default_factory=list)

    def add(self, at: datetime, kw: float) -> None:
        place = bisect_right(self.at, at)
        self.at.insert(place, at)
        self.kw.insert(place, kw)

    def value(self, at: datetime, holds: timedelta) -> float | None:
        place = bisect_right(self.at, at) - 1
        if place < 0 or (at - self.at[place] > holds and self.kw[place] != 0.0):
            return None
        return self.kw[place]


class Late:
    """The gaps of one car park."""

    def __init__(self, holds: timedelta) -> None:
        """A sample holds for `holds`; nothing drawn holds until something is."""
        self._holds = holds
        self._gaps: deque[Gap] = deque()
        self._courses: dict[str, dict[int, _Course]] = {}
        """Of each station that is away, or has not brought all; by point."""
        self._samples: dict[str, int] = {}

    def begins(self, station: str, last: Mapping[int, tuple[datetime, float]]) -> None:
        """A station goes away; `last` is when each point with a car was heard, and what it drew."""
        courses = self._courses.setdefault(station, {})
        for point, (at, kw) in last.items():
            courses.setdefault(point, _Course()).add(at, kw)

    def gap(self, gap: Gap) -> Mended | None:
        """A tick at which somebody was away; the oldest one where it has to give way to it."""
        self._gaps.append(gap)
        if len(self._gaps) <= MOST_TICKS:
            return None
        old = self._gaps.popleft()
        return Mended(old.at, old.seq, old.kw, False) if old.mended and old.told else None

    def sample(self, station: str, point: int, at: datetime, kw: float) -> None:
        """A sample from when the station was away; later than everything else it mends nothing."""
        courses, count = self._courses.get(station), self._samples.get(station, 0)
        if courses is not None and count < MOST_SAMPLES:
            self._samples[station] = count + 1
            courses.setdefault(point, _Course()).add(at, kw)

    def is_waiting(self, station: str) -> bool:
        """Whether it went away and has not brought all yet."""
        return station in self._courses

    def through(self, station: str) -> list[Mended]:
        """The station has brought all that it kept: the ticks that are whole now, oldest first."""
        courses = self._courses.pop(station, {})
        self._samples.pop(station, None)
        whole: list[Mended] = []
        kept: deque[Gap] = deque()
        away: Mapping[str, Mapping[int, float | None]] = {}
        others = away
        for gap in self._gaps:
            if station in gap.away:
                self._mend(gap, gap.away[station], courses)
                if gap.away is not away:  # neighbours share theirs, and what is left of it
                    away = gap.away
                    others = {name: held for name, held in away.items() if name != station}
                gap.away = others
            if gap.away:
                kept.append(gap)
            elif gap.mended if gap.told else gap.sure:
                whole.append(Mended(gap.at, gap.seq, gap.kw, gap.sure))
        self._gaps = kept
        return whole

    def _mend(
        self, gap: Gap, held: Mapping[int, float | None], courses: Mapping[int, _Course]
    ) -> None:
        for point, held_kw in held.items():
            course = courses.get(point)
            found = None if course is None else course.value(gap.at, self._holds)
            if found is not None:
                gap.kw += found - (held_kw or 0.0)
                gap.mended = True
            elif held_kw is not None:
                gap.sure = False
