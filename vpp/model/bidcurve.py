"""What is worth selling of one product at which price: curves that the planner made for several prices.

    net sold kW
     ▲            ┌───── at the dearest scenario's price
     │      ┌─────┘
     │  ┌───┘  rise: (limit, how much more)       between two scenarios' prices lies one limit
     ├──┘ at the cheapest scenario's price
     └───────────────▶ price

Above 0 is sold, below 0 bought, both beside what is sold already. A curve never falls.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from vpp.errors import DataError
from vpp.model.horizon import Floats, Horizon
from vpp.model.ids import ProductId


class Rise(NamedTuple):
    """A step of a curve: from this price on so much more is sold (or less bought)."""

    price_per_kwh: float
    kw: float
    value_per_kwh: float
    """What the energy is worth to the park around here, its shadow price: what the limit was made from."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CurveCheck:
    """What came of the curves on price paths beside the scenarios they were made for."""

    paths: int
    """So many were checked."""

    asked: int
    """So many were to be; fewer were where time ran out."""

    undelivered_share: float
    """Of the energy that the uncut curves trade on all paths, what the park could not deliver (or take): found,
    or after a cut the most that is left."""

    share_before_cut: float
    """The same before the curves were cut."""

    kept: float
    """1 where the curves are offered as they were planned; below, so much of their way from the point
    plan's quantity was left, 0: that quantity whatever the price."""

    paths_short: int
    """Paths on which anything could not be delivered, before a cut."""

    mean_cost: float
    """Of the whole horizon before a cut, in the park's currency, mean of the paths; undelivered energy
    included."""

    worst_cost: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BidCurves:
    """The curves of one delivery. S is the number of price scenarios, I of delivery intervals."""

    product_id: ProductId
    horizon: Horizon
    """One step for each delivery interval."""

    status: str
    """`expected`; or `point plan: <reason>`, where there are no curves."""

    scenario_per_kwh: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    """Prices that the curves were made for, equally likely, shape (S, I)."""

    planned_kw: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    """What was planned to be sold at them, shape (S, I)."""

    value_per_kwh: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    """What one more kWh is worth to the park then, shape (S, I)."""

    lowest_kw: Floats = field(default_factory=lambda: np.zeros(0))
    """Sold (bought below 0) at the lowest prices, shape (I,)."""

    rises: tuple[tuple[Rise, ...], ...] = ()
    """Of each interval, by rising price."""

    cvar_weight: float = 0.0
    cvar_level: float = 0.0
    expected_cost: float = float("nan")
    """Of the whole horizon over the scenarios, in the park's currency."""

    cvar_cost: float = float("nan")
    """Mean of the dearest 1 - `cvar_level` of them."""

    check: CurveCheck | None = None
    solve_s: float = 0.0

    def __post_init__(self) -> None:
        for place, rises in enumerate(self.rises):
            prices = [rise.price_per_kwh for rise in rises]
            if any(a >= b for a, b in pairwise(prices)) or any(rise.kw <= 0 for rise in rises):
                raise DataError(
                    f"rises {rises}",
                    where=f"curve {place} of {self.product_id}",
                    fix="Let prices rise from step to step, and quantities with them",
                )

    @property
    def usable(self) -> bool:
        """Whether there are curves to bid."""
        return self.status == "expected"

    def sold_kw(self, price_per_kwh: Floats) -> Floats:
        """What is sold at a price in each interval, shapes (I,)."""
        return np.array(
            [
                low + sum(rise.kw for rise in rises if rise.price_per_kwh <= price)
                for low, rises, price in zip(
                    self.lowest_kw, self.rises, price_per_kwh.tolist(), strict=True
                )
            ]
        )
