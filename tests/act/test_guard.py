from __future__ import annotations

from collections.abc import Callable
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpp.act.units import Units
from vpp.errors import DataError
from vpp.model.ids import ResourceId
from vpp.model.measurement import ParkState, Reading, RunPhase
from vpp.model.park import Limits, Park
from vpp.model.resource import (
    Converter,
    CurtailableLoad,
    EvFleet,
    FixedLoad,
    FlexibleLoad,
    Generator,
    InterruptibleLoad,
    OnOffRules,
    Resource,
    ShiftableRun,
    Storage,
)

Builder = Callable[..., Any]


@pytest.fixture(scope="session")
def guarded(
    a_park: Builder, a_state: Builder, guard_of: Builder
) -> Callable[..., dict[str, float]]:
    """Guard a park of (resource, reading or None) pairs; what is allowed."""

    def run(
        members: list[tuple[Any, Reading | None]], wanted: dict[str, float], **limits: Any
    ) -> dict[str, float]:
        park = a_park(*(r for r, _ in members), **limits)
        state = a_state(park, *(reading for _, reading in members if reading is not None))
        return dict(guard_of(park, state, wanted).power_kw)

    return run


@pytest.mark.parametrize("wish", [nan, inf, -inf, 1e308, -1e308, 1000.1, -1000.1])
def test_a_wish_outside_the_rating_releases_the_device(
    a_resource: Builder,
    a_reading: Builder,
    a_park: Builder,
    a_state: Builder,
    guard_of: Builder,
    wish: float,
) -> None:
    bess = a_resource("bess")
    park = a_park(bess)
    result = guard_of(park, a_state(park, a_reading(bess)), {ResourceId("bess"): wish})
    assert result.power_kw == {}
    (clip,) = result.clipped
    assert clip.allowed_kw is None
    assert "not within" in clip.why


@pytest.mark.parametrize(
    ("wish", "soc", "allowed"),
    [
        pytest.param(1000.0000001, 0.5, 1000, id="noise at the rating"),
        pytest.param(500, 0.2, 0, id="at the least charge nothing is discharged"),
        pytest.param(500, 0.21, 500, id="above it the plan holds"),
        pytest.param(-500, 1.0, 0, id="a full store is not charged"),
        pytest.param(-500, 0.2, -500, id="an empty one is"),
        pytest.param(500, None, None, id="without a state of charge it is released"),
    ],
)
def test_a_store_is_neither_overfilled_nor_emptied(
    a_resource: Builder,
    a_reading: Builder,
    guarded: Builder,
    wish: float,
    soc: float | None,
    allowed: float | None,
) -> None:
    bess = a_resource("bess", min_soc=0.2)
    result = guarded([(bess, a_reading(bess, soc=soc))], {"bess": wish})
    assert result == ({} if allowed is None else {"bess": allowed})


def test_who_is_unknown_or_unmovable_is_not_commanded(
    a_resource: Builder, a_reading: Builder, guarded: Builder
) -> None:
    bess, base, oven = a_resource("bess"), a_resource("base"), a_resource("oven")
    members = [(bess, None), (base, a_reading(base)), (oven, a_reading(oven, phase=RunPhase.DONE))]
    assert guarded(members, {"bess": 1, "base": -1, "oven": 0}) == {}


def test_nobody_can_wish_for_a_stranger(a_resource: Builder, a_park: Builder) -> None:
    with pytest.raises(DataError, match="no resource stranger"):
        Units.of(a_park(a_resource("bess"))).powers_kw({ResourceId("stranger"): 1.0})


@pytest.mark.parametrize(
    ("limits", "allowed"),
    [
        pytest.param({"park_limits": Limits(export_kw=300)}, 600, id="park"),
        pytest.param({"feeder": Limits(export_kw=200)}, 500, id="feeder"),
        pytest.param({"points": {"cp": Limits(export_kw=100)}}, 400, id="connection point"),
        pytest.param({}, 800, id="no limit"),
    ],
)
def test_discharge_is_cut_to_what_every_node_can_export(
    a_resource: Builder, a_reading: Builder, guarded: Builder, limits: Any, allowed: float
) -> None:
    bess, base = a_resource("bess"), a_resource("base")
    members = [(bess, a_reading(bess)), (base, a_reading(base, -300))]
    assert guarded(members, {"bess": 800}, **limits) == {"bess": pytest.approx(allowed)}


