"""How good forecasts were: errors of the median, and of the whole fan, by lead.

With e = actual - median, y the actual value and q(p) the quantile at level p:

    MAE         mean |e|
    nRMSE       sqrt(mean e²) / mean |y|     (the normaliser of ASHRAE Guideline 14's CV(RMSE))
    pinball(p)  mean of (y - q(p)) p where y >= q(p), (q(p) - y) (1 - p) below; their plain mean over
                the levels is `pinball`
    CRPS        2 ∫ pinball(p) dp over 0 … 1 (Gneiting & Raftery 2007, "Strictly proper scoring rules,
                prediction, and estimation", section 4.2, and Laio & Tamea 2007), the integral as a sum over the levels, each with
                the width of its cell (cells meet half-way between levels, the outer ones reach to 0
                and 1). A fan without spread scores its MAE exactly, a true normal fan 0.1 % too low
    coverage80  share of values within the 0.1 and 0.9 quantiles, ends included; values met by a fan
                without spread (the sun at night, up to `METER_NOISE`) are not counted: nothing could be
                missed
    coverage90  the same for 0.05 and 0.95

All proper scores have the unit of the series; less is better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

import numpy as np

from vpp.errors import DataError
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats
from vpp.sense.forecast.rolling import Track

_LEVELS = np.array(LEVELS)
_EDGES = np.concatenate([[0.0], (_LEVELS[1:] + _LEVELS[:-1]) / 2, [1.0]])
CELL_WIDTHS: Floats = np.diff(_EDGES)
"""Width of each level's cell; they sum to 1."""

METER_NOISE = 0.01
"""Share of the largest value within which a fan without spread is met: a plant's meter at night."""

LEAD_BUCKETS: Mapping[str, tuple[timedelta, timedelta]] = MappingProxyType(
    {
        "0-1 h": (timedelta(0), timedelta(hours=1)),
        "1-6 h": (timedelta(hours=1), timedelta(hours=6)),
        "6-24 h": (timedelta(hours=6), timedelta(hours=24)),
        "24-48 h": (timedelta(hours=24), timedelta(hours=48)),
        "48 h and more": (timedelta(hours=48), timedelta(days=3650)),
    }
)
"""Steps that begin so long after the first step of the forecast, the end not included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The scores of some forecasts; formulas above."""

    cases: int
    """Values forecast and measured."""

    mae: float
    nrmse: float
    """NaN where the series is zero throughout."""

    pinball: float
    crps: float
    coverage80: float
    """NaN where nothing could be missed."""

    coverage90: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The scores of one track."""

    series_id: str
    model: str
    overall: Score
    by_lead: Mapping[str, Score]
    """By lead bucket; buckets without a case are left out."""


def scores(track: Track) -> Scores:
    """Score a track, overall and by lead.

    Raises:
        DataError: No step was both forecast and measured.
    """
    fan = np.moveaxis(track.quantiles, 1, 0)
    return Scores(
        series_id=track.series_id,
        model=track.model,
        overall=score(fan, track.actual, where=f"scores of {track.series_id}"),
        by_lead={
            name: score(fan[:, :, steps], track.actual[:, steps], where=name)
            for name, steps in lead_slices(track.step, track.actual.shape[1]).items()
            if _scored(fan[:, :, steps], track.actual[:, steps]).any()
        },
    )


def lead_slices(step: timedelta, steps: int) -> dict[str, slice]:
    """Which steps of a horizon lie in each bucket; empty ones are left out."""
    found = {}
    for name, (low, high) in LEAD_BUCKETS.items():
        part = slice(min(-(-low // step), steps), min(-(-high // step), steps))
        if part.start < part.stop:
            found[name] = part
    return found


def score(fan: Floats, actual: Floats, *, where: str = "scores") -> Score:
    """Score quantiles at `LEVELS`, shape (levels, …), against what came, shape (…).

    Cases without quantiles or without a value are left out.

    Raises:
        DataError: No case is left.
    """
    use = _scored(fan, actual)
    y, q = actual[use], fan[:, use]
    if not y.size:
        raise DataError(
            "no step was both forecast and measured", where=where, fix="Give a longer track"
        )
    error, loss = y - q[LEVELS.index(0.5)], pinball(q, y).mean(axis=1)
    size = float(np.abs(y).mean())
    return Score(
        cases=int(y.size),
        mae=float(np.abs(error).mean()),
        nrmse=float(np.sqrt((error**2).mean())) / size if size > 0 else float("nan"),
        pinball=float(loss.mean()),
        crps=float(2 * CELL_WIDTHS @ loss),
        coverage80=_covered(q, y, 0.1, 0.9),
        coverage90=_covered(q, y, 0.05, 0.95),
    )


def pinball(fan: Floats, actual: Floats) -> Floats:
    """Pinball loss of each case at each level: `fan` (levels, …), `actual` (…) gives (levels, …)."""
    levels = _LEVELS.reshape(-1, *[1] * actual.ndim)
    above = actual - fan
    loss: Floats = np.maximum(levels * above, (levels - 1) * above)
    return loss


def _scored(fan: Floats, actual: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return ~np.isnan(actual) & ~np.isnan(fan).any(axis=0)


def _covered(fan: Floats, actual: Floats, low: float, high: float) -> float:
    inside = (fan[LEVELS.index(low)] <= actual) & (actual <= fan[LEVELS.index(high)])
    met = np.abs(actual - fan[0]) <= METER_NOISE * np.abs(actual).max()
    certain = met & (fan[0] == fan[-1])
    return float(inside[~certain].mean()) if not certain.all() else float("nan")
