"""A resource that nobody has measured yet takes the course of its neighbours, with a wide spread.

    median   the sum of what its enterprise's other resources are expected to draw, scaled to its size
    spread   at the levels 0.05 and 0.95 that sum's peak off the median, less in between; within its size

A guess, and called one: the forecast names `borrowed/1` as its model. As soon as the series holds
days of its own a real model takes over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np

from vpp.errors import PlanError
from vpp.model.forecast import LEVELS, Forecast
from vpp.model.horizon import Horizon, Profile

MODEL = "borrowed/1"

_OUTERMOST = LEVELS[-1] - 0.5


def pooled(lenders: Sequence[Forecast]) -> Sequence[Forecast]:
    """Lenders as one, whom many may borrow from: thousands of series without a past need not add up thousands each.

    As they are where they are not of one horizon and in one unit: `borrowed` says so.
    """
    if len(lenders) < 2 or len(_shared(lenders)) != 1:
        return lenders
    first = lenders[0]
    values = np.sum([one.expected.values for one in lenders], axis=0)
    whole = Profile(first.expected.horizon, values)
    return (replace(first, series_id="pool", expected=whole, quantiles=None),)


def borrowed(
    series_id: str,
    lenders: Sequence[Forecast],
    *,
    size_kw: float,
    lenders_size_kw: float,
) -> Forecast:
    """Forecast a series without history from forecasts of series of its kind, on their horizon.

    Args:
        series_id: The series without history.
        lenders: Forecasts of the other resources of its enterprise, issued together.
        size_kw: The most that the resource can draw or feed: a size, above 0.
        lenders_size_kw: The same of all lenders together.

    Raises:
        PlanError: Nobody to borrow from, on one horizon and in one unit, or no size to scale by.
    """
    shared = _shared(lenders)
    if len(shared) != 1 or size_kw <= 0 or lenders_size_kw <= 0:
        raise PlanError(
            f"has no history, and {len(lenders)} others of {lenders_size_kw} kW cannot lend theirs"
            f" to {size_kw} kW",
            where=f"forecast of {series_id}",
            fix="Put history into the series, or give it a neighbour that has some",
        )
    ((unit, horizon, issued_at),) = shared
    scale = size_kw / lenders_size_kw
    middle = scale * np.sum([one.expected.values for one in lenders], axis=0)
    reach = float(np.abs(middle).max()) / _OUTERMOST
    fan = middle + (np.array(LEVELS)[:, None] - 0.5) * reach
    # What only draws or only feeds keeps doing so.
    low = 0.0 if (middle >= 0).all() else -size_kw
    high = 0.0 if (middle <= 0).all() else size_kw
    fan = np.clip(fan, low, high)
    return Forecast(
        series_id=series_id,
        unit=unit,
        issued_at=issued_at,
        model=MODEL,
        expected=Profile(horizon, middle),
        quantiles=fan,
    )


def _shared(lenders: Sequence[Forecast]) -> set[tuple[str, Horizon, datetime]]:
    return {(one.unit, one.expected.horizon, one.issued_at) for one in lenders}
