"""Who is left out for a while, and for how long.

    in use ──bad──▶ out for `first` ──wait over──▶ on trial ──bad──▶ out for twice as long, … `longest`
       ▲                                              │
       └────── good for as long as it was out ────────┘            the wait begins at `first` again

Bad is data that cannot be used, a command that failed, or one that was not followed. A unit that is
out gets no share: hand it to nobody's sharing rule, and the others take its part. It returns by itself;
while its data stay bad it never comes back, and each end of the wait doubles the next. The wait is
forgotten only after a good time as long as the wait was, so a unit that fails every other minute is
not asked every other minute (reliability row B2 says the same of connections).

A unit that cannot be seen may still run: the sum is reckoned with what is planned of it, what it does
otherwise shows at the main meters, and the limits of the tree are kept against its worst (the guard).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError
from vpp.model.horizon import Floats

Bools = NDArray[np.bool_]


class Fault(IntEnum):
    """What a unit was left out for; the codes of `Health.fault`."""

    NONE = 0
    BAD_DATA = 1
    FAILED_COMMAND = 2
    NOT_FOLLOWED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class BackOff:
    """How long a unit is left out: `first_s`, then doubled each time, up to `longest_s`.

    Raises:
        DataError: Not 0 < first_s <= longest_s, or not finite.
    """

    first_s: float
    longest_s: float

    def __post_init__(self) -> None:
        if not 0 < self.first_s <= self.longest_s < np.inf:
            raise DataError(
                f"first {self.first_s} s, longest {self.longest_s} s",
                where="back_off",
                fix="Give a first wait above 0 and a longest one not below it",
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Health:
    """How each of n units has behaved; times in seconds of a clock that never goes back."""

    fault: NDArray[np.int8]
    """The newest `Fault` of a unit that is out or on trial; NONE: it is well. Shape (n,)."""

    wait_s: Floats
    """How long it was left out last, 0 where it is well."""

    until_s: Floats
    """When it may be tried again; minus infinity where it never was out."""

    good_since_s: Floats
    """Since when nothing bad was seen of it; infinite while it is bad."""

    @classmethod
    def well(cls, size: int) -> Health:
        """Nobody has done anything wrong yet."""
        return cls(
            fault=np.zeros(size, dtype=np.int8),
            wait_s=np.zeros(size),
            until_s=np.full(size, -np.inf),
            good_since_s=np.full(size, -np.inf),
        )

    def usable(self, now_s: float) -> Bools:
        """Who may be given a share at `now_s`, shape (n,)."""
        return self.until_s <= now_s


def judged(
    health: Health,
    fault: NDArray[np.int8],
    back_off: BackOff,
    *,
    now_s: float,
    shows_s: Floats | float = 0.0,
) -> Health:
    """`health` after what was seen of each unit at `now_s`.

    Args:
        health: As it was.
        fault: The `Fault` seen of each unit since the last call, NONE where it did well; shape (n,).
        back_off: The first and the longest wait.
        now_s: Not before that of the last call.
        shows_s: How long a fault of each may take to show; nobody is believed sooner, or whoever is slow would
            be forgiven before he can fail. Shape (n,) or one for all.

    Raises:
        DataError: `fault` has another shape, or a code that is no `Fault`.
    """
    if fault.shape != health.fault.shape or not np.isin(fault, list(Fault)).all():
        raise DataError(
            f"faults of shape {fault.shape}",
            where="judged",
            fix=f"Give one code of Fault for each of {len(health.fault)} units",
        )
    bad = fault != Fault.NONE
    again = bad & health.usable(now_s)  # who is out already is not punished twice for one fault
    wait_s = np.where(
        again, np.clip(2 * health.wait_s, back_off.first_s, back_off.longest_s), health.wait_s
    )
    until_s = np.where(again, now_s + wait_s, health.until_s)
    began = ~bad & np.isposinf(health.good_since_s)
    good_since_s = np.where(bad, np.inf, np.where(began, now_s, health.good_since_s))
    # On trial it must do well for as long as it was out, counted from its return.
    proven = ~bad & (now_s - np.maximum(good_since_s, until_s) >= np.maximum(wait_s, shows_s))
    return Health(
        fault=np.where(bad, fault, np.where(proven, np.int8(Fault.NONE), health.fault)),
        wait_s=np.where(proven, 0.0, wait_s),
        until_s=until_s,
        good_since_s=good_since_s,
    )
