"""The two-part tariff as statement lines: energy by time-of-use band, what a peak adds, what stands.

network_energy    kWh of each band at its price
demand_charge     what the rise of a month's peak costs (beyond a contract, where there is one)
what a month costs whatever is imported (a contract, a capacity), by days
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from types import MappingProxyType
from zoneinfo import ZoneInfo

from vpp.account.peaks import PeakIncrease, next_month
from vpp.errors import DataError
from vpp.model.ids import ConnectionPointId
from vpp.model.money import exact, to_minor
from vpp.model.park import ConnectionPoint
from vpp.model.settlement import StatementLine
from vpp.model.tariff import TwoPartTariff
from vpp.model.time import Interval, local_date, local_moment

UNKNOWN_YET: Mapping[date, Decimal] = MappingProxyType({})


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


def rise_cost(
    point: ConnectionPoint, tariff: TwoPartTariff, rise: PeakIncrease, month_kwh: Decimal | None
) -> Decimal:
    """What the rise of a month's peak costs, a size, not rounded.

    `month_kwh` is the import of the whole month: it decides a discount, so None while it runs.
    """
    before, after = (
        tariff.demand.rising(point.contracted, exact(kw), month_kwh)
        for kw in (rise.before_kw, rise.after_kw)
    )
    return after - before


def demand_charge(
    point: ConnectionPoint,
    tariff: TwoPartTariff,
    increases: Sequence[PeakIncrease],
    minor_unit: Decimal,
    month_kwh: Mapping[date, Decimal] = UNKNOWN_YET,
) -> tuple[StatementLine, ...]:
    """What the increase of the peak costs, one line for each billing month touched.

    `month_kwh` holds the imports of billing months that are over. No line where peaks cost nothing.
    """
    if not tariff.demand.rise_per_kw:
        return ()
    return tuple(
        StatementLine(
            item="demand_charge",
            detail=(
                f"{point.connection_point_id} {rise.month:%Y-%m} peak {rise.before_kw:.1f} to"
                f" {rise.after_kw:.1f} kW at {tariff.demand.rise_per_kw}"
            ),
            energy_kwh=Decimal(0),
            amount=-to_minor(rise_cost(point, tariff, rise, month_kwh.get(rise.month)), minor_unit),
        )
        for rise in increases
    )


def standing_charge(
    point: ConnectionPoint,
    tariff: TwoPartTariff,
    span: Interval,
    zone: ZoneInfo,
    minor_unit: Decimal,
    month_kwh: Mapping[date, Decimal] = UNKNOWN_YET,
) -> tuple[StatementLine, ...]:
    """What a contract or a capacity costs, by the local days that begin within `span`.

    One line for each billing month touched; none where nothing stands.
    """
    first, last = local_date(span.start, zone), local_date(span.end, zone)
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    begun = Counter(day.replace(day=1) for day in days if local_moment(day, time(), zone) in span)
    lines = []
    for month, count in begun.items():
        charge = tariff.demand.standing(point.contracted, month_kwh.get(month))
        of = (next_month(month) - month).days
        if charge:
            lines.append(
                StatementLine(
                    item="demand_charge",
                    detail=f"{point.connection_point_id} {month:%Y-%m} agreed, {count} of {of} days",
                    energy_kwh=Decimal(0),
                    amount=-to_minor(charge * count / of, minor_unit),
                )
            )
    return tuple(lines)
