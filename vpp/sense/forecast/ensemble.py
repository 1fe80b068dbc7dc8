"""The mean of several models, weighed by what each was worth lately.

    first three quarters of the rows ─▶ each member learns ─▶ forecasts the last quarter
    weights   the mix with the least absolute error there, half way to the usual mix
    width     how wide the mix must be to hold there what came
    all rows  ─▶ each member learns again ─▶ the mix

Linear quantile regression follows levels and holidays, boosting finds exceptions; their errors differ,
so their mean is better than the better of them on nearly all series.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from vpp.model.horizon import Floats
from vpp.sense.forecast.base import Model
from vpp.sense.forecast.boosting import Boosting
from vpp.sense.forecast.naive import ErrorSpread
from vpp.sense.forecast.regression import SeasonalRegression
from vpp.sense.forecast.rows import FromRows, Learner, Learnt, Rows
from vpp.sense.forecast.shape import ANCHOR_ROWS, Shape
from vpp.sense.forecast.wallclock import Ints

_MEDIAN = ANCHOR_ROWS[1]
_TENTHS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The base itself, with the spread of its errors."""

    def learn(self, rows: Rows, values: Floats) -> Learnt:
        """Measure how far the base lay off; `values` of shape (rows,)."""
        return _Base(spread=ErrorSpread.of(values - rows.base, rows.slots, _resting(rows)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    spread: ErrorSpread

    def quantiles(self, rows: Rows) -> Floats:
        """All levels, shape (levels, rows)."""
        return rows.base + self.spread.around(rows.slots, _resting(rows))


def _resting(rows: Rows) -> Ints:
    return (rows["kind"] > 0).astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """Learns each member, and the mix."""

    members: tuple[Learner, ...] = (SeasonalRegression(), Boosting(), Base())
    usual: tuple[float, ...] = (0.5, 0.5, 0.0)
    """The mix that the weights are pulled to."""

    tail: float = 0.25
    """Share of the rows, the newest, that the mix is measured on."""

    def learn(self, rows: Rows, values: Floats) -> Learnt:
        """Learn from rows with finite bases; `values` of shape (rows,)."""
        split = np.quantile(rows.targets, 1 - self.tail)
        head, tail = rows.targets < split, rows.targets >= split
        tried = [one.learn(rows.where(head), values[head]) for one in self.members]
        fans = [one.quantiles(rows.where(tail)) for one in tried]
        best = _best_weights([fan[_MEDIAN] for fan in fans], values[tail])
        weights = (best + np.array(self.usual)) / 2
        mixed = _mixed(weights, fans)
        return _Mix(
            members=tuple(one.learn(rows, values) for one in self.members),
            weights=weights,
            shape=Shape.of(mixed[ANCHOR_ROWS], values[tail]),
        )


ENSEMBLE: Model = FromRows(name="ensemble/1", learner=Ensemble())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Mix:
    members: tuple[Learnt, ...]
    weights: Floats
    shape: Shape

    def quantiles(self, rows: Rows) -> Floats:
        """The weighed mean at the anchors, the other levels by shape; shape (levels, rows)."""
        anchors = [one.quantiles(rows)[ANCHOR_ROWS] for one in self.members]
        return self.shape.quantiles(_mixed(self.weights, anchors))


def _mixed(weights: Floats, fans: Sequence[Floats]) -> Floats:
    """Weighed mean of fans of one shape."""
    mixed: Floats = np.einsum("m,mlr->lr", weights, np.stack(fans))
    return mixed


def _best_weights(medians: Sequence[Floats], values: Floats) -> Floats:
    """The mix in tenths with the least absolute error; shape (members,)."""
    stacked = np.stack(medians)
    mixes = [
        np.array(mix) / _TENTHS
        for mix in product(range(_TENTHS + 1), repeat=len(medians))
        if sum(mix) == _TENTHS
    ]
    errors = [float(np.abs(values - mix @ stacked).mean()) for mix in mixes]
    return mixes[int(np.argmin(errors))]
