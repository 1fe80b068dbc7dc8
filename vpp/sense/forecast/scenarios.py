"""Equally likely futures of many series together: a Gaussian copula on measured errors.

    tracks    what came, as a normal score within the fan that was forecast: 0 at the median
              │ over time: autocorrelation by lag, for each series
              │ between:   correlation of the same step of the same origin, for each pair
    draws     normal scores with both correlations, then through each forecast's own quantiles

(Pinson et al. 2009, "From probabilistic forecasts to statistical scenarios of short-term wind power
production".) Between and over time are kept apart: 40 series of 192 steps are 7,680 numbers a row, a track
has about 100 rows, and daylight moves through its leads; a full matrix from that is noise. Each is
shrunk to a stated default by how few rows there are: `FADES_AFTER` over time, nothing between series.
A series without a track has the defaults alone.

The draws of each step are spread over the whole distribution (Latin hypercube with dependence,
Packham & Schmidt 2010): S scenarios have one value in each S-th of it. So the mean of ten is near
that of the forecast, half of them lie below the median. And each draw has its opposite (antithetic
variates, Hammersley & Morton 1956), so that sums of series are as even about their middle as each series
is: a bid goes by the sum, and what few draws say of its middle by chance would be paid as imbalance. A
single one is what is expected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
from scipy.special import ndtri

from vpp.errors import DataError
from vpp.model.forecast import LEVELS, Forecast, Scenarios
from vpp.model.horizon import Floats, Horizon
from vpp.sense.forecast.base import side_of
from vpp.sense.forecast.rolling import Track

FADES_AFTER = timedelta(hours=6)
"""Default over time: the correlation of two errors falls by exp(-1) in so long."""

DEFAULT_ROWS = 5.0
"""The default over time weighs as much as so many rows of a track."""

APART_ROWS = 10.0
"""Independence of two series weighs as much as so many common rows."""

_Z: Floats = ndtri(np.array(LEVELS))
_FARTHEST = 3.0
"""No normal score that is drawn lies farther out."""


class Normals(Protocol):
    """A source of chance, such as `numpy.random.Generator`."""

    def standard_normal(self, size: tuple[int, ...]) -> Floats: ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dependence:
    """What errors of several series have in common, ready to draw from."""

    step: timedelta
    steps: int
    """The longest horizon that can be drawn."""

    series: tuple[str, ...]
    between: Floats
    """Root of the correlation between series, shape (series, series)."""

    over_time: Floats
    """Root of each series' correlation over time, shape (series, steps, steps)."""

    default_over_time: Floats
    """The same for a series without a track, shape (steps, steps)."""

    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Lowest and highest value of a series, where it has any."""


def learn_dependence(
    tracks: Sequence[Track],
    *,
    step: timedelta,
    steps: int,
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> Dependence:
    """Learn from the tracks (one a series) for horizons of up to `steps` steps. No track is no error.

    Raises:
        DataError: A track is on another step, or a series has two.
    """
    names = tuple(track.series_id for track in tracks)
    if len(set(names)) != len(names) or any(track.step != step for track in tracks):
        raise DataError(
            f"tracks of {names} in steps of {[str(track.step) for track in tracks]}",
            where="dependence of forecasts",
            fix=f"Give one track a series, in steps of {step}",
        )
    default = np.exp(-np.arange(steps) * (step / FADES_AFTER))
    scores = [normal_scores(track) for track in tracks]
    roots = [_root(_toeplitz(_autocorrelation(z, default))) for z in scores]
    over_time = np.array(roots).reshape(len(tracks), steps, steps)
    return Dependence(
        step=step,
        steps=steps,
        series=names,
        between=_root(_between(tracks, scores, over_time)),
        over_time=over_time,
        default_over_time=_root(_toeplitz(default)),
        bounds=dict(bounds or {}),
    )


def draw_scenarios(
    forecasts: Sequence[Forecast], dependence: Dependence, count: int, chance: Normals
) -> Scenarios:
    """Draw `count` joint futures of all forecasts, which stand on one horizon.

    Steps without spread (published prices, the sun at night) are the same in each. A forecast that
    says nothing of its spread has its expected values in each.

    Raises:
        DataError: No forecast, a count below 1, two horizons, or one beyond the dependence's.
    """
    horizon = _one_horizon(forecasts, dependence, count)
    places = {name: i for i, name in enumerate(dependence.series)}
    # One block of chance a series, in the order of learning and then of asking: reproducible.
    unlearnt = [f.series_id for f in forecasts if f.series_id not in places]
    drawn = chance.standard_normal(
        (len(places) + len(unlearnt), dependence.steps, count - count // 2)
    )
    noise = np.concatenate([drawn, -drawn[:, :, : count // 2]], axis=2)
    joint = np.tensordot(dependence.between, noise[: len(places)], axes=1)
    values = {}
    for forecast in forecasts:
        name = forecast.series_id
        if name in places:
            z = dependence.over_time[places[name]] @ joint[places[name]]
        else:
            z = dependence.default_over_time @ noise[len(places) + unlearnt.index(name)]
        values[name] = _through_quantiles(
            forecast, _spread_out(z[: horizon.steps]), dependence.bounds.get(name)
        )
    return Scenarios(
        issued_at=max(forecast.issued_at for forecast in forecasts), horizon=horizon, values=values
    )


def normal_scores(track: Track) -> Floats:
    """Where each value came within its fan, as ranks made normal: shape (origins, steps), NaN unknown."""
    fan = np.moveaxis(track.quantiles, 1, 0)
    y = track.actual
    # The segment of the fan that holds the value; the outer ones are carried on.
    at = np.clip((y > fan).sum(axis=0), 1, len(LEVELS) - 1)
    low = np.take_along_axis(fan, at[None] - 1, axis=0)[0]
    high = np.take_along_axis(fan, at[None], axis=0)[0]
    width = high - low
    share = np.divide(y - low, width, out=np.full_like(y, 0.5), where=width > 0)
    z = _Z[at - 1] + share * (_Z[at] - _Z[at - 1])
    known = ~np.isnan(y) & (fan[-1] > fan[0])
    ranks = np.argsort(np.argsort(z[known], kind="stable"), kind="stable")
    scores = np.full(y.shape, np.nan)
    scores[known] = ndtri((ranks + 0.5) / max(ranks.size, 1))
    return scores


def _autocorrelation(scores: Floats, default: Floats) -> Floats:
    """By lag, from all pairs of steps of a row, shrunk to `default` by how few pairs there are."""
    steps, size = scores.shape[1], 2 * scores.shape[1]
    known = ~np.isnan(scores)

    def paired(rows: Floats) -> Floats:
        power = np.abs(np.fft.rfft(rows, size, axis=1)) ** 2
        summed: Floats = np.fft.irfft(power.sum(axis=0), size)[:steps]
        return summed

    products, pairs = paired(np.where(known, scores, 0.0)), paired(known.astype(np.float64))
    if pairs[0] < 1:
        return default
    lags = min(steps, default.size)
    own = np.where(pairs > 0.5, products / np.maximum(pairs, 1.0), 0.0)[:lags]
    own = own / max(own[0], 1e-9)
    share = pairs[:lags] / (pairs[:lags] + DEFAULT_ROWS * pairs[0] / len(scores))
    found = default.copy()
    found[:lags] = share * own + (1 - share) * default[:lags]
    found[0] = 1.0
    return found


def _between(tracks: Sequence[Track], scores: Sequence[Floats], over_time: Floats) -> Floats:
    """Correlation of the series' driving noise, so that errors correlate as they were measured.

    Two series that fade differently over time share less than their noise does; what is lost
    (`kept` below 1) is given back as far as a correlation can be.
    """
    found = np.eye(len(tracks))
    flat = over_time.reshape(len(tracks), over_time.shape[1] ** 2)
    kept = flat @ flat.T / over_time.shape[1]
    for i, first in enumerate(tracks):
        for j in range(i):
            common = _common(first.origins, tracks[j].origins)
            if not common:
                continue
            steps = min(scores[i].shape[1], scores[j].shape[1])
            a = scores[i][[one for one, _ in common], :steps]
            b = scores[j][[other for _, other in common], :steps]
            both = ~np.isnan(a) & ~np.isnan(b)
            rows = both.any(axis=1).sum()
            if rows:
                a, b = np.where(both, a, 0.0), np.where(both, b, 0.0)
                power = np.sqrt((a**2).sum() * (b**2).sum())
                measured = (a * b).sum() / max(power, 1e-9)
                shrunk = measured * rows / (rows + APART_ROWS)
                found[i, j] = found[j, i] = np.clip(shrunk / max(kept[i, j], 1e-9), -0.99, 0.99)
    return found


def _common(first: Sequence[datetime], second: Sequence[datetime]) -> list[tuple[int, int]]:
    places = {at: i for i, at in enumerate(second)}
    return [(i, places[at]) for i, at in enumerate(first) if at in places]


def _toeplitz(by_lag: Floats) -> Floats:
    lags = np.arange(by_lag.size)
    matrix: Floats = by_lag[np.abs(lags[:, None] - lags)]
    return matrix


def _root(correlation: Floats) -> Floats:
    """The symmetric root of the nearest matrix that is a correlation (negative eigenvalues cut)."""
    if not correlation.size:
        return correlation
    values, vectors = np.linalg.eigh(correlation)
    root: Floats = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    # Rows of length 1: each score keeps its variance.
    scaled: Floats = root / np.sqrt((root**2).sum(axis=1, keepdims=True))
    return scaled


def _spread_out(z: Floats) -> Floats:
    """Normal scores (steps, count) moved to the middles of `count` equal parts, each taken once."""
    ranks = np.argsort(np.argsort(z, axis=1, kind="stable"), axis=1, kind="stable")
    spread: Floats = ndtri((ranks + 0.5) / z.shape[1])
    return np.clip(spread, -_FARTHEST, _FARTHEST)


def _through_quantiles(forecast: Forecast, z: Floats, bounds: tuple[float, float] | None) -> Floats:
    """Values (count, steps) at normal scores (steps, count), by the forecast's own quantiles.

    Between levels, and beyond the outer ones, the quantiles are straight lines over the normal score:
    the tails are those of a normal distribution that continues the outer segment. They end at the
    bounds; without any, a forecast whose quantiles all lie on one side of zero stays there. A single
    value is the expected one.
    """
    count = z.shape[1]
    fan = forecast.quantiles
    if fan is None or count == 1:
        return np.tile(forecast.expected.values, (count, 1))
    at = np.clip(np.searchsorted(_Z, z), 1, len(LEVELS) - 1)
    steps = np.arange(fan.shape[1])[:, None]
    low, high = fan[at - 1, steps], fan[at, steps]
    values = low + (z - _Z[at - 1]) / (_Z[at] - _Z[at - 1]) * (high - low)
    if bounds is None:
        bounds = side_of(fan)
    drawn = _about(forecast.expected.values, np.clip(values, *bounds).T, bounds)
    drawn[:, fan[0] == fan[-1]] = fan[0, fan[0] == fan[-1]]
    return drawn


def _about(expected: Floats, drawn: Floats, bounds: tuple[float, float]) -> Floats:
    """Values (count, steps) moved so that their mean is `expected`, shape (steps,), none beyond a bound.

    All move towards the bound that lies that way, each by the same share of its distance; all by the
    same where there is none.
    """
    mean = drawn.mean(axis=0)
    off = np.clip(expected, *bounds) - mean
    moved = np.array(drawn)
    for bound, way in zip(bounds, (off < 0, off > 0), strict=True):
        if np.isfinite(bound):
            share = off[way] / (bound - mean[way])
            moved[:, way] += share * (bound - drawn[:, way])
        else:
            moved[:, way] += off[way]
    return moved


def _one_horizon(forecasts: Sequence[Forecast], dependence: Dependence, count: int) -> Horizon:
    horizons = {forecast.expected.horizon for forecast in forecasts}
    if len(horizons) != 1 or count < 1:
        raise DataError(
            f"{count} scenarios on {len(horizons)} horizons",
            where="scenarios",
            fix="Forecast all series on one horizon, and draw at least one",
        )
    horizon = next(iter(horizons))
    if horizon.step != dependence.step or horizon.steps > dependence.steps:
        raise DataError(
            f"{horizon.steps} steps of {horizon.step}, learnt were up to {dependence.steps}"
            f" of {dependence.step}",
            where="scenarios",
            fix="Learn the dependence for the longest horizon that is planned",
        )
    return horizon
