"""A utility's server is asked as the standard says, and nothing that it should not say is believed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.http_token import TokenSource
from adapters.openadr3 import OpenAdr3, Vtn
from adapters.openadr3_wire import Version, read_duration, read_event, report_body
from tests.contracts.vtn import SmallVtn
from vpp.errors import AdapterError, ConfigError, DataError, RejectedError, UnavailableError
from vpp.model.programme import (
    OPEN_END,
    EventFault,
    EventList,
    Payload,
    PayloadUnits,
    ProgrammeEvent,
    ProgrammeReport,
    ReportInterval,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
T = TypeVar("T")
REPORT = ProgrammeReport(
    report_name="r-1",
    program_id="p-1",
    event_id="e-1",
    units=(PayloadUnits(payload_type="USAGE", units="KWH"),),
    intervals=(
        ReportInterval(
            interval_id=0,
            start=NOW,
            duration=timedelta(hours=1),
            payloads=(Payload(payload_type="USAGE", values=(12.5,)),),
        ),
    ),
)


def asking(
    vtn: SmallVtn,
    question: Callable[[OpenAdr3], Awaitable[T]],
    *,
    secret: str = "secret",
    **more: Any,
) -> T:
    async def run() -> T:
        async with vtn.serving() as url:
            source = TokenSource(
                url=f"{url}/auth/token", client_id=lambda: "us", client_secret=lambda: secret
            )
            version: Version = "3.0" if vtn.version == "3.0" else "3.1"
            asked = Vtn(url=url, version=version, ven_name="park", token=source, **more)
            async with OpenAdr3(asked, now=lambda: NOW) as client:
                return await question(client)

    return asyncio.run(run())


def listed(vtn: SmallVtn, *programs: str, **more: Any) -> EventList:
    return asking(vtn, lambda client: client.events(programs or ("flex",)), **more)


@pytest.fixture(params=["3.0", "3.1"])
def vtn(request: pytest.FixtureRequest) -> SmallVtn:
    vtn = SmallVtn(version=request.param)
    vtn.add_program("flex")
    return vtn


# ---------------------------------------------------------------- asking


def test_the_events_of_our_programs_are_read_and_no_others(vtn: SmallVtn) -> None:
    other = vtn.add_program("other")
    vtn.add_event("e-1", "p-1", "SIMPLE", 1, priority=0)
    vtn.add_event("e-2", other, "SIMPLE", 1)

    (event,) = listed(vtn).events

    assert (event.event_id, event.priority, event.targets) == ("e-1", 0, ())
    assert event.period is not None
    assert (event.period.start, event.period.duration) == (NOW, timedelta(hours=1))


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 120])
def test_a_list_is_read_to_its_end(vtn: SmallVtn, count: int) -> None:
    for n in range(count):
        vtn.add_event(f"e-{n}", "p-1", "SIMPLE", 1)

    assert [e.event_id for e in listed(vtn).events] == [f"e-{n}" for n in range(count)]


def test_a_list_that_changes_while_it_is_read_is_not_believed() -> None:
    class Changing(SmallVtn):
        async def _list(self, request: web.Request) -> web.Response:
            answer = await super()._list(request)
            if request.path == "/events" and len(self.events) == 60:
                del self.events[0]
            return answer

    vtn = Changing()
    vtn.add_program("flex")
    for n in range(60):
        vtn.add_event(f"e-{n}", "p-1", "SIMPLE", 1)

    with pytest.raises(UnavailableError, match="changed while"):
        listed(vtn)


def test_a_server_that_knows_no_pages_is_read_all_the_same() -> None:
    class Whole(SmallVtn):
        async def _list(self, request: web.Request) -> web.Response:
            return web.json_response(getattr(self, request.path.strip("/")))

    vtn = Whole()
    vtn.add_program("flex")
    for n in range(70):
        vtn.add_event(f"e-{n}", "p-1", "SIMPLE", 1)

    assert len(listed(vtn).events) == 70


def test_targets_are_asked_for_as_each_dialect_has_it(vtn: SmallVtn) -> None:
    vtn.add_event("e-1", "p-1", "SIMPLE", 1, targets=[{"type": "GROUP", "values": ["north"]}])
    vtn.add_event("e-2", "p-1", "SIMPLE", 1, targets=["south"])

    found = listed(vtn, targets=("north",), target_type="GROUP")

    assert [(e.event_id, e.targets) for e in found.events] == [("e-1", ("north",))]
    asked = next(r for r in vtn.requests if r.startswith("GET /events"))
    assert ("targets=north" in asked) == (vtn.version == "3.1")
    assert ("targetType=GROUP&targetValues=north" in asked) == (vtn.version == "3.0")


def test_a_token_is_asked_for_once_and_a_second_time_where_it_is_revoked(vtn: SmallVtn) -> None:
    async def twice(client: OpenAdr3) -> None:
        await client.events(["flex"])
        assert vtn.given == 1
        vtn.revoke()
        await client.events(["flex"])

    asking(vtn, twice)

    assert vtn.given == 2


def test_a_token_that_is_refused_anew_is_not_asked_for_again_and_again(vtn: SmallVtn) -> None:
    class Suspicious(SmallVtn):
        def _denied(self, request: web.Request) -> web.Response | None:
            super()._denied(request)
            return web.json_response({}, status=401)

    suspicious = Suspicious()

    with pytest.raises(RejectedError, match="401"):
        listed(suspicious)

    assert suspicious.given == 2


def test_wrong_credentials_and_a_token_service_that_is_down_are_told(vtn: SmallVtn) -> None:
    with pytest.raises(UnavailableError, match="401"):
        listed(vtn, secret="wrong")
    vtn.no_tokens = True
    with pytest.raises(UnavailableError, match="500"):
        listed(vtn)


def test_a_program_that_is_not_there_is_no_empty_list(vtn: SmallVtn) -> None:
    with pytest.raises(RejectedError, match="no program summer"):
        listed(vtn, "flex", "summer")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (web.Response(text="<html>busy</html>", content_type="text/html"), RejectedError),
        (web.Response(text='{"events": []}', content_type="application/json"), RejectedError),
        (web.Response(text="[", content_type="application/json"), RejectedError),
        (web.Response(text="[" * 50_000, content_type="application/json"), RejectedError),
        (web.Response(text="[]", status=302, content_type="application/json"), RejectedError),
        (web.Response(text="{}", status=400, content_type="application/json"), RejectedError),
        (web.Response(text="{}", status=429, content_type="application/json"), UnavailableError),
        (web.Response(text="{}", status=503, content_type="application/json"), UnavailableError),
        (web.Response(text="[" + " " * 3000 + "]", content_type="application/json"), RejectedError),
    ],
)
def test_what_is_no_list_is_an_error(
    vtn: SmallVtn, answer: web.Response, error: type[AdapterError]
) -> None:
    vtn.answer = answer

    with pytest.raises(error):
        listed(vtn, max_bytes=2500)


@pytest.mark.parametrize("url", ["http://utility.example/v3", "ftp://127.0.0.1/", "https://a:b@c/"])
def test_only_https_or_this_machine_is_asked(url: str) -> None:
    source = TokenSource(url=url, client_id=lambda: "us", client_secret=lambda: "secret")
    with pytest.raises(ConfigError):
        OpenAdr3(Vtn(url=url, version="3.1", ven_name="park", token=source), now=lambda: NOW)


# ---------------------------------------------------------------- telling


def test_we_make_ourselves_known_once(vtn: SmallVtn) -> None:
    async def twice(client: OpenAdr3) -> None:
        await client.register()
        await client.register()

    asking(vtn, twice)

    (ven,) = vtn.vens
    assert ven["venName"] == "park"
    assert ven["objectType"] == ("VEN" if vtn.version == "3.0" else "VEN_VEN_REQUEST")


def test_a_report_arrives_once_and_names_its_program_in_the_old_dialect_alone(
    vtn: SmallVtn,
) -> None:
    async def send(client: OpenAdr3) -> tuple[bool, bool]:
        before = await client.has_report(REPORT)
        await client.send_report(REPORT)
        await client.send_report(REPORT)
        return before, await client.has_report(REPORT)

    assert asking(vtn, send) == (False, True)
    (report,) = vtn.reports
    assert ("programID" in report) == (vtn.version == "3.0")
    (interval,) = report["resources"][0]["intervals"]
    assert interval["intervalPeriod"] == {"start": "2026-03-01T12:00:00Z", "duration": "PT3600S"}
    assert interval["payloads"] == [{"type": "USAGE", "values": [12.5]}]


def test_a_report_whose_answer_is_lost_can_be_asked_about(vtn: SmallVtn) -> None:
    vtn.drops_reports = True

    async def send(client: OpenAdr3) -> bool:
        with pytest.raises(UnavailableError):
            await client.send_report(REPORT)
        return await client.has_report(REPORT)

    assert asking(vtn, send)


# ---------------------------------------------------------------- reading


EVENT: dict[str, Any] = {
    "id": "e-1",
    "programID": "p-1",
    "intervals": [{"id": 0, "payloads": [{"type": "PRICE", "values": [0.17]}]}],
}


def test_an_event_of_which_nothing_is_said_but_what_must_be() -> None:
    event = read_event(msgspec.json.encode(EVENT))

    assert isinstance(event, ProgrammeEvent)
    assert event.period is None
    assert event.intervals[0].payloads == (Payload(payload_type="PRICE", values=(0.17,)),)


@pytest.mark.parametrize(
    "odd",
    [
        {"id": 7},
        {"programID": None},
        {"objectType": "PROGRAM"},
        {"intervals": None},
        {"intervals": [{"id": "0", "payloads": []}]},
        {"intervals": [{"id": 0, "payloads": [{"type": "PRICE", "values": 1}]}]},
        {"priority": -1},
        {"priority": 10**30},
        {"intervals": [{"id": 10**30, "payloads": []}]},
        {"priority": "high"},
        {"createdDateTime": "2026-03-01T12:00:00"},
        {"createdDateTime": "yesterday"},
        {"createdDateTime": "3026-03-01T12:00:00Z"},
        {"intervalPeriod": {"start": "2026-03-01T12:00:00Z", "duration": "1h"}},
        {"intervalPeriod": {"start": "2026-03-01T12:00:00Z", "duration": "P1M"}},
        {"targets": "north"},
        {"duration": f"P{'9' * 5000}D"},
        {"createdDateTime": "9999-12-31T23:59:59-23:00"},
        {"intervalPeriod": {"start": "2026-03-01T12:00:00Z", "randomizeStart": "P9999Y"}},
        {"intervalPeriod": {"start": "2026-03-01T12:00:00Z", "randomizeStart": "PT25H"}},
    ],
)
def test_an_event_that_is_not_as_it_should_be_is_a_fault_with_its_id(odd: dict[str, Any]) -> None:
    fault = read_event(msgspec.json.encode(EVENT | odd))

    assert isinstance(fault, EventFault)
    assert fault.event_id == (None if odd.get("id") == 7 else "e-1")
    assert len(fault.raw) <= 500


@pytest.mark.parametrize("value", [10**30, 1e300, {"x": 1, "y": 10**30}])
def test_a_number_beyond_all_sense_is_kept_as_text_and_can_be_put_on_record(value: Any) -> None:
    payloads = [{"type": "PRICE", "values": [value]}]
    event = read_event(
        json.dumps(EVENT | {"intervals": [{"id": 0, "payloads": payloads}]}).encode()
    )

    assert isinstance(event, ProgrammeEvent)
    assert isinstance(event.intervals[0].payloads[0].values[0], str)
    assert msgspec.json.decode(msgspec.json.encode(event), type=ProgrammeEvent) == event


@pytest.mark.parametrize("start", ["0001-01-01", "0001-01-01T00:00:00", "0000-00-00"])
def test_the_beginning_of_time_is_now(start: str) -> None:
    period = {"start": start, "duration": "P9999Y", "randomizeStart": "PT0S"}
    event = read_event(msgspec.json.encode(EVENT | {"intervalPeriod": period}))

    assert isinstance(event, ProgrammeEvent)
    assert event.period is not None
    assert (event.period.start, event.period.duration, event.period.randomize) == (
        None,
        OPEN_END,
        None,
    )


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("PT0S", 0),
        ("PT90M", 90),
        ("P1DT1H", 1500),
        ("P2W", 20_160),
        ("PT1.5M", None),
        ("PT90S", 1.5),
    ],
)
def test_durations(text: str, minutes: float | None) -> None:
    if minutes is None:
        with pytest.raises(DataError):
            read_duration(text, "duration")
    else:
        assert read_duration(text, "duration") == timedelta(minutes=minutes)


@settings(max_examples=60)
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*EVENT, "intervalPeriod", "start", "duration", "payloads", "type", "values", "targets"]), inner)))  # fmt: skip
def test_whatever_comes_is_an_event_or_a_fault(something: Any) -> None:
    raw = msgspec.json.encode(something)
    assert isinstance(read_event(raw), ProgrammeEvent | EventFault)
    merged = something if isinstance(something, dict) else {}
    assert isinstance(read_event(msgspec.json.encode(EVENT | merged)), ProgrammeEvent | EventFault)


@given(st.binary(max_size=200))
def test_whatever_bytes_come_are_an_event_or_a_fault(raw: bytes) -> None:
    assert isinstance(read_event(raw), ProgrammeEvent | EventFault)


def test_a_report_is_written_alike_every_time() -> None:
    one = report_body(REPORT, client_name="park", version="3.1")

    assert one == report_body(REPORT, client_name="park", version="3.1")
    assert b"programID" not in one
