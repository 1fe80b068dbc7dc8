"""Park ⊃ enterprise ⊃ connection point ⊃ resource, and the tree of limits between them.

                     park ── import, export
                    ╱    ╲
              feeder      feeder ── import, export
             ╱     ╲         │
    connection   connection  connection ── import, export, one meter, one tariff
      ╱    ╲         │           │
 resource resource resource   resource ── its own sizes

An enterprise limits the sum of its connection points, wherever they are fed from. Every limit of the
tree is kept in plan, share and guard; orders that arrive while running narrow it for a while.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from math import inf
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import numpy as np

from vpp.errors import DataError
from vpp.model.demand import Contracted
from vpp.model.ids import (
    ConnectionPointId,
    EnterpriseId,
    FeederId,
    NodeId,
    ParkId,
    ProductId,
    ResourceId,
    UnitId,
    require_id,
)
from vpp.model.kindred import Kind, Kindred
from vpp.model.network import Node, Pipe
from vpp.model.resource import Converter, Resource
from vpp.model.resource.series import needed_series, parts_of_series
from vpp.model.tariff import TwoPartTariff
from vpp.model.time import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a node of the tree may draw and feed; sizes, inf where nothing limits."""

    import_kw: float = inf
    export_kw: float = inf

    def __post_init__(self) -> None:
        if not (self.import_kw >= 0 and self.export_kw >= 0):
            raise DataError(
                f"import {self.import_kw} kW, export {self.export_kw} kW",
                where="Limits",
                fix="Give sizes that are not negative",
            )


