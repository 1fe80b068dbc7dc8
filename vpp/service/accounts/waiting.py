"""For want of what a period is not settled for good: which meter, which series, from when to when.

Nobody needs to ask for anything to be worked out again: what comes is settled by the next account cycle.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Horizon
from vpp.model.ids import EnterpriseId
from vpp.model.time import QUARTER, Interval, latest_boundary
from vpp.service import accounting
from vpp.service.accounts.periods import ended_part, is_provisional
from vpp.service.accounts.views import WaitView
from vpp.service.inputs import reference_product
from vpp.service.plant import Plant

What = Literal["main_meter", "day_ahead_price", "imbalance_price", "filled_reading", "elsewhere"]
Lack = tuple[What, str, bool]
"""What it is, its name, whether it is given up."""


def waits(
    plant: Plant, span: Interval, now: datetime, of: EnterpriseId | None = None
) -> list[WaitView]:
    """Everything that keeps an interval of `span` that is over from being settled for good, oldest first.

    Told to one enterprise (`of`), what lacks of others is `elsewhere`, without a name.
    """
    over = ended_part(span, latest_boundary(now, QUARTER))
    first = accounting.first_settled(plant, now)
    if over is None or over.end <= first or not plant.file.gap_rules:
        return []
    over = Interval(max(over.start, first), over.end)
    found: dict[Lack, list[Interval]] = {}
    prices = _missing_prices(plant, over, now)
    for place, interval in enumerate(over.split(QUARTER)):
        missing = [name for name, absent in prices.items() if absent[place]]
        for lack in {*_lacks(plant, interval, missing, of)}:
            found.setdefault(lack, []).append(interval)
    return [
        WaitView(
            what=what,
            name=name,
            intervals=len(intervals),
            start=intervals[0].start,
            end=intervals[-1].end,
            given_up=given_up,
        )
        for (what, name, given_up), intervals in sorted(
            found.items(), key=lambda item: item[1][0].start
        )
    ]


def _lacks(
    plant: Plant, interval: Interval, missing: list[str], of: EnterpriseId | None
) -> Iterator[Lack]:
    known = plant.accounted.get(interval)
    spot = reference_product(plant).price_series_id
    if known is None:
        given_up = interval in plant.given_up
        for point in plant.file.park.connection_points:
            if plant.meters.energy_wh(point.meter_id, interval) is None:
                own = of in (None, point.enterprise_id)
                yield (
                    "main_meter" if own else "elsewhere",
                    point.meter_id if own else "",
                    given_up,
                )
        if spot in missing:
            yield "day_ahead_price", spot, given_up
    elif is_provisional(known):
        for name in missing:
            if name != spot:
                yield "imbalance_price", name, False
        for owner, energy in known.metered.items():
            if energy.provisional:
                own = of in (None, owner)
                yield ("filled_reading" if own else "elsewhere", owner if own else "", False)


def _missing_prices(plant: Plant, span: Interval, now: datetime) -> dict[str, NDArray[np.bool_]]:
    """By series, in which quarter-hours of `span` nothing is published."""
    horizon = Horizon.over(span, QUARTER)
    names = (reference_product(plant).price_series_id, *accounting.imbalance_series(plant))
    found: dict[str, NDArray[np.bool_]] = {}
    for name in dict.fromkeys(map(str, names)):
        if plant.series.has(name):
            found[name] = ~np.isfinite(plant.series.known(name, horizon, now).values)
        else:
            found[name] = np.ones(horizon.steps, dtype=bool)
    return found
