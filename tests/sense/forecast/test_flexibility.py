"""Flexibility is a series like a load: what can be given repeats by the working day, and `auto` forecasts it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from vpp.model.calendar import Calendar
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.sense.forecast.base import Past
from vpp.sense.forecast.choose import Trial
from vpp.sense.forecast.naive import NAIVE
from vpp.sense.forecast.regression import REGRESSION
from vpp.sense.forecast.trained import train

HOUR = timedelta(hours=1)
START = datetime(2025, 3, 3, tzinfo=UTC)  # a Monday
DAYS = 70


def park_up_kw(steps: int) -> Floats:
    """What a park could give: 800 kW of a press shop at work, and a battery that is full in the morning.

    The shop's share varies by a tenth from day to day, the battery's level by a quarter.
    """
    rng = np.random.default_rng(21)
    hour = np.arange(steps)
    day, clock = hour // 24, hour % 24
    at_work = (day % 7 < 5) & (clock >= 6) & (clock < 18)
    shop = 800 * at_work * (1 + 0.1 * rng.normal(size=DAYS + 3))[day]
    battery = 250 * (1 + 0.25 * rng.normal(size=DAYS + 3)[day]) * np.cos(clock / 24 * np.pi / 2)
    return np.maximum(shop + battery + 10 * rng.normal(size=steps), 0.0)


def test_what_a_park_can_give_is_forecast_by_auto_with_a_spread_that_holds() -> None:
    values = park_up_kw((DAYS + 3) * 24)
    axis = Horizon(START, HOUR, DAYS * 24 + 12)
    past = Past(
        series_id="flexibility.park.up",
        unit="kW",
        issued_at=axis.end,
        values=Profile(axis, values[: axis.steps]),
        calendar=Calendar(zone=ZoneInfo("UTC")),
    )
    horizon = Horizon(axis.end, HOUR, 36)  # Monday noon to Tuesday midnight

    trained = train(past, (*NAIVE, REGRESSION), Trial(window=timedelta(days=21)))
    forecast = trained.issue(past, horizon)

    assert forecast.quantiles is not None
    real = values[axis.steps :][:36]
    assert np.abs(forecast.expected.values - real).mean() < 0.5 * np.abs(real - real.mean()).mean()
    assert (forecast.quantiles >= 0).all()
    low, high = (forecast.quantiles[LEVELS.index(one)] for one in (0.05, 0.95))
    assert ((low <= real) & (real <= high)).mean() > 0.6
    least = trained.choice.scores[trained.model].overall.crps
    assert least <= min(one.overall.crps for one in trained.choice.scores.values()) * 1.01
