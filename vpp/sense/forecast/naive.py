"""Three naive models: yesterday, the same weekday, the mean of the last days of the same type.

    yesterday      the newest known value at the same clock time
    same weekday   the same clock time on the newest known day with that name
    mean of last   the mean over the newest `days` known days of the same type (workday, Saturday, rest)

They set the mark that every other model is measured by, and they are what the others fall back to.
Their median is the plain naive value; their spread is how far they lay off on the past of the
series, by clock time and day type.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from vpp.errors import PlanError
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats, Horizon
from vpp.sense.forecast.base import Fitted, Model, Past
from vpp.sense.forecast.features import LOOKBACK_DAYS, Table, training_rows
from vpp.sense.forecast.wallclock import Ints

LONGEST = timedelta(hours=48)
"""Longest lead at which the past errors of a naive model are measured."""

_MEDIAN = LEVELS.index(0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Which past days a naive model averages."""

    days: int = 1
    same_type: bool = False
    every_days: int = 1

    def expect(self, table: Table, targets: Ints, origins: Ints) -> Floats:
        """The naive value of each row, NaN where it has nothing to go by; shape (rows,)."""
        return table.mean(
            table.newest(
                targets,
                origins,
                most=self.days,
                same_type=self.same_type,
                every_days=self.every_days,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Naive:
    """A naive model, by its rule."""

    name: str
    rule: Rule

    def fit(self, past: Past) -> Fitted:
        """Measure how far the rule lay off on `past`.

        Raises:
            PlanError: No two days are known that the rule could compare.
        """
        table = Table(past, past.values.horizon.end)
        targets, origins = training_rows(table, longest=LONGEST, warm_up_days=0)
        expected = self.rule.expect(table, targets, origins)
        use = np.isfinite(expected)
        if not use.any():
            raise PlanError(
                "its history holds no two days to compare",
                where=f"{self.name} of {past.series_id}",
                fix="Give it at least two days of each day type",
            )
        targets = targets[use]
        errors = table.values[targets] - expected[use]
        return _FittedNaive(
            rule=self.rule,
            spread=ErrorSpread.of(errors, table.slot[targets], _resting(table, targets)),
        )


YESTERDAY: Model = Naive(name="yesterday/1", rule=Rule())
SAME_WEEKDAY: Model = Naive(name="same-weekday/1", rule=Rule(every_days=7))
MEAN_OF_LAST: Model = Naive(name="mean-of-last/1", rule=Rule(days=4, same_type=True))
NAIVE: tuple[Model, ...] = (YESTERDAY, SAME_WEEKDAY, MEAN_OF_LAST)


@dataclass(frozen=True, slots=True, kw_only=True)
class _FittedNaive:
    rule: Rule
    spread: ErrorSpread

    def quantiles(self, past: Past, horizon: Horizon) -> Floats:
        """The naive value, and around it what the errors of the past were."""
        table = Table(past, horizon.end, lookback_days=LOOKBACK_DAYS + 7)
        targets = table.targets(horizon)
        expected = self.rule.expect(table, targets, np.full_like(targets, table.origin))
        table.require_complete(expected, targets)
        around = self.spread.around(table.slot[targets], _resting(table, targets))
        return expected + around


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ErrorSpread:
    """How far errors lie from the median: their size by clock time, their shape by day type."""

    size: Floats
    """Mean absolute error, shape (2, slots): workdays, then Saturdays and rest days."""

    shape: Floats
    """Quantiles of errors in units of their size, less the median; shape (2, levels)."""

    @classmethod
    def of(cls, errors: Floats, slots: Ints, resting: Ints) -> ErrorSpread:
        """Learn from past errors at their clock times; all of shape (rows,)."""
        count = int(slots.max(initial=0)) + 1
        size = np.empty((2, count))
        shape = np.zeros((2, len(LEVELS)))
        for kind in (0, 1):
            # Where one of the two kinds was never seen, all days speak for it.
            of_kind = resting == kind if (resting == kind).any() else np.ones(errors.size, bool)
            size[kind] = _smooth_size(np.abs(errors[of_kind]), slots[of_kind], count)
            each = size[kind, slots[of_kind]]
            scaled = np.divide(errors[of_kind], each, out=np.zeros(each.size), where=each > 0)
            shape[kind] = np.quantile(scaled, LEVELS)
        return cls(size=size, shape=shape - shape[:, [_MEDIAN]])

    def around(self, slots: Ints, resting: Ints) -> Floats:
        """Offsets from the median, shape (levels, rows)."""
        slots = np.minimum(slots, self.size.shape[1] - 1)
        return self.shape[resting].T * self.size[resting, slots]


def _smooth_size(sizes: Floats, slots: Ints, count: int) -> Floats:
    """Mean of `sizes` by slot, each together with the hour around it (the day is a circle)."""
    reach = max(count // 24, 1)
    near = [(np.arange(count) + i) % count for i in range(-reach, reach + 1)]
    total = np.bincount(slots, sizes, count)[near].sum(axis=0)
    number = np.bincount(slots, minlength=count)[near].sum(axis=0)
    mean: Floats = np.divide(total, number, out=np.full(count, sizes.mean()), where=number > 0)
    return mean


def _resting(table: Table, targets: Ints) -> Ints:
    return (table.days.kind[table.day[targets]] > 0).astype(np.int64)
