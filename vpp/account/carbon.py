"""Carbon of what was drawn from the grid, by enterprise: location-based, scope 2.

Feeding earns nothing back here: avoided carbon is another account with other factors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite

from vpp.errors import DataError
from vpp.model.ids import EnterpriseId


def interval_kgco2(import_wh: int, grid_kgco2_per_kwh: float) -> float:
    """Carbon of one interval's import, in kg CO2, never negative.

    Raises:
        DataError: An import or a factor that is negative or not finite.
    """
    if import_wh < 0 or not (grid_kgco2_per_kwh >= 0 and isfinite(grid_kgco2_per_kwh)):
        raise DataError(
            f"{import_wh} Wh at {grid_kgco2_per_kwh} kgCO2/kWh",
            where="carbon",
            fix="Give the import as a size and a factor that is not below 0",
        )
    return import_wh / 1000 * grid_kgco2_per_kwh


def kgco2_by_enterprise(
    intervals: Iterable[tuple[Mapping[EnterpriseId, int], float]],
) -> dict[EnterpriseId, float]:
    """Carbon of a span from (import in Wh by enterprise, grid factor in kgCO2/kWh) per interval.

    Raises:
        DataError: As `interval_kgco2`.
    """
    total: dict[EnterpriseId, float] = {}
    for import_wh, factor in intervals:
        for enterprise_id, wh in import_wh.items():
            total[enterprise_id] = total.get(enterprise_id, 0.0) + interval_kgco2(wh, factor)
    return total
