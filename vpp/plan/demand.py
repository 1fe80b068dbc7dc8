"""Demand charges of the park's tariffs, as peaks that a plan may raise: one a point and billing month."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError
from vpp.model.demand import Measuring
from vpp.model.horizon import Horizon
from vpp.model.ids import ConnectionPointId
from vpp.model.park import ConnectionPoint, Park
from vpp.model.tariff import TwoPartTariff, billing_month
from vpp.plan.view import PaidPeak


def paid_peaks(
    park: Park,
    horizon: Horizon,
    *,
    paid_kw: Callable[[ConnectionPointId, datetime], float],
    running_kw: Callable[[ConnectionPointId], float],
) -> tuple[PaidPeak, ...]:
    """One peak for each connection point and billing month that the horizon touches.

    A point that is charged by its capacity has none. The price is that of a month without a discount:
    whether it will use its transformers well enough is known at its end.

    Args:
        park: Its points and tariffs.
        horizon: The plan's.
        paid_kw: The highest mean import of a point, a size, in the billing month of a moment that is
            the start of the horizon or of a month.
        running_kw: Mean import of a point in the measuring interval that runs when the horizon
            starts, up to then; asked only where one runs.

    Raises:
        DataError: A measuring interval is no whole number of steps, nor a step of such intervals.
    """
    months = [billing_month(start, park.timezone) for start in horizon.starts()]
    found = []
    for month in dict.fromkeys(months):
        first, count = months.index(month), months.count(month)
        for point in park.connection_points:
            tariff = park.tariff_by_id[point.tariff_id]
            if not tariff.demand.rise_per_kw:
                continue
            name = point.connection_point_id
            before = _elapsed_steps(tariff.demand.measuring, horizon, park.timezone, point)
            elapsed = before if first == 0 else 0
            included_kw = tariff.demand.free_kw(point.contracted)
            found.append(
                PaidPeak(
                    connection_point_id=name,
                    first_step=first,
                    last_step=first + count,
                    price_per_kw=float(tariff.demand.rise_per_kw),
                    paid_kw=max(paid_kw(name, horizon.start + first * horizon.step), included_kw),
                    interval_steps=max(tariff.demand.measuring.interval // horizon.step, 1),
                    elapsed_steps=elapsed,
                    elapsed_kw=running_kw(name) if elapsed else 0.0,
                    counts=_counts(tariff, horizon, park.timezone),
                )
            )
    return tuple(found)


def _elapsed_steps(
    measuring: Measuring, horizon: Horizon, zone: ZoneInfo, point: ConnectionPoint
) -> int:
    """Steps of the measuring interval that runs when the horizon starts, before it does."""
    if horizon.step >= measuring.interval:
        fits = not horizon.step % measuring.interval
        steps, rest = 0, horizon.step * (not fits)
    else:
        fits = not measuring.interval % horizon.step
        steps, rest = divmod(horizon.start - measuring.began(horizon.start, zone), horizon.step)
    if rest or not fits:
        raise DataError(
            f"steps of {horizon.step} from {horizon.start} do not fill measuring intervals of"
            f" {measuring.interval}",
            where=f"demand charge of {point.connection_point_id}",
            fix="Plan in steps that divide the interval, from a step of it on",
        )
    return steps


def _counts(tariff: TwoPartTariff, horizon: Horizon, zone: ZoneInfo) -> NDArray[np.bool_] | None:
    """Steps in which a peak can be made, shape (T,); None where all are."""
    if not tariff.demand.measuring.windows:
        return None
    return np.array([tariff.makes_peak(start, zone) for start in horizon.starts()])
