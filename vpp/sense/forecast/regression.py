"""Seasonal quantile regression: for each hour of the clock a line through what moved the load there.

    value = base + a . (single days, other means, level of the newest hours, day, week, calendar)

One set of coefficients for each hour, learnt from the rows of that hour and its two neighbours, by
the pinball loss with a ridge (Koenker and Bassett 1978), solved by iteratively reweighted
least squares (the majorisation of Hunter and Lange 2000). The levels 0.1, 0.5 and 0.9 are learnt, the others follow
the shape of the errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp.model.horizon import Floats
from vpp.sense.forecast.base import Model
from vpp.sense.forecast.rows import OFF, FromRows, Learnt, Rows
from vpp.sense.forecast.shape import ANCHORS, Shape

_HOURS = 24
_ITERATIONS = 15
_MOST_ROWS = 3000
"""Rows learnt from for one hour: more only cost time."""

_SMALLEST = 1e-3
"""Errors below this share of the mean one count as this large: a weight must not be infinite."""

_IN_KW = (
    *("type_1", "type_2", "type_mean", "type_median", "type_spread", "weekday_1", "weekday_mean"),
    *("newest_1", "newest_1_off", "newest_2_off", "level_24h", "level_168h", "base"),
)
_FADING = (("level_4h", 3.0), ("level_4h", 12.0), ("level_4h", 36.0), ("level_24h", 24.0))
"""Columns whose say fades with the lead, and the hours after which 37 % of it are left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeasonalRegression:
    """Learns lines by hour."""

    ridge: float = 3.0
    """Pulls all coefficients but the constant to 0, and so the forecast to its base; in rows."""

    def learn(self, rows: Rows, values: Floats) -> Learnt:
        """Learn from rows with finite bases; `values` of shape (rows,)."""
        over = values - rows.base
        unit = float(np.abs(over).mean()) or 1.0
        matrix, over = _design(rows, unit), over / unit
        lines = np.empty((_HOURS, len(ANCHORS), matrix.shape[1]))
        for hour in range(_HOURS):
            # Neighbours on the circle of the day make the lines of an hour steadier.
            near = np.flatnonzero(np.isin(rows.hours, [(hour + i) % _HOURS for i in (-1, 0, 1)]))
            near = near[:: -(-near.size // _MOST_ROWS) or 1]
            lines[hour] = _quantile_lines(matrix[near], over[near], self.ridge)
        plain = _Lines(lines=lines, unit=unit, shape=Shape(np.ones(0)))
        return _Lines(lines=lines, unit=unit, shape=Shape.of(plain.anchors(rows), values))


REGRESSION: Model = FromRows(name="regression/1", learner=SeasonalRegression())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Lines:
    lines: Floats
    """Shape (hours, anchors, columns of the design)."""

    unit: float
    """In the unit of the series: the design counts in it."""

    shape: Shape

    def anchors(self, rows: Rows) -> Floats:
        """The levels that were learnt, shape (anchors, rows)."""
        matrix = _design(rows, self.unit)
        lines: Floats = np.einsum("rac,rc->ar", self.lines[rows.hours], matrix)
        return rows.base + self.unit * lines

    def quantiles(self, rows: Rows) -> Floats:
        """All levels, shape (levels, rows)."""
        return self.shape.quantiles(self.anchors(rows))


def _design(rows: Rows, unit: float) -> Floats:
    """What the lines weigh, shape (rows, columns); a constant first."""
    kind = rows["kind"]
    workday, rest = kind == 0, kind > 0
    flags = [
        np.ones(len(rows)),
        workday & (rows["weekday"] == 0),
        workday & (rows["weekday"] == 4),
        kind == 1,
        kind == 2,
        rows["special"],
        workday & (rows["kind_before"] > 0),
        workday & (rows["kind_after"] > 0),
    ]
    in_kw = [
        *(rows[name] for name in _IN_KW),
        *(rows[name] * np.exp(-rows["lead_h"] / hours) for name, hours in _FADING),
        *(rows[name] * rest for name in ("level_168h", "type_mean", "newest_1")),
    ]
    others = [rows[name] for name in rows.names if name.endswith(OFF)]
    return np.column_stack([*flags, *(column / unit for column in in_kw), *others])


def _quantile_lines(matrix: Floats, over: Floats, ridge: float) -> Floats:
    """Coefficients at each anchor, shape (anchors, columns)."""
    columns = matrix.shape[1]
    if not len(over):
        return np.zeros((len(ANCHORS), columns))
    pull = np.diag(np.append(1e-6, np.full(columns - 1, ridge)))
    start = np.linalg.solve(matrix.T @ matrix + pull, matrix.T @ over)
    lines = np.empty((len(ANCHORS), columns))
    for i, level in enumerate(ANCHORS):
        line = start
        for _ in range(_ITERATIONS):
            error = over - matrix @ line
            weight = np.where(error >= 0, level, 1 - level) / np.maximum(np.abs(error), _SMALLEST)
            weighted = matrix * weight[:, None]
            line = np.linalg.solve(weighted.T @ matrix + pull * weight.mean(), weighted.T @ over)
        lines[i] = line
    return lines
