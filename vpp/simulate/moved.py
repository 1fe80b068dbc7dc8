"""A scenario moved in time, so that what was measured once can be lived now.

By whole weeks: working days stay working days, and the time of day stays what it is in UTC (where the
clocks were changed in between, local time is an hour off).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from vpp.model.horizon import Horizon, Profile
from vpp.simulate.spec import Scenario

WEEK = timedelta(weeks=1)
K = TypeVar("K")


def moved_to(scenario: Scenario, now: datetime) -> Scenario:
    """The scenario in whose first week `now` lies: as much of the series as there can be lies ahead."""
    by = (now - scenario.day_ahead_per_mwh.horizon.start) // WEEK * WEEK
    return replace(
        scenario,
        first_delivery_day=scenario.first_delivery_day + by,
        base_kw=_moved(scenario.base_kw, by),
        available_kw=_moved(scenario.available_kw, by),
        outdoor_degc=_moved(scenario.outdoor_degc, by),
        visits={
            name: tuple(
                replace(v, arrives_at=v.arrives_at + by, departs_at=v.departs_at + by)
                for v in visits
            )
            for name, visits in scenario.visits.items()
        },
        day_ahead_per_mwh=_profile(scenario.day_ahead_per_mwh, by),
    )


def _moved(profiles: Mapping[K, Profile], by: timedelta) -> dict[K, Profile]:
    return {key: _profile(profile, by) for key, profile in profiles.items()}


def _profile(profile: Profile, by: timedelta) -> Profile:
    axis = profile.horizon
    return Profile(Horizon(axis.start + by, axis.step, axis.steps), profile.values)
