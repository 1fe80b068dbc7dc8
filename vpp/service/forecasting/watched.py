"""Series that are measured and forecast though no plan asks for them.

    net.<connection point>  kW net injection at the main meter, less what the plan moves behind it: what
                            loads, weather and whatever has no meter of its own do there
    flexibility.up, .down   room of the park to move (`planning/flexibility.py`)
    carbon, `forecasts.also`  the grid's carbon where it is a series, and whatever the park file names

A main meter's reading of a boundary comes after it, so `net.…` is known a quarter-hour later.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from vpp.model.horizon import Horizon
from vpp.model.ids import ConnectionPointId
from vpp.model.park import Park
from vpp.model.resource import CurtailableLoad, FixedLoad, Generator
from vpp.model.time import QUARTER, latest_boundary
from vpp.sense.state import freeze
from vpp.service.planning.flexibility import DOWN, UP, room
from vpp.service.plant import Closed, Plant

NET = "net."

LEAST_HISTORY = timedelta(days=21)
"""A series that no plan needs is learnt once it is this long: before, little could be tried."""


def net_series(point_id: ConnectionPointId) -> str:
    """Name of the series of what nobody moves behind a connection point."""
    return f"{NET}{point_id}"


def series_watched(plant: Plant) -> list[str]:
    """All of them that have values, in a fixed order."""
    names = [
        *(net_series(p.connection_point_id) for p in plant.file.park.connection_points),
        *(UP, DOWN),
        *([] if plant.file.carbon_series_id is None else [plant.file.carbon_series_id]),
        *plant.file.forecasts.also,
    ]
    return [name for name in dict.fromkeys(names) if plant.series.has(name)]


def long_enough(plant: Plant, series_id: str, now: datetime) -> bool:
    """Whether a watched series had a value in the week before `LEAST_HISTORY` ago."""
    end = latest_boundary(now - LEAST_HISTORY, QUARTER)
    before = Horizon(end - timedelta(days=7), QUARTER, timedelta(days=7) // QUARTER)
    return bool(np.isfinite(plant.series.known(series_id, before, now).values).any())


def measured_room(plant: Plant, now: datetime) -> dict[str, float]:
    """The room of the park as it stands, kW by series."""
    state = freeze(plant.file.park, plant.intake.newest, now)
    up_kw, down_kw = room(plant.file.park, plant.units, state)
    return {UP: up_kw, DOWN: down_kw}


def measured_net(plant: Plant, closed: Closed) -> dict[str, float]:
    """What nobody moved behind each connection point over a quarter-hour, kW by series.

    A point is left out where a meter or a device is not known, or where a load was turned down.
    """
    found = {}
    for point in plant.file.park.connection_points:
        energy = plant.meters.energy_wh(point.meter_id, closed.interval)
        moved_kw = _moved_kw(plant.file.park, point.connection_point_id, closed)
        if energy is not None and moved_kw is not None:
            metered_kw = energy.net_wh / 1000 / closed.interval.hours
            found[net_series(point.connection_point_id)] = metered_kw - moved_kw
    return found


def _moved_kw(park: Park, point_id: ConnectionPointId, closed: Closed) -> float | None:
    """Mean net injection of what the plan moves behind a point, less what the weather let feed."""
    total = 0.0
    for name in park.behind_point[point_id]:
        resource, mean = park.resource_by_id[name], closed.means.get(name)
        match resource:
            case FixedLoad():
                pass
            case CurtailableLoad():
                if name in closed.turned_down:
                    return None
            case _ if mean is None:
                return None
            case Generator(weather_driven=True):
                if mean.available_kw is None:
                    return None
                total += mean.power_kw - mean.available_kw
            case _:
                total += mean.power_kw
    return total
