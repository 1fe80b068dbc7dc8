"""What goes wrong at a venue, drawn from a seed and counted: each fault has dice of its own.

    asked           reply_lost · hung_up · slow · twice · unknown_once · busy · unavailable · html · error_in_200 · redirect
    in what it told award_dropped · award_hidden · award_repeated · award_reordered · award_paged
    in its awards   award_revised · award_late · award_of_nobody

A fault that is not named never happens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from random import Random


class Fault(StrEnum):
    REPLY_LOST = "reply_lost"
    """Done as asked, and the connection ends before the answer."""
    HUNG_UP = "hung_up"
    """The connection ends and nothing was done."""
    SLOW = "slow"
    """Done, and the answer comes `slow_s` later."""
    TWICE = "twice"
    """The venue works a bid set through once more, as one that does not know its own ids."""
    UNKNOWN_ONCE = "unknown_once"
    """Asked about a bid set that it has, it says once that it has not."""
    BUSY = "busy"
    """429 with Retry-After; nothing was done."""
    UNAVAILABLE = "unavailable"
    """503 with Retry-After; nothing was done."""
    HTML = "html"
    """200 with a page for people; it may have been done or not."""
    ERROR_IN_200 = "error_in_200"
    """200 with an error in its body; it may have been done or not."""
    REDIRECT = "redirect"
    """302 to somewhere else; nothing was done."""

    AWARD_DROPPED = "award_dropped"
    """It is missing from one page."""
    AWARD_HIDDEN = "award_hidden"
    """It is missing from every page by sequence; a page by time has it."""
    AWARD_REPEATED = "award_repeated"
    """It stands twice on a page, or once more on a later one."""
    AWARD_REORDERED = "award_reordered"
    """A page is shuffled."""
    AWARD_PAGED = "award_paged"
    """A page is shorter than was asked for."""
    AWARD_REVISED = "award_revised"
    """First half of it is told, the whole later under a higher revision."""
    AWARD_LATE = "award_late"
    """Its number is given, and it is shown `late` later."""
    AWARD_OF_NOBODY = "award_of_nobody"
    """Beside it another one is told, for a bid set that nobody sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultSpec:
    """How often each fault is drawn, and how bad it is."""

    rates: Mapping[Fault, float]
    """0 to 1, each time it could happen."""

    seed: int = 0
    slow_s: float = 30.0
    retry_after_s: int = 5
    late: timedelta = timedelta(minutes=10)
    """At most; also how long a revision lets wait for itself."""


NO_FAULTS = FaultSpec(rates={})


class VenueFaults:
    """The dice and the counts."""

    def __init__(self, spec: FaultSpec = NO_FAULTS) -> None:
        self.spec = spec
        self.counts: Counter[Fault] = Counter()
        self._dice = {fault: Random(f"{spec.seed}/{fault}") for fault in Fault}
        self._rates = spec.rates

    def happens(self, fault: Fault) -> bool:
        """Draw once; what happens is counted."""
        happens = self._dice[fault].random() < self._rates.get(fault, 0.0)
        self.counts[fault] += happens
        return happens

    def dice(self, fault: Fault) -> Random:
        """For how a fault looks."""
        return self._dice[fault]

    def become(self, rates: Mapping[Fault, float]) -> None:
        """From here on so much goes wrong; none of it: the venue has recovered.

        What was hidden, revised or is late comes all the same as it was drawn.
        """
        self._rates = rates
