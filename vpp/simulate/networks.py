"""Other carriers in a simulated park: what stands at a node is kept in balance by controls of its own.

    loads, sun, waste heat ──▶ what lacks ─▶ machines nobody commands ─▶ the store ─▶ machines with room
                           └─▶ what is over ─▶ the store ─▶ thrown away, or less from the machines

A real network holds its pressure and its temperature whatever a service far away says: a machine follows
its set-point as far as the network lets it, and a store takes what is left. Where nobody commands, machines
make what is drawn, in the park's order, and fill the store up to half. What lacks after all that is counted,
and so is what is thrown away.

Nodes that pipes join are one network here: their losses and delays are not simulated, nor is what a
converter draws from another carrier than electricity, or feeds beside its first one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from vpp.model.ids import NodeId, ResourceId
from vpp.model.park import Park
from vpp.model.resource import Converter, Generator, Resource
from vpp.simulate.device import HOUR, Course, Device
from vpp.simulate.devices import SimulatedStorage
from vpp.simulate.machines import SimulatedMachine

KEPT_SOC = 0.5
"""Up to here machines that nobody commands fill the store of their network."""

NOTHING_KW = 1e-9


@dataclass(slots=True)
class _Machine:
    """A machine that feeds a network: what it feeds at each power that its set-points speak of."""

    device: SimulatedMachine
    powers_kw: Sequence[float]
    feeds_kw: Sequence[float]
    """Rising, from standing still on."""
    factor: Course | None
    """Outdoor temperature, where what it feeds follows it."""
    per_degc: float
    reference_degc: float

    def feed_of(self, power_kw: float, moment: datetime) -> float:
        size = np.interp(abs(power_kw), np.abs(self.powers_kw), self.feeds_kw)
        return float(size) * self._factor_at(moment)

    def power_of(self, feed_kw: float, moment: datetime) -> float:
        factor = self._factor_at(moment)
        if factor <= 0:
            return 0.0
        return float(np.interp(feed_kw / factor, self.feeds_kw, self.powers_kw))

    def most_kw(self, moment: datetime) -> float:
        return self.feeds_kw[-1] * self._factor_at(moment)

    def _factor_at(self, moment: datetime) -> float:
        if self.factor is None:
            return 1.0
        warmer = self.factor.at(moment) - self.reference_degc
        return max(1 + self.per_degc * warmer, 0.0)


@dataclass(slots=True)
class Network:
    """One network, and what it has lacked and thrown away since the beginning."""

    node_id: NodeId
    """Of its first node."""
    spills: bool
    """Whether anything can be thrown away."""
    sources: list[Device] = field(default_factory=list)
    """Loads and what comes by itself."""
    machines: list[_Machine] = field(default_factory=list)
    stores: list[SimulatedStorage] = field(default_factory=list)
    lacked_kwh: float = 0.0
    spilled_kwh: float = 0.0
    _read_kwh: dict[ResourceId, float] = field(default_factory=dict)

    def drawn_kw(self, hours: float) -> float:
        """Mean draw of loads less what comes by itself, since this was asked last."""
        drawn = 0.0
        for device in self.sources:
            now_kwh = device.energy_kwh
            drawn -= (now_kwh - self._read_kwh.get(device.resource_id, now_kwh)) / hours
            self._read_kwh[device.resource_id] = now_kwh
        return drawn


class Networks:
    """Every network of a park. Devices that come by themselves step before, the others after `balance`."""

    def __init__(
        self,
        park: Park,
        devices: Mapping[ResourceId, Device],
        outdoor: Mapping[str, Course],
    ) -> None:
        self.networks = _pools(park)
        by_node = {node: network for network, nodes in self.networks for node in nodes}
        self.all = [network for network, _ in self.networks]
        self.followers: set[ResourceId] = set()
        """Who follows its network: steps after it."""
        for resource in park.resources:
            device = devices[resource.resource_id]
            node = _fed_node(resource)
            if node is None:
                continue
            network = by_node[node]
            if isinstance(device, SimulatedMachine):
                network.machines.append(_machine(resource, device, node, outdoor))
            elif isinstance(device, SimulatedStorage):
                network.stores.append(device)
            else:
                network.sources.append(device)
                continue
            self.followers.add(resource.resource_id)

    def begin(self) -> None:
        """Read what sources have done so far: what they do from here on counts."""
        for network in self.all:
            network.drawn_kw(1.0)

    def balance(self, end: datetime, step: timedelta) -> None:
        """Say to machines and stores what they do in the step that ends now."""
        start, hours = end - step, step / HOUR
        for network in self.all:
            _balance(network, network.drawn_kw(hours), start, hours)


def _balance(network: Network, drawn_kw: float, start: datetime, hours: float) -> None:
    wishes = [machine.device.wish_kw(start) for machine in network.machines]
    feeds = [
        0.0 if wish is None else machine.feed_of(wish, start)
        for machine, wish in zip(network.machines, wishes, strict=True)
    ]
    lack_kw = drawn_kw - sum(feeds)
    refill_kw = sum(store.room_kw(KEPT_SOC, hours) for store in network.stores)
    free = [place for place, wish in enumerate(wishes) if wish is None]
    lack_kw = _raise(network, feeds, free, lack_kw + refill_kw, start) - refill_kw
    lack_kw = _use_stores(network.stores, lack_kw, hours)
    if lack_kw > 0:
        lack_kw = _raise(network, feeds, range(len(feeds)), lack_kw, start)
    elif not network.spills:
        lack_kw = _lower(feeds, lack_kw)
    network.lacked_kwh += max(lack_kw, 0.0) * hours
    network.spilled_kwh += max(-lack_kw, 0.0) * hours
    for machine, feed_kw in zip(network.machines, feeds, strict=True):
        machine.device.local_kw = machine.power_of(feed_kw, start)


def _raise(
    network: Network, feeds: list[float], places: Sequence[int], lack_kw: float, start: datetime
) -> float:
    """More from the machines at `places`, in the park's order; what still lacks."""
    for place in places:
        more_kw = min(
            max(lack_kw, 0.0), max(network.machines[place].most_kw(start) - feeds[place], 0.0)
        )
        feeds[place] += more_kw
        lack_kw -= more_kw
    return lack_kw


