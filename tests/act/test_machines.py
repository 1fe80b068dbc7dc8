"""What the act cycle does with machines and with other carriers than electricity."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from vpp.model.ids import ResourceId
from vpp.model.measurement import EvSession
from vpp.model.park import Limits, PowerGroup
from vpp.model.resource import OnOffRules

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
Builder = Callable[..., Any]


@pytest.fixture(scope="session")
def wanted(
    a_park: Builder,
    a_state: Builder,
    a_schedule: Builder,
    a_reading: Builder,
    share_of: Builder,
) -> Callable[..., dict[str, float]]:
    """What is wanted of resources whose planned power is given, all of them heard."""

    def run(
        planned: list[tuple[Any, float]], *, owed_kw: float | None = None, **plan: Any
    ) -> dict[str, float]:
        park = a_park(*(r for r, _ in planned))
        schedule = a_schedule(park, {r.resource_id: kw for r, kw in planned}, **plan)
        found = share_of(
            park,
            a_state(park, *(a_reading(r) for r, _ in planned)),
            schedule,
            owed_kw=owed_kw,
        )
        return {str(name): kw for name, kw in found.items()}

    return run


@pytest.mark.parametrize(
    ("kind", "planned_kw", "plan", "asked"),
    [
        pytest.param("engine", 300.0, {}, {"engine": 300}, id="an engine runs as planned"),
        pytest.param("engine", 0.0, {}, {"engine": 0}, id="and stands still as planned"),
        pytest.param("mixer", -60.0, {}, {"mixer": -60}, id="work is done as planned"),
        pytest.param("boiler", -80.0, {}, {"boiler": -80}, id="a converter runs as planned"),
        pytest.param("pump", 0.0, {"port_kw": {"pump": -70.0}}, {"pump": -70},
                     id="one without electricity by what flows at its first port"),
        pytest.param("tank", 40.0, {}, {"tank": 40}, id="a heat store is steered in heat"),
        pytest.param("shop", -90.0, {}, {}, id="a load that nobody turns down is left alone"),
        pytest.param(
            "shop", -70.0, {"curtailed_kw": {"shop": 20.0}}, {"shop": -70},
            id="one that is turned down is capped",
        ),
    ],
)  # fmt: skip
def test_each_kind_is_asked_for_what_the_plan_means(
    a_resource: Builder,
    wanted: Builder,
    kind: str,
    planned_kw: float,
    plan: dict[str, Any],
    asked: dict[str, float],
) -> None:
    assert wanted([(a_resource(kind), planned_kw)], **plan) == asked


def test_heat_is_not_counted_as_electricity_that_is_owed(
    a_resource: Builder, wanted: Builder
) -> None:
    """500 kW are owed: the battery gives them all, whatever the tank does."""
    found = wanted([(a_resource("bess"), 500.0), (a_resource("tank"), 50.0)], owed_kw=500.0)

    assert found == {"bess": 500, "tank": 50}


@pytest.mark.parametrize(
    ("said", "import_kw", "allowed"),
    [
        pytest.param({}, 70.0, -70, id="any draw: just what the limit leaves"),
        pytest.param({"bands_kw": (30.0, 60.0, 100.0)}, 70.0, -60, id="the band below"),
        pytest.param({"bands_kw": (60.0, 100.0)}, 50.0, 0, id="no band is small enough"),
        pytest.param({"on_off": OnOffRules(min_power_kw=80)}, 70.0, 0, id="below its least: off"),
    ],
)
def test_a_cut_leaves_a_machine_where_it_can_run(
    a_resource: Builder,
    a_park: Builder,
    a_state: Builder,
    guard_of: Builder,
    a_reading: Builder,
    said: dict[str, Any],
    import_kw: float,
    allowed: float,
) -> None:
    mixer = a_resource("mixer", **said)
    park = a_park(mixer, park_limits=Limits(import_kw=import_kw))

    result = guard_of(park, a_state(park, a_reading(mixer)), {ResourceId("mixer"): -100.0})

    assert result.power_kw == {"mixer": pytest.approx(allowed)}


def test_the_limit_of_an_enterprise_is_guarded_over_all_its_points(
    a_resource: Builder, a_park: Builder, a_state: Builder, guard_of: Builder, a_reading: Builder
) -> None:
    one, two = a_resource("bess", "b1", "cp0"), a_resource("bess", "b2", "cp1")
    park = a_park(one, two, enterprise=Limits(export_kw=1000.0))
    wishes = {ResourceId("b1"): 900.0, ResourceId("b2"): 900.0}

    result = guard_of(park, a_state(park, a_reading(one), a_reading(two)), wishes)

    assert sum(result.power_kw.values()) == pytest.approx(1000)
    assert {clip.why for clip in result.clipped} == {"export of enterprise mill"}


def test_what_a_group_draws_is_guarded_whatever_others_of_it_feed(
    a_resource: Builder, a_park: Builder, a_state: Builder, guard_of: Builder, a_reading: Builder
) -> None:
    """150 kW for all three: the battery that feeds makes no room."""
    mixer, feeds, draws = (
        a_resource("mixer"), a_resource("bess", "feeds"), a_resource("bess", "draws")
    )  # fmt: skip
    together = PowerGroup(
        group_id="hall",
        resource_ids=tuple(map(ResourceId, ("mixer", "feeds", "draws"))),
        max_draw_kw=150.0,
    )
    park = a_park(mixer, feeds, draws, groups=(together,))
    wishes = {ResourceId("mixer"): -100.0, ResourceId("feeds"): 80.0, ResourceId("draws"): -90.0}

    result = guard_of(park, a_state(park, *(a_reading(r) for r in (mixer, feeds, draws))), wishes)

    assert result.power_kw == {"mixer": -100, "feeds": 80, "draws": pytest.approx(-50)}
    assert {clip.why for clip in result.clipped} == {"import of group hall"}


def test_a_store_takes_a_residual_no_further_than_its_group_may_draw(
    a_resource: Builder,
    a_park: Builder,
    a_state: Builder,
    a_reading: Builder,
    a_schedule: Builder,
    share_of: Builder,
) -> None:
    mixer, bess = a_resource("mixer"), a_resource("bess")
    together = PowerGroup(
        group_id="hall", resource_ids=tuple(map(ResourceId, ("mixer", "bess"))), max_draw_kw=150.0
    )
    park = a_park(mixer, bess, groups=(together,))

    found = share_of(
        park,
        a_state(park, a_reading(mixer), a_reading(bess)),
        a_schedule(park, {"mixer": -100.0}),
        owed_kw=-400.0,
    )

    assert found == {"mixer": -100, "bess": pytest.approx(-50)}


@pytest.mark.parametrize("kind", ["tank", "pump"])
def test_heat_loads_no_wire(
    a_resource: Builder,
    a_park: Builder,
    a_state: Builder,
    guard_of: Builder,
    a_reading: Builder,
    kind: str,
) -> None:
    one = a_resource(kind)
    park = a_park(one, park_limits=Limits(import_kw=1.0, export_kw=1.0))

    result = guard_of(park, a_state(park, a_reading(one)), {ResourceId(kind): -100.0})

    assert (result.power_kw, result.clipped) == ({kind: -100.0}, ())


@pytest.mark.parametrize(
    ("kind", "said", "now_kw", "import_kw", "bess_kw"),
    [
        pytest.param("shop", {}, -100, 80, -30, id="half of its load stays, whatever its cap is"),
        pytest.param("cars", {"max_car_feed_kw": 10.0}, 0, 80, -80, id="cars that do not feed yet"),
        pytest.param("engine", {}, 20, 80, -100, id="an engine counts as it runs"),
        pytest.param("boiler", {"on_off": OnOffRules(), "standby_kw": 8.0}, 0, 80, -72,
                     id="a machine that stands ready draws"),
    ],
)  # fmt: skip
def test_what_a_device_does_beside_its_command_is_reckoned_with(
    a_resource: Builder,
    a_park: Builder,
    a_state: Builder,
    a_reading: Builder,
    guard_of: Builder,
    kind: str,
    said: dict[str, Any],
    now_kw: float,
    import_kw: float,
    bess_kw: float,
) -> None:
    """The battery may charge with what the others leave of the limit."""
    one, bess = a_resource(kind, **said), a_resource("bess")
    park = a_park(one, bess, park_limits=Limits(import_kw=import_kw))
    wishes = {"shop": -10.0, "cars": 50.0, "engine": 300.0, "boiler": 0.0}

    result = guard_of(
        park,
        a_state(park, a_reading(one, now_kw), a_reading(bess)),
        {ResourceId(kind): wishes[kind], ResourceId("bess"): -500.0},
    )

    assert result.power_kw == {kind: wishes[kind], "bess": pytest.approx(bess_kw)}


@pytest.mark.parametrize(
    ("kind", "said", "wish_kw", "allowed_kw", "clips"),
    [
        pytest.param("engine", {"on_off": OnOffRules(min_power_kw=300)}, 299.9999999, 300, 0,
                     id="rounding stops no engine"),
        pytest.param("engine", {"on_off": OnOffRules(min_power_kw=300)}, 200, 0, 1,
                     id="below its least it would stop"),
        pytest.param("mixer", {"bands_kw": (40.0, 100.0)}, -39.9999999, -40, 0, id="nor a band"),
        pytest.param("mixer", {"bands_kw": (40.0, 100.0)}, -70, -40, 1, id="between two bands"),
    ],
)  # fmt: skip
def test_a_machine_is_told_only_what_it_can_run_at(
    a_resource: Builder,
    a_park: Builder,
    a_state: Builder,
    guard_of: Builder,
    a_reading: Builder,
    kind: str,
    said: dict[str, Any],
    wish_kw: float,
    allowed_kw: float,
    clips: int,
) -> None:
    one = a_resource(kind, **said)
    park = a_park(one)

    result = guard_of(park, a_state(park, a_reading(one)), {ResourceId(kind): wish_kw})

    assert (result.power_kw, len(result.clipped)) == ({kind: allowed_kw}, clips)


@pytest.mark.parametrize(
    ("leaves", "asked_kw"),
    [
        pytest.param(timedelta(hours=8), 10, id="time enough: what is lent is fed"),
        pytest.param(timedelta(minutes=30), -10, id="it must charge now"),
    ],
)
def test_cars_feed_what_they_lend_only_while_nobody_is_pressed(
    a_resource: Builder,
    a_park: Builder,
    a_state: Builder,
    a_reading: Builder,
    a_schedule: Builder,
    share_of: Builder,
    leaves: timedelta,
    asked_kw: float,
) -> None:
    cars = a_resource("cars", max_car_feed_kw=10.0)
    session = EvSession(session_id="s", departs_at=NOON + leaves, wanted_kwh=5.0, lends_kwh=20.0)
    park = a_park(cars)

    found = share_of(
        park,
        a_state(park, a_reading(cars, sessions=(session,))),
        a_schedule(park, {"cars": 10.0}),
        owed_kw=None,
    )

    assert found == {"cars": pytest.approx(asked_kw)}
