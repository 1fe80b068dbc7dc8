"""The document says what the service does: valid OpenAPI, and answers that fit their schema."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from vpp.service.api.face import API_VERSION, routes
from vpp.service.api.openapi import document
from vpp.service.plant import Plant

DOCUMENT = document(routes(), version=API_VERSION)


def test_the_document_is_openapi_3_1() -> None:
    validate(DOCUMENT)


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(DOCUMENT)
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}

    assert named - set(DOCUMENT["components"]["schemas"]) == set()


def test_each_operation_has_a_name_of_its_own_and_says_how_it_refuses() -> None:
    operations = [one for path in DOCUMENT["paths"].values() for one in path.values()]
    names = [one["operationId"] for one in operations]

    assert len(set(names)) == len(names)
    for one in operations:
        assert {"200", "400", "404", "405", "422", "500"} <= one["responses"].keys()
        if "requestBody" in one:
            assert {"403", "408", "413", "415"} <= one["responses"].keys()


LIVE = {
    "GET /v1/markets",
    "GET /v1/markets/{product}",
    "GET /v1/markets/{product}/bids",
    "POST /v1/markets/{product}/bids",
    "GET /v1/markets/{product}/bids/{bid_set_id}",
    "DELETE /v1/markets/{product}/bids/{bid_set_id}",
    "POST /v1/markets/{product}/awards",
    "GET /v1/markets/{product}/activations",
    "POST /v1/markets/{product}/activations",
    "GET /v1/markets/{product}/invitations",
    "POST /v1/markets/{product}/invitations",
    "GET /v1/markets/{product}/invitations/{invitation_id}",
    "PUT /v1/markets/{product}/invitations/{invitation_id}/reply",
    "GET /v1/markets/{product}/by-hand",
    "PUT /v1/markets/{product}/by-hand",
    "POST /v1/markets/{product}/by-hand/end",
    "POST /v1/markets/{product}/locks",
    "GET /v1/markets/{product}/live",
    "POST /v1/markets/{product}/live",
    "GET /v1/markets/{product}/held",
    "POST /v1/markets/{product}/held/{held_id}",
    "GET /v1/markets/{product}/deliveries",
    "PUT /v1/series/{series_id}",
    "GET /v1/series/{series_id}",
    "GET /v1/limits",
    "GET /v1/links",
    "GET /v1/limits/{order_id}",
    "PUT /v1/limits/{order_id}",
    "GET /v1/positions",
    "GET /v1/regulation",
    "GET /v1/positions/delta",
    "GET /v1/positions/nominations",
    "GET /v1/positions/nominations/{nomination_id}",
    "POST /v1/positions/nominations/{nomination_id}/confirmation",
    "GET /v1/positions/trades",
    "POST /v1/positions/trades",
    "DELETE /v1/positions/trades/{trade_id}",
    "DELETE /v1/limits/{order_id}",
    "GET /v1/strategies",
    "PUT /v1/strategies",
    "POST /v1/strategies/validate",
    "POST /v1/strategies/preview",
    "GET /v1/strategies/previews/{preview_id}",
    "DELETE /v1/strategies/previews/{preview_id}",
    "GET /v1/strategies/versions",
    "GET /v1/strategies/versions/{number}",
    "POST /v1/strategies/rollback",
    "GET /v1/strategies/shadow",
    "POST /v1/strategies/shadow",
    "POST /v1/strategies/shadow/end",
    "GET /v1/control",
    "POST /v1/resources/{resource_id}/override",
    "GET /v1/resources/{resource_id}/override",
    "DELETE /v1/resources/{resource_id}/override",
    "GET /v1/instructions",
    "POST /v1/instructions",
    "GET /v1/instructions/{instruction_id}",
    "DELETE /v1/instructions/{instruction_id}",
    "PUT /v1/instructions/{instruction_id}/answer",
    "GET /v1/venues",
    "POST /v1/venues/{venue}/release",
    "GET /v1/park",
    "GET /v1/status",
    "GET /v1/overview",
    "GET /v1/tree",
    "GET /v1/plan/page",
    "GET /v1/tree/flows",
    "GET /v1/resources/{resource_id}",
    "GET /v1/people",
    "GET /v1/alarms",
    "GET /v1/alarms/history",
    "POST /v1/alarms/{alarm_id}/acknowledge",
    "POST /v1/alarms/{alarm_id}/shelve",
    "POST /v1/alarms/{alarm_id}/unshelve",
    "POST /v1/alarms/{alarm_id}/escalate",
    "GET /v1/desk/log",
    "POST /v1/desk/log",
    "GET /v1/desk/handovers",
    "POST /v1/desk/handovers",
    "GET /v1/desk/audit",
    "GET /v1/resources",
    "GET /v1/plan",
    "GET /v1/programmes",
    "POST /v1/plan",
    "GET /v1/plan/explain",
    "GET /v1/forecasts",
    "GET /v1/forecasts/scores",
    "GET /v1/statements",
    "GET /v1/members/{enterprise}",
    "GET /v1/members/{enterprise}/periods",
    "GET /v1/members/{enterprise}/statement",
    "POST /v1/members/{enterprise}/requests",
    "POST /v1/members/{enterprise}/requests/{request}/withdraw",
    "GET /v1/member-requests",
    "POST /v1/member-requests/{request}/decision",
    "GET /v1/accounts/periods",
    "GET /v1/accounts/statements",
    "GET /v1/accounts/settlement",
    "GET /v1/accounts/result",
    "GET /v1/events",
    "POST /v1/kill",
    "GET /v1/kill",
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "GET /v1/reports",
    "GET /v1/stations",
    "GET /v1/chargers",
    "GET /v1/sites",
    "GET /v1/reports/{product}",
    "POST /v1/reports/replays",
    "GET /openapi.json",
}
"""Of a plant."""

ONE = "/v1/simulations/{simulation_id}"
SIMULATIONS = {
    "POST /v1/simulations",
    "GET /v1/simulations",
    f"GET {ONE}",
    f"DELETE {ONE}",
    f"POST {ONE}/step",
    f"POST {ONE}/reset",
    f"POST {ONE}/snapshot",
    f"POST {ONE}/branch",
    f"GET {ONE}/manifest",
    f"GET {ONE}/table",
}


def test_the_contract_names_these_routes() -> None:
    offered = {
        f"{method.upper()} {path}" for path, one in DOCUMENT["paths"].items() for method in one
    }
    again = {route.replace("/v1", ONE, 1) for route in LIVE if " /v1/" in route}

    assert offered == LIVE | SIMULATIONS | again


def test_no_route_outside_simulations_takes_the_time_from_outside() -> None:
    moments = {"until", "now"}  # a what-if has a present of its own, and nothing follows it
    for path, operations in DOCUMENT["paths"].items():
        for operation in operations.values():
            content = operation.get("requestBody", {}).get("content", {})
            named = [part["schema"]["$ref"].rsplit("/", 1)[1] for part in content.values()]
            fields = {f for n in named for f in DOCUMENT["components"]["schemas"][n]["properties"]}
            assert not fields & moments or path in (f"{ONE}/step", "/v1/plan", f"{ONE}/plan")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/markets",
        "/v1/park",
        "/v1/resources",
        "/v1/plan",
        "/v1/forecasts",
        "/v1/statements",
        "/v1/simulations",
        "/v1/events?format=json",
        "/healthz",
        "/readyz",
    ],
)
def test_what_is_answered_fits_its_schema(plant: Plant, serving: Any, path: str) -> None:
    operation = DOCUMENT["paths"][path.split("?")[0]]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    registry: Registry[Any] = Registry().with_resource(
        "urn:doc", DRAFT202012.create_resource(DOCUMENT)
    )
    validator = OAS31Validator({"$ref": "urn:doc" + schema["$ref"]}, registry=registry)

    async def run() -> None:
        async with serving(plant) as client:
            answer = await client.get(path)
            assert answer.status == 200, await answer.text()
            faults = [error.message for error in validator.iter_errors(await answer.json())]
        assert faults == []

    asyncio.run(run())


def test_the_service_serves_this_document(plant: Plant, serving: Any) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            assert await (await client.get("/openapi.json")).json() == DOCUMENT

    asyncio.run(run())
