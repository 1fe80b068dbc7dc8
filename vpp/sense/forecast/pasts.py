"""What was known at an earlier moment: the `Past` that a model would have been given then.

A back-test is honest only if the model cannot see beyond the origin. So it never gets the whole
past and a promise: it gets copies that end where knowledge ended.

    CutPast    from one `Past` whose values are measurements: each was known when its interval ended
    StoredPast from the series store, which remembers since when each value was known
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import TypeAlias

import numpy as np

from vpp.errors import DataError
from vpp.model.calendar import Calendar, same_clock_time
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.time import isoformat, latest_boundary, local_date, local_day
from vpp.sense.forecast.base import Past, Site
from vpp.sense.series import SeriesStore

PastAt: TypeAlias = Callable[[datetime], Past]
"""Gives the past of one series as it was known at a moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutPast:
    """Earlier pasts from one past, by the rule when its values became known."""

    past: Past

    published_at: time | None = None
    """For prices: the clock time (of the calendar's zone) at which all values of the next local day
    become known. None: each value is known when its interval has ended, as a measurement."""

    regressors_ahead: timedelta = timedelta(0)
    """So far beyond the origin regressors count as known. More than zero lets what was measured later
    stand in for a forecast of it: whoever sets it says so beside the scores."""

    def __call__(self, issued_at: datetime) -> Past:
        """The past as it was known at `issued_at`.

        Raises:
            DataError: `issued_at` lies after the past's own, or before its first value.
        """
        past, horizon = self.past, self.past.values.horizon
        where = f"past of {past.series_id}"
        if issued_at > past.issued_at:
            raise DataError(
                f"cut at {isoformat(issued_at)}, known only at {isoformat(past.issued_at)}",
                where=where,
                fix="Cut at the issue or earlier",
            )
        steps = min(horizon.index(self._known_until(issued_at)), horizon.steps)
        if steps < 1:
            raise DataError(
                f"nothing was known at {isoformat(issued_at)}",
                where=where,
                fix="Cut after the first value",
            )
        ahead = max(horizon.index(issued_at + self.regressors_ahead), 0)
        return replace(
            past,
            issued_at=issued_at,
            # Copies: a view would still hold the future behind it.
            values=Profile(
                Horizon(horizon.start, horizon.step, steps), past.values.values[:steps].copy()
            ),
            regressors={
                name: Profile(one.horizon, _hidden_from(one.values, ahead))
                for name, one in past.regressors.items()
            },
        )

    def _known_until(self, issued_at: datetime) -> datetime:
        if self.published_at is None:
            return issued_at
        zone = self.past.calendar.zone
        today = local_date(issued_at, zone)
        at = same_clock_time(today, self.published_at, zone)
        days = 1 if at is not None and at <= issued_at else 0
        return local_day(today + timedelta(days=days), zone).end


def _hidden_from(values: Floats, step: int) -> Floats:
    """A copy in which nothing is known from `step` on."""
    seen = values.copy()
    seen[step:] = np.nan
    return seen


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPast:
    """Earlier pasts from the series store: nothing issued after the moment asked for is in them."""

    store: SeriesStore
    series_id: str
    calendar: Calendar
    step: timedelta
    history: timedelta
    """So far back the past reaches."""

    ahead: timedelta
    """So far beyond the issue values and regressors are looked for: prices published, weather forecast."""

    regressors: tuple[str, ...] = ()
    site: Site | None = None

    def __call__(self, issued_at: datetime) -> Past:
        """The past as it was known at `issued_at`.

        Raises:
            DataError: A series was never given, or does not lie on the step's grid.
        """
        now = latest_boundary(issued_at, self.step)
        before, after = self.history // self.step, self.ahead // self.step
        horizon = Horizon(now - before * self.step, self.step, before + after)
        values = self.store.known(self.series_id, horizon, issued_at).values
        known = np.flatnonzero(~np.isnan(values))
        steps = max(before, int(known[-1]) + 1 if known.size else 0)
        return Past(
            series_id=self.series_id,
            unit=self.store.unit(self.series_id),
            issued_at=issued_at,
            values=Profile(Horizon(horizon.start, self.step, steps), values[:steps]),
            calendar=self.calendar,
            regressors={one: self.store.known(one, horizon, issued_at) for one in self.regressors},
            site=self.site,
        )
