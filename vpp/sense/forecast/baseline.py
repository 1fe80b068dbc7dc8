"""The seasonal baseline as a model among others: it competes with them, and learns its own spread.

The same sums as `seasonal.py` makes for many series at once, on one past.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vpp.errors import DataError, PlanError
from vpp.model.horizon import Floats, Horizon
from vpp.sense.forecast.base import Past, side_of
from vpp.sense.forecast.seasonal import DEFAULT_RULES, MODEL, SeasonalBaseline, SeriesRule
from vpp.sense.forecast.spread import Spread, measure
from vpp.sense.series import SeriesStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The baseline by the rule of the series' kind."""

    rules: Mapping[str, SeriesRule]
    name: str = MODEL

    def fit(self, past: Past) -> FittedBaseline:
        """Measure how far the baseline lay off lately.

        Raises:
            PlanError: No rule fits the series.
        """
        baseline = SeasonalBaseline(past.calendar, rules=self.rules)
        try:
            rule = baseline.rule(past.series_id)
        except DataError as error:
            raise PlanError(error.what, where=error.where, fix=error.fix) from error
        spread = measure(baseline, _store(past), [past.series_id], past.issued_at)
        return FittedBaseline(rule=rule, spread=spread[past.series_id])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedBaseline:
    """The baseline, and its spread when it was learnt."""

    rule: SeriesRule
    spread: Spread

    def quantiles(self, past: Past, horizon: Horizon) -> Floats:
        """The baseline in the middle, its spread about it. Raises `PlanError` as `Fitted` says."""
        baseline = SeasonalBaseline(past.calendar, rules={past.series_id: self.rule})
        (forecast,) = baseline.issue(_store(past), [past.series_id], horizon, past.issued_at)
        fan = self.spread.around(forecast.expected, past.calendar)
        if self.rule.keeps_sign:
            fan = np.clip(fan, *side_of(past.values.values))
        return fan


BASELINE = Baseline(rules=DEFAULT_RULES)


def _store(past: Past) -> SeriesStore:
    """The past as the store that the baseline reads: all of it known when it was issued."""
    store = SeriesStore()
    store.put_profile(
        past.series_id,
        unit=past.unit,
        profile=past.values,
        known_at=past.issued_at,
        source="past",
    )
    return store
