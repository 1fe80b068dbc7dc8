"""Gradient boosting with quantile loss: trees that find which days are unlike their base, and when.

scikit-learn's histogram method learns what to add to the base, at the levels 0.1, 0.5 and 0.9;
the others follow the shape of the errors. Few leaves and few trees: what is learnt from one year
of one series is little, and the base holds where nothing is known better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vpp.model.horizon import Floats
from vpp.sense.forecast.base import Model
from vpp.sense.forecast.rows import FromRows, Learnt, Rows
from vpp.sense.forecast.shape import ANCHORS, Shape

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingRegressor


@dataclass(frozen=True, slots=True, kw_only=True)
class Boosting:
    """Learns trees."""

    trees: int = 60
    outer_trees: int = 25
    learning_rate: float = 0.1
    leaves: int = 15
    least_rows_in_leaf: int = 40
    share_of_columns: float = 0.4
    """Of the columns, looked at for each split: trees that differ err less together."""

    def learn(self, rows: Rows, values: Floats) -> Learnt:
        """Learn from rows with finite bases; `values` of shape (rows,)."""
        over = values - rows.base
        low, median, high = (self._trees(level, rows.matrix, over) for level in ANCHORS)
        plain = _Trees(low=low, median=median, high=high, shape=Shape(np.ones(0)))
        shape = Shape.of(plain.anchors(rows), values)
        return _Trees(low=low, median=median, high=high, shape=shape)

    def _trees(self, level: float, matrix: Floats, over: Floats) -> HistGradientBoostingRegressor:
        from sklearn.ensemble import HistGradientBoostingRegressor

        median = level == 0.5
        trees = HistGradientBoostingRegressor(
            loss="absolute_error" if median else "quantile",
            quantile=None if median else level,
            max_iter=self.trees if median else self.outer_trees,
            learning_rate=self.learning_rate if median else 2 * self.learning_rate,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=self.least_rows_in_leaf,
            max_features=self.share_of_columns,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=0,
        )
        return trees.fit(matrix, over)


BOOSTING: Model = FromRows(name="boosting/1", learner=Boosting())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Trees:
    low: HistGradientBoostingRegressor
    median: HistGradientBoostingRegressor
    high: HistGradientBoostingRegressor
    shape: Shape

    def anchors(self, rows: Rows) -> Floats:
        """The levels that were learnt, shape (anchors, rows)."""
        three = (self.low, self.median, self.high)
        over: Floats = np.stack([one.predict(rows.matrix) for one in three])
        return rows.base + over

    def quantiles(self, rows: Rows) -> Floats:
        """All levels, shape (levels, rows)."""
        return self.shape.quantiles(self.anchors(rows))
