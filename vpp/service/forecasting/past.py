"""What a model is shown of a series: what anyone could know when the forecast is issued, and no more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from vpp.model.calendar import Calendar
from vpp.model.horizon import Horizon, Profile
from vpp.model.resource import Panels
from vpp.model.time import QUARTER, latest_boundary
from vpp.sense.cleaning import Cleaned, CleaningRules, filled
from vpp.sense.forecast.base import Past, Site
from vpp.sense.forecast.pasts import StoredPast
from vpp.sense.series import SeriesStore

if TYPE_CHECKING:  # a process that learns needs no schema
    from vpp.service.forecasting.schema import ForecastsSection, SiteSection
    from vpp.service.plant import Plant


def seen(
    store: SeriesStore,
    series_id: str,
    settings: ForecastsSection,
    calendar: Calendar,
    *,
    now: datetime,
    until: datetime,
    panels: Panels | None = None,
) -> StoredPast:
    """What was known of a series at any moment up to `now`, and of what explains it as far as `until`.

    `panels` are those of the plant whose power it is. The history begins with the first value, so that models need not walk through nothing.

    Raises:
        DataError: No such series, or it does not lie on the grid of quarter-hours.
    """
    entry = settings.of(series_id)
    regressors = tuple(name for name in entry.regressors if store.has(name))
    whole = timedelta(days=settings.history_days)
    end = latest_boundary(now, QUARTER)
    known = store.known(series_id, Horizon(end - whole, QUARTER, whole // QUARTER), now).values
    there = np.flatnonzero(~np.isnan(known))
    first = end - whole + (int(there[0]) if there.size else known.size - 1) * QUARTER
    return StoredPast(
        store=store.part([series_id, *regressors]),
        series_id=series_id,
        calendar=calendar,
        step=QUARTER,
        history=end - first,
        ahead=max(-((now - until) // QUARTER) * QUARTER, timedelta(0)),
        regressors=regressors,
        site=_site(entry.site or settings.site, panels),
    )


def known_past(plant: Plant, series_id: str, *, now: datetime, until: datetime) -> StoredPast:
    """What a plant knows of a series, with the calendar and the panels that its park file gives it. Raises as `seen`."""
    return seen(
        plant.series,
        series_id,
        plant.file.forecasts,
        plant.file.calendar_of(series_id),
        now=now,
        until=until,
        panels=plant.file.panels_of(series_id),
    )


def _site(section: SiteSection | None, panels: Panels | None) -> Site | None:
    if section is None:
        return None
    return Site(
        latitude_deg=section.latitude_deg,
        longitude_deg=section.longitude_deg,
        altitude_m=section.altitude_m,
        panels=panels,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CleanPast:
    """Pasts without the defects that were found in the newest of them."""

    seen: StoredPast
    rules: CleaningRules
    cleaned: Cleaned

    def __call__(self, issued_at: datetime) -> Past:
        """The past as it was known at `issued_at`, less what was taken out since. Raises as `StoredPast`."""
        return cleaned_past(self.seen(issued_at), self.cleaned.profile, self.rules)


def cleaned_past(past: Past, clean_values: Profile, rules: CleaningRules) -> Past:
    """`past` without what `clean_values` does not know, its gaps filled by what it knew then itself.

    A gap that was open when the past was seen stays open: what closed it came later.
    """
    axis, values = past.values.horizon, past.values.values.copy()
    mended = clean_values.on(axis)
    inside = slice(
        max(axis.index(clean_values.horizon.start), 0),
        min(max(axis.index(clean_values.horizon.end), 0), axis.steps),
    )
    values[inside] = np.where(np.isnan(mended[inside]), np.nan, values[inside])
    ended = min(max(axis.index(past.issued_at), 0), axis.steps)
    if ended:
        known = Profile(Horizon(axis.start, axis.step, ended), values[:ended])
        values[:ended] = filled(known, rules)
    return replace(past, values=Profile(axis, values))


def ahead(past: Past, forecasts: Mapping[str, Profile]) -> Past:
    """The past with what is not known of its regressors filled by our own forecasts of them."""
    filled = {}
    for name, profile in past.regressors.items():
        values = profile.values
        if (forecast := forecasts.get(name)) is not None:
            values = np.where(np.isnan(values), forecast.on(profile.horizon), values)
        filled[name] = Profile(profile.horizon, values)
    return replace(past, regressors=filled)
