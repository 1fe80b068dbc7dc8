"""What a car park may draw, split among its cars: who can wait the least comes first.

    allowed − what nobody can steer ─▶ by laxity ─▶ each the most it takes, or nothing below its least

Laxity is how long a car could wait before it must charge without pause. Cars that take nothing now come last.
Who charges already goes on until somebody else can wait less by a turn: cars that want alike would else take each
other's place at every message, since waiting is what makes a car the next. A car gives up what the next one lacks
to begin with, so that as little as possible is left over. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

TINY_KW = 1e-6
TURN = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeker:
    """A car that can be steered."""

    name: str
    """Of its point; breaks ties, so that the same park is split the same way."""
    least_kw: float
    most_kw: float
    left_kwh: float
    leaves_at: datetime
    charges: bool = False
    """Whether it was given something before."""

    def laxity(self, now: datetime) -> timedelta:
        """How long it could wait, less a turn for one that charges."""
        hours = self.left_kwh / self.most_kw if self.most_kw > 0 else 0.0
        turn = TURN if self.charges else timedelta(0)
        return self.leaves_at - now - timedelta(hours=hours) - turn


def split(allowed_kw: float, seekers: Sequence[Seeker], now: datetime) -> dict[str, float]:
    """Draw of each in kW, 0 or from its least to its most; never more than `allowed_kw` in all."""
    given = {seeker.name: 0.0 for seeker in seekers}
    order = sorted(seekers, key=lambda one: (one.left_kwh <= 0, one.laxity(now), one.name))
    left_kw, last = max(allowed_kw, 0.0), None
    for seeker in order:
        if left_kw <= TINY_KW:
            break
        take_kw = min(seeker.most_kw, left_kw)
        lacks_kw = seeker.least_kw - take_kw
        if lacks_kw > TINY_KW:  # too little to begin with: the one before may have some to spare
            if seeker.most_kw < seeker.least_kw or last is None:
                continue
            if given[last.name] - lacks_kw < last.least_kw - TINY_KW:
                continue
            given[last.name] -= lacks_kw
            take_kw = seeker.least_kw
            left_kw += lacks_kw
        given[seeker.name] = take_kw
        left_kw -= take_kw
        last = seeker
    return given
