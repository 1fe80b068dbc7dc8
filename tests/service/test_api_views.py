"""What the service shows of itself: park, resources, plan, series, money, health."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from vpp.act.ladder import SafeState
from vpp.model.command import Setpoint
from vpp.model.forecast import Forecast
from vpp.model.horizon import Horizon, Profile
from vpp.model.ids import NodeId
from vpp.model.network import Carrier, Node
from vpp.model.schedule import LimitPrice, Unsolved
from vpp.model.time import QUARTER
from vpp.plan.changes import Changes, PowerChange
from vpp.service.plant import Plant, TracePoint


def get(plant: Plant, serving: Any, path: str, status: int = 200) -> Any:
    """The JSON of one request."""

    async def run() -> Any:
        async with serving(plant) as client:
            answer = await client.get(path)
            assert answer.status == status, await answer.text()
            return await answer.json(content_type=None)

    return asyncio.run(run())


def point(plant: Plant, minute: int) -> TracePoint:
    return TracePoint(
        at=plant.clock.now() + timedelta(minutes=minute),
        park_kw=-1000.0 - minute,
        planned_kw=-990.0,
        owed_kw=None,
        spot_per_mwh=41.5,
        stored_kwh=2000.0,
        capacity_kwh=4000.0,
        money=12.3,
    )


def test_the_park_is_shown_as_built_and_as_it_stands(plant: Plant, serving: Any) -> None:
    plant.trace.extend(point(plant, minute) for minute in range(3))

    park = get(plant, serving, "/v1/park")

    assert len(park["enterprises"]) == len(plant.file.park.enterprises)
    shown = [
        r for e in park["enterprises"] for p in e["connection_points"] for r in p["resource_ids"]
    ]
    assert sorted(shown) == sorted(r.resource_id for r in plant.file.park.resources)
    assert park["enterprises"][0]["connection_points"][0]["power_kw"] == -100.0
    assert park["power_kw"] == -1002.0
    assert park["money_so_far"] == "0"
    assert park["safe_state"] == "normal"
    assert park["trace"]["park_kw"] == [-1000.0, -1001.0, -1002.0]
    assert park["trace"]["owed_kw"] == [None, None, None]


def test_a_page_asks_only_for_what_is_new(plant: Plant, serving: Any) -> None:
    plant.trace.extend(point(plant, minute) for minute in range(3))

    newer = get(plant, serving, "/v1/park?trace_after=2025-12-02T10:01:00Z")
    none = get(plant, serving, "/v1/park?trace_after=2025-12-02T11:02:00%2B01:00")

    assert newer["trace"]["at"] == ["2025-12-02T10:02:00Z"]
    assert none["trace"]["at"] == []


def test_a_resource_shows_its_state_its_plan_and_the_set_point_in_force(
    plant: Plant, serving: Any
) -> None:
    store = next(r for r in plant.file.park.resources if type(r).__name__ == "Storage")
    now = plant.clock.now()
    plant.setpoints = {
        store.resource_id: Setpoint(
            command_id="c1",
            seq=7,
            resource_id=store.resource_id,
            enterprise_id=store.enterprise_id,
            issued_at=now,
            expires_at=now + timedelta(seconds=150),
            power_kw=250.0,
            serves="plan-1",
        )
    }

    shown = {r["resource_id"]: r for r in get(plant, serving, "/v1/resources")["resources"]}

    one = shown[store.resource_id]
    assert (one["known"], one["soc"], one["age_s"]) == (True, 0.5, 30.0)
    assert one["planned_kw"] == 0.0
    assert (one["setpoint"]["power_kw"], one["setpoint"]["in_force"]) == (250.0, True)


def test_a_resource_says_of_which_network_its_power_is(plant: Plant, serving: Any) -> None:
    """A page adds up batteries: a tank of hydrogen is none of them."""
    park = plant.file.park
    tank = replace(park.resources[0], node_id=NodeId("hydrogen"))
    network = (Node(node_id=NodeId("hydrogen"), carrier=Carrier.HYDROGEN),)
    changed = replace(park, nodes=network, resources=(tank, *park.resources[1:]))
    plant.file = replace(plant.file, park=changed)

    shown = get(plant, serving, "/v1/resources")["resources"]

    assert [r["node_id"] for r in shown] == ["hydrogen"] + [None] * (len(shown) - 1)


@pytest.mark.parametrize("path", ["/v1/resources", "/v1/control"])
def test_resources_are_read_page_by_page_each_once_and_in_order(
    path: str, plant: Plant, serving: Any
) -> None:
    seen, after = [], ""
    while True:
        page = get(plant, serving, f"{path}?limit=3{after}")
        assert len(page["resources"]) <= 3
        seen += [one["resource_id"] for one in page["resources"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"

    assert seen == [r.resource_id for r in plant.file.park.resources]


def test_the_park_is_read_page_by_page_each_resource_once_behind_its_own_meter(
    plant: Plant, serving: Any
) -> None:
    park, behind, after = plant.file.park, dict[str, list[str]](), ""
    while True:
        page = get(plant, serving, f"/v1/park?limit=5{after}")
        named = list[str]()
        for enterprise in page["enterprises"]:
            for point in enterprise["connection_points"]:
                owner = park.point_by_id[point["connection_point_id"]].enterprise_id
                assert owner == enterprise["enterprise_id"]
                behind.setdefault(point["connection_point_id"], []).extend(point["resource_ids"])
                named += point["resource_ids"]
        assert len(named) <= 5
        assert (page["park_id"], len(page["feeders"])) == ("demo", len(park.feeders))
        if page["next"] is None:
            break
        after = f"&after={page['next']}"

    assert behind == {
        name: [r.resource_id for r in own] for name, own in park.resources_of_point.items()
    }


def test_a_resource_nobody_hears_says_why_and_shows_no_old_number(
    empty_plant: Plant, serving: Any
) -> None:
    shown = get(empty_plant, serving, "/v1/resources")["resources"]

    assert {(r["known"], r["reason"], r["power_kw"]) for r in shown} == {
        (False, "never heard", None)
    }


def test_the_plan_is_shown_with_its_reasons(plant: Plant, serving: Any) -> None:
    plan = get(plant, serving, "/v1/plan")
    schedule = plan["schedule"]

    assert (plan["status"], plan["reason"]) == ("optimal", "")
    assert schedule["steps"] == len(schedule["net_kw"]) == 148
    assert schedule["cost_by_cause"] == [
        {"cause": "energy", "cost": "1234.5678"},
        {"cause": "wear", "cost": "1.5"},
    ]
    assert schedule["cost"] == "1236.0678"
    assert len(schedule["resources"]) == len(plant.file.park.resources)


def test_a_failed_plan_says_so_beside_the_one_that_is_held(plant: Plant, serving: Any) -> None:
    plant.outcome = Unsolved(reason="time limit")

    plan = get(plant, serving, "/v1/plan")

    assert (plan["status"], plan["reason"]) == ("unsolved", "time limit")
    assert plan["schedule"]["plan_id"] == "plan-1"


def test_without_a_plan_there_is_none(empty_plant: Plant, serving: Any) -> None:
    assert get(empty_plant, serving, "/v1/plan") == {
        "status": "none",
        "reason": "no plan was made yet",
        "schedule": None,
        "changes": None,
        "quotas": [],
        "peaks": [],
        "next": None,
    }


def test_a_plan_is_read_page_by_page_and_nothing_of_it_twice_or_never(
    plant: Plant, serving: Any
) -> None:
    park, whole = plant.file.park, plant.schedule
    assert whole is not None
    first, last = park.resources[0], park.resources[-1]
    places = {one.connection_point_id for one in park.resources}
    names = [
        f"{first.resource_id}: max_charge_kw",
        f"{last.resource_id}: max_charge_kw",
        f"{last.resource_id}/session-1: deadline",
        *(f"connection point {name}: import_kw" for name in sorted(places)),
        f"enterprise {last.enterprise_id}: import_kw",
        f"order dso-1 at {last.connection_point_id}: import_kw",
    ]
    binds = np.full(whole.horizon.steps, -1.0)
    limits = tuple(LimitPrice(limit=words, per_unit=binds) for words in names)
    everywhere = LimitPrice(limit="feeder nowhere: import_kw", per_unit=binds)
    first_step = whole.horizon.start
    moved = tuple(
        PowerChange(
            resource_id=one.resource_id, moved_kwh=1, most_at=first_step, before_kw=0, now_kw=1
        )
        for one in (first, last)
    )
    plant.changes = Changes(since="plan-0", span=None, powers=moved)
    plant.schedule = replace(
        whole,
        connection_point_kw=dict.fromkeys(places, binds),
        undone_units={f"{last.resource_id}/2025-12-02T10:00:00Z": 3.0},
        limit_prices=(*limits, everywhere),
    )

    pages, after = [], ""
    while True:
        pages.append(get(plant, serving, f"/v1/plan?limit=3{after}"))
        if pages[-1]["next"] is None:
            break
        after = f"&after={pages[-1]['next']}"

    def all_of(name: str, key: str) -> list[str]:
        return [one[key] for page in pages for one in page["schedule"][name]]

    assert all(len(page["schedule"]["resources"]) <= 3 for page in pages)
    assert all_of("resources", "resource_id") == [r.resource_id for r in park.resources]
    assert sorted(all_of("connection_points", "connection_point_id")) == sorted(places)
    told = all_of("limit_prices", "limit")
    assert sorted(words for words in told if words != everywhere.limit) == sorted(names)
    assert told.count(everywhere.limit) == len(pages)
    assert [page["schedule"]["undone"] for page in pages if page["schedule"]["undone"]] == [
        [{"window": f"{last.resource_id}/2025-12-02T10:00:00Z", "units": 3.0}]
    ]
    assert [one["resource_id"] for page in pages for one in page["changes"]["powers"]] == [
        first.resource_id,
        last.resource_id,
    ]
    assert {page["schedule"]["cost"] for page in pages} == {"1236.0678"}


def test_forecasts_are_shown_with_their_model(plant: Plant, serving: Any) -> None:
    horizon = Horizon(plant.clock.now(), QUARTER, 2)
    plant.forecasts = tuple(
        Forecast(
            series_id=name,
            unit="kW",
            issued_at=plant.clock.now(),
            model="seasonal/1",
            expected=Profile.constant(horizon, 1.5),
        )
        for name in ("power.a", "power.b")
    )

    one = get(plant, serving, "/v1/forecasts?series=power.b")["forecasts"]

    assert [(f["series_id"], f["values"], f["step_s"]) for f in one] == [
        ("power.b", [1.5, 1.5], 900)
    ]


def test_a_series_is_read_as_it_was_known(plant: Plant, serving: Any) -> None:
    def upload(value: float, issued_at: str) -> dict[str, Any]:
        return {
            "unit": "EUR/MWh",
            "resolution_s": 900,
            "issued_at": issued_at,
            "source": "test",
            "values": [{"interval_start": "2025-12-02T09:00:00Z", "value": value}],
        }

    async def run() -> None:
        async with serving(plant) as client:
            for value, issued in ((40.0, "2025-12-01T12:00:00Z"), (41.0, "2025-12-02T08:00:00Z")):
                taken = await client.put("/v1/series/price.x", json=upload(value, issued))
                assert await taken.json() == {"series_id": "price.x", "values": 1}
            span = "start=2025-12-02T09:00:00Z&end=2025-12-02T09:20:00Z"
            now = await (await client.get(f"/v1/series/price.x?{span}")).json()
            then = await (
                await client.get(f"/v1/series/price.x?{span}&known_by=2025-12-01T13:00:00Z")
            ).json()
        assert now["values"] == [41.0, None]
        assert then["values"] == [40.0, None]
        assert (now["unit"], now["step_s"]) == ("EUR/MWh", 900)

    asyncio.run(run())


def test_nothing_settled_is_an_empty_statement(plant: Plant, serving: Any) -> None:
    assert get(plant, serving, "/v1/statements") == {
        "currency": "EUR",
        "total": "0",
        "statements": [],
    }


def test_the_kill_switch_latches_and_releases(plant: Plant, serving: Any) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            killed = await client.post("/v1/kill", json={"killed": True, "reason": "fire drill"})
            assert await killed.json() == {
                "killed": True,
                "reason": "fire drill",
                "latches": [{"scope": "all", "name": "", "reason": "fire drill"}],
                "releases": [],
            }
            ready = await client.get("/readyz")
            assert ready.status == 503
            assert "fire drill" in await ready.text()
            day = {"start": "2025-12-02T23:00:00Z", "end": "2025-12-03T23:00:00Z"}
            bid = await client.post(
                "/v1/markets/se3-day-ahead/bids", json={"request_id": "r", "delivery": day}
            )
            assert (bid.status, (await bid.json())["code"]) == (503, "killed")
            over = {"killed": False, "reason": "drill over"}
            asked = await (await client.post("/v1/kill", json=over | {"by": "Li"})).json()
            assert (asked["killed"], asked["releases"][0]["asked_by"]) == (True, "Li")
            freed = await (await client.post("/v1/kill", json=over | {"by": "Wang"})).json()
            assert freed == {"killed": False, "reason": None, "latches": [], "releases": []}
            assert (await client.get("/readyz")).status == 200

    asyncio.run(run())


def test_health_speaks_of_cycles_not_of_ports(plant: Plant, serving: Any) -> None:
    plant.trace.append(point(plant, -1))
    health = get(plant, serving, "/healthz")

    assert health["last_control_cycle"] == "2025-12-02T09:59:00Z"
    assert health["last_plan"] == "2025-12-02T10:00:00Z"
    assert health["oldest_reading_s"] == 30.0


def test_cycles_that_stand_still_turn_health_red(plant: Plant, serving: Any) -> None:
    plant.trace.append(point(plant, -6))

    assert get(plant, serving, "/healthz", 503)["code"] == "stalled"


def test_a_plant_that_has_just_started_is_healthy_and_not_ready(
    empty_plant: Plant, serving: Any
) -> None:
    assert get(empty_plant, serving, "/healthz")["status"] == "ok"
    problem = get(empty_plant, serving, "/readyz", 503)

    assert problem["code"] == "not_ready"
    assert [reason["path"] for reason in problem["errors"]] == [
        "reconciled",
        "plan",
        "telemetry",
        "safe_state",
    ]


@pytest.mark.parametrize(
    ("path", "what"),
    [
        pytest.param("broker", "the broker is away since 2025-12-02T10:00:00Z", id="broker away"),
        pytest.param("plan", "the newest plan is 1801 s old", id="stale plan"),
        pytest.param("safe_state", "no_new_bids: the journal fails", id="the ladder's own words"),
    ],
)
def test_each_reason_for_not_being_ready_is_named(
    plant: Plant, serving: Any, path: str, what: str
) -> None:
    match path:
        case "broker":
            plant.source.connected = False  # type: ignore[misc]  # the quiet link's own field
        case "plan":
            assert plant.schedule is not None
            issued = plant.clock.now() - timedelta(seconds=1801)
            plant.schedule = replace(plant.schedule, issued_at=issued)
        case _:
            plant.safe_state = SafeState.NO_NEW_BIDS
            plant.safe_state_reason = "the journal fails"

    problem = get(plant, serving, "/readyz", 503)

    assert problem["errors"] == [{"path": path, "what": what}]


def test_ready_names_the_plan(plant: Plant, serving: Any) -> None:
    assert get(plant, serving, "/readyz") == {"ready": True, "plan_id": "plan-1", "plan_age_s": 0.0}


def test_metrics_tell_the_state_at_the_moment_of_asking(plant: Plant, serving: Any) -> None:
    async def run() -> str:
        async with serving(plant) as client:
            await client.get("/v1/markets/se3-day-ahead")
            await client.get("/somewhere/else")
            answer = await client.get("/metrics", headers={"Accept": "text/plain"})
            assert answer.content_type == "text/plain"
            return str(await answer.text())

    text = asyncio.run(run())

    assert "vpp_broker_connected 1.0" in text
    assert "vpp_resources_unknown 0.0" in text
    assert (
        'vpp_http_requests_total{method="GET",route="/v1/markets/{product}",status="200"} 1.0'
        in text
    )
    assert 'vpp_http_requests_total{method="other",route="unknown",status="404"} 1.0' in text
