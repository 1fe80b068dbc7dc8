"""`POST /v1/plan` and `GET /v1/plan/explain`: what if, and why, over HTTP."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from vpp.model.resource import FixedLoad, Generator, ThermalZone
from vpp.plan.changes import changes, planned
from vpp.service.api.planning import ROUTES
from vpp.service.cases.case import run_case
from vpp.service.cases.casefile import case_of
from vpp.service.cases.schema import CaseSection
from vpp.service.inputs import reference_product
from vpp.service.park.config import read_yaml
from vpp.service.plant import Plant
from vpp.service.solving.inline import InlineExecutor


def what_if(plant: Plant, **more: Any) -> dict[str, Any]:
    """Two hours of the plant's own park: 100 kW at each load, no sun."""
    park = plant.file.park
    steps = 8

    def flat(value: float) -> list[float]:
        return [value] * steps

    columns = {f"{reference_product(plant).price_series_id} [EUR/MWh]": [50.0] * 4 + [300.0] * 4}
    for resource in park.resources:
        match resource:
            case FixedLoad():
                columns[f"power.{resource.resource_id} [kW]"] = flat(-100.0)
            case Generator():
                columns[f"available.{resource.resource_id} [kW]"] = flat(0.0)
            case ThermalZone():
                columns[f"{resource.outdoor_series_id} [degC]"] = flat(5.0)
            case _:
                pass
    case = {
        "park": "live",
        "series": {"start": "2025-12-03T10:00:00Z", "step_minutes": 15, "columns": columns},
        "constants": {"arriving.office-cars": "0 kW", "arriving.store-cars": "0 kW"},
        "states": {"steel-battery": {"soc": 0.5}},
    }
    return case | more


def post(plant: Plant, serving: Any, body: dict[str, Any], status: int = 200) -> Any:
    async def run() -> Any:
        async with serving(plant) as client:
            answer = await client.post("/v1/plan", json=body)
            assert answer.status == status, await answer.text()
            return await answer.json(content_type=None)

    return asyncio.run(run())


def get(plant: Plant, serving: Any, path: str, status: int = 200) -> Any:
    async def run() -> Any:
        async with serving(plant) as client:
            answer = await client.get(path)
            assert answer.status == status, await answer.text()
            return await answer.json(content_type=None)

    return asyncio.run(run())


def test_a_what_if_is_planned_and_the_plan_that_stands_is_not_touched(
    plant: Plant, serving: Any
) -> None:
    before = (plant.schedule, plant.outcome, plant.view, plant.plan_count, list(plant.plan_log))

    answer = post(plant, serving, what_if(plant))

    assert answer["status"] == "optimal"
    schedule = answer["schedule"]
    battery = next(r for r in schedule["resources"] if r["resource_id"] == "steel-battery")
    assert battery["power_kw"][4] > 0  # what is dear is not bought
    assert "metal-battery" in answer["unheard"]
    assert answer["changes"]["since"] == "plan-1"
    assert before == (
        plant.schedule, plant.outcome, plant.view, plant.plan_count, list(plant.plan_log),
    )  # fmt: skip


def test_the_event_loop_is_free_while_a_what_if_is_planned(plant: Plant, serving: Any) -> None:
    async def run() -> tuple[int, bool, int]:
        async with serving(plant) as client:
            asked = asyncio.create_task(client.post("/v1/plan", json=what_if(plant)))
            shown = await client.get("/v1/plan")
            return shown.status, asked.done(), (await asked).status

    assert asyncio.run(run()) == (200, False, 200)


def test_a_second_what_if_is_refused_while_one_is_planned(plant: Plant, serving: Any) -> None:
    async def run() -> tuple[int, Any, str]:
        async with serving(plant) as client, plant.what_if:
            second = await client.post("/v1/plan", json=what_if(plant))
            problem = await second.json(content_type=None)
            return second.status, problem["code"], second.headers["Retry-After"]

    assert asyncio.run(run()) == (429, "what_if_running", "10")


def test_the_example_of_the_contract_fits_its_schema() -> None:
    (route,) = [one for one in ROUTES if one.example is not None]

    assert CaseSection.model_validate_json(json.dumps(route.example), strict=True).park == "live"


def test_a_refused_what_if_leaves_room_for_the_next(plant: Plant, serving: Any) -> None:
    post(plant, serving, what_if(plant, park="nowhere"), 422)

    assert post(plant, serving, what_if(plant))["status"] == "optimal"


