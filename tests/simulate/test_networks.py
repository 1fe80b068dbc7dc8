"""Networks of other carriers, by hand: a heat pump of 100 kW that feeds 300, a tank of 400 kWh, baths of 100 kW."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from vpp.model.ids import NodeId, ResourceId
from vpp.model.network import Carrier, Node, Pipe
from vpp.model.resource import Converter, FixedLoad, Generator, Port, Storage
from vpp.model.time import Interval, isoformat
from vpp.simulate.fleet import Fleet
from vpp.simulate.trajectory import Trajectory
from vpp.wire import CommandMessage

OPENED = datetime(2025, 12, 1, 10, tzinfo=UTC)
HOUR, STEP = timedelta(hours=1), timedelta(minutes=15)
WARM, WARMER = NodeId("warm"), NodeId("warmer")


@pytest.fixture
def live(tiny: Any, owned: Mapping[str, Any]) -> Any:
    """Live some hours, with what is commanded in each; `spills` says whether heat can be thrown away."""

    def parts(boiler_kw: float, waste_kw: float, pipe: bool) -> list[Any]:
        found: list[Any] = [
            FixedLoad(resource_id=ResourceId("baths"), node_id=WARM, max_draw_kw=2000, **owned),
            Converter(
                resource_id=ResourceId("pump"),
                ports=(Port(node_id=None), Port(node_id=WARMER if pipe else WARM)),
                points_kw=((-100.0, 300.0),),
                **owned,
            ),
            Storage(
                resource_id=ResourceId("tank"),
                node_id=WARM,
                capacity_kwh=400,
                max_charge_kw=400,
                max_discharge_kw=400,
                charge_efficiency=1.0,
                discharge_efficiency=1.0,
                **owned,
            ),
        ]
        if boiler_kw:
            found.append(
                Generator(
                    resource_id=ResourceId("boiler"),
                    node_id=WARM,
                    max_feed_kw=boiler_kw,
                    weather_driven=False,
                    cost_per_kwh=0.5,
                    **owned,
                )
            )
        if waste_kw:
            found.append(
                Generator(
                    resource_id=ResourceId("waste"), node_id=WARM, max_feed_kw=waste_kw, **owned
                )
            )
        return found

    def play(
        commands: list[float | None],
        *,
        baths_kw: float = 100,
        boiler_kw: float = 0,
        waste_kw: float = 0,
        spills: bool = True,
        soc: float = 0.5,
        pipe: bool = False,
    ) -> Trajectory:
        resources = parts(boiler_kw, waste_kw, pipe)
        levels = {"baths": -baths_kw, "waste": waste_kw}
        built = tiny(resources=resources[:1], level_kw=levels, opening_soc=soc)
        bare = tiny(resources=[replace(resources[0], node_id=None)]).park
        cost = 0.01 if spills else None
        nodes = [Node(node_id=WARM, carrier=Carrier.HEAT, spill_cost_per_kwh=cost)]
        pipes = []
        if pipe:
            nodes.append(Node(node_id=WARMER, carrier=Carrier.HEAT))
            pipes.append(Pipe(pipe_id="down", from_node_id=WARMER, to_node_id=WARM, max_kw=1000))
        park = replace(bare, resources=tuple(resources), nodes=tuple(nodes), pipes=tuple(pipes))
        scenario = replace(built.scenario, opening_soc={ResourceId("tank"): soc})
        fleet = Fleet(park, scenario, opened_at=OPENED, step=STEP)
        for number, kw in enumerate(commands):
            now = OPENED + number * HOUR
            if kw is not None:
                order = CommandMessage(
                    command_id=f"c{number}",
                    seq=number + 1,
                    issued_at=isoformat(now),
                    expires_at=isoformat(now + HOUR),
                    power_kw=kw,
                )
                fleet.receive(ResourceId("pump"), order, now)
            fleet.step(now + HOUR)
        return fleet.trajectory(Interval(OPENED, OPENED + len(commands) * HOUR))

    return play


def hourly(course: Trajectory, name: str) -> list[float]:
    """Mean power in each hour."""
    row = course.power_kw[course.resource_ids.index(ResourceId(name))]
    return [round(float(kw), 3) for kw in row.reshape(-1, 4).mean(axis=1)]


def sums(course: Trajectory) -> tuple[float, float]:
    """(lacked, spilled) in kWh."""
    (lacked,), (spilled,) = course.lacked_kwh.values(), course.spilled_kwh.values()
    return round(float(np.sum(lacked)), 3), round(float(np.sum(spilled)), 3)


def test_where_nobody_commands_machines_make_what_is_drawn_and_the_tank_rests_at_half(
    live: Any,
) -> None:
    course = live([None, None])

    assert hourly(course, "pump") == [-33.333, -33.333]
    assert hourly(course, "tank") == [0, 0]
    assert sums(course) == (0, 0)


def test_an_emptier_tank_is_filled_up_to_half_beside_what_is_drawn(live: Any) -> None:
    course = live([None, None], soc=0.25)

    assert hourly(course, "tank") == [-100, 0]
    assert hourly(course, "pump") == [-66.667, -33.333]


def test_a_command_moves_the_tank_and_what_is_over_when_it_is_full_is_thrown_away(
    live: Any,
) -> None:
    course = live([-100.0, -100.0])

    assert hourly(course, "pump") == [-100, -100]
    assert hourly(course, "tank") == [-200, 0]
    assert sums(course) == (0, 200)


def test_where_nothing_can_be_thrown_away_the_machine_gives_way(live: Any) -> None:
    course = live([-100.0, -100.0], spills=False)

    assert hourly(course, "pump") == [-100, -33.333]
    assert sums(course) == (0, 0)


def test_a_machine_that_was_told_to_stand_runs_when_the_tank_is_empty(live: Any) -> None:
    course = live([0.0, 0.0, 0.0])

    assert hourly(course, "tank") == [100, 100, 0]
    assert hourly(course, "pump") == [0, 0, -33.333]
    assert sums(course) == (0, 0)


def test_the_boiler_takes_what_the_pump_cannot_and_the_rest_lacks(live: Any) -> None:
    course = live([None], baths_kw=1000, boiler_kw=200, soc=0)

    assert hourly(course, "pump") == [-100]
    assert hourly(course, "boiler") == [200]
    assert sums(course) == (500, 0)


def test_what_comes_by_itself_comes_first(live: Any) -> None:
    course = live([None, None], waste_kw=160)

    assert hourly(course, "pump") == [0, 0]
    assert hourly(course, "tank") == [-60, -60]


def test_nodes_that_a_pipe_joins_are_one_network(live: Any) -> None:
    course = live([None], pipe=True)

    assert hourly(course, "pump") == [-33.333]
    assert sums(course) == (0, 0)