Place = ParkId | FeederId | EnterpriseId | ConnectionPointId
"""A node of the limit tree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitOrder:
    """Somebody narrows the limits of one place for a while: a grid operator, a contract, an operator.

    Limits add up by the narrowest; an order never widens another one.
    """

    order_id: str
    place: Place
    span: Interval
    """When it holds; it expires by itself."""

    limits: Limits
    source: str
    """Who gave it, as people know them."""

    priority: int = 0
    """Where not all can be kept, those of a higher priority are kept first; 0 is a standing limit's."""

    def __post_init__(self) -> None:
        if self.priority < 0:
            raise DataError(
                f"priority {self.priority}",
                where=f"limit order {self.order_id}",
                fix="Give 0, or more for what is to be kept first",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerGroup:
    """Resources that share something: a transformer, a crane, a crew.

    What nobody decides (loads that are not heard, runs that go on) may alone be more than the group has;
    then the others do nothing beside it.
    """

    group_id: str
    resource_ids: tuple[ResourceId, ...]
    max_draw_kw: float = inf
    """The most they may draw together."""

    max_running: int | None = None
    """How many may run at once, where each is either on or off; 1 excludes one another."""

    def __post_init__(self) -> None:
        if not self.max_draw_kw >= 0 or (self.max_running or 0) < 0 or not self.resource_ids:
            raise DataError(
                f"max_draw_kw {self.max_draw_kw}, max_running {self.max_running},"
                f" {len(self.resource_ids)} resources",
                where=f"group {self.group_id}",
                fix="Name its resources, and give a size and a count that are not negative",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Feeder:
    feeder_id: FeederId
    limits: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionPoint:
    """Where an enterprise meets the grid: a limit, a main meter, a tariff."""

    connection_point_id: ConnectionPointId
    enterprise_id: EnterpriseId
    feeder_id: FeederId | None
    limits: Limits
    meter_id: ResourceId
    """The main meter's device id; it publishes registers, not power alone."""

    tariff_id: str
    period_to_date_peak_kw: float = 0.0
    """Highest mean import of the running billing month before the service began to look."""

    contracted: Contracted = field(default_factory=Contracted)
    """What its demand charge is worked out from, beside the peak."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enterprise:
    enterprise_id: EnterpriseId
    name: str
    limits: Limits = Limits()
    """Of all its connection points together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BiddingUnit:
    """Resources that are registered together at a market, and what they were registered for."""

    unit_id: UnitId
    zone: str
    """Bidding zone, e.g. SE3."""

    resource_ids: frozenset[ResourceId]
    product_ids: tuple[ProductId, ...]
    connected_kw: float
    """Sum of what is installed."""
    declared_kw: float
    """What was registered at the market operator."""
    tested_kw: float
    """What a capability test proved: nothing beyond it is bid into a product that asks for a test."""

    trades_from: datetime
    """First delivery the unit trades. Before it the old supply contract holds."""

    trading_share: tuple[tuple[EnterpriseId, Decimal], ...]
    """How the trading result is shared between the enterprises: weights, not negative."""


@dataclass(frozen=True, kw_only=True)
class Park:
    """The whole tree, with its calendar and its currency. Resources stand in a fixed order."""

    park_id: ParkId
    name: str
    timezone: ZoneInfo
    currency: str
    minor_unit: Decimal
    """Smallest amount of money that is ever booked, e.g. 0.01."""

    limits: Limits
    feeders: tuple[Feeder, ...]
    enterprises: tuple[Enterprise, ...]
    connection_points: tuple[ConnectionPoint, ...]
    resources: tuple[Resource, ...]
    bidding_units: tuple[BiddingUnit, ...]
    tariffs: tuple[TwoPartTariff, ...]
    grid_kgco2_per_kwh: float
    """Carbon of a kWh imported (location-based, one dated figure from the park file)."""

    nodes: tuple[Node, ...] = ()
    """Where other carriers than electricity are balanced."""
    pipes: tuple[Pipe, ...] = ()
    groups: tuple[PowerGroup, ...] = ()

    def __post_init__(self) -> None:
        ids: list[str] = [
            *(resource.resource_id for resource in self.resources),
            *(point.meter_id for point in self.connection_points),
        ]
        _require_unique(ids, "device ids")
        _require_unique([e.enterprise_id for e in self.enterprises], "enterprise ids")
        _require_unique(
            [p.connection_point_id for p in self.connection_points], "connection points"
        )
        _require_unique([f.feeder_id for f in self.feeders], "feeder ids")
        for name in ids:
            require_id(name, where=f"park {self.park_id}")
        enterprises = {e.enterprise_id for e in self.enterprises}
        feeders = {f.feeder_id for f in self.feeders}
        tariffs = {t.tariff_id: t for t in self.tariffs}
        points = {p.connection_point_id: p for p in self.connection_points}
        for point in self.connection_points:
            where = f"connection point {point.connection_point_id}"
            _require_known(point.enterprise_id, enterprises, where=where)
            _require_known(point.tariff_id, tariffs, where=where)
            for name in tariffs[point.tariff_id].demand.needs:
                if getattr(point.contracted, name) is None:
                    raise DataError(
                        f"tariff {point.tariff_id} bills by {name}", where=where, fix=f"Give {name}"
                    )
            if point.feeder_id is not None:
                _require_known(point.feeder_id, feeders, where=where)
        for resource in self.resources:
            where = f"resource {resource.resource_id}"
            _require_known(resource.connection_point_id, points.keys(), where=where)
            if points[resource.connection_point_id].enterprise_id != resource.enterprise_id:
                raise DataError(
                    f"enterprise {resource.enterprise_id} does not own its connection point",
                    where=where,
                    fix="Put the resource behind a connection point of its own enterprise",
                )
        self._check_networks()

    def _check_networks(self) -> None:
        """Every name of a node, a pipe's end and a group's member is known."""
        _require_unique([node.node_id for node in self.nodes], "nodes")
        _require_unique([pipe.pipe_id for pipe in self.pipes], "pipes")
        _require_unique([group.group_id for group in self.groups], "groups")
        nodes = {node.node_id for node in self.nodes}
        names = {resource.resource_id for resource in self.resources}
        for pipe in self.pipes:
            for end in (pipe.from_node_id, pipe.to_node_id):
                _require_known(end, nodes, where=f"pipe {pipe.pipe_id}")
        for group in self.groups:
            _require_unique(group.resource_ids, f"resources of group {group.group_id}")
            for name in group.resource_ids:
                _require_known(name, names, where=f"group {group.group_id}")
        for resource in self.resources:
            ends: list[NodeId | None] = [resource.node_id]
            if isinstance(resource, Converter):
                ends += [port.node_id for port in resource.ports]
            for node in ends:
                if node is not None:
                    _require_known(node, nodes, where=f"resource {resource.resource_id}")

    def narrowed(self, orders: Iterable[LimitOrder]) -> Park:
        """The same park with the limits of `orders` laid over its own, the narrowest of each place."""
        by_place: dict[str, list[Limits]] = {}
        for order in orders:
            by_place.setdefault(order.place, []).append(order.limits)

        def at(place: str, standing: Limits) -> Limits:
            every = (standing, *by_place.get(place, ()))
            return Limits(
                import_kw=min(limits.import_kw for limits in every),
                export_kw=min(limits.export_kw for limits in every),
            )

        return replace(
            self,
            limits=at(self.park_id, self.limits),
            feeders=tuple(replace(f, limits=at(f.feeder_id, f.limits)) for f in self.feeders),
            enterprises=tuple(
                replace(e, limits=at(e.enterprise_id, e.limits)) for e in self.enterprises
            ),
            connection_points=tuple(
                replace(p, limits=at(p.connection_point_id, p.limits))
                for p in self.connection_points
            ),
        )

    def __getstate__(self) -> dict[str, Any]:
        """What it was given: what was worked out from that is worked out again."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @cached_property
    def _by_kind(self) -> dict[type, Kindred[Any]]:
        rows: dict[type, list[int]] = {}
        for row, resource in enumerate(self.resources):
            rows.setdefault(type(resource), []).append(row)
        return {
            kind: Kindred([self.resources[row] for row in at], np.array(at, dtype=np.int64))
            for kind, at in rows.items()
        }

    def kindred(self, kind: type[Kind]) -> Kindred[Kind]:
        """Its resources of one kind; empty where it has none."""
        none: Kindred[Kind] = Kindred((), np.zeros(0, dtype=np.int64))
        return self._by_kind.get(kind, none)

    @cached_property
    def resource_by_id(self) -> dict[ResourceId, Resource]:
        return {resource.resource_id: resource for resource in self.resources}

    @cached_property
    def enterprise_by_id(self) -> dict[EnterpriseId, Enterprise]:
        return {enterprise.enterprise_id: enterprise for enterprise in self.enterprises}

    @cached_property
    def point_by_id(self) -> dict[ConnectionPointId, ConnectionPoint]:
        return {point.connection_point_id: point for point in self.connection_points}

    @cached_property
    def row_of_enterprise(self) -> dict[EnterpriseId, int]:
        """Place of each in `enterprises`."""
        return {enterprise.enterprise_id: at for at, enterprise in enumerate(self.enterprises)}

    @cached_property
    def row_of_point(self) -> dict[ConnectionPointId, int]:
        """Place of each in `connection_points`."""
        return {point.connection_point_id: at for at, point in enumerate(self.connection_points)}

    @cached_property
    def first_row_of(self) -> dict[str, int]:
        """Place of each in `resources`; of a connection point or an enterprise, that of its first resource."""
        found: dict[str, int] = {}
        for row, one in enumerate(self.resources):
            found.setdefault(one.enterprise_id, row)
            found.setdefault(one.connection_point_id, row)
        return found | {one.resource_id: row for row, one in enumerate(self.resources)}

    @cached_property
    def tariff_by_id(self) -> dict[str, TwoPartTariff]:
        return {tariff.tariff_id: tariff for tariff in self.tariffs}

    @cached_property
    def needed_series(self) -> tuple[str, ...]:
        """The series that somebody must give, or forecast, before its resources can be planned; each once."""
        return tuple(dict.fromkeys(name for r in self.resources for name in needed_series(r)))

    @cached_property
    def _parts_of_series(self) -> dict[ResourceId, float]:
        return parts_of_series(self.resources)

    def part_of_series(self, resource_id: ResourceId) -> float:
        """Which part of the series that it needs is its own: 1, or its share of a cluster."""
        return self._parts_of_series.get(resource_id, 1.0)

    @cached_property
    def electric(self) -> tuple[Resource, ...]:
        """Resources whose power is electricity at their connection point, in park order."""
        return tuple(
            r
            for r in self.resources
            if r.node_id is None and (not isinstance(r, Converter) or r.electric)
        )

    @cached_property
    def electric_ids(self) -> frozenset[ResourceId]:
        """The same by their ids, to ask whether one is among them."""
        return frozenset(r.resource_id for r in self.electric)

    def electricity_worth(self, node_id: NodeId | None) -> float:
        """Electricity in kWh that a kWh at a node takes to make, by the most efficient converter.

        1 for electricity itself (None), 0 where no converter makes it of electricity.
        """
        if node_id is None:
            return 1.0
        fed_of_drawn = [
            point[place] / -steered
            for machine in self.resources
            if isinstance(machine, Converter) and machine.electric
            for place, port in enumerate(machine.ports)
            if port.node_id == node_id
            for point, steered in zip(machine.points_kw, machine.steered_kw, strict=True)
            if point[place] > 0 > steered
        ]
        return 1 / max(fed_of_drawn) if fed_of_drawn else 0.0

    @cached_property
    def behind_point(self) -> dict[ConnectionPointId, tuple[ResourceId, ...]]:
        """The electric resources behind each connection point, in park order."""
        names = [p.connection_point_id for p in self.connection_points]
        return _behind(names, ((r.connection_point_id, r.resource_id) for r in self.electric))

    @cached_property
    def behind_enterprise(self) -> dict[EnterpriseId, tuple[ResourceId, ...]]:
        """The electric resources of each enterprise, in park order."""
        names = [e.enterprise_id for e in self.enterprises]
        return _behind(names, ((r.enterprise_id, r.resource_id) for r in self.electric))

    @cached_property
    def behind_feeder(self) -> dict[FeederId, tuple[ResourceId, ...]]:
        """The electric resources behind each feeder, in park order."""
        feeder_of = {p.connection_point_id: p.feeder_id for p in self.connection_points}
        names = [f.feeder_id for f in self.feeders]
        behind = ((feeder_of[r.connection_point_id], r.resource_id) for r in self.electric)
        return _behind(names, ((name, r) for name, r in behind if name is not None))

    @cached_property
    def points_of_enterprise(self) -> dict[EnterpriseId, tuple[ConnectionPoint, ...]]:
        """The connection points of each enterprise, in park order."""
        names = [e.enterprise_id for e in self.enterprises]
        return _behind(names, ((p.enterprise_id, p) for p in self.connection_points))

    @cached_property
    def points_of_feeder(self) -> dict[FeederId, tuple[ConnectionPoint, ...]]:
        """The connection points behind each feeder, in park order."""
        names = [f.feeder_id for f in self.feeders]
        points = self.connection_points
        return _behind(names, ((p.feeder_id, p) for p in points if p.feeder_id is not None))

    @cached_property
    def places(self) -> dict[Place, list[tuple[int, ...]]]:
        """Places in `connection_points` of those below each node of the limit tree; several where ids are shared."""
        at = self.row_of_point
        below: list[tuple[Place, tuple[int, ...]]] = [(name, (n,)) for name, n in at.items()]
        owned: list[tuple[Place, tuple[ConnectionPoint, ...]]]
        owned = [*self.points_of_enterprise.items(), *self.points_of_feeder.items()]
        for place, points in owned:
            below.append((place, tuple(at[p.connection_point_id] for p in points)))
        below.append((self.park_id, tuple(at.values())))
        found: dict[Place, list[tuple[int, ...]]] = {}
        for place, indices in below:
            found.setdefault(place, []).append(indices)
        return found

    @cached_property
    def resources_of_point(self) -> dict[ConnectionPointId, tuple[Resource, ...]]:
        """All resources of each connection point, of other carriers too, in park order."""
        names = [p.connection_point_id for p in self.connection_points]
        return _behind(names, ((r.connection_point_id, r) for r in self.resources))

    @cached_property
    def device_owner(self) -> dict[ResourceId, tuple[EnterpriseId, ConnectionPointId]]:
        """Who owns each device (resource or main meter), and at which site it stands."""
        owner = {r.resource_id: (r.enterprise_id, r.connection_point_id) for r in self.resources}
        owner |= {
            p.meter_id: (p.enterprise_id, p.connection_point_id) for p in self.connection_points
        }
        return owner


Above = TypeVar("Above", ConnectionPointId, EnterpriseId, FeederId)
Member = TypeVar("Member", ResourceId, ConnectionPoint, Resource)


def _behind(
    names: Iterable[Above], members: Iterable[tuple[Above, Member]]
) -> dict[Above, tuple[Member, ...]]:
    """Who stands behind each of `names`, in the order of `members`."""
    found: dict[Above, list[Member]] = {name: [] for name in names}
    for name, member in members:
        found[name].append(member)
    return {name: tuple(some) for name, some in found.items()}


def _require_unique(ids: Iterable[str], what: str) -> None:
    if twice := sorted(name for name, count in Counter(ids).items() if count > 1):
        raise DataError(f"{what} {twice} are used twice", where="park", fix="Rename one of each")


def _require_known(name: str, known: Iterable[str], *, where: str) -> None:
    if name not in known:
        raise DataError(f"{name!r} is not known", where=where, fix=f"Use one of {sorted(known)}")
