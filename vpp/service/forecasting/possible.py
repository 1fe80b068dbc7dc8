"""What a resource cannot do is not forecast: the park file knows sizes that no history tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from vpp.model.forecast import Forecast, mean_of
from vpp.model.horizon import Profile
from vpp.model.park import Park
from vpp.model.resource.series import available_series, power_series

Bounds = Mapping[str, tuple[float, float]]
"""Lowest and highest net injection in kW, by series id."""


def bounds_of(park: Park) -> Bounds:
    """Of the series of each resource that says how much it may draw or feed."""
    bounds: dict[str, tuple[float, float]] = {}
    for resource in park.resources:
        if (name := power_series(resource)) is not None:
            low_kw, high_kw = bounds.get(name, (0.0, 0.0))
            bounds[name] = (low_kw - resource.draw_kw, high_kw + resource.feed_kw)
        if (name := available_series(resource)) is not None:
            bounds[name] = (0.0, bounds.get(name, (0.0, 0.0))[1] + resource.feed_kw)
    return bounds


def possible(forecast: Forecast, bounds: Bounds) -> Forecast:
    """The forecast with its fan cut to what can be; a mean that was expected is that of what is left."""
    if forecast.series_id not in bounds:
        return forecast
    low, high = bounds[forecast.series_id]
    expected, whole = forecast.expected, forecast.quantiles
    values, fan = np.clip(expected.values, low, high), None
    touched = values != expected.values
    if whole is not None:
        fan = np.clip(whole, low, high)
        cut = (fan != whole).any(axis=0)
        # Where the mean was expected it is that of what is left; what was expected otherwise stays.
        mean = cut & np.isclose(expected.values, mean_of(whole))
        values, touched = np.where(mean, mean_of(fan), values), touched | cut
    if not touched.any():
        return forecast
    return replace(forecast, expected=Profile(expected.horizon, values), quantiles=fan)
