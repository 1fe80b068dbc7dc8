"""Carbon of what was drawn from the grid, by enterprise: location-based, scope 2.

    import of each interval × the grid's carbon in it, or the park's one figure where that is not known

Feeding earns nothing back here: avoided carbon is another account with other factors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportCarbon:
    """Carbon of what one enterprise drew."""

    kgco2: float
    by_figure_wh: int
    """Of the import, what the one figure of the park speaks for: nobody measured the grid then."""


def import_carbon(
    intervals: Iterable[tuple[Mapping[EnterpriseId, int], float | None]],
    *,
    figure_kgco2_per_kwh: float,
) -> dict[EnterpriseId, ImportCarbon]:
    """Carbon of a span from (import in Wh by enterprise, the grid's factor in kgCO2/kWh) per interval.

    An interval whose factor is None goes by the figure.

    Raises:
        DataError: As `interval_kgco2`.
    """
    total: dict[EnterpriseId, ImportCarbon] = {}
    for import_wh, measured in intervals:
        factor = figure_kgco2_per_kwh if measured is None else measured
        for enterprise_id, wh in import_wh.items():
            before = total.get(enterprise_id, ImportCarbon(kgco2=0.0, by_figure_wh=0))
            total[enterprise_id] = ImportCarbon(
                kgco2=before.kgco2 + interval_kgco2(wh, factor),
                by_figure_wh=before.by_figure_wh + (wh if measured is None else 0),
            )
    return total
