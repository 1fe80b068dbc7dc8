"""Limits as a tree, and orders that narrow it for a while; by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from vpp.errors import DataError
from vpp.model.ids import ConnectionPointId, EnterpriseId, FeederId, ParkId
from vpp.model.park import Enterprise, LimitOrder, Limits
from vpp.model.time import Interval
from vpp.plan.terms import EnergyPrice

EXCESS_PER_KWH = 10.0


def prices(view: Any, per_kwh: float = 0.1) -> list[EnergyPrice]:
    return [
        EnergyPrice(
            connection_point_id=p.connection_point_id,
            import_per_kwh=np.full(view.horizon.steps, per_kwh),
            export_per_kwh=np.full(view.horizon.steps, per_kwh / 2),
        )
        for p in view.park.connection_points
    ]


def order(
    lab: Any,
    place: str,
    *,
    first_h: float = 0.0,
    last_h: float = 1.0,
    priority: int = 0,
    order_id: str = "7",
    **limits: float,
) -> LimitOrder:
    return LimitOrder(
        order_id=order_id,
        place=ConnectionPointId(place),
        span=Interval(lab.noon + timedelta(hours=first_h), lab.noon + timedelta(hours=last_h)),
        limits=Limits(**limits),
        source="grid operator",
        priority=priority,
    )


def named(schedule: Any) -> list[str]:
    return [price.limit for price in schedule.limit_prices]


# ---------------------------------------------------------------- the tree


@pytest.mark.parametrize(
    ("level", "words", "fed_kw"),
    [
        pytest.param("resource", "pv: max_feed_kw", 160.0, id="nothing but the sun"),
        pytest.param("point", "connection point cp-a: export_kw", 70.0, id="its own point"),
        pytest.param("enterprise", "enterprise a: export_kw", 60.0, id="its enterprise"),
        pytest.param("feeder", "feeder f: export_kw", 50.0, id="its feeder"),
        pytest.param("park", "park test: export_kw", 40.0, id="the park"),
    ],
)
def test_the_narrowest_limit_above_a_resource_binds(
    lab: Any, level: str, words: str, fed_kw: float
) -> None:
    """80 kW of sun at each of two points; limits of 70 (each point), 60, 50, 40 from the leaves up."""
    levels = ["resource", "point", "enterprise", "feeder", "park"]
    export = {
        name: kw if levels.index(name) <= levels.index(level) else np.inf
        for name, kw in zip(levels[1:], (35.0, 60.0, 50.0, 40.0), strict=True)
    }
    view = lab.view(
        lab.pv(),
        lab.pv("pv-b", point="cp-b"),
        price=[0],
        points=("cp-a", "cp-b"),
        available_kw={"pv": [80.0], "pv-b": [80.0]},
        point_limits=Limits(export_kw=export["point"]),
        feeder=Limits(export_kw=export["feeder"]),
        limits=Limits(export_kw=export["park"]),
    )
    owner = Enterprise(
        enterprise_id=EnterpriseId("a"), name="A", limits=Limits(export_kw=export["enterprise"])
    )
    view = replace(view, park=replace(view.park, enterprises=(owner,)))

    schedule = lab.plan(view, prices(view))

    assert schedule.net_kw.tolist() == pytest.approx([fed_kw])
    if level != "resource":
        assert words in named(schedule)


def test_imports_and_exports_have_limits_apart(lab: Any) -> None:
    view = lab.view(
        lab.load(),
        lab.pv(),
        price=[0, 0],
        base_kw={"load": [-90.0, 0.0]},
        available_kw={"pv": [0.0, 90.0]},
        point_limits=Limits(import_kw=80.0, export_kw=20.0),
    )

    schedule = lab.plan(view, prices(view))

    assert schedule.net_kw.tolist() == pytest.approx([-90, 20])
    assert schedule.cost_by_cause["limit excess"] == pytest.approx(10 * EXCESS_PER_KWH)


def test_an_enterprise_is_limited_wherever_its_points_are_fed_from(lab: Any) -> None:
    """50 kW at a point of the feeder and 50 at a point that has none."""
    view = lab.view(
        lab.load(),
        lab.load("free", point="free-b"),
        price=[0],
        points=("cp-a", "free-b"),
        base_kw={"load": [-50.0], "free": [-50.0]},
        feeder=Limits(import_kw=60.0),
    )
    owner = Enterprise(enterprise_id=EnterpriseId("a"), name="A", limits=Limits(import_kw=70.0))
    view = replace(view, park=replace(view.park, enterprises=(owner,)))

    schedule = lab.plan(view, prices(view))

    assert schedule.cost_by_cause["limit excess"] == pytest.approx(30 * EXCESS_PER_KWH)
    assert named(schedule) == ["enterprise a: import_kw"]


# ---------------------------------------------------------------- orders


@pytest.mark.parametrize(
    "place", [ConnectionPointId("cp-a"), EnterpriseId("a"), FeederId("f"), ParkId("test")]
)
def test_an_order_narrows_any_place_until_it_expires(lab: Any, place: str) -> None:
    view = lab.view(
        lab.pv(),
        price=[0] * 3,
        available_kw={"pv": [80.0] * 3},
        point_limits=Limits(export_kw=70.0),
    )
    view = replace(view, limit_orders=(order(lab, place, first_h=0.5, last_h=2, export_kw=30.0),))

    schedule = lab.plan(view, prices(view))

    # An hour that the order touches is wholly its own.
    assert schedule.net_kw.tolist() == pytest.approx([30, 30, 70])
    words = f"order 7 of grid operator at {place}: export_kw"
    (price,) = (p for p in schedule.limit_prices if p.limit == words)
    assert price.per_unit.tolist() == pytest.approx([-0.05, -0.05, 0])


def test_an_order_never_widens_a_standing_limit(lab: Any) -> None:
    view = lab.view(
        lab.pv(), price=[0], available_kw={"pv": [80.0]}, point_limits=Limits(export_kw=30.0)
    )
    view = replace(view, limit_orders=(order(lab, "cp-a", export_kw=60.0),))

    schedule = lab.plan(view, prices(view))

    assert schedule.net_kw.tolist() == pytest.approx([30])


@pytest.mark.parametrize(
    ("priorities", "net_kw"),
    [
        pytest.param((0, 2), [-50, -40], id="the second hour's order stands higher"),
        pytest.param((2, 0), [-40, -50], id="the first hour's order stands higher"),
    ],
)
def test_where_two_orders_cannot_both_be_kept_the_higher_one_is(
    lab: Any, priorities: tuple[int, int], net_kw: list[float]
) -> None:
    """10 kWh in a battery, two hours that are 10 kW beyond what is ordered."""
    view = lab.view(
        lab.load(),
        lab.battery(max_charge_kw=0.0),
        price=[0, 0],
        base_kw={"load": [-50.0, -50.0]},
        readings=[lab.reading("bat", soc=0.1)],
    )
    orders = tuple(
        order(
            lab,
            "cp-a",
            first_h=hour,
            last_h=hour + 1,
            import_kw=40.0,
            priority=priority,
            order_id=f"h{hour}",
        )
        for hour, priority in enumerate(priorities)
    )
    view = replace(view, limit_orders=orders)

    schedule = lab.plan(view, prices(view))

    assert schedule.net_kw.tolist() == pytest.approx(net_kw)
    assert schedule.cost_by_cause["limit excess"] == pytest.approx(10 * EXCESS_PER_KWH)


def test_an_order_at_a_place_nobody_knows_is_refused(lab: Any) -> None:
    view = lab.view(lab.pv(), price=[0])
    view = replace(view, limit_orders=(order(lab, "elsewhere", export_kw=0.0),))

    with pytest.raises(DataError, match="'elsewhere' names 0 nodes"):
        lab.outcome(view, prices(view))


def test_an_order_at_an_id_that_two_places_share_is_refused(lab: Any) -> None:
    view = lab.view(lab.pv("pv", point="a"), price=[0], points=("a",))
    view = replace(view, limit_orders=(order(lab, "a", export_kw=0.0),))

    with pytest.raises(DataError, match="'a' names 2 nodes"):
        lab.outcome(view, prices(view))


def test_a_priority_below_a_standing_limits_is_refused(lab: Any) -> None:
    with pytest.raises(DataError, match="priority -1"):
        order(lab, "cp-a", priority=-1)
