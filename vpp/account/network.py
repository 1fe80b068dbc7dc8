"""The two-part tariff as statement lines: energy by time-of-use band, and the peak's increase."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from zoneinfo import ZoneInfo

from vpp.account.peaks import PeakIncrease
from vpp.errors import DataError
from vpp.model.ids import ConnectionPointId
from vpp.model.money import exact, to_minor
from vpp.model.settlement import StatementLine
from vpp.model.tariff import TwoPartTariff
from vpp.model.time import Interval


def network_energy(
    point: ConnectionPointId,
    tariff: TwoPartTariff,
    zone: ZoneInfo,
    imports: Iterable[tuple[Interval, int]],
    minor_unit: Decimal,
) -> tuple[StatementLine, ...]:
    """What the kWh imported through one connection point cost, one line for each band and price.

    `imports` holds intervals with their import in Wh. Rounded once for each line. Energies are
    net injection, so below 0; amounts are credits, so below 0 too.

    Raises:
        DataError: A negative import.
    """
    bands: dict[tuple[str, Decimal], int] = {}
    for interval, import_wh in imports:
        if import_wh < 0:
            raise DataError(
                f"import of {import_wh} Wh", where=f"{point} {interval.start}", fix="Give a size"
            )
        band = tariff.band_at(interval.start, zone)
        key = (band.name, band.price_per_kwh)
        bands[key] = bands.get(key, 0) + import_wh
    return tuple(
        StatementLine(
            item="network_energy",
            detail=f"{point} {name} at {price}",
            energy_kwh=-Decimal(import_wh) / 1000,
            amount=-to_minor(Decimal(import_wh) / 1000 * price, minor_unit),
        )
        for (name, price), import_wh in bands.items()
    )


def demand_charge(
    point: ConnectionPointId,
    tariff: TwoPartTariff,
    increases: Sequence[PeakIncrease],
    minor_unit: Decimal,
) -> tuple[StatementLine, ...]:
    """What the increase of the peak costs, one line for each billing month touched."""
    return tuple(
        StatementLine(
            item="demand_charge",
            detail=(
                f"{point} {rise.month:%Y-%m} peak {rise.before_kw:.1f} to {rise.after_kw:.1f} kW"
                f" at {tariff.demand_charge_per_kw_month}"
            ),
            energy_kwh=Decimal(0),
            amount=-to_minor(
                (exact(rise.after_kw) - exact(rise.before_kw)) * tariff.demand_charge_per_kw_month,
                minor_unit,
            ),
        )
        for rise in increases
    )
