"""Bad requests: each gets its status and its code, and none of them a stack trace."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter

from vpp.service.api.face import routes
from vpp.service.api.openapi import codes_of
from vpp.service.api.problems import CODES, HttpRefusal
from vpp.service.api.reading import MAX_BODY_BYTES, parse_body
from vpp.service.plant import Plant
from vpp.service.trading.trading import most_plan_age
from vpp.wire import BidRequest, Problem

DAY = '{"start":"2025-12-02T23:00:00Z","end":"2025-12-03T23:00:00Z"}'
BIDS = "/v1/markets/se3-day-ahead/bids"


def bid(delivery: str = DAY, **members: str) -> str:
    """A bid request as text; members are written as they stand."""
    fields = {"request_id": '"r1"', "delivery": delivery} | members
    return "{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}"


def day(start: str, end: str = '"2025-12-03T23:00:00Z"') -> str:
    return f'{{"start":{start},"end":{end}}}'


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        pytest.param("POST", BIDS, "", "malformed_json", id="nothing"),
        pytest.param("POST", BIDS, "{", "malformed_json", id="cut off"),
        pytest.param("POST", BIDS, bid() + "{}", "malformed_json", id="two documents"),
        pytest.param("POST", BIDS, "[" * 100_000, "malformed_json", id="a tower of brackets"),
        pytest.param("POST", BIDS, bid(unit="[" * 21 + "]" * 21), "malformed_json", id="21 levels"),
        pytest.param("POST", BIDS, bid(prices_per_mwh="[NaN]"), "malformed_json", id="NaN"),
        pytest.param("POST", BIDS, bid(prices_per_mwh="[Infinity]"), "malformed_json", id="inf"),
        pytest.param("POST", BIDS, bid(prices_per_mwh='["NaN"]'), "invalid_body", id="NaN as text"),
        pytest.param("POST", BIDS, bid(prices_per_mwh='["1e400"]'), "invalid_body", id="huge"),
        pytest.param("POST", BIDS, bid(prices_per_mwh="[1e999]"), "invalid_body", id="overflow"),
        pytest.param("POST", BIDS, bid(unit='"a","unit":"b"'), "duplicate_key", id="a key twice"),
        pytest.param("POST", BIDS, "[]", "invalid_body", id="a list"),
        pytest.param("POST", BIDS, "null", "invalid_body", id="null"),
        pytest.param("POST", BIDS, "{}", "invalid_body", id="fields missing"),
        pytest.param("POST", BIDS, bid(colour='"red"'), "invalid_body", id="unknown field"),
        pytest.param("POST", BIDS, bid(dry_run='"yes"'), "invalid_body", id="text for a truth"),
        pytest.param("POST", BIDS, bid(request_id="7"), "invalid_body", id="number for text"),
        pytest.param("POST", BIDS, bid(request_id='"a b"'), "invalid_body", id="odd request id"),
        pytest.param(
            "POST", BIDS, bid(day('"2025-12-02T23:00:00"')), "invalid_body", id="no time zone"
        ),
        pytest.param("POST", BIDS, bid(day("1764716400")), "invalid_body", id="epoch seconds"),
        pytest.param(
            "POST", BIDS, bid(day('"9999-12-31T23:59:59-23:59"')), "invalid_body", id="year 9999"
        ),
        pytest.param(
            "POST", BIDS, bid(day('"0001-01-01T00:00:00+23:59"')), "invalid_body", id="year 1"
        ),
        pytest.param(
            "POST",
            BIDS,
            bid(day('"2025-12-03T23:00:00Z"', '"2025-12-02T23:00:00Z"')),
            "invalid_data",
            id="ends before it starts",
        ),
        pytest.param(
            "POST", BIDS, bid(day('"2025-12-02T22:00:00Z"')), "off_grid", id="another day's start"
        ),
        pytest.param(
            "POST",
            BIDS,
            bid(day('"2025-11-30T23:00:00Z"', '"2025-12-01T23:00:00Z"')),
            "gate_closed",
            id="a day that is over",
        ),
        pytest.param(
            "POST",
            BIDS,
            bid(day('"2025-12-09T23:00:00Z"', '"2025-12-10T23:00:00Z"')),
            "gate_not_open",
            id="a day too far ahead",
        ),
        pytest.param("POST", BIDS, bid(unit='"nobody"'), "unknown_unit", id="unknown unit"),
        pytest.param("POST", "/v1/markets/x/bids", bid(), "unknown_product", id="no such market"),
        pytest.param("GET", "/v1/markets/x", None, "unknown_product", id="no such market to see"),
        pytest.param("GET", f"{BIDS}/x", None, "unknown_bid_set", id="no such bid set"),
        pytest.param("DELETE", f"{BIDS}/x", None, "unknown_bid_set", id="none to withdraw"),
        pytest.param("GET", "/v1/series/x", None, "unknown_series", id="no such series"),
        pytest.param(
            "GET", "/v1/forecasts?series=x", None, "unknown_series", id="no such forecast"
        ),
        pytest.param("GET", "/static/../cli.py", None, "not_found", id="a file of ours"),
        pytest.param("GET", "/static/%2e%2e/%2e%2e/cli.py", None, "not_found", id="in disguise"),
        pytest.param("GET", "/v2/park", None, "not_found", id="another version"),
        pytest.param("POST", "/v1/park", "{}", "method_not_allowed", id="a read route written"),
        pytest.param("DELETE", "/v1/kill", None, "method_not_allowed", id="a write route read"),
        pytest.param("GET", "/v1/park?colour=red", None, "invalid_query", id="unknown parameter"),
        pytest.param("GET", f"{BIDS}?limit=0", None, "invalid_query", id="nothing asked for"),
        pytest.param("GET", f"{BIDS}?limit=501", None, "invalid_query", id="too large a page"),
        pytest.param("GET", f"{BIDS}?limit=1&limit=2", None, "invalid_query", id="given twice"),
        pytest.param(
            "GET", "/v1/park?trace_after=2025-12-02", None, "invalid_query", id="a date only"
        ),
        pytest.param(
            "GET",
            "/v1/markets/se3-day-ahead/deliveries?start=2025-01-01T00:00:00Z&end=2026-01-01T00:00:00Z",
            None,
            "invalid_query",
            id="a year at once",
        ),
        pytest.param("GET", "/v1/events?format=xml", None, "invalid_query", id="another format"),
        pytest.param("POST", "/v1/kill", '{"killed":true}', "invalid_body", id="without a reason"),
        pytest.param(
            "POST", "/v1/kill", '{"killed":1,"reason":"drill"}', "invalid_body", id="1 for true"
        ),
    ],
)
def test_a_bad_request_gets_its_code(
    plant: Plant, serving: Any, method: str, path: str, body: str | None, code: str
) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            headers = {} if body is None else {"Content-Type": "application/json"}
            answer = await client.request(method, path, data=body, headers=headers)
            text = await answer.text()
            assert answer.content_type == "application/problem+json", text
            problem = Problem.model_validate_json(text)
            assert (problem.code, answer.status) == (code, CODES[code][0]), text
            assert problem.correlation_id == answer.headers["X-Request-ID"]
            assert "Traceback" not in text
            if code == "method_not_allowed":
                assert answer.headers["Allow"]

    asyncio.run(run())


def test_all_mistakes_are_named_at_once_with_their_paths(plant: Plant, serving: Any) -> None:
    body = {
        "unit": "EUR/MWh",
        "resolution_s": "900",
        "issued_at": "2025-12-02T10:00:00Z",
        "source": "test",
        "colour": "red",
        "values": [
            {"interval_start": "2025-12-02T10:00:00Z", "value": 1},
            {"interval_start": "2025-12-02T10:15:00", "value": "x"},
        ],
    }

    async def run() -> None:
        async with serving(plant) as client:
            answer = await client.put("/v1/series/price.x", json=body)
            problem = Problem.model_validate_json(await answer.text())
        assert {fault.path for fault in problem.errors} == {
            "body.resolution_s",
            "body.colour",
            "body.values[1].interval_start",
            "body.values[1].value",
        }

    asyncio.run(run())


def test_a_body_of_more_than_a_megabyte_is_refused(plant: Plant, serving: Any) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            answer = await client.put(
                "/v1/series/x",
                data=b" " * (MAX_BODY_BYTES + 1),
                headers={"Content-Type": "application/json"},
            )
            assert (answer.status, (await answer.json())["code"]) == (413, "body_too_large")

    asyncio.run(run())


def test_values_that_do_not_fit_their_series_are_refused(plant: Plant, serving: Any) -> None:
    head = {"unit": "x", "resolution_s": 900, "source": "t", "issued_at": "2025-12-02T10:00:00Z"}
    value = {"interval_start": "2025-12-02T10:00:00Z", "value": 1}

    async def run() -> None:
        async with serving(plant) as client:
            path = "/v1/series/some.thing"
            first = await client.put(path, json=head | {"values": [value]})
            off = await client.put(path, json=head | {"unit": "y", "values": [value]})
            other = await client.put(path, json=head | {"values": [value | {"value": 2}]})
            assert first.status == 200
            assert (off.status, (await off.json())["code"]) == (422, "invalid_data")
            assert (other.status, (await other.json())["code"]) == (409, "conflict")

    asyncio.run(run())


def test_a_fault_of_our_own_is_logged_and_told_without_its_insides(
    plant: Plant, serving: Any, caplog: Any, capsys: Any
) -> None:
    plant.trace = None  # type: ignore[assignment]  # breaks the park view from inside

    async def run() -> None:
        async with serving(plant) as client:
            answer = await client.get("/v1/park")
            text = await answer.text()
            alive = await client.get("/v1/markets")
            assert (answer.status, json.loads(text)["code"]) == (500, "internal")
            assert "NoneType" not in text
            assert alive.status == 200
            identity = json.loads(text)["correlation_id"]
        logged = caplog.text + capsys.readouterr().out
        assert identity in logged
        assert "Traceback" in logged

    asyncio.run(run())


@pytest.mark.parametrize(
    ("text", "ok"),
    [
        pytest.param(bid(), True, id="plain"),
        pytest.param(bid().replace("r1", "\\u0072\\u0031"), True, id="escaped"),
        pytest.param("﻿" + bid(), False, id="a byte order mark"),
    ],
)
def test_text_is_read_as_json_says(text: str, ok: bool) -> None:
    adapter = TypeAdapter(BidRequest)
    if ok:
        assert parse_body(text.encode(), adapter).request_id == "r1"
        return
    with pytest.raises(HttpRefusal) as refused:
        parse_body(text.encode(), adapter)
    assert refused.value.code == "malformed_json"


def test_every_code_is_documented_on_some_route() -> None:
    told = {code for route in routes() for code in codes_of(route)}

    assert told == set(CODES)


@pytest.mark.parametrize(("older_s", "status"), [(0, 200), (1, 503)])
def test_nothing_is_bid_from_a_plan_whose_successor_is_overdue(
    plant: Plant, serving: Any, older_s: int, status: int
) -> None:
    assert plant.schedule is not None
    age = most_plan_age(plant) + timedelta(seconds=older_s)
    plant.schedule = replace(plant.schedule, issued_at=plant.clock.now() - age)

    async def run() -> None:
        async with serving(plant) as client:
            answer = await client.post(BIDS, json=json.loads(bid()))
            assert answer.status == status
            if status != 200:
                assert (await answer.json())["code"] == "plan_stale"

    asyncio.run(run())
