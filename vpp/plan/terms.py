"""What a strategy may ask of the planner: a closed list of plain data.

A new kind of term is a new dataclass here, a new `case` in `money.py`, a line in `validate/`
and a test. Prices are in the park's currency per kWh; powers are kW, net injection positive;
arrays have one value for each step of the view's horizon, shape (T,).

How positions add up, for each step of the horizon:

    net = committed + sum over open products (sold - bought) - short + long
          Commitment   OpenTrade                              Commitment
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError
from vpp.model.horizon import Floats
from vpp.model.ids import ConnectionPointId, NodeId, ProductId, ResourceId
from vpp.model.park import Place
from vpp.plan.view import PeakMargin


class Activity(StrEnum):
    """What a quota may count, each in its own unit."""

    IMPORT = "import"
    """kWh drawn from the grid by the park."""
    EXPORT = "export"
    """kWh fed to the grid by the park."""
    GREEN_USE = "green_use"
    """kWh of green generation used at home; a price below 0 rewards it."""
    CALLS = "calls"
    """Calls or starts of a resource."""
    HOURS_ON = "hours_on"
    """Hours a resource that is on or off is on."""
    DISCHARGED = "discharged"
    """kWh taken out of a storage."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EnergyPrice:
    """What a kWh costs on its way in, and earns on its way out, at one connection point."""

    connection_point_id: ConnectionPointId
    import_per_kwh: Floats
    export_per_kwh: Floats

    def __post_init__(self) -> None:
        if (self.export_per_kwh > self.import_per_kwh).any():
            raise DataError(
                "exporting earns more than importing costs in some step",
                where=f"EnergyPrice at {self.connection_point_id}",
                fix="Put the market's price into OpenTrade, where both directions meet",
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Commitment:
    """What is sold already, with a price for falling short and one for going over."""

    base_kw: Floats
    short_per_kwh: Floats
    """Paid for each kWh less than sold (or more than bought)."""

    long_per_kwh: Floats
    """Got for each kWh more than sold (or less than bought)."""

    def __post_init__(self) -> None:
        if (self.long_per_kwh > self.short_per_kwh).any():
            raise DataError(
                "going over earns more than falling short costs in some step",
                where="Commitment",
                fix="Let long_per_kwh not exceed short_per_kwh",
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenTrade:
    """A product that can still be traded: at these expected prices, up to these quantities."""

    product_id: ProductId
    sell_per_kwh: Floats
    buy_per_kwh: Floats
    max_kw: Floats
    """Most that may be sold, and bought; 0 in steps whose gate is closed."""

    due: NDArray[np.bool_] | None = None
    """Steps whose gate closes before the next plan, shape (T,): one quantity is bid there, whatever
    comes. None: in all steps. It counts where several futures are planned for (`vpp/service/planning/futures.py`)."""

    def __post_init__(self) -> None:
        if (self.sell_per_kwh > self.buy_per_kwh).any():
            raise DataError(
                "selling earns more than buying costs in some step",
                where=f"OpenTrade {self.product_id}",
                fix="Let the spread between buy_per_kwh and sell_per_kwh not be negative",
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cap:
    """A limit that a strategy or a tariff sets on a place of the tree, for a price."""

    place: Place
    also: tuple[Place, ...] = ()
    """Further places that count together with it, none of them above another."""

    import_kw: Floats | None = None
    """Most that may be drawn in each step; None where it sets nothing."""

    export_kw: Floats | None = None
    excess_per_kwh: float
    """Price of a kWh beyond it."""

    reason: str
    """Who set it, as people know them."""

    def __post_init__(self) -> None:
        require_price(self, "excess_per_kwh", where=f"Cap of {self.reason} at {self.place}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PeakCharge:
    """Pay `price_per_kw` for the highest mean import of some metering intervals, above `free_kw`.

    What is paid already, or included in a contract, is `free_kw`. Two terms of one connection point
    with different `free_kw` make a price that rises: a contract whose excess is charged double.

    Intervals follow each other from `elapsed_steps` before `first_step` on. One that `last_step` cuts
    counts by the mean of its steps that can be seen: the rest of it is the next plan's.
    """

    connection_point_id: ConnectionPointId
    first_step: int
    last_step: int
    """Exclusive."""

    price_per_kw: float
    free_kw: float

    interval_steps: int = 1
    """Steps in one metering interval; imports are averaged over it."""

    elapsed_steps: int = 0
    """Steps of the first interval that lie before `first_step`, with what was imported in them."""

    elapsed_kw: float = 0.0
    """Mean import of the elapsed steps."""

    counts: NDArray[np.bool_] | None = None
    """Steps that lie in a window of peak hours, shape (T,); None where all do. An interval counts
    whole where any of its steps from `first_step` on does."""

    margin: PeakMargin | None = None
    """Room below what is free already and the peak that is planned; None for none."""

    def __post_init__(self) -> None:
        require_price(self, "price_per_kw", where=f"PeakCharge at {self.connection_point_id}")
        if not 0 <= self.elapsed_steps < self.interval_steps:
            raise DataError(
                f"{self.elapsed_steps} of {self.interval_steps} steps elapsed",
                where=f"PeakCharge at {self.connection_point_id}",
                fix="Let the first interval hold at least one step that is still to come",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyTarget:
    """So much must be in a store at the end of a step, or what lacks is paid for.

    A store that does not say how full it is stays idle, and is not asked.
    """

    resource_id: ResourceId
    step: int
    stored_kwh: float
    shortfall_per_kwh: float
    reason: str
    """What it is for: an outage, an event, a driver."""

    def __post_init__(self) -> None:
        require_price(self, "shortfall_per_kwh", where=f"EnergyTarget of {self.resource_id}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredFloor:
    """So much stays in stores at the end of each step, or what lacks is paid for.

    A store that does not say how full it is stays idle, and is not asked.
    """

    least_kwh: Mapping[ResourceId, Floats]
    """Shape (T,) each, NaN in steps of which nothing is asked."""

    shortfall_per_kwh_h: float
    """Price of a kWh that lacks for an hour."""

    reason: str
    """What it is for: an outage, a signal that may come at any time."""

    def __post_init__(self) -> None:
        require_price(self, "shortfall_per_kwh_h", where=f"StoredFloor ({self.reason})")


@dataclass(frozen=True, slots=True, kw_only=True)
class CarDeadline:
    """So much is charged into one car of a fleet before a step begins, or what lacks is paid for."""

    resource_id: ResourceId
    session_id: str
    step: int
    """Exclusive."""

    charged_kwh: float
    shortfall_per_kwh: float

    def __post_init__(self) -> None:
        where = f"CarDeadline of {self.resource_id}/{self.session_id}"
        require_price(self, "shortfall_per_kwh", where=where)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReserveHeadroom:
    """Power kept free so that the park can feed more (up) or less (down) when it is called.

    It is kept by storages, generators that are curtailed, and loads that may be turned down, each of
    electricity. What is offered for sale is decided by the plan, up to `open_kw`; what is sold
    (`firm_kw`) is owed. Nobody keeps more than is owed and sold together: all of them as much, or
    twice as much where one of them may fail.

    A call may come at any moment of a step: a store has the energy for it (or the room) as the step
    begins and as it ends, by the plan. Energy that is called is settled by the product, not at the
    connection point. Limits of the tree hold with all of it called: a node that a call would drive
    beyond its limit costs as if it were there.
    """

    product_id: ProductId
    up: bool
    """True: more net injection when called; False: less."""

    resource_ids: frozenset[ResourceId]
    """Who may keep it."""

    firm_kw: Floats
    """Owed in each step, shape (T,)."""

    shortfall_per_kw_h: float
    """Price of each kW that is owed and lacks, for an hour."""

    open_kw: Floats
    """Most that may still be sold, shape (T,)."""

    price_per_kw_h: Floats
    """What a kW sold earns in an hour, shape (T,)."""

    activation_hours: float
    """A call may last so long: stores keep the energy (or the room) for it."""

    held_at_end: bool = True
    """Whether stores hold it at the end of each step too, since a call may come at any moment; False
    where the product's rule looks at the beginning alone."""

    called_share: float = 0.0
    """Share of what is kept that is expected to be called as energy in each step."""

    called_per_kwh: Floats | None = None
    """What a kWh called earns (up) or costs (down), shape (T,); None where nothing."""

    block_steps: int = 1
    """Steps in which the quantity must be the same."""

    elapsed_steps: int = 0
    """Steps of the first block that lie before the horizon."""

    survives_largest: bool = False
    """Whether the rest must suffice when any one of the resources fails."""

    def __post_init__(self) -> None:
        where = f"ReserveHeadroom {self.key}"
        require_price(self, "shortfall_per_kw_h", where=where)
        if not 0 <= self.elapsed_steps < self.block_steps:
            raise DataError(
                f"{self.elapsed_steps} of {self.block_steps} steps elapsed",
                where=where,
                fix="Let the first block hold at least one step that is still to come",
            )
        if not (0 <= self.called_share <= 1 and 0 <= self.activation_hours < inf):
            raise DataError(
                f"called_share {self.called_share}, activation_hours {self.activation_hours}",
                where=where,
                fix="Give a share between 0 and 1, and a length that is not negative",
            )
        if (self.firm_kw < 0).any() or (self.open_kw < 0).any():
            raise DataError(
                "firm_kw or open_kw is below 0 in some step",
                where=where,
                fix="Give sizes; the direction lives in `up`",
            )
        if ((self.price_per_kw_h > self.shortfall_per_kw_h) & (self.open_kw > 0)).any():
            raise DataError(
                "selling earns more than lacking costs in some step",
                where=where,
                fix="Let price_per_kw_h not exceed shortfall_per_kw_h",
            )

    @property
    def key(self) -> str:
        """Under which name a schedule speaks of it."""
        return f"{self.product_id} {'up' if self.up else 'down'}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CarbonPrice:
    """A price on carbon: of imports by the grid's factor, of own sources by theirs."""

    price_per_kgco2: float
    grid_kgco2_per_kwh: Floats
    """Shape (T,)."""

    first_step: int = 0
    last_step: int | None = None
    """Exclusive; None: to the end. The period of a budget may end within the horizon."""

    def __post_init__(self) -> None:
        require_price(self, "price_per_kgco2", where="CarbonPrice")

    @property
    def steps(self) -> slice:
        """Where it holds."""
        return slice(self.first_step, self.last_step)


@dataclass(frozen=True, slots=True, kw_only=True)
class GreenShare:
    """At least this share of what the park uses over the horizon is green and its own.

        Σ (green fed - exported) + lacking  >=  share · Σ (imported + fed by all sources - exported)

    Energies of the horizon in kWh, over all connection points and all generators, of whatever carrier.
    Losses of stores count as use; what is exported counts as green.
    """

    share: float
    shortfall_per_kwh: float

    def __post_init__(self) -> None:
        require_price(self, "shortfall_per_kwh", where="GreenShare")
        if not 0 <= self.share <= 1:
            raise DataError(f"share is {self.share}", where="GreenShare", fix="Give 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChangePenalty:
    """What was announced is not moved for nothing: a price on each kW that differs from it."""

    announced_kw: Mapping[ResourceId, Floats]
    """Net injection, shape (T,) each, NaN where nothing was announced."""

    price_per_kwh: float

    def __post_init__(self) -> None:
        require_price(self, "price_per_kwh", where="ChangePenalty")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityPrice:
    """A price on doing something of which only so much is left this day, month or year.

    It is what a coarse plan of the rest of the period says the last unit is worth (`quota.py`).
    """

    activity: Activity
    resource_id: ResourceId | None
    """None for what the whole park does: importing, exporting, using green generation."""

    price_per_unit: float
    """Not below 0, but for green use."""

    reason: str
    """The quota, as people know it."""

    first_step: int = 0
    last_step: int | None = None
    """Exclusive; None: to the end. The period of a budget may end within the horizon."""

    def __post_init__(self) -> None:
        where = f"ActivityPrice on {self.activity} ({self.reason})"
        of_park = self.activity in (Activity.IMPORT, Activity.EXPORT, Activity.GREEN_USE)
        if of_park != (self.resource_id is None):
            raise DataError(
                f"resource_id is {self.resource_id}",
                where=where,
                fix="Leave it out, the whole park does this" if of_park else "Name a resource",
            )
        if self.activity is not Activity.GREEN_USE:
            require_price(self, "price_per_unit", where=where)

    @property
    def steps(self) -> slice:
        """Where it holds."""
        return slice(self.first_step, self.last_step)


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualBurden:
    """Spread what is asked of members: a price on the highest relative burden among them.

    The burden of a resource is the energy it is turned down over the horizon (what a curtailable
    load is curtailed, what calls of an interruptible load shed), and what it bore before, by its
    size: the energy of the horizon at `max_draw_kw`, or `rated_draw_kw`.
    """

    borne_kwh: Mapping[ResourceId, float]
    """What each member bore before, in the period that is shared; its keys are the members."""

    price_per_share: float
    """Of the highest burden, as a multiple of a member's own largest energy over the horizon."""

    def __post_init__(self) -> None:
        require_price(self, "price_per_share", where="EqualBurden")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEnergyValue:
    """What energy left in stores at the end is worth, per kWh of electricity.

    A storage counts what it could still feed, one of another carrier the electricity that making it again
    would take, where `electricity_per_kwh` says how much; a zone the electricity that its warmth (or cold)
    above freezing point (or below) would cost again, at its `cop` (how cold it will be outdoors then is
    not known): only differences between plans matter.
    """

    price_per_kwh: float
    electricity_per_kwh: Mapping[NodeId, float] = field(default_factory=dict)
    """kWh of electricity that a kWh of a node's carrier stands for; 0 where it says nothing."""

    def electricity_of(self, node_id: NodeId | None) -> float:
        """Electricity in kWh that a kWh in a store at `node_id` stands for; 1 for a battery."""
        return 1.0 if node_id is None else self.electricity_per_kwh.get(node_id, 0.0)


Term: TypeAlias = (
    EnergyPrice
    | Commitment
    | OpenTrade
    | Cap
    | PeakCharge
    | EnergyTarget
    | StoredFloor
    | CarDeadline
    | ReserveHeadroom
    | CarbonPrice
    | GreenShare
    | ChangePenalty
    | ActivityPrice
    | EqualBurden
    | StoredEnergyValue
)


def require_price(term: object, name: str, *, where: str) -> None:
    """Refuse a price that would pay without end for what a term is to keep away from.

    Raises:
        DataError: It is below 0, or not finite.
    """
    value = getattr(term, name)
    if not 0 <= value < inf:
        raise DataError(f"{name} is {value}", where=where, fix="Give a price not below 0")


def uniform(value: float, steps: int) -> Floats:
    """The same value for each step, shape (steps,)."""
    return np.full(steps, value)
