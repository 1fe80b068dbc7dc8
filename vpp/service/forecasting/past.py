"""What a model is shown of a series: what anyone could know when the forecast is issued, and no more."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from vpp.model.calendar import Calendar
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.time import QUARTER, latest_boundary
from vpp.sense.forecast.base import Past, Site
from vpp.sense.series import SeriesStore
from vpp.service.forecastschema import ForecastsSection


def past_of(
    store: SeriesStore,
    series_id: str,
    settings: ForecastsSection,
    calendar: Calendar,
    *,
    issued_at: datetime,
    until: datetime,
) -> Past:
    """Values and regressors as known at `issued_at`; regressors reach to `until`, where it is later.

    Raises:
        DataError: No such series, or it does not lie on the grid of quarter-hours.
    """
    begins = latest_boundary(issued_at, QUARTER) - timedelta(days=settings.history_days)
    reach = _steps(begins, max(until, issued_at))
    values = store.known(series_id, reach, issued_at).values
    known = np.flatnonzero(~np.isnan(values))
    now = _steps(begins, issued_at).steps
    first = min(int(known[0]) if known.size else 0, now - 1)
    last = max(now, int(known[-1]) + 1 if known.size else 0)
    axis = Horizon(begins + first * QUARTER, QUARTER, last - first)
    entry = settings.of(series_id)
    site = entry.site or settings.site
    return Past(
        series_id=series_id,
        unit=store.unit(series_id),
        issued_at=issued_at,
        values=Profile(axis, values[first:last]),
        calendar=calendar,
        regressors={
            name: _regressor(store, name, axis.start, reach.end, issued_at)
            for name in entry.regressors
            if store.has(name)
        },
        site=None
        if site is None
        else Site(
            latitude_deg=site.latitude_deg,
            longitude_deg=site.longitude_deg,
            altitude_m=site.altitude_m,
        ),
    )


def ahead(past: Past, forecasts: dict[str, Profile]) -> Past:
    """The past with what is not known of its regressors filled by our own forecasts of them."""
    filled = {}
    for name, profile in past.regressors.items():
        values: Floats = profile.values
        if (forecast := forecasts.get(name)) is not None:
            first = profile.horizon.index(forecast.horizon.start)
            steps = min(forecast.horizon.steps, profile.horizon.steps - first)
            values = values.copy()
            there = values[first : first + steps]
            values[first : first + steps] = np.where(
                np.isnan(there), forecast.values[:steps], there
            )
        filled[name] = Profile(profile.horizon, values)
    return Past(
        series_id=past.series_id,
        unit=past.unit,
        issued_at=past.issued_at,
        values=past.values,
        calendar=past.calendar,
        regressors=filled,
        site=past.site,
    )


def _regressor(
    store: SeriesStore, name: str, start: datetime, end: datetime, issued_at: datetime
) -> Profile:
    return store.known(name, _steps(start, end), issued_at)


def _steps(start: datetime, end: datetime) -> Horizon:
    """From `start` to `end`, rounded up to a whole step."""
    return Horizon(start, QUARTER, -((start - end) // QUARTER))
