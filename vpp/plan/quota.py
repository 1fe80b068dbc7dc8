"""Budgets of a year, a month or a day, as a price in the plan of a day or two.

A plan does not see the end of the year; a price does. A coarse model of what is left of the period, one
row a day, says what the last unit is worth; the plan then pays that for each unit (`ActivityPrice`,
`CarbonPrice`, the price of a `PeakCharge`). It is renewed every day with what was used by then.

    worth of a unit      day 1   day 2   day 3  …
      block 1              9       8       9        maximise  Σ worth · x
      block 2              4       5       3  ◀── the dual of the budget lies here
      block 3              1       2       1        least - used  <=  Σ (must + x)  <=  most - used

Where a budget ends between two blocks, every price between their worths is right, and the solver
chooses one. A budget that cannot be kept is an outcome, `Unreachable`; nobody is surprised by it in
December. Its price is the highest that the days left know, so that it is missed by as little as can be.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import TypeAlias

import numpy as np
from scipy.optimize import OptimizeResult, linprog

from vpp.errors import DataError, PlanError
from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.plan.terms import Activity, ActivityPrice, CarbonPrice

NOTHING = 1e-9
"""Less than this share of a budget is rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """How much of something a period must see at least, and may see at most; in its own unit."""

    reason: str
    """As people know it: `export ratio 2026`."""

    used: float
    """So far in the period."""

    least: float = -inf
    most: float = inf

    def __post_init__(self) -> None:
        if not (isfinite(self.used) and self.least <= self.most):
            raise DataError(
                f"used {self.used}, from {self.least} to {self.most}",
                where=f"quota {self.reason}",
                fix="Let least not exceed most, and say how much is used",
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RestOfPeriod:
    """What is expected of the D days that are left, today first; K blocks a day."""

    must: Floats
    """What is used whatever it costs, shape (D,)."""

    could: Floats
    """What could be used beside it, block by block, shape (D, K)."""

    worth_per_unit: Floats
    """What a unit of each block is worth, falling along a day; below 0 where it costs; shape (D, K)."""

    def __post_init__(self) -> None:
        days = self.must.shape[0]
        if self.could.shape != self.worth_per_unit.shape or self.could.shape[:1] != (days,):
            raise DataError(
                f"must {self.must.shape}, could {self.could.shape},"
                f" worth {self.worth_per_unit.shape}",
                where="RestOfPeriod",
                fix="Give one row a day",
            )
        if not ((self.must >= 0).all() and (self.could >= 0).all()):
            raise DataError("a quantity below 0", where="RestOfPeriod", fix="Give sizes")
        if (np.diff(self.worth_per_unit, axis=1) > 0).any():
            raise DataError(
                "a later block of a day is worth more than an earlier one",
                where="RestOfPeriod",
                fix="Sort each day's blocks by what they are worth",
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Priced:
    """A quota that can be kept, and what its last unit is worth."""

    price_per_unit: float
    """Above 0 where it may be used up; below 0 where enough must be done; else 0."""

    planned: Floats
    """What the coarse model uses on each day, shape (D,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreachable:
    """A quota that cannot be kept any more, whatever is done."""

    reason: str
    by: float
    """Units above the most, if all is left undone that can be; or below the least (a size)."""

    price_per_unit: float = 0.0
    """What the dearest unit of the days left is worth (or costs, below 0): miss it by no more."""


QuotaOutcome: TypeAlias = Priced | Unreachable


def price_of(quota: Quota, rest: RestOfPeriod) -> QuotaOutcome:
    """What one more unit is worth in the days that are left."""
    certain = quota.used + float(rest.must.sum())
    possible = certain + float(rest.could.sum())
    by = max(certain - quota.most, quota.least - possible)
    if by > NOTHING * max(abs(certain), abs(possible), 1.0):
        worth = rest.worth_per_unit[rest.could > 0]
        dearest = worth.max(initial=0.0) if certain > quota.most else worth.min(initial=0.0)
        return Unreachable(reason=quota.reason, by=by, price_per_unit=float(dearest))
    blocks = rest.could.ravel()
    # Both sides as rows `sign · Σ x <= room`; rounding may not make them clash.
    sides = [
        (1.0, max(quota.most - certain, 0.0)),
        (-1.0, max(certain - quota.least, -float(blocks.sum()))),
    ]
    bound = [(sign, room) for sign, room in sides if isfinite(room)]
    signs = np.array([sign for sign, _ in bound])
    result = _solved(
        -rest.worth_per_unit.ravel(),
        np.outer(signs, np.ones(blocks.size)),
        np.array([room for _, room in bound]),
        np.column_stack([np.zeros(blocks.size), blocks]),
        quota.reason,
    )
    price = float(-signs @ result.ineqlin.marginals) if bound else 0.0
    return Priced(
        # The solver rounds: a quota of one side has a price of one sign.
        price_per_unit=float(
            np.clip(price, -inf if isfinite(quota.least) else 0, inf if isfinite(quota.most) else 0)
        ),
        planned=rest.must + result.x.reshape(rest.could.shape).sum(axis=1),
    )


def activity_price(
    quota: Quota, priced: QuotaOutcome, activity: Activity, resource_id: ResourceId | None = None
) -> ActivityPrice:
    """The price as a term: calls, hours of a backup, cycle life, imports, exports, green use.

    Raises:
        DataError: A least quantity of anything but green use: doing it for its own sake.
    """
    return ActivityPrice(
        activity=activity,
        resource_id=resource_id,
        price_per_unit=priced.price_per_unit,
        reason=quota.reason,
    )


def carbon_price(priced: QuotaOutcome, grid_kgco2_per_kwh: Floats) -> CarbonPrice:
    """The price of a carbon budget, counted in kgCO2, as a term; factors in shape (T,)."""
    return CarbonPrice(price_per_kgco2=priced.price_per_unit, grid_kgco2_per_kwh=grid_kgco2_per_kwh)


# ---------------------------------------------------------------- the peak of a billing month


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DaysOfPeak:
    """Highest imports that are expected of the D days left of a billing month, today first."""

    expected_kw: Floats
    """If nobody shaves, shape (D,)."""

    shave_kw: Floats
    """How far each day's peak can be lowered, block by block, shape (D, K)."""

    cost_per_kw: Floats
    """What a kW of each block costs, shape (D, K)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakWorth:
    """What today's peak is worth, as the rest of the month will go."""

    price_per_kw: float
    """Today's part of the demand charge: the price of a `PeakCharge`. 0 where a later day is expected
    to set the peak anyway; all of it where only today can."""

    expected_kw: float
    """The month's peak, as far as it pays to lower it."""


def peak_worth(days: DaysOfPeak, *, price_per_kw: float, paid_kw: float) -> PeakWorth:
    """Share the demand charge of a month out to its days.

    minimise   price · peak + Σ cost · shaved
    subject to peak >= paid,   peak + Σ shaved >= expected   (each day; the dual of today's row)
    """
    count, blocks = days.shave_kw.shape
    cost = np.concatenate([[price_per_kw], days.cost_per_kw.ravel()])
    shaved = np.kron(np.eye(count), np.ones(blocks))
    matrix = -np.column_stack([np.ones(count), shaved])
    most = np.concatenate([[inf], days.shave_kw.ravel()])
    least = np.concatenate([[paid_kw], np.zeros(count * blocks)])
    bounds = np.column_stack([least, most])
    result = _solved(cost, matrix, -days.expected_kw, bounds, "billing peak")
    return PeakWorth(
        price_per_kw=float(-result.ineqlin.marginals[0]), expected_kw=float(result.x[0])
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakStep:
    """A price for each kW of a peak above some power; those of one peak add up."""

    free_kw: float
    price_per_kw: float


def peak_steps(rest: DaysOfPeak, *, price_per_kw: float, paid_kw: float) -> tuple[PeakStep, ...]:
    """What the peak of the days that a plan sees costs, as the `rest` of the month will go.

        cost per kW
          charge ┤              ┌────   every kW is the month's own
                 ┤       ┌──────┘       a kW more spares later days some shaving
               0 ┼───────┘              a later day makes as high a peak anyway
                 0     later days' peak

    Convex: each step begins where a later day (or a block of its shaving) ceases to bind.
    """
    lowered = rest.expected_kw[:, None] - np.cumsum(rest.shave_kw, axis=1)
    corners = np.concatenate([rest.expected_kw, lowered.ravel()])
    corners = np.unique(np.concatenate([[paid_kw], corners[corners > paid_kw]]))
    beyond = np.append((corners[:-1] + corners[1:]) / 2, corners[-1] + 1.0)
    steps, before = [], 0.0
    for corner, peak_kw in zip(corners.tolist(), beyond.tolist(), strict=True):
        seen = DaysOfPeak(
            expected_kw=np.append(peak_kw, rest.expected_kw),
            shave_kw=np.vstack([np.zeros((1, rest.shave_kw.shape[1])), rest.shave_kw]),
            cost_per_kw=np.vstack([np.zeros((1, rest.cost_per_kw.shape[1])), rest.cost_per_kw]),
        )
        worth = peak_worth(seen, price_per_kw=price_per_kw, paid_kw=paid_kw).price_per_kw
        if worth - before > NOTHING:
            steps.append(PeakStep(free_kw=corner, price_per_kw=worth - before))
            before = worth
    return tuple(steps)


# ---------------------------------------------------------------- green direct connection


@dataclass(frozen=True, slots=True, kw_only=True)
class GreenEnergy:
    """Energies of a green direct connection, of a span; as metered, not as differences of them."""

    fed_kwh: float
    curtailed_kwh: float
    exported_kwh: float
    storage_loss_kwh: float
    load_kwh: float

    def __add__(self, other: GreenEnergy) -> GreenEnergy:
        """Both spans together."""
        return GreenEnergy(
            fed_kwh=self.fed_kwh + other.fed_kwh,
            curtailed_kwh=self.curtailed_kwh + other.curtailed_kwh,
            exported_kwh=self.exported_kwh + other.exported_kwh,
            storage_loss_kwh=self.storage_loss_kwh + other.storage_loss_kwh,
            load_kwh=self.load_kwh + other.load_kwh,
        )

    @property
    def available_kwh(self) -> float:
        """What could have been generated."""
        return self.fed_kwh + self.curtailed_kwh

    @property
    def self_used_kwh(self) -> float:
        """What was used at home: neither exported nor lost in stores."""
        return self.fed_kwh - self.exported_kwh - self.storage_loss_kwh

    @property
    def self_use_share(self) -> float:
        """Of what was available."""
        return self.self_used_kwh / self.available_kwh

    @property
    def green_share(self) -> float:
        """Of all that was consumed."""
        return self.self_used_kwh / self.load_kwh

    @property
    def export_share(self) -> float:
        """Of what was available."""
        return self.exported_kwh / self.available_kwh


@dataclass(frozen=True, slots=True, kw_only=True)
class GreenRules:
    """The limits of the ratios over a calendar year, as the rule of the year gives them."""

    least_self_use_share: float
    least_green_share: float
    most_export_share: float


def green_quotas(so_far: GreenEnergy, rest: GreenEnergy, rules: GreenRules) -> tuple[Quota, Quota]:
    """The ratios of a year as quotas: of green use (kWh fed and not exported), and of exports.

    What is available and drawn in the year does not depend on the plan, so a ratio of it is a
    quantity. Losses of stores are no self-use, but `Activity.GREEN_USE` counts them: so many kWh more
    of it are needed.
    """
    year = so_far + rest
    self_use_kwh = max(
        rules.least_self_use_share * year.available_kwh, rules.least_green_share * year.load_kwh
    )
    return (
        Quota(
            reason="self-use of green direct connection",
            used=so_far.fed_kwh - so_far.exported_kwh,
            least=self_use_kwh + year.storage_loss_kwh,
        ),
        Quota(
            reason="exports of green direct connection",
            used=so_far.exported_kwh,
            most=rules.most_export_share * year.available_kwh,
        ),
    )


def _solved(
    cost: Floats, matrix: Floats, most: Floats, bounds: Floats, reason: str
) -> OptimizeResult:
    result: OptimizeResult = linprog(cost, A_ub=matrix, b_ub=most, bounds=bounds, method="highs")
    if result.x is None:
        raise PlanError(f"{reason}: {result.message}", where="quota", fix="Look at its numbers")
    return result