def test_storage_is_cut_in_proportion_and_before_anything_else(
    a_resource: Builder, a_reading: Builder, guarded: Builder
) -> None:
    one, two, cold = a_resource("bess", "one"), a_resource("bess", "two"), a_resource("cold")
    members = [(r, a_reading(r)) for r in (one, two, cold)]
    result = guarded(
        members, {"one": -600, "two": -200, "cold": -100}, park_limits=Limits(import_kw=500)
    )
    assert result == {"one": pytest.approx(-300), "two": pytest.approx(-100), "cold": -100}


def test_what_storage_cannot_give_flexible_loads_give_and_then_starts_wait(
    a_resource: Builder, a_reading: Builder, guarded: Builder
) -> None:
    bess, cold, oven, base = (a_resource(kind) for kind in ("bess", "cold", "oven", "base"))
    members = [
        (bess, a_reading(bess)),
        (cold, a_reading(cold)),
        (oven, a_reading(oven, phase=RunPhase.WAITING)),
        (base, a_reading(base, -400)),
    ]
    wanted = {"bess": -50, "cold": -100, "oven": -100}
    assert guarded(members, wanted, park_limits=Limits(import_kw=550)) == {
        "bess": 0,
        "cold": pytest.approx(-50),
        "oven": -100,
    }
    assert guarded(members, wanted, park_limits=Limits(import_kw=450)) == {
        "bess": 0,
        "cold": 0,
        "oven": 0,
    }


def test_the_unknown_count_at_their_worst(
    a_resource: Builder, a_reading: Builder, guarded: Builder
) -> None:
    bess, pv = a_resource("bess"), a_resource("pv")
    limit = {"park_limits": Limits(export_kw=1500)}
    assert guarded([(bess, a_reading(bess)), (pv, None)], {"bess": 900}, **limit) == {
        "bess": pytest.approx(500)
    }
    assert guarded([(bess, a_reading(bess)), (pv, a_reading(pv, 100))], {"bess": 900}, **limit) == {
        "bess": 900
    }


def test_cars_that_may_draw_less_make_no_room_for_export(
    a_resource: Builder, a_reading: Builder, guarded: Builder
) -> None:
    bess, cars = a_resource("bess"), a_resource("cars")
    members = [(bess, a_reading(bess)), (cars, a_reading(cars, -20))]
    result = guarded(members, {"bess": 100, "cars": -100}, park_limits=Limits(export_kw=0))
    assert result == {"bess": pytest.approx(20), "cars": -100}


def test_the_last_start_waits_and_who_helps_goes_on(
    a_resource: Builder, a_reading: Builder, guarded: Builder
) -> None:
    """Two starts of 100 kW and a battery that feeds 30: 110 kW are there for one of them."""
    bess, one, two = a_resource("bess"), a_resource("oven", "one"), a_resource("oven", "two")
    members = [
        (bess, a_reading(bess)),
        (one, a_reading(one, phase=RunPhase.WAITING)),
        (two, a_reading(two, phase=RunPhase.WAITING)),
    ]
    wished = {"bess": 30, "one": -100, "two": -100}

    assert guarded(members, wished, park_limits=Limits(import_kw=80)) == wished | {"two": 0}


def test_a_generator_is_curtailed_after_storage(
    a_resource: Builder, a_reading: Builder, guarded: Builder
) -> None:
    bess, pv = a_resource("bess"), a_resource("pv")
    members = [(bess, a_reading(bess)), (pv, a_reading(pv, 300, available_kw=800.0))]
    result = guarded(members, {"bess": 100, "pv": 700}, park_limits=Limits(export_kw=600))
    assert result == {"bess": 0, "pv": pytest.approx(600)}


