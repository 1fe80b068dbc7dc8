"""What the page is given: the overview, the tree, one resource, the plan in sums. Round numbers."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from tests.service.conftest import NOW
from vpp.model.forecast import LEVELS, Forecast
from vpp.model.horizon import Horizon, Profile
from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId
from vpp.model.measurement import Reading
from vpp.model.schedule import LimitPrice, Relaxation, Schedule
from vpp.model.time import Interval
from vpp.service.api import overview, planpage, tree
from vpp.service.api.overview import spread_kw, thinned
from vpp.service.api.planpage import dearest
from vpp.service.api.problems import HttpRefusal
from vpp.service.api.routes import AnyRoute, Call, Nothing
from vpp.service.plant import Plant, TracePoint
from vpp.service.steering.desk import HeldOverride

BATTERY = ResourceId("steel-battery")


def get(plant: Plant, path: str) -> dict[str, Any]:
    """What a route gives, as JSON: asked for without the server around it."""
    parts = urlsplit(path)
    for route in (*overview.ROUTES, *tree.ROUTES, *planpage.ROUTES):
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path)
        if found := re.fullmatch(pattern, parts.path):
            query = route.query.model_validate(dict(parse_qsl(parts.query)))
            call = Call(request=None, path=found.groupdict(), query=query, body=Nothing(), now=NOW)
            return dict(json.loads(asyncio.run(_answer(route, plant, call))))
    raise AssertionError(path)


async def _answer(route: AnyRoute, plant: Plant, call: Call[Any, Nothing]) -> str:
    found = await route.handle(plant, call)
    assert isinstance(found, BaseModel)
    return found.model_dump_json()


def forecast(
    schedule: Schedule, mean: float, low: float, high: float, unit: str = "kW"
) -> Forecast:
    """`low` and `high` at 10 % and 90 %, the mean between."""
    steps = schedule.horizon.steps
    line = np.interp(LEVELS, [0.1, 0.5, 0.9], [low, mean, high])
    return Forecast(
        series_id=f"power.{mean}",
        unit=unit,
        issued_at=NOW,
        model="test/1",
        expected=Profile.constant(schedule.horizon, mean),
        quantiles=np.repeat(line[:, None], steps, axis=1),
    )


# ---------------------------------------------------------------- overview


def test_the_overview_adds_the_main_meters_and_says_how_old_they_are(
    plant: Plant,
) -> None:
    seen = get(plant, "/v1/overview")

    assert seen["power_kw"] == -100.0 * len(plant.file.park.connection_points)
    assert seen["power_at"] == "2025-12-02T09:59:30Z"
    assert seen["silent_meters"] == []
    assert (seen["spot_per_mwh"], seen["plan_id"]) == (40.0, "plan-1")


def test_no_power_is_made_up_where_one_meter_is_silent(plant: Plant) -> None:
    silent = plant.file.park.connection_points[0].meter_id
    del plant.intake.newest_meter[silent]

    seen = get(plant, "/v1/overview")

    assert (seen["power_kw"], seen["power_at"], seen["silent_meters"]) == (None, None, [silent])


def test_of_a_day_that_is_not_settled_nothing_is_told(plant: Plant) -> None:
    today = get(plant, "/v1/overview")["today"]

    assert (today["settled_until"], today["carbon_by_figure_share"]) == (None, None)
    assert today["day"] == "2025-12-02"


def test_the_spread_of_independent_forecasts_adds_as_squares(plant: Plant) -> None:
    schedule = plant.schedule
    assert schedule is not None
    three, four = forecast(schedule, -100, -103, -97), forecast(schedule, 50, 46, 62)
    price = forecast(schedule, 40, 0, 90, unit="EUR/MWh")

    below, above = spread_kw((three, four, price), schedule)

    assert below.tolist() == pytest.approx([5.0] * schedule.horizon.steps)  # 3 and 4
    assert above.tolist() == pytest.approx([np.hypot(3, 12)] * schedule.horizon.steps)


def test_without_a_forecast_on_its_steps_a_plan_has_no_spread(plant: Plant) -> None:
    schedule = plant.schedule
    assert schedule is not None
    older = replace(
        forecast(schedule, 1, 0, 2),
        expected=Profile.constant(
            Horizon(NOW - timedelta(hours=1), schedule.horizon.step, schedule.horizon.steps), 1.0
        ),
    )

    below, above = spread_kw((older,), schedule)

    assert np.isnan(below).all()
    assert np.isnan(above).all()


def a_point(minute: int) -> TracePoint:
    return TracePoint(
        at=NOW + timedelta(minutes=minute), park_kw=float(minute), planned_kw=None, owed_kw=None,
        spot_per_mwh=None, stored_kwh=None, capacity_kwh=0.0, money=0.0,
    )  # fmt: skip


@given(st.integers(min_value=0, max_value=2000), st.integers(min_value=2, max_value=300))
def test_a_thinned_trace_keeps_its_ends_and_its_order(count: int, most: int) -> None:
    points = [a_point(minute) for minute in range(count)]

    kept = thinned(points, most)

    assert len(kept) == min(count, most)
    assert kept[:1] == points[:1]
    assert kept[-1:] == points[-1:]
    assert kept == sorted(kept, key=lambda one: one.at)


def test_what_closes_first_stands_first_and_what_a_person_holds_is_among_it(
    plant: Plant,
) -> None:
    plant.acting.overrides[BATTERY] = HeldOverride(
        resource_id=BATTERY, number=1, low_kw=0.0, high_kw=0.0, since=NOW,
        until=NOW + timedelta(minutes=20), by="Li", reason="crane",
    )  # fmt: skip

    todo = get(plant, "/v1/overview")["todo"]

    gates = [(one["name"], one["state"]) for one in todo if one["what"] == "gate"]
    assert ("se3-day-ahead", "open") in gates
    (quarter,) = [one for one in todo if one["name"] == "se3-quarter-hour"]
    assert quarter["delivery"]["start"] == "2025-12-02T23:00:00Z"  # the unit trades from then on
    (held,) = [one for one in todo if one["what"] == "override"]
    assert (held["name"], held["detail"]) == (BATTERY, "Li: crane")
    assert [one["at"] for one in todo] == sorted(one["at"] for one in todo)


# ---------------------------------------------------------------- tree


def test_the_tree_names_every_resource_once_under_its_point(plant: Plant) -> None:
    shown = get(plant, "/v1/tree")

    columns = shown["resources"]
    assert columns["resource_id"] == [r.resource_id for r in plant.file.park.resources]
    at = columns["resource_id"].index(BATTERY)
    point = shown["points"][columns["point"][at]]
    assert point["connection_point_id"] == "steel-melt"
    assert shown["enterprises"][point["enterprise"]]["name"] == "Steel works"
    assert shown["kinds"][columns["kind"][at]] == "Storage"
    assert (columns["max_draw_kw"][at], columns["max_feed_kw"][at]) == (2000.0, 2000.0)


@pytest.mark.parametrize("limit", [1, 3, 7])
def test_the_tree_is_read_page_by_page_and_every_page_knows_whose_its_resources_are(
    plant: Plant, limit: int
) -> None:
    park = plant.file.park
    whole = get(plant, "/v1/tree")
    assert (whole["first"], whole["in_park"], whole["next"]) == (0, 44, None)

    names, points, enterprises = list[ResourceId](), dict[int, str](), dict[int, str]()
    after = ""
    while True:
        page = get(plant, f"/v1/tree?limit={limit}{after}")
        columns = page["resources"]
        assert page["first"] == len(names)
        points |= {one["place"]: one["connection_point_id"] for one in page["points"]}
        enterprises |= {one["place"]: one["enterprise_id"] for one in page["enterprises"]}
        owner = {one["place"]: one["enterprise"] for one in page["points"]}
        for name, at, kind in zip(
            columns["resource_id"], columns["point"], columns["kind"], strict=True
        ):
            one = park.resource_by_id[name]
            assert points[at] == one.connection_point_id
            assert enterprises[owner[at]] == one.enterprise_id
            assert page["kinds"][kind] == type(one).__name__
        names += columns["resource_id"]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"

    assert names == whole["resources"]["resource_id"]
    assert list(dict(sorted(points.items())).values()) == [
        p.connection_point_id for p in park.connection_points
    ]
    assert list(dict(sorted(enterprises.items())).values()) == [
        e.enterprise_id for e in park.enterprises
    ]


def test_what_has_no_resource_stands_in_the_first_page_of_the_tree(plant: Plant) -> None:
    park = plant.file.park
    idle = replace(park.enterprises[0], enterprise_id=EnterpriseId("idle"), name="Idle")
    gate = replace(
        park.connection_points[0],
        connection_point_id=ConnectionPointId("spare-gate"),
        meter_id=ResourceId("spare-meter"),
    )
    grown = replace(
        park,
        enterprises=(*park.enterprises, idle),
        connection_points=(*park.connection_points, gate),
    )
    plant.file = replace(plant.file, park=grown)

    first = get(plant, "/v1/tree?limit=1")
    second = get(plant, f"/v1/tree?limit=1&after={first['next']}")

    assert "spare-gate" in [one["connection_point_id"] for one in first["points"]]
    assert "idle" in [one["enterprise_id"] for one in first["enterprises"]]
    assert len(second["points"]) == len(second["enterprises"]) == 1


def test_flows_are_told_of_meters_and_of_those_in_sight_only(plant: Plant) -> None:
    park = plant.file.park
    steel = park.row_of_enterprise[EnterpriseId("steel")]
    owned = park.points_of_enterprise[EnterpriseId("steel")]

    flows = get(plant, f"/v1/tree/flows?at=1,0&points=2,0&enterprises={steel}")

    assert [one["place"] for one in flows["resources"]] == [1, 0]
    assert [(one["place"], one["power_kw"]) for one in flows["points"]] == [(2, -100), (0, -100)]
    (together,) = flows["enterprises"]
    assert (together["place"], together["age_s"]) == (steel, 30.0)
    assert together["power_kw"] == -100.0 * len(owned)
    assert plant.schedule is not None
    planned = (float(plant.schedule.connection_point_kw[p.connection_point_id][0]) for p in owned)
    assert together["planned_kw"] == pytest.approx(sum(planned))
    assert (flows["resources"][0]["soc"], flows["resources"][0]["state"]) == (0.5, "well")
    north = [p for p in plant.file.park.connection_points if p.feeder_id == "feeder-north"]
    assert flows["feeders"][0] == -100.0 * len(north)


def test_an_enterprise_behind_a_silent_meter_has_no_power_and_no_age(plant: Plant) -> None:
    first, *_ = plant.file.park.points_of_enterprise[EnterpriseId("steel")]
    del plant.intake.newest_meter[first.meter_id]
    steel = plant.file.park.row_of_enterprise[EnterpriseId("steel")]

    flows = get(plant, f"/v1/tree/flows?enterprises={steel}")

    (together,) = flows["enterprises"]
    assert (together["power_kw"], together["age_s"], flows["power_kw"]) == (None, None, None)


def test_who_is_not_heard_is_told_so_with_its_reason(plant: Plant) -> None:
    del plant.intake.newest[BATTERY]

    (battery,) = get(plant, "/v1/tree/flows?at=1")["resources"]

    assert (battery["state"], battery["why"]) == ("unknown", "never heard")
    assert (battery["power_kw"], battery["age_s"]) == (None, None)


@pytest.mark.parametrize("at", ["44", "999999", ",".join(map(str, [0] * 201)), "a", "1,,2", "-1"])
def test_a_place_that_is_none_is_refused(plant: Plant, at: str) -> None:
    for key in ("at", "points", "enterprises"):
        with pytest.raises((HttpRefusal, ValidationError)):
            get(plant, f"/v1/tree/flows?{key}={at}")


def test_a_resource_shows_what_it_told_thinned_with_its_newest_value(
    plant: Plant, a_reading: Callable[[int], Reading]
) -> None:
    asked = list[Interval]()

    def read(name: ResourceId, span: Interval) -> list[Reading]:
        asked.append(span)
        return [a_reading(second) for second in range(0, 21_600, 10)]

    plant.readings = read

    page = get(plant, f"/v1/resources/{BATTERY}")

    assert asked == [Interval(NOW - timedelta(hours=6), NOW)]
    assert len(page["telemetry"]["at"]) == 300
    assert page["telemetry"]["power_kw"][-1] == 21_590.0
    assert (page["telemetry_missing"], page["capacity_kwh"]) == ("", 4000.0)
    assert page["resource"]["soc"] == 0.5


def test_a_resource_says_why_it_has_no_telemetry(plant: Plant) -> None:
    page = get(plant, f"/v1/resources/{BATTERY}")

    assert (page["telemetry"]["at"], page["telemetry_missing"]) == ([], "nothing is recorded here")


@pytest.fixture
def a_reading(plant: Plant) -> Callable[[int], Reading]:
    one = plant.intake.newest[BATTERY]
    began = NOW - timedelta(hours=6)

    def at(second: int) -> Reading:
        return replace(one, measured_at=began + timedelta(seconds=second), power_kw=float(second))

    return at


# ---------------------------------------------------------------- plan


def test_power_by_kind_adds_up_to_the_net_injection(plant: Plant) -> None:
    page = get(plant, "/v1/plan/page")

    together = np.sum([one["power_kw"] for one in page["kinds"]], axis=0)
    assert together.tolist() == pytest.approx(page["net_kw"], abs=1e-3)
    assert sum(one["resources"] for one in page["kinds"]) == len(plant.file.park.electric)
    assert page["cost"] == "1236.0678"


def test_the_dearest_limit_over_the_horizon_stands_first_and_a_free_one_nowhere(
    plant: Plant,
) -> None:
    schedule = plant.schedule
    assert schedule is not None
    none = np.zeros(schedule.horizon.steps)
    once, often = none.copy(), none.copy()
    once[3], often[[1, 2]] = -0.5, [-0.4, -0.3]
    prices = (
        LimitPrice(limit="once", per_unit=once),
        LimitPrice(limit="free", per_unit=none),
        LimitPrice(limit="often", per_unit=often),
    )

    (first, second), more = dearest(replace(schedule, limit_prices=prices), 5)

    assert (first.limit, first.steps, first.dearest_per_unit) == ("often", 2, 0.4)
    assert first.sum_per_unit == pytest.approx(0.7)
    assert first.dearest_at == NOW + timedelta(minutes=15)
    assert (second.limit, second.sum_per_unit, more) == ("once", 0.5, 0)


def test_of_limits_beyond_those_that_are_shown_the_number_is_told(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planpage, "MANY_LIMITS", 2)  # five limits are summed in three pieces
    schedule = plant.schedule
    assert schedule is not None
    cost = np.zeros((5, schedule.horizon.steps))
    cost[:, 0] = [-0.1, -0.5, 0.0, -0.2, -0.4]
    prices = tuple(LimitPrice(limit=f"limit-{n}", per_unit=row) for n, row in enumerate(cost))

    shown, more = dearest(replace(schedule, limit_prices=prices), 3)

    assert [one.limit for one in shown] == ["limit-1", "limit-4", "limit-3"]
    assert more == 1
    assert dearest(replace(schedule, limit_prices=()), 3) == ([], 0)


def test_of_many_limits_that_cannot_be_kept_the_first_are_shown_and_the_others_counted(
    plant: Plant,
) -> None:
    schedule = plant.schedule
    assert schedule is not None
    many = tuple(
        Relaxation(limit=f"limit-{n}", most=1.0, span=schedule.horizon.span)
        for n in range(planpage.MOST_LIMITS + 7)
    )
    plant.schedule = replace(schedule, broken=many)

    page = get(plant, "/v1/plan/page")

    assert [one["limit"] for one in page["broken"]] == [
        f"limit-{n}" for n in range(planpage.MOST_LIMITS)
    ]
    assert page["broken_left_out"] == 7


def test_before_the_first_plan_its_page_says_so(empty_plant: Plant) -> None:
    page = get(empty_plant, "/v1/plan/page")

    assert (page["status"], page["plan_id"], page["cost"]) == ("none", None, None)
    assert get(empty_plant, "/v1/overview")["ahead"] is None
