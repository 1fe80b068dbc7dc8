"""The frozen picture a plan is made from: nothing else is looked at.

What the park is, how it stands, what is expected, what is sold already, which products are still
open and what is known about their prices, which peaks are paid already. Strategies read it and
return terms; `compile.py` reads it for the physics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.ids import ConnectionPointId, ProductId, ResourceId
from vpp.model.measurement import ParkState
from vpp.model.park import LimitOrder, Park, Place
from vpp.model.rows import Profiles


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenProduct:
    """A product whose gate is still open for some steps of the horizon."""

    product_id: ProductId
    price_per_kwh: Profile
    """Expected (or published) price."""

    max_kw: Floats
    """Most that may be sold or bought in each step, 0 where the gate is closed; shape (T,)."""

    informative: bool
    """Whether its price is the best estimate of what energy is worth in that step."""

    due: NDArray[np.bool_] | None = None
    """Steps whose gate closes before the next plan, shape (T,): what is bid now cannot wait for it.
    None where all do."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Margin:
    """Room kept free below the limits of one place, for what its forecast does not know.

    It holds for the place's own limits and for every order upon it. Using it costs `price_per_kwh`
    and is no broken limit; what lies beyond the limit itself costs as it does without a margin.
    """

    place: Place
    """A connection point, an enterprise, a feeder or the park."""

    import_kw: Floats
    """kW kept free below the limit on drawing, not below 0, shape (T,)."""

    export_kw: Floats
    """The same below the limit on feeding, shape (T,)."""

    price_per_kwh: float
    """What a kWh within it costs: far above market prices, below that of a broken limit."""

    def __post_init__(self) -> None:
        kw = np.array([self.import_kw, self.export_kw])
        if not (np.isfinite(kw).all() and (kw >= 0).all() and 0 <= self.price_per_kwh < np.inf):
            raise DataError(
                "a margin or its price is below 0 or not finite",
                where=f"margin at {self.place}",
                fix="Give sizes in kW and a price per kWh",
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PeakMargin:
    """Room kept free below a peak, for what its forecast does not know: imports may come out higher.

    Using it costs a share of what the peak itself would: as probable as a new peak is, where a plan
    comes that near.
    """

    import_kw: Floats
    """kW kept free below the peak, not below 0, shape (T,)."""

    share: float
    """Of the price of the peak, 0 to 1 (exclusive)."""

    def __post_init__(self) -> None:
        sizes = np.isfinite(self.import_kw).all() and (self.import_kw >= 0).all()
        if not (sizes and 0 <= self.share < 1):
            raise DataError(
                "a margin is below 0 or not finite, or its price is not below that of the peak",
                where="margin of a paid peak",
                fix="Give sizes in kW and a share from 0 to below 1",
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PaidPeak:
    """The demand charge of one connection point in one billing month of the horizon."""

    connection_point_id: ConnectionPointId
    first_step: int
    last_step: int
    """Exclusive."""

    price_per_kw: float
    paid_kw: float
    """Highest mean import so far in that month, or what a contract includes where that is more."""

    interval_steps: int = 1
    """Steps in one measuring interval."""

    elapsed_steps: int = 0
    """Steps of the first interval that lie before `first_step`."""

    elapsed_kw: float = 0.0
    """Mean import of those."""

    counts: NDArray[np.bool_] | None = None
    """Steps that lie in a window of peak hours, shape (T,); None where all do."""

    margin: PeakMargin | None = None

    def highest_kw(self, import_kw: Floats) -> float:
        """The highest mean of a course of imports, a size for each step of the horizon; shape (T,)."""
        steps = np.arange(self.first_step, self.last_step)
        interval = (steps - self.first_step + self.elapsed_steps) // self.interval_steps
        energy = np.bincount(interval, import_kw[steps])
        length = np.bincount(interval)
        energy[0] += self.elapsed_steps * self.elapsed_kw
        length[0] += self.elapsed_steps
        counts = np.ones(len(steps)) if self.counts is None else self.counts[steps]
        return float((energy / length)[np.bincount(interval, counts) > 0].max(initial=0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class CallWindow:
    """A window of demand response that reaches into the horizon."""

    name: str
    first_step: int
    last_step: int
    """Exclusive."""

    up: bool
    """True: less is to be drawn; False: more."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlanningView:
    """All inputs of one plan. Profiles stand on `horizon`; powers are net injection in kW."""

    now: datetime
    park: Park
    horizon: Horizon
    state: ParkState

    base_kw: Mapping[ResourceId, Profile]
    """Expected power of each FixedLoad and CurtailableLoad, if nobody turns it down."""

    available_kw: Mapping[ResourceId, Profile]
    """Expected power of each weather-driven Generator if nothing curtails it."""

    outdoor_degc: Mapping[str, Profile]
    """Expected outdoor temperature, by series id."""

    arriving_kw: Mapping[ResourceId, Profile]
    """Expected power (not above 0) of cars that are not here yet, for each EvFleet."""

    spot_per_kwh: Profile
    """Expected (or published) day-ahead price: what energy is worth in each step."""

    committed_kw: Floats
    """Sold already, shape (T,)."""

    open_products: tuple[OpenProduct, ...]
    import_per_kwh: Mapping[ConnectionPointId, Profile]
    """Network price of a kWh imported, by connection point."""

    paid_peaks: tuple[PaidPeak, ...]

    power_share: Mapping[str, Profile] = field(default_factory=dict)
    """Share of a storage's power limits that is available, 0 to 1, by series id."""

    limit_orders: tuple[LimitOrder, ...] = ()
    """Orders in force now or later; each holds in the steps that lie wholly or partly in its span."""

    grid_kgco2_per_kwh: Profile | None = None
    """Expected carbon of a kWh imported; None where only the park's own figure is known."""

    most_turned_down_kw: Mapping[ResourceId, Floats] = field(default_factory=dict)
    """Most that a CurtailableLoad may be turned down in each step, shape (T,), where that is less than its
    share of what it draws: a person does it, who was asked already, or said no."""

    announced: Mapping[ResourceId, tuple[datetime, ...]] = field(default_factory=dict)
    """When calls of the plan before begin, of loads that must be told some time ahead: these were."""

    calls: tuple[CallWindow, ...] = ()
    """Demand response that is asked for, or may come."""

    borne_kwh: Mapping[ResourceId, float] = field(default_factory=dict)
    """What loads were turned down already today, in kWh, where they say so."""

    left_alone: Mapping[ResourceId, NDArray[np.bool_]] = field(default_factory=dict)
    """Steps in which a resource is not steered, shape (T,): its owner said so, or it is being mended."""

    held_kw: Mapping[ResourceId, Floats] = field(default_factory=dict)
    """What a Storage does in the steps in which an operator has it in hand, NaN in the others, shape (T,): a power
    that its energy allows."""

    margins: tuple[Margin, ...] = ()
    """Room kept free below limits, one for each place at most."""

    def alone(self, resource_id: ResourceId) -> NDArray[np.bool_]:
        """Steps in which a resource is left alone, shape (T,)."""
        nowhere = np.zeros(self.horizon.steps, dtype=bool)
        return self.left_alone.get(resource_id, nowhere)

    def in_hand(self, resource_id: ResourceId) -> NDArray[np.bool_]:
        """Steps in which an operator has a resource in hand, shape (T,)."""
        held_kw = self.held_kw.get(resource_id)
        return np.zeros(self.horizon.steps, dtype=bool) if held_kw is None else ~np.isnan(held_kw)

    @property
    def not_steered(self) -> dict[ResourceId, NDArray[np.bool_]]:
        """Steps in which plan and bids may not move a resource, shape (T,): left alone, or in hand."""
        held = {name: self.in_hand(name) | self.alone(name) for name in self.held_kw}
        return {**self.left_alone, **held}

    def __post_init__(self) -> None:
        every = (
            *_one_by_one(self.base_kw),
            *_one_by_one(self.available_kw),
            *self.outdoor_degc.values(),
            *self.arriving_kw.values(),
            *dict.fromkeys(self.import_per_kwh.values()),  # many points have one tariff
            *(product.price_per_kwh for product in self.open_products),
            *self.power_share.values(),
            *([] if self.grid_kgco2_per_kwh is None else [self.grid_kgco2_per_kwh]),
            self.spot_per_kwh,
        )
        for profile in every:
            if profile.horizon != self.horizon:
                raise DataError(
                    f"a profile stands on {profile.horizon}, the view on {self.horizon}",
                    where="PlanningView",
                    fix="Build all profiles on the view's horizon",
                )
            if not profile.complete:
                raise DataError(
                    "a profile has unknown steps",
                    where="PlanningView",
                    fix="Forecast every step before planning",
                )
        places = [margin.place for margin in self.margins]
        if len(set(places)) < len(places) or any(
            kw.shape != (self.horizon.steps,)
            for margin in self.margins
            for kw in (margin.import_kw, margin.export_kw)
        ):
            raise DataError(
                f"margins at {places} do not fit",
                where="PlanningView",
                fix=f"Give one a place, with one value for each of {self.horizon.steps} steps",
            )


def _one_by_one(profiles: Mapping[ResourceId, Profile]) -> Iterable[Profile | Profiles[ResourceId]]:
    """Each of them; those that are one array are looked at as one."""
    return [profiles] if isinstance(profiles, Profiles) else profiles.values()