def test_a_node_that_is_over_already_is_not_made_worse_and_may_be_helped(
    a_resource: Builder, a_reading: Builder, guarded: Builder
) -> None:
    bess, pv = a_resource("bess"), a_resource("pv")
    members = [(bess, a_reading(bess)), (pv, a_reading(pv, 900))]
    limit = {"park_limits": Limits(export_kw=500)}
    assert guarded(members, {"bess": 100}, **limit) == {"bess": pytest.approx(0, abs=1e-5)}
    assert guarded(members, {"bess": -200}, **limit) == {"bess": -200}


WISHES = st.one_of(
    st.floats(-1500, 1500), st.sampled_from([nan, inf, -inf, 1e308, -1e308, 1000.0, -1000.0, 0.0])
)
SIZES = st.one_of(st.floats(0, 3000), st.just(inf), st.just(0.0))
LIMITS = st.builds(lambda i, e: Limits(import_kw=i, export_kw=e), SIZES, SIZES)


MACHINES: dict[str, dict[str, Any]] = {
    "bess": {}, "base": {}, "cold": {}, "pv": {}, "saw": {}, "oven": {}, "shop": {}, "mixer": {},
    "boiler": {},
    "cars": {"max_car_feed_kw": 10.0},
    "engine": {"on_off": OnOffRules(min_power_kw=300.0)},
}  # fmt: skip
"""Kinds, and what makes each of them hard to cut."""
HARDER: dict[str, dict[str, Any]] = {
    "pv": {"must_run_share": 0.25},
    "engine": {"must_run_share": 0.5},
    "mixer": {"bands_kw": (40.0, 100.0)},
    "boiler": {"on_off": OnOffRules(), "standby_kw": 5.0},
}


@st.composite
def trees(
    draw: st.DrawFn, resource: Builder, park: Builder, reading: Builder, state: Builder
) -> tuple[Park, ParkState, dict[ResourceId, float]]:
    members: list[Any] = []
    readings: list[Reading] = []
    wanted: dict[ResourceId, float] = {}
    for i in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(sorted(MACHINES)))
        more = HARDER.get(kind, {}) if draw(st.booleans()) else MACHINES[kind]
        one = resource(kind, f"r{i}", f"cp{draw(st.integers(0, 2))}", **more)
        members.append(one)
        if draw(st.integers(0, 4)):
            power = draw(st.floats(-one.draw_kw, one.feed_kw))
            soc = draw(st.sampled_from([0.0, 0.5, 1.0])) if kind == "bess" else None
            phase = draw(st.sampled_from(list(RunPhase)))
            readings.append(reading(one, power, soc=soc, phase=phase))
        if draw(st.booleans()):
            wanted[one.resource_id] = draw(WISHES)
    tree = park(
        *members,
        park_limits=draw(LIMITS),
        feeder=draw(LIMITS),
        points={f"cp{k}": draw(LIMITS) for k in range(3)},
    )
    return tree, state(tree, *readings), wanted


def nodes(park: Park) -> list[tuple[Limits, tuple[ResourceId, ...]]]:
    """Every node with a limit and who stands behind it, by the park's own names."""
    electric = tuple(r.resource_id for r in park.electric)
    return [
        *((p.limits, park.behind_point[p.connection_point_id]) for p in park.connection_points),
        *((e.limits, park.behind_enterprise[e.enterprise_id]) for e in park.enterprises),
        *((f.limits, park.behind_feeder[f.feeder_id]) for f in park.feeders),
        (park.limits, electric),
    ]


