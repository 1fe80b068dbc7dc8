"""The contract as OpenAPI 3.1, made from the routes and their types."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from vpp.service.api.problems import CODES
from vpp.service.api.routes import AnyRoute, Nothing
from vpp.wire import Problem

EVERY_ROUTE = ("bad_request", "not_found", "method_not_allowed", "host_not_allowed", "internal")
WITH_BODY = (
    "malformed_json",
    "duplicate_key",
    "origin_not_allowed",
    "request_timeout",
    "body_too_large",
    "unsupported_media_type",
    "invalid_body",
)
WITHOUT_BODY = ("invalid_query",)

PARAMETERS = {
    "simulation_id": "As the answer to `POST /v1/simulations` named it.",
    "order_id": "Id of a limit order, chosen by whoever gives it.",
    "product": "Id of a product of `GET /v1/markets`.",
    "bid_set_id": "As the answer to a bid request named it; slashes may be percent-encoded.",
    "invitation_id": "As the platform named it that invites.",
    "instruction_id": "As `GET /v1/instructions` names it.",
    "held_id": "As the refusal `needs_approval` named it.",
    "nomination_id": "As `GET /v1/positions/nominations` names it.",
    "trade_id": "Id of a trade made outside, chosen by whoever enters it.",
    "alarm_id": "As `GET /v1/alarms` names it.",
    "enterprise": "Id of an enterprise of the park.",
    "request": "As `GET /v1/member-requests` numbers it.",
    "venue": "Id of a venue of `GET /v1/venues`.",
    "resource_id": "Id of a resource of `GET /v1/resources`.",
    "number": "As `GET /v1/strategies/versions` numbers it.",
    "preview_id": "As the answer to `POST /v1/strategies/preview` named it.",
    "series_id": "Such as `price.day-ahead.se3`: a-z, 0-9, hyphen and point, at most 80.",
}

ABOUT = """\
Powers are kW and energies kWh, net injection positive: feeding the grid is above 0, drawing below.
Market quantities are MW and MWh, and with money strings that hold a decimal. Times are UTC, ISO
8601 with a zone. Refusals are problem+json with a `code` that never changes its meaning. Answers of one row a
resource come a page at a time, in the order of the park file: while `next` is not null, ask again with
`after` set to it."""


def document(routes: Sequence[AnyRoute], *, version: str) -> dict[str, Any]:
    """The OpenAPI document of these routes."""
    schemas = _schemas(routes)
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for route in routes:
        paths[route.path][route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Virtual power plant",
            "version": version,
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "paths": dict(paths),
        "components": {"schemas": schemas},
    }


def encoded(routes: Sequence[AnyRoute], *, version: str) -> bytes:
    """The document as JSON; the same routes give the same bytes."""
    return json.dumps(document(routes, version=version), ensure_ascii=False).encode()


def codes_of(route: AnyRoute) -> tuple[str, ...]:
    """Every refusal that a route may give."""
    writes = route.body is not Nothing
    common = WITH_BODY if writes else WITHOUT_BODY
    if route.method == "DELETE":
        common = (*common, "origin_not_allowed", "unsupported_media_type")
    return tuple(dict.fromkeys((*EVERY_ROUTE, *common, *route.codes)))


def _schemas(routes: Sequence[AnyRoute]) -> dict[str, Any]:
    models: set[tuple[type[BaseModel], Any]] = {(Problem, "serialization")}
    for route in routes:
        if route.body is not Nothing:
            models.add((route.body, "validation"))
        if route.gives is not None:
            models.add((route.gives, "serialization"))
    ordered = sorted(models, key=lambda one: (one[0].__name__, one[1]))
    _, found = models_json_schema(ordered, ref_template="#/components/schemas/{model}")
    return _named(found["$defs"])


def _named(schemas: dict[str, Any]) -> dict[str, Any]:
    """What is both given and taken keeps its name as it is given; as it is taken it is called `…Taken`."""
    text = json.dumps(schemas).replace('-Output"', '"').replace('-Input"', 'Taken"')
    return dict(json.loads(text))


def _operation(route: AnyRoute) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handle.__name__,
        "summary": route.summary,
        "tags": [_tag(route.path)],
        "parameters": [*_path_parameters(route.path), *_query_parameters(route.query)],
        "responses": {"200": _success(route), **_refusals(route)},
    }
    if route.body is not Nothing:
        content: dict[str, Any] = {"schema": _ref(route.body)}
        if route.example is not None:
            content["example"] = route.example
        operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    return operation


def _tag(path: str) -> str:
    parts = path.strip("/").split("/")
    return parts[1] if parts[0] == "v1" else "service"


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": PARAMETERS[name],
            "schema": {"type": "string"},
        }
        for name in re.findall(r"{(\w+)}", path)
    ]


def _query_parameters(query: type[BaseModel]) -> list[dict[str, Any]]:
    schema = query.model_json_schema(mode="validation")
    parameters = []
    for name, one in schema.get("properties", {}).items():
        required = name in schema.get("required", ())
        parameter = {"name": name, "in": "query", "required": required, "schema": one}
        if "description" in one:
            parameter["description"] = one.pop("description")
        parameters.append(parameter)
    return parameters


def _success(route: AnyRoute) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if route.media != "application/json":
        content[route.media] = {"schema": {"type": "string"}}
    if route.gives is not None:
        content["application/json"] = {"schema": _ref(route.gives)}
    return {"description": route.summary, "content": content}


def _refusals(route: AnyRoute) -> dict[str, Any]:
    by_status: dict[int, list[str]] = defaultdict(list)
    for code in codes_of(route):
        by_status[CODES[code][0]].append(code)
    return {
        str(status): {
            "description": "; ".join(f"`{code}`: {CODES[code][1]}" for code in codes),
            "content": {"application/problem+json": {"schema": _ref(Problem)}},
        }
        for status, codes in sorted(by_status.items())
    }


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
