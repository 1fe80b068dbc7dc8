"""Random nodes with what feeds and draws there."""

from __future__ import annotations

from typing import Any

from tests.plan.independent import electric
from tests.plan.independent.draw import Making
from vpp.model.ids import NodeId
from vpp.model.network import Carrier, Node, Pipe
from vpp.model.resource import Converter, FixedLoad, Generator, Port


def _node(m: Making, name: str, carrier: Carrier, *, spills: float = 0.5) -> str:
    cost = m.dice.pick(0.0, 0.01) if m.dice.chance(spills) else None
    m.nodes.append(Node(node_id=NodeId(name), carrier=carrier, spill_cost_per_kwh=cost))
    return name


def _load(m: Making, node: str, most_kw: float) -> None:
    of = m.common("need", node)
    m.base_kw[of["resource_id"]] = m.profile(-most_kw, 0)
    m.add(FixedLoad(max_draw_kw=200.0, **of))


def _machine(
    m: Making,
    kind: str,
    ports: tuple[Port, ...],
    points_kw: tuple[tuple[float, ...], ...],
    **more: Any,
) -> None:
    """A converter, sometimes one that is on or off or changes slowly."""
    d = m.dice
    told = points_kw[-1][0]
    said: dict[str, Any] = {"power_kw": 0.0}
    if d.chance(0.6):
        standby = d.pick(0.0, 0.5)
        more |= {
            "on_off": electric.rules(m),
            "running_cost_per_h": d.pick(0.0, 0.3),
            "standby_kw": standby if points_kw[0][0] < 0 else 0.0,
        }
        said = electric.standing(m, told, -more["standby_kw"])
    if d.chance(0.3):
        size = abs(told)
        more["ramp_kw_per_min"] = d.between(0.3, 0.8) * size / (60 * m.horizon.step_hours)
    m.add(Converter(ports=ports, points_kw=points_kw, **more, **m.common(kind)), **said)


def heat_pump(m: Making) -> None:
    """A heat pump, perhaps a tank and a boiler, and rooms to keep warm."""
    d = m.dice
    node = _node(m, "heat", Carrier.HEAT)
    draws = d.between(5, 20)
    ports = (
        Port(node_id=None),
        Port(node_id=NodeId(node), per_degc=d.pick(0.0, 0.02), reference_degc=d.pick(7.0, 0.0)),
    )
    _machine(m, "pump", ports, ((-draws, 3 * draws),), outdoor_series_id="outdoor")
    _load(m, node, 40)
    if d.chance(0.6):
        electric.storage(m, node)
    if d.chance(0.5):
        electric.engine(m, node)


def power_and_heat(m: Making) -> None:
    """Gas that is bought, an engine that gives power and heat, and a pipe to a colder place."""
    d = m.dice
    gas = _node(m, "gas", Carrier.GAS)
    hot = _node(m, "hot", Carrier.STEAM)
    of = m.common("contract", gas)
    m.add(
        Generator(
            max_feed_kw=200.0,
            weather_driven=False,
            cost_per_kwh=d.between(0.02, 0.1),
            kgco2_per_kwh=0.2,
            **of,
        )
    )
    size = d.between(10, 30)
    ports = (Port(node_id=None), Port(node_id=NodeId(gas)), Port(node_id=NodeId(hot)))
    corners = (
        (0.4 * size, -1.2 * size, 0.6 * size),
        (0.8 * size, -2.5 * size, 0.5 * size),
        (size, -2.8 * size, 1.4 * size),
    )
    _machine(m, "chp", ports, tuple(tuple(round(kw, 2) for kw in row) for row in corners))
    warm = _node(m, "warm", Carrier.HEAT)
    m.pipes.append(
        Pipe(
            pipe_id="main",
            from_node_id=NodeId(hot),
            to_node_id=NodeId(warm),
            max_kw=d.between(5, 50),
            loss_share=d.pick(0.0, 0.05),
            delay=d.pick(0.0, 0.4, 0.6, 2.0) * m.step,
            cost_per_kwh=d.pick(0.0, 0.002),
        )
    )
    _load(m, warm, 20)


def hydrogen(m: Making) -> None:
    """An electrolyser with its curve, a tank and who needs the gas."""
    d = m.dice
    node = _node(m, "h2", Carrier.HYDROGEN, spills=0.3)
    size = d.between(20, 60)
    points = tuple(
        (round(-share * size, 2), round(share * size * yields, 2))
        for share, yields in ((0.2, 0.72), (0.6, 0.68), (1.0, 0.6))
    )
    _machine(m, "electrolyser", (Port(node_id=None), Port(node_id=NodeId(node))), points)
    electric.storage(m, node)
    if d.chance(0.7):
        _load(m, node, 15)