def does(resource: Resource, reading: Reading, kw: float) -> tuple[float, float]:
    """Lowest and highest net of a device that is told `kw`, as devices are described."""
    now = reading.power_kw
    match resource:
        case Generator(weather_driven=True):
            gives = max(now, 0.0)
            feeds = max(min(kw, gives), resource.must_run_share * gives)
            return feeds, feeds
        case Generator():  # it may be on its way still
            must = resource.must_run_share * resource.max_feed_kw
            return max(min(kw, max(now, 0.0)), must), max(kw, must)
        case CurtailableLoad():  # as much as now, or as much more as it is turned down already
            share = resource.curtailable_share
            bases = [-now] if reading.phase is not RunPhase.CALLED else [-now, -now / (1 - share)]
            drawn = [max(min(base, -kw), (1 - share) * base) for base in bases]
            return -max(drawn), -min(drawn)
        case EvFleet() | FlexibleLoad():  # cars are gone, or the work is done
            return min(kw, max(now, 0.0)), max(kw, min(now, 0.0))
        case InterruptibleLoad():
            return min(kw, now), kw
        case ShiftableRun():
            return (-resource.draw_kw if kw < 0 else 0.0), 0.0
        case Converter() if kw == 0:
            return -resource.standby_kw, -resource.standby_kw
        case _:
            return kw, kw


def bounds(
    park: Park,
    state: ParkState,
    power_kw: dict[ResourceId, float],
    behind: tuple[ResourceId, ...],
    *,
    commands: bool,
) -> tuple[float, float]:
    """Lowest and highest net of a node, worked out without the guard's code."""
    low = high = 0.0
    for name in behind:
        resource, reading = park.resource_by_id[name], state.reading(name)
        if name in power_kw:
            kw = power_kw[name] if commands else 0.0
            assert reading is not None
            least, most = does(resource, reading, kw)
            low, high = low + least, high + most
        elif reading is None:
            low -= resource.draw_kw
            high += resource.feed_kw
        else:
            low += reading.power_kw
            high += reading.power_kw
    return low, high


@given(data=st.data())
def test_no_node_is_driven_over_its_limit_by_us(
    a_resource: Builder,
    a_park: Builder,
    a_reading: Builder,
    a_state: Builder,
    guard_of: Builder,
    data: st.DataObject,
) -> None:
    park, state, wanted = data.draw(trees(a_resource, a_park, a_reading, a_state))
    result = guard_of(park, state, wanted)

    for name, kw in result.power_kw.items():
        resource = park.resource_by_id[name]
        assert -resource.draw_kw <= kw <= resource.feed_kw
        assert not isinstance(resource, FixedLoad)
        assert abs(kw) <= abs(wanted[name]) + 1e-9
        assert kw * wanted[name] >= 0
        reading = state.reading(name)
        assert reading is not None
        if isinstance(resource, Storage):
            assert not (kw > 0 and reading.soc == 0)
            assert not (kw < 0 and reading.soc == 1)
        if isinstance(resource, FlexibleLoad) and resource.bands_kw:
            assert kw == 0 or -kw in resource.bands_kw
        if isinstance(resource, Generator) and resource.on_off is not None:
            assert kw == 0 or kw >= resource.on_off.min_power_kw
    for limits, behind in nodes(park):
        alone_low, alone_high = bounds(park, state, result.power_kw, behind, commands=False)
        low, high = bounds(park, state, result.power_kw, behind, commands=True)
        assert high <= max(limits.export_kw, alone_high) + 1e-5
        assert low >= -max(limits.import_kw, -alone_low) - 1e-5
    granted = {
        name for name, kw in wanted.items() if abs(result.power_kw.get(name, inf) - kw) < 0.01
    }
    assert granted | {clip.resource_id for clip in result.clipped} == set(wanted)


@given(data=st.data())
def test_what_breaks_no_limit_passes_untouched(
    a_resource: Builder,
    a_park: Builder,
    a_reading: Builder,
    a_state: Builder,
    guard_of: Builder,
    data: st.DataObject,
) -> None:
    bess = a_resource("bess")
    park = a_park(bess)
    kw = data.draw(st.floats(-1000, 1000, allow_subnormal=False))
    result = guard_of(park, a_state(park, a_reading(bess)), {ResourceId("bess"): kw})
    assert (result.power_kw, result.clipped) == ({"bess": kw}, ())
