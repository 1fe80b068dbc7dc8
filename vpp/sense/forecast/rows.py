"""One row for each step ahead: its seasonal base, and what may move it off that base.

    base      mean of the newest four known days of the same type at the same clock time
    columns   single days, other means, levels and regressors, all as differences from the base or
              from what the base's days had; the calendar; the lead

A model that learns from rows learns what to add to the base: with nothing to say it falls back
to it, and what is not known is a difference of 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import numpy as np

from vpp.errors import PlanError
from vpp.model.horizon import Floats, Horizon
from vpp.sense.forecast.base import Fitted, Past
from vpp.sense.forecast.features import (
    LOOKBACK_DAYS,
    Bools,
    Table,
    mean_known,
    training_rows,
)
from vpp.sense.forecast.wallclock import Ints

LONGEST = timedelta(hours=48)
"""Longest lead that is trained for: to the end of tomorrow from any time of today."""

WARM_UP_DAYS = 14
LEAST_ROW_DAYS = 7
"""A model learns from so many days behind the first two weeks, or not at all."""

BASE_DAYS = 4
OFF = "_off_usual"
"""Ends the names of columns that say how far a regressor is off what the base's days had."""

_MANY_DAYS = 8
_LEVEL_DAYS = 8
"""How far back the level of a series off its own base is known to a row."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Steps ahead, as a model sees them."""

    names: tuple[str, ...]
    matrix: Floats
    """Shape (rows, names), finite."""

    base: Floats
    """In the unit of the series, shape (rows,)."""

    targets: Ints
    """Steps of the table, rising with time; shape (rows,)."""

    slots: Ints
    """Clock time in steps since midnight, shape (rows,)."""

    slots_a_day: int

    def __getitem__(self, name: str) -> Floats:
        """The column of that name."""
        column: Floats = self.matrix[:, self.names.index(name)]
        return column

    def __len__(self) -> int:
        return len(self.base)

    @property
    def hours(self) -> Ints:
        """The hour on the clock, 0 to 23."""
        hours: Ints = self.slots * 24 // self.slots_a_day
        return hours

    def where(self, use: Ints | Bools) -> Rows:
        """Some of the rows."""
        return Rows(
            names=self.names,
            matrix=self.matrix[use],
            base=self.base[use],
            targets=self.targets[use],
            slots=self.slots[use],
            slots_a_day=self.slots_a_day,
        )


class Learnt(Protocol):
    """What a learner made of its rows. Frozen; can be pickled."""

    def quantiles(self, rows: Rows) -> Floats:
        """At `vpp.model.forecast.LEVELS`, shape (levels, rows)."""
        ...


