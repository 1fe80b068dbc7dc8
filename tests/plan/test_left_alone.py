"""What is left alone for a while does by itself what it does, and the plan makes do without it; by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from vpp.model.ids import ResourceId


def alone(view: Any, name: str, *steps: int) -> Any:
    """The view, with a resource left alone in some steps."""
    held = np.isin(np.arange(view.horizon.steps), steps)
    return replace(view, left_alone={ResourceId(name): held})


def test_a_battery_rests_while_it_is_left_alone_and_keeps_no_reserve_then(lab: Any) -> None:
    view = lab.view(lab.battery(), price=[0.3, 0.2, 0.1], readings=[lab.reading("bat", soc=1.0)])
    assert lab.power(lab.plan(view), "bat").tolist() == [100, 0, 0]
    assert lab.power(lab.plan(alone(view, "bat", 0)), "bat").tolist() == [0, 100, 0]


def test_the_sun_is_not_curtailed_and_an_engine_does_not_run(lab: Any) -> None:
    view = lab.view(
        lab.pv(),
        lab.source(),
        price=[-0.1, 0.2],
        available_kw={"pv": [50.0, 50.0]},
    )
    assert lab.power(lab.plan(view), "pv").tolist() == [0, 50]
    assert lab.power(lab.plan(alone(view, "pv", 0)), "pv").tolist() == [50, 50]
    assert lab.power(lab.plan(alone(view, "engine", 1)), "engine").tolist() == [0, 0]


def test_loads_are_neither_curtailed_nor_called(lab: Any) -> None:
    view = lab.view(
        lab.curtailable(),
        lab.process(),
        price=[1.0, 1.2, 1.0],
        base_kw={"shop": [-10.0, -10.0, -10.0]},
        readings=[lab.reading("shop"), lab.reading("mill")],
    )
    usual = lab.plan(view)
    assert usual.curtailed_kw[ResourceId("shop")].tolist() == pytest.approx([5, 5, 5])
    assert usual.starts[ResourceId("mill")] == (1,)  # one call, between 13 and 16 o'clock
    kept = lab.plan(alone(view, "shop", 1))
    assert kept.curtailed_kw[ResourceId("shop")].tolist() == pytest.approx([5, 0, 5])
    later = lab.plan(alone(view, "mill", 1))
    assert later.starts[ResourceId("mill")] == (2,)


def test_a_thermostat_holds_its_target(lab: Any) -> None:
    """20 °C above outdoors through 1 °C/kW at a COP of 2: 10 kW."""
    view = lab.view(
        lab.zone(),
        price=[0.0, 5.0],
        readings=[lab.reading("hall", temperature_degc=20.0)],
    )
    assert lab.power(lab.plan(alone(view, "hall", 1)), "hall")[1] == pytest.approx(-10)
    assert lab.power(lab.plan(view), "hall")[1] > -10


def test_a_run_starts_when_it_would_by_itself_where_its_window_is_cut(lab: Any) -> None:
    """Two quarters in a window from 12:00 to 14:00, by itself at 12:30; the last two are the cheapest."""
    view = lab.view(
        lab.run(),
        price=[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.1, 0.1],
        step=timedelta(minutes=15),
        readings=[lab.reading("oven")],
    )
    assert lab.power(lab.plan(view), "oven").tolist() == [0, 0, 0, 0, 0, 0, -40, -80]
    cut = lab.plan(alone(view, "oven", 3))
    assert lab.power(cut, "oven").tolist() == [0, 0, -40, -80, 0, 0, 0, 0]


def test_a_converter_stands_still(lab: Any) -> None:
    view = lab.view(
        lab.converter("boiler", [None, "heat"], [-100, 100]),
        lab.battery("tank", node_id=lab.node().node_id),
        nodes=[lab.node()],
        price=[0.1, 0.1],
        readings=[lab.reading("boiler"), lab.reading("tank", soc=0.0)],
    )
    full = replace(view.park.resources[1], final_soc=1.0)
    park = replace(view.park, resources=(view.park.resources[0], full))
    view = replace(view, park=park)
    first = lab.plan(alone(view, "boiler", 0))
    assert lab.power(first, "boiler").tolist() == [0, -100]
