"""A call on what is held ready, or an operator's instruction: so much more or less, for a while."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from operator import itemgetter

from vpp.model.horizon import Profile
from vpp.model.ids import ProductId, UnitId
from vpp.model.market import Side
from vpp.model.time import Interval


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Activation:
    """One revision of an activation; a higher one replaces it, one of 0 MW takes it back."""

    activation_id: str
    revision: int
    product_id: ProductId
    unit_id: UnitId
    interval: Interval
    side: Side
    """sell: feed more or draw less (up); buy: feed less or draw more (down)."""

    quantity_mw: Decimal
    """A size, against what would be fed or drawn without it."""

    source: str
    received_at: datetime
    signal: bool = False
    """It follows a venue's signal: each revision holds from when it came until the next one."""
    followed: tuple[tuple[datetime, Decimal], ...] = ()
    """Of a signal: from when on which MW was asked, signed as net injection, oldest first; known of the
    newest revision."""

    invitation_id: str | None = None
    """Of demand response that was confirmed: it says when and how much of it is called, and is owed there."""

    baseline_kw: Profile | None
    """Net injection that was planned when its first revision came; None where no plan reached it."""

    @property
    def activated_mw(self) -> Decimal:
        """Signed as net injection."""
        return self.quantity_mw * self.side.sign

    def same_order(self, other: Activation) -> bool:
        """Whether the other one asks for the very same, whenever it came."""
        return (
            self.product_id,
            self.unit_id,
            self.interval,
            self.side,
            self.quantity_mw,
            self.source,
        ) == (
            other.product_id,
            other.unit_id,
            other.interval,
            other.side,
            other.quantity_mw,
            other.source,
        )

    def asked_mwh(self, span: Interval) -> Decimal:
        """Energy that is asked for within a span, signed as net injection; a signal's last value lasts."""
        if not self.signal:
            return self.activated_mw * _hours(self.interval, span)
        total = Decimal(0)
        for number in range(self._holding(span.start), len(self.followed)):
            start, mw = self.followed[number]
            if start >= span.end:
                break
            later = number + 1 < len(self.followed)
            end = self.followed[number + 1][0] if later else self.interval.end
            if mw and start < end:
                total += mw * _hours(Interval(start, end), span)
        return total

    def asked_mw(self, moment: datetime) -> Decimal:
        """What is asked at a moment, signed as net injection; a signal's newest value until then."""
        if moment not in self.interval:
            return Decimal(0)
        if not self.signal:
            return self.activated_mw
        at = self._holding(moment)
        begun = at < len(self.followed) and self.followed[at][0] <= moment
        return self.followed[at][1] if begun else Decimal(0)

    def _holding(self, moment: datetime) -> int:
        """Which value of a signal holds at a moment; the first where none does yet."""
        return max(bisect_right(self.followed, moment, key=itemgetter(0)) - 1, 0)


def _hours(one: Interval, other: Interval) -> Decimal:
    seconds = (min(one.end, other.end) - max(one.start, other.start)).total_seconds()
    return max(Decimal(str(seconds)), Decimal(0)) / 3600