class Learner(Protocol):
    """Learns from rows what followed them."""

    def learn(self, rows: Rows, values: Floats) -> Learnt:
        """`values` are what came, finite, shape (rows,)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FromRows:
    """A model of one series made of a learner."""

    name: str
    learner: Learner

    def fit(self, past: Past) -> Fitted:
        """Learn from all rows that `past` gives.

        Raises:
            PlanError: It holds less than three weeks.
        """
        rows, values = to_learn(past)
        days = len(rows) / rows.slots_a_day
        if days < LEAST_ROW_DAYS:
            raise PlanError(
                f"{days:.1f} days to learn from",
                where=f"{self.name} of {past.series_id}",
                fix=f"Give it {WARM_UP_DAYS + LEAST_ROW_DAYS + 2} days, or use a naive model",
            )
        return _FittedRows(learnt=self.learner.learn(rows, values))


@dataclass(frozen=True, slots=True, kw_only=True)
class _FittedRows:
    learnt: Learnt

    def quantiles(self, past: Past, horizon: Horizon) -> Floats:
        """Describe the steps of `horizon` as seen from the end of `past`, and ask the learner."""
        return self.learnt.quantiles(ahead(past, horizon))


def to_learn(past: Past) -> tuple[Rows, Floats]:
    """All rows that `past` gives, and what came of them, shape (rows,).

    Raises:
        DataError: The step does not divide a day.
        PlanError: No value is known at all.
    """
    table = Table(past, past.values.horizon.end)
    targets, origins = training_rows(table, longest=LONGEST, warm_up_days=WARM_UP_DAYS)
    rows = describe(table, targets, origins)
    use = np.isfinite(rows.base)
    return rows.where(use), table.values[targets[use]]


def ahead(past: Past, horizon: Horizon) -> Rows:
    """The rows of `horizon` as seen from the end of `past`.

    Raises:
        DataError: The horizon does not lie on the grid of the series.
        PlanError: There is nothing to go by for some step; names series and step.
    """
    table = Table(past, horizon.end, lookback_days=LOOKBACK_DAYS + _LEVEL_DAYS + 3)
    targets = table.targets(horizon)
    rows = describe(table, targets, np.full_like(targets, table.origin))
    table.require_complete(rows.base, targets)
    return rows


def describe(table: Table, targets: Ints, origins: Ints) -> Rows:
    """The rows of `targets`, each as seen from its origin; both of shape (rows,).

    The base of a row with nothing to go by is NaN.
    """
    typed = table.newest(targets, origins, most=_MANY_DAYS, same_type=True)
    newest = table.newest(targets, origins, most=2)
    weekday = table.newest(targets, origins, most=3, every_days=7)
    base = table.mean(typed, BASE_DAYS)
    base = np.where(np.isfinite(base), base, table.mean(newest))

    off = _off_base(table, max(int(origins.min(initial=table.origin)), 0))
    level = _Level(off)
    values = table.values
    columns = {
        "type_1": values[typed[:, 0]] - base,
        "type_2": values[typed[:, 1]] - base,
        "type_mean": table.mean(typed) - base,
        "type_median": _median_known(values[typed]) - base,
        "type_spread": _spread_known(values[typed]),
        "weekday_1": values[weekday[:, 0]] - base,
        "weekday_mean": table.mean(weekday) - base,
        "newest_1": values[newest[:, 0]] - base,
        "newest_1_off": off[newest[:, 0]],
        "newest_2_off": off[newest[:, 1]],
        **{
            f"level_{hours}h": level.before(origins, hours * table.slots // 24)
            for hours in (1, 4, 12, 24, 72, 168)
        },
        "base": base,
        **_calendar(table, targets),
        "lead_h": (targets - origins) * table.axis.step_hours,
        **_regressors(table, targets, typed[:, :BASE_DAYS]),
    }
    return Rows(
        names=tuple(columns),
        matrix=np.nan_to_num(np.stack(list(columns.values()), axis=1)),
        base=base,
        targets=targets,
        slots=table.slot[targets],
        slots_a_day=table.slots,
    )


def _off_base(table: Table, first_origin: int) -> Floats:
    """How far each known step lay off the base that earlier days gave it, by step; NaN elsewhere.

    Only as far back as a level is looked for from `first_origin` on.
    """
    known = np.flatnonzero(np.isfinite(table.values))
    known = known[known >= first_origin - _LEVEL_DAYS * table.slots]
    typed = table.newest(known, known, most=BASE_DAYS, same_type=True)
    off: Floats = np.full(table.values.size, np.nan)
    off[known] = table.values[known] - table.mean(typed)
    return off


class _Level:
    """Means over a window before any step, by running sums."""

    def __init__(self, off: Floats) -> None:
        known = np.isfinite(off)
        self._sum = np.concatenate([[0.0], np.cumsum(np.where(known, off, 0.0))])
        self._count = np.concatenate([[0], np.cumsum(known)])

    def before(self, origins: Ints, steps: int) -> Floats:
        """The mean over the `steps` before each origin, 0 where nothing is known of them."""
        first = np.maximum(origins - max(steps, 1), 0)
        total, count = self._sum[origins] - self._sum[first], self._count[origins]
        count = count - self._count[first]
        mean: Floats = np.divide(total, count, out=np.zeros(origins.size), where=count > 0)
        return mean


def _calendar(table: Table, targets: Ints) -> dict[str, Floats]:
    day, days = table.day[targets], table.days
    columns = {
        "kind": days.kind,
        "kind_before": days.kind_before,
        "kind_after": days.kind_after,
        "special": days.special,
        "weekday": days.weekday,
        "rested": days.rested,
        "resting": days.resting,
    }
    return {
        "hour": (table.slot[targets] * (24 / table.slots)).astype(np.float64),
        **{name: by_day[day].astype(np.float64) for name, by_day in columns.items()},
    }


def _regressors(table: Table, targets: Ints, typed: Ints) -> dict[str, Floats]:
    """Of each other series: its value, and how far that is off what the base's days had."""
    columns: dict[str, Floats] = {}
    for name, values in table.regressors.items():
        usual = np.nan_to_num(mean_known(values[typed]))
        # What is not known is taken to be as on the base's days.
        here = np.where(np.isfinite(values[targets]), values[targets], usual)
        columns[name] = here
        columns[f"{name}{OFF}"] = here - usual
        columns[f"{name}_day_before"] = _Level(values).before(targets, table.slots)
    return columns


def _median_known(values: Floats) -> Floats:
    """Median of the known values of each row, NaN where there is none."""
    ordered = np.sort(values, axis=1)  # NaN last
    count = np.isfinite(values).sum(axis=1)
    rows = np.arange(len(values))
    median: Floats = (
        ordered[rows, np.maximum(count - 1, 0) // 2]
        + ordered[rows, np.minimum(count // 2, values.shape[1] - 1)]
    ) / 2
    return median


def _spread_known(values: Floats) -> Floats:
    """Standard deviation of the known values of each row, NaN where there is none."""
    return np.sqrt(mean_known((values - mean_known(values)[:, None]) ** 2))
