"""A sparse linear regression of many targets at once, behind a scaling that spikes do not upset.

Of Lago, Marcjasz, De Schutter and Weron, Applied Energy 293 (2021) 116983: each column is shifted by
its median, divided by its MAD, and taken through asinh; a LASSO learns each target from all
features. Used for prices in `lear.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp.model.horizon import Floats

_REACH = 1.0
"""How far behind the asinh a forecast may lie outside what was ever seen: sinh grows fast."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scaling:
    """asinh((x - median) / MAD), column by column: spikes weigh less, negative prices are no case apart."""

    center: Floats
    scale: Floats
    low: Floats
    high: Floats

    @classmethod
    def of(cls, table: Floats) -> Scaling:
        """Scale by the columns of `table`, which may hold NaN."""
        known = np.where(np.isnan(table).all(axis=0), 0.0, table)
        # numpy looks for NaN column by column, which takes far longer than a median does.
        median = np.nanmedian if np.isnan(known).any() else np.median
        center = median(known, axis=0)
        # 0.6745: so that the MAD of normal errors is their standard deviation.
        scale = median(np.abs(known - center), axis=0) / 0.6745
        scale = np.where(scale > 0, scale, 1.0)
        seen = np.arcsinh((known - center) / scale)
        return cls(
            center=center,
            scale=scale,
            low=np.nanmin(seen, axis=0) - _REACH,
            high=np.nanmax(seen, axis=0) + _REACH,
        )

    def forward(self, values: Floats) -> Floats:
        return np.asarray(np.arcsinh((values - self.center) / self.scale))

    def back(self, scaled: Floats) -> Floats:
        return np.asarray(np.sinh(np.clip(scaled, self.low, self.high)) * self.scale + self.center)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Regression:
    """A sparse linear map from scaled features to scaled targets, learnt from one window of days."""

    features: Scaling
    targets: Scaling
    mean_feature: Floats
    mean_target: Floats
    coefficients: Floats
    """(features, slots)."""

    @classmethod
    def fit(cls, features: Floats, targets: Floats, penalties: tuple[float, ...]) -> Regression:
        """Learn from `features` (days, features), NaN where not known, and `targets` (days, slots).

        `penalties` are in units of 1/days; the coefficients of all of them are averaged.
        """
        scaling, scaled_targets = Scaling.of(features), Scaling.of(targets)
        x, y = _scaled(scaling, features), scaled_targets.forward(targets)
        mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
        return cls(
            features=scaling,
            targets=scaled_targets,
            mean_feature=mean_x,
            mean_target=mean_y,
            coefficients=_lasso(x - mean_x, y - mean_y, np.array(penalties) / len(x)),
        )

    def predict(self, features: Floats) -> Floats:
        """Targets (days, slots) from features (days, features)."""
        x = _scaled(self.features, features) - self.mean_feature
        return self.targets.back(self.mean_target + x @ self.coefficients)


def _lasso(x: Floats, y: Floats, penalties: Floats) -> Floats:
    """Mean coefficients (features, slots) of the paths over `penalties`, from centred columns."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import lasso_path

    x, y = np.asfortranarray(x), np.asfortranarray(y)
    gram, moments = np.ascontiguousarray(x.T @ x), np.asfortranarray(x.T @ y)
    coefficients = np.empty_like(moments)
    with warnings.catch_warnings():
        # A hundred sweeps are enough: more moved the error of 2016 in the fourth digit only.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for slot in range(y.shape[1]):
            _, path, _ = lasso_path(
                x,
                y[:, slot],
                alphas=penalties,
                precompute=gram,
                Xy=moments[:, slot],
                max_iter=100,
                tol=1e-3,
                check_input=False,  # checking took longer than learning
            )
            coefficients[:, slot] = path.mean(axis=1)
    return coefficients


def _scaled(scaling: Scaling, features: Floats) -> Floats:
    """The features scaled; what is not known stands at the median."""
    return np.nan_to_num(scaling.forward(features))
