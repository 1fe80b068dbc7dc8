"""Prices of the simulated market: the recorded day-ahead price, and illustrative ones derived from it.

    quarter_hour = day_ahead + AR(1) noise
    short        = max(day_ahead, quarter_hour) + spread
    long         = min(day_ahead, quarter_hour) - spread
    real time    = quarter_hour, short and long: in a market of two settlements

The noise of an interval is a weighted sum of white noise of the intervals up to it, and the white
noise of an interval comes from a generator keyed by the seed and the interval alone. So the same
interval has the same price whatever the span, the order of questions or the machine's restarts.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from math import isnan, log, sqrt

import numpy as np

from vpp.model.horizon import Profile
from vpp.simulate.ledger import TakeBack
from vpp.simulate.spec import MarketRules

CENT = Decimal("0.01")
_QUARTER = timedelta(minutes=15)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEGLIGIBLE = 1e-6
"""Weight of white noise below which it is left out of the sum."""


class Prices:
    """Prices per MWh by quarter-hour, rounded to 0.01; None where none was recorded."""

    def __init__(self, day_ahead: Profile, rules: MarketRules, seed: int) -> None:
        self._day_ahead = day_ahead
        self._rules = rules
        self._seed = seed
        self._white: dict[int, float] = {}
        self._found: dict[tuple[bool, datetime], Decimal] = {}
        rho = rules.quarter_hour_noise_correlation
        terms = 1 + (int(log(_NEGLIGIBLE) / log(rho)) if 0 < rho < 1 else 0)
        self._weights = [sqrt(1 - rho * rho) * rho**lag for lag in range(terms)]

    def day_ahead(self, start: datetime) -> Decimal | None:
        """The recorded price of the interval that begins at `start`, or what an auction found."""
        if (True, start) in self._found:
            return self._found[True, start]
        index = self._day_ahead.horizon.index(start)
        if not 0 <= index < self._day_ahead.horizon.steps:
            return None
        value = float(self._day_ahead.values[index])
        return None if isnan(value) else _cents(value)

    def quarter_hour(self, start: datetime) -> Decimal | None:
        """The price of the quarter-hour auction (illustrative), or what an auction found."""
        if (False, start) in self._found:
            return self._found[False, start]
        day_ahead = self.day_ahead(start)
        if day_ahead is None:
            return None
        index = (start - _EPOCH) // _QUARTER
        noise = sum(weight * self._noise(index - lag) for lag, weight in enumerate(self._weights))
        price = day_ahead + _cents(self._rules.quarter_hour_noise_sd_per_mwh * noise)
        least, most = self._rules.least_per_mwh, self._rules.most_per_mwh
        return min(max(price, Decimal(str(least))), Decimal(str(most)))

    def found(self, start: datetime, price: Decimal, *, day_ahead: bool) -> None:
        """Supply and demand met at `price`: it takes the place of the recorded or derived one."""
        self._found[day_ahead, start] = price

    def short(self, start: datetime) -> Decimal | None:
        """What is paid for energy that is missing (illustrative)."""
        day_ahead, quarter_hour = self.day_ahead(start), self.quarter_hour(start)
        if day_ahead is None or quarter_hour is None:
            return None
        if self._rules.imbalance == "real_time":
            return quarter_hour
        return max(day_ahead, quarter_hour) + _cents(self._rules.imbalance_spread_per_mwh)

    def long(self, start: datetime) -> Decimal | None:
        """What is got for energy that is too much (illustrative)."""
        day_ahead, quarter_hour = self.day_ahead(start), self.quarter_hour(start)
        if day_ahead is None or quarter_hour is None:
            return None
        if self._rules.imbalance == "real_time":
            return quarter_hour
        return min(day_ahead, quarter_hour) - _cents(self._rules.imbalance_spread_per_mwh)

    def take_back(self, start: datetime) -> TakeBack | None:
        """How a declaration that lies off is treated in the interval; None where nothing is taken back."""
        day_ahead, band = self.day_ahead(start), self._rules.claw_back_band
        if day_ahead is None or band is None:
            return None
        return TakeBack(band, self._rules.claw_back_times, day_ahead)

    def _noise(self, index: int) -> float:
        if index not in self._white:
            generator = np.random.default_rng([self._seed, index])
            self._white[index] = float(generator.standard_normal())
        return self._white[index]


def _cents(value: float) -> Decimal:
    return Decimal(str(value)).quantize(CENT, ROUND_HALF_EVEN)