@pytest.mark.parametrize(
    ("more", "path", "what"),
    [
        pytest.param(
            {"park": "/etc/park.yaml"},
            "body.park",
            "a file cannot be named here: give `live` or a shipped park",
            id="a park file of this machine",
        ),
        pytest.param(
            {"series": "/etc/passwd"},
            "body.series",
            "a file cannot be named here: send the series themselves",
            id="a series file of this machine",
        ),
        pytest.param(
            {"states": {"steel-bttery": {"soc": 0.5}}},
            "body.states.steel-bttery",
            "the park has no resource 'steel-bttery'",
            id="a stranger",
        ),
        pytest.param(
            {"terms": [{"term": "green_share", "share": 0.5, "shortfall_per_kwh": 1},
                       {"term": "energy_price", "at": "moon", "import_per_kwh": 0.1}]},
            "body.terms[1].at",
            "unknown connection point 'moon'",
            id="a term at no place",
        ),
        pytest.param(
            {"solver": {"hard_s": 3000}},
            "body.solver.hard_s",
            "3000 s are more than the 20 s that this service gives",
            id="longer than the service gives",
        ),
        pytest.param(
            {"series": {"start": "2025-12-03T10:00:00Z", "step_minutes": 60,
                        "columns": {"price.x": [1.0, 2.0]}}},
            "body.series.columns.price.x",
            "it has no unit",
            id="a series without a unit",
        ),
    ],
)  # fmt: skip
def test_a_malformed_what_if_is_refused_by_its_path(
    plant: Plant, serving: Any, more: dict[str, Any], path: str, what: str
) -> None:
    problem = post(plant, serving, what_if(plant, **more), 422)

    assert problem["code"] == "invalid_body"
    (told,) = [fault for fault in problem["errors"] if fault["path"] == path]
    assert what in told["what"]


def test_a_what_if_that_cannot_be_says_why(plant: Plant, serving: Any) -> None:
    answer = post(plant, serving, what_if(plant, solver={"soft_s": 0.000001, "hard_s": 0.000002}))

    assert (answer["status"], answer["schedule"]) == ("unsolved", None)
    assert "hard limit" in answer["reason"]


# ---------------------------------------------------------------- why


def stand_on_a_what_if(plant: Plant) -> None:
    """Let a plan of two hours stand as the newest one, with what it was made from."""
    document = read_yaml(json.dumps(what_if(plant)).encode(), file="body")
    case = case_of(document, name="plan-2", folder=None, live=plant.file)
    ran = asyncio.run(run_case(case, InlineExecutor()))
    assert ran.schedule is not None
    plant.schedule = ran.schedule
    plant.made_from = (ran.case.problem.view, ran.case.problem.terms)


def test_the_newest_plan_says_why(plant: Plant, serving: Any) -> None:
    stand_on_a_what_if(plant)

    by_clock = get(plant, serving, "/v1/plan/explain?resource=steel-battery&at=12:00")
    by_moment = get(
        plant, serving, "/v1/plan/explain?resource=steel-battery&at=2025-12-03T11:05:00Z"
    )

    assert by_clock == by_moment
    assert (by_clock["plan_id"], by_clock["start"]) == ("plan-2", "2025-12-03T11:00:00Z")
    assert by_clock["sentences"][0].startswith("steel-battery feeds ")
    assert by_clock["value_per_kwh"] == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        pytest.param("resource=moon&at=12:00", 422, "invalid_data", id="a stranger"),
        pytest.param("resource=steel-battery&at=05:00", 422, "invalid_data", id="another time"),
        pytest.param("resource=steel-battery&at=noon", 422, "invalid_query", id="no time"),
        pytest.param("resource=steel-battery", 422, "invalid_query", id="no time at all"),
    ],
)
def test_what_cannot_be_explained_is_refused(
    plant: Plant, serving: Any, query: str, status: int, code: str
) -> None:
    stand_on_a_what_if(plant)

    assert get(plant, serving, f"/v1/plan/explain?{query}", status)["code"] == code


def test_without_a_plan_nothing_is_explained(empty_plant: Plant, serving: Any) -> None:
    problem = get(empty_plant, serving, "/v1/plan/explain?resource=x&at=12:00", 503)

    assert problem["code"] == "no_plan"


def test_the_plan_shows_what_changed_since_the_last_one(plant: Plant, serving: Any) -> None:
    assert plant.schedule is not None
    dearer = replace(plant.schedule, power_kw=plant.schedule.power_kw * 1.1)
    plant.changes = changes(planned(plant.schedule), planned(dearer))

    shown = get(plant, serving, "/v1/plan")["changes"]

    assert shown["since"] == "plan-1"
    assert {change["now_kw"] for change in shown["powers"]} >= {-110.0}
