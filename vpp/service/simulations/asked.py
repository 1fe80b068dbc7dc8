"""The park of a simulation: which file, and what the request changes in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from vpp.errors import DataError
from vpp.model.market import BidMode
from vpp.model.time import QUARTER, isoformat, latest_boundary, local_date, local_day, local_moment
from vpp.service.backtest.asked import SERIES_BEYOND, TTL_PERIODS
from vpp.service.backtest.replay import scenario_of
from vpp.service.demo.simulation import OPENING
from vpp.service.forecasting.schema import ForecastsSection
from vpp.service.park.parkfile import ParkFile, load_park, shipped_park
from vpp.service.park.schema import PlanningSettings
from vpp.service.simulations.views import SimulationRequest
from vpp.service.steering.schema import ControlSettings

PLAN_S, PLAN_HARD_S, ISSUE_S, TRAIN_S = 600.0, 900.0, 600.0, 3600.0
"""So long in wall time plans and forecasts may take at least, and learning: who steps waits, and a limit
that is reached lets two runs differ."""

PAST = timedelta(days=2)
"""So much of the park's series must lie before the start: forecasts need a past."""


def park_of(name: str, parks: Path | None) -> ParkFile:
    """The park file of that name beside the one that is served, else a shipped one.

    `name` holds no separator and no dot (`ParkName`), so it leads nowhere else.

    Raises:
        ConfigError: There is none, or it has faults, or no simulation section.
    """
    path = None if parks is None else parks / f"{name}.yaml"
    file = load_park(path if path is not None and path.is_file() else shipped_park(name))
    scenario_of(file)
    return file


def as_asked(file: ParkFile, asked: SimulationRequest) -> tuple[ParkFile, datetime]:
    """The park file as it is to be run, and the moment at which it begins.

    Raises:
        DataError: The start is off the grid, or the series do not reach there, or a period that
            divides no quarter-hour.
    """
    start = _start(file, asked)
    period_s = float(asked.control_period_s)
    if QUARTER % timedelta(seconds=period_s):
        raise DataError(
            f"{period_s:g} s divide no quarter-hour",
            where="control_period_s",
            fix="Say 60, 300 or 900",
        )
    zone = file.park.timezone
    first_day = local_day(local_date(start, zone), zone).end
    planning = file.planning.model_dump() | {
        "every_minutes": asked.plan_every_minutes,
        "soft_s": max(file.planning.soft_s, PLAN_S),
        "hard_s": max(file.planning.hard_s, PLAN_HARD_S),
    }
    if asked.bids == "point_plan":
        planning |= {"scenarios": 0, "margin_probability": None}
        robust = {name: b for name, b in file.bindings.items() if b.mode is BidMode.ROBUST}
        file = replace(file, bindings=robust, curves={})
    forecasts = file.forecasts.model_dump() | {"issue_s": ISSUE_S, "train_s": TRAIN_S}
    control = file.control.model_dump() | {
        "period_s": period_s,
        "setpoint_ttl_s": max(file.control.setpoint_ttl_s, TTL_PERIODS * period_s),
    }
    units = tuple(replace(u, trades_from=first_day) for u in file.park.bidding_units)
    changed = replace(
        file,
        park=replace(file.park, bidding_units=units),
        forecasts=ForecastsSection.model_validate(forecasts),
        planning=PlanningSettings.model_validate(planning),
        control=ControlSettings.model_validate(control),
    )
    return changed, start


def ends(file: ParkFile) -> datetime:
    """The last moment that a simulation of the park can reach."""
    return scenario_of(file).day_ahead_per_mwh.horizon.end - SERIES_BEYOND


def _start(file: ParkFile, asked: SimulationRequest) -> datetime:
    scenario, zone = scenario_of(file), file.park.timezone
    eve = scenario.first_delivery_day - timedelta(days=1)
    start = asked.start or local_moment(eve, OPENING, zone)
    first, last = scenario.day_ahead_per_mwh.horizon.start + PAST, ends(file)
    if latest_boundary(start, QUARTER) != start or not first <= start < last:
        raise DataError(
            f"it cannot begin at {isoformat(start)}",
            where="start",
            fix=f"Name a whole quarter-hour from {isoformat(first)} to {isoformat(last)}",
        )
    return start