def _lower(feeds: list[float], lack_kw: float) -> float:
    """Less from the machines, the last first; what is still over, below 0."""
    for place in reversed(range(len(feeds))):
        less_kw = min(-lack_kw, feeds[place])
        feeds[place] -= less_kw
        lack_kw += less_kw
    return lack_kw


def _use_stores(stores: Sequence[SimulatedStorage], lack_kw: float, hours: float) -> float:
    """The stores give what lacks and take what is over; what is left of it."""
    for store in stores:
        given_kw = min(max(lack_kw, -store.room_kw(1.0, hours)), store.most_kw(hours))
        store.local_kw = given_kw
        lack_kw -= given_kw
    return lack_kw


# ---------------------------------------------------------------- building


def _pools(park: Park) -> list[tuple[Network, set[NodeId]]]:
    """Nodes that pipes join, together."""
    pools: list[set[NodeId]] = [{node.node_id} for node in park.nodes]
    for pipe in park.pipes:
        joined = [pool for pool in pools if {pipe.from_node_id, pipe.to_node_id} & pool]
        pools = [pool for pool in pools if pool not in joined] + [set().union(*joined)]
    order = {node.node_id: place for place, node in enumerate(park.nodes)}
    spills = {node.node_id for node in park.nodes if node.spill_cost_per_kwh is not None}
    return [
        (Network(min(pool, key=order.__getitem__), bool(pool & spills)), pool) for pool in pools
    ]


def _fed_node(resource: Resource) -> NodeId | None:
    """The node that a resource stands at, or that a converter feeds."""
    if not isinstance(resource, Converter):
        return resource.node_id
    for place, port in enumerate(resource.ports):
        if port.node_id is not None and any(point[place] > 0 for point in resource.points_kw):
            return port.node_id
    return None


def _machine(
    resource: Resource, device: SimulatedMachine, node: NodeId, outdoor: Mapping[str, Course]
) -> _Machine:
    if isinstance(resource, Generator):
        most = resource.max_feed_kw
        return _Machine(device, (0.0, most), (0.0, most), None, 0.0, 0.0)
    assert isinstance(resource, Converter)  # a machine is either
    at = next(i for i, port in enumerate(resource.ports) if port.node_id == node)
    points = sorted(
        {(0.0, 0.0), *zip(resource.steered_kw, (p[at] for p in resource.points_kw), strict=True)},
        key=lambda point: abs(point[0]),
    )
    port = resource.ports[at]
    follows = resource.outdoor_series_id if port.per_degc else None
    return _Machine(
        device,
        [power for power, _ in points],
        [feed for _, feed in points],
        None if follows is None else outdoor[follows],
        port.per_degc,
        port.reference_degc,
    )
