"""The carbon of the grid as a live series; where it fails the park's own figure stands in, and says so.

Plans go by its forecast, statements by what it told of each quarter-hour, whenever that came.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np

from vpp.errors import DataError, PlanError
from vpp.model.forecast import Forecast
from vpp.model.horizon import Horizon, Profile
from vpp.model.time import QUARTER, Interval
from vpp.service.events import Severity
from vpp.service.plant import Plant

KG_OF = {"gCO2/kWh": 0.001, "kgCO2/kWh": 1.0, "kgCO2/MWh": 0.001}
"""From the series' unit to kgCO2/kWh."""


def usable(plant: Plant, horizon: Horizon, now: datetime) -> tuple[str, ...]:
    """The series' id where it can be forecast over `horizon`, nothing where it cannot (told once)."""
    name = plant.file.carbon_series_id
    if name is None:
        return ()
    try:
        if plant.series.unit(name) not in KG_OF:
            raise DataError(
                f"is in {plant.series.unit(name)}", where=name, fix=f"Give one of {sorted(KG_OF)}"
            )
        plant.desk.baseline.issue(plant.series, [name], horizon, now)
    except (DataError, PlanError) as error:
        _tell(plant, str(error), now)
        return ()
    _tell(plant, None, now)
    return (name,)


def course(plant: Plant, forecasts: Mapping[str, Forecast]) -> Profile | None:
    """Carbon of a kWh imported in each step, in kgCO2/kWh; None where the park's figure holds."""
    forecast = forecasts.get(plant.file.carbon_series_id or "")
    if forecast is None:
        return None
    kg = forecast.expected.values * KG_OF[forecast.unit]
    return Profile(forecast.expected.horizon, np.maximum(kg, 0.0))


def measured(plant: Plant, span: Interval, now: datetime) -> dict[datetime, float]:
    """Carbon of a kWh imported, in kgCO2/kWh, by the start of each quarter-hour that the series tells of.

    Nothing where there is no series, or none that can be used: `usable` has said so.
    """
    name = plant.file.carbon_series_id
    if name is None or not plant.series.has(name) or plant.series.unit(name) not in KG_OF:
        return {}
    if plant.series.resolution(name) % QUARTER:  # finer, or askew: no plan goes by it either
        return {}
    horizon = Horizon.over(span, QUARTER)
    kg = plant.series.known(name, horizon, now).values * KG_OF[plant.series.unit(name)]
    return {
        start: max(float(value), 0.0)
        for start, value in zip(horizon.starts(), kg, strict=True)
        if np.isfinite(value)
    }


def _tell(plant: Plant, why: str | None, now: datetime) -> None:
    figure = f"{plant.file.park.grid_kgco2_per_kwh:g} kgCO2/kWh"
    if why is not None and plant.carbon_told is None:
        plant.events.emit(
            "carbon",
            f"no live carbon series, plans go by the park file's {figure}: {why}",
            at=now,
            severity=Severity.WARNING,
        )
    if why is None and plant.carbon_told is not None:
        plant.events.emit("carbon", "plans go by the live carbon series again", at=now)
    plant.carbon_told = why
