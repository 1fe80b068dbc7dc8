"""What a load draws more after a call, counted: energy that was put off comes back.

    called  ████████                          not drawn, kWh
    after             ░░░░░░░░░░░░░░░░        share * that, after `delay`, evenly over `length`

The rebound comes by itself, whatever is commanded. It is subtracted from the unit's base before the
total is shared, so that others make up for it in time. A new call puts off what is still owed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vpp.errors import DataError
from vpp.model.horizon import Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rebounds:
    """How each of n units catches up; shape (n,)."""

    share: Floats
    """kWh drawn later per kWh not drawn; 0: nothing is made up for."""

    delay_s: Floats
    length_s: Floats
    """Above 0."""

    owed_kwh: Floats
    """What is still to be drawn."""

    since_s: Floats
    """How long ago its call ended; 0 while it lasts."""

    def draw_kw(self, period_s: float) -> Floats:
        """What each draws beside its usual power in the next `period_s`, a size."""
        rest_s = np.maximum(self.delay_s + self.length_s - self.since_s, period_s)
        return np.where(self.since_s >= self.delay_s, self.owed_kwh * 3600 / rest_s, 0.0)

    def after(self, called_kw: Floats, period_s: float) -> Rebounds:
        """As it is `period_s` later, where `called_kw` (sizes) was not drawn because of calls.

        Raises:
            DataError: A size is NaN, infinite or negative, or the period is not above 0.
        """
        if not (0 < period_s < np.inf and np.all((called_kw >= 0) & (called_kw < np.inf))):
            raise DataError(
                f"a period of {period_s} s, or a power not drawn that is no finite size",
                where="Rebounds.after",
                fix="Give 0 for who is not called or not known",
            )
        hours, called = period_s / 3600, called_kw > 0
        grown = self.owed_kwh + called_kw * self.share * hours
        left = np.maximum(self.owed_kwh - self.draw_kw(period_s) * hours, 0.0)
        return replace(
            self,
            owed_kwh=np.where(called, grown, left),
            since_s=np.where(called, 0.0, self.since_s + period_s),
        )
