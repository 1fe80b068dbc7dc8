"""The compiled park: what can be moved, by kind, with the columns it became."""

from __future__ import annotations

from dataclasses import dataclass

from vpp.model.ids import ProductId, ResourceId
from vpp.plan.kinds.cars import Cars
from vpp.plan.kinds.curtailable import Curtailables
from vpp.plan.kinds.flexible import Flexibles
from vpp.plan.kinds.generator import Generators
from vpp.plan.kinds.oneway import BothWays
from vpp.plan.kinds.onoff import OnOff
from vpp.plan.kinds.starts import Starts
from vpp.plan.kinds.storage import Storages
from vpp.plan.kinds.zone import Zones
from vpp.plan.networks import Networks
from vpp.plan.programme import Ints
from vpp.plan.terms import ReserveHeadroom
from vpp.plan.tree import Points


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Market:
    """Where positions are traded and added up, shapes (M, T) and (T,)."""

    products: tuple[ProductId, ...]
    sell: Ints
    buy: Ints
    rows: Ints
    """The market balance, shape (T,); empty where nothing is sold and nothing can be."""

    short: Ints
    """How much less than sold is fed, shape (T,); empty as `rows` are."""
    long: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Headroom:
    """One product of reserve, and who keeps how much of it."""

    term: ReserveHeadroom
    storages: Ints
    """Which of the fleet's storages keep it, shape (S,)."""

    storage_names: tuple[ResourceId, ...]
    relief: Ints
    """What would stop moving the other way, shape (S, T)."""
    extra: Ints
    """What would move beside the plan, shape (S, T)."""

    others: Ints
    """Which of those that keep it and store nothing (`reserve.py`), shape (K,)."""

    other_names: tuple[ResourceId, ...]
    kept: Ints
    """Shape (K, T)."""

    sold: Ints
    """Shape (T,), the same column in all steps of a block."""

    lacking: Ints
    """Shape (T,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fleet:
    """One struct-of-arrays a kind."""

    points: Points
    storages: Storages
    generators: Generators
    zones: Zones
    cars: Cars
    flexibles: Flexibles
    curtailables: Curtailables
    starts: Starts
    networks: Networks
    market: Market
    machines: tuple[OnOff, ...] = ()
    """On/off decisions of every kind that has them."""

    reserve: tuple[Headroom, ...] = ()

    def both_ways(self) -> tuple[BothWays, ...]:
        """What must not go both ways at once."""
        return (self.storages.both_ways, self.cars.both_ways)
