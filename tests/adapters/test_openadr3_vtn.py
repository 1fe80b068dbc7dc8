"""Our OpenADR 3 server as a site sees it: whose token, which rights, what is on its list, what becomes of its reports."""

from __future__ import annotations

import asyncio
import base64
import gc
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from adapters import openadr3_door, openadr3_shelf
from adapters.openadr3_tokens import Credentials, Granted, Refused, Tokens
from adapters.openadr3_wire import Version
from tests.contracts.ownvtn import NOON, SECRETS, OwnVtn, a_setpoint, said
from tests.patience import PATIENCE_S
from vpp.errors import DataError
from vpp.model.command import Setpoint
from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId
from vpp.model.measurement import Reading
from vpp.sense.intake import Intake
from vpp.wire import AckMessage, TelemetryMessage

BOTH: tuple[Version, ...] = ("3.0", "3.1")
in_both = pytest.mark.parametrize("version", BOTH)

Answer = tuple[int, Any]


class Ticking:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        return self.at

    def pass_s(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class Stranger:
    """A client of the server, without any of our code."""

    def __init__(self, http: aiohttp.ClientSession, root: str, token: str = "") -> None:
        self.http, self.root, self.token = http, root, token

    async def ask(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with self.http.request(
            method, f"{self.root}{path}", json=body, params=query, headers=headers
        ) as answer:
            return answer.status, await answer.json()

    async def log_in(self, name: str, *, secret: str | None = None, scope: str = "") -> Answer:
        form = {
            "grant_type": "client_credentials",
            "client_id": name,
            "client_secret": SECRETS[name] if secret is None else secret,
            "scope": scope,
        }
        async with self.http.post(f"{self.root}/auth/token", data=form) as answer:
            given = await answer.json()
        self.token = given.get("access_token", "")
        return answer.status, given


@asynccontextmanager
async def stranger(
    vtn: OwnVtn, name: str = "steel", *, version: Version = "3.1", scope: str = ""
) -> AsyncIterator[Stranger]:
    async with aiohttp.ClientSession() as http:
        client = Stranger(http, vtn.root(version))
        status, _ = await client.log_in(name, scope=scope)
        assert status == 200
        yield client


def run(check: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(check, PATIENCE_S))


def a_report(event_id: str, *payloads: tuple[str, Any], **more: Any) -> dict[str, Any]:
    interval: dict[str, Any] = {
        "id": 0,
        "intervalPeriod": {"start": "2026-03-02T11:59:00Z", "duration": "PT60S"},
        "payloads": [{"type": kind, "values": [value]} for kind, value in payloads],
    }
    return {
        "eventID": event_id,
        "clientName": "steel",
        "resources": [{"resourceName": "bess", "intervals": [interval | more.pop("interval", {})]}],
    } | more


async def listed(client: Stranger) -> list[dict[str, Any]]:
    """The events that ask for power."""
    status, events = await client.ask("GET", "/events")
    assert status == 200
    return [event for event in events if event["intervals"][0]["payloads"]]


async def asks_reports(client: Stranger) -> str:
    """The id of the event that asks for reports."""
    _, events = await client.ask("GET", "/events")
    (found,) = [event["id"] for event in events if event["reportDescriptors"]]
    return str(found)


# ---------------------------------------------------------------- tokens and rights


def test_without_a_token_or_with_one_that_is_not_ours_nothing_is_told() -> None:
    async def check() -> None:
        async with OwnVtn.serving() as vtn, aiohttp.ClientSession() as http:
            for token in ("", "x" * 43, "steel-secret-0123456789"):
                client = Stranger(http, vtn.root("3.1"), token)
                status, told = await client.ask("GET", "/events")
                assert (status, set(told)) == (401, {"status", "title"})

    run(check())


def test_a_token_is_given_for_the_secret_alone() -> None:
    async def check() -> None:
        async with OwnVtn.serving() as vtn, aiohttp.ClientSession() as http:
            client = Stranger(http, vtn.root("3.1"))
            assert await client.log_in("steel", secret="wrong") == (
                401,
                {"error": "invalid_client"},
            )
            assert await client.log_in("steel", secret=SECRETS["glass"]) == (
                401,
                {"error": "invalid_client"},
            )
            status, given = await client.log_in("steel")
            assert (status, given["token_type"], given["expires_in"]) == (200, "Bearer", 900)
            shown = base64.b64encode(f"steel:{SECRETS['steel']}".encode()).decode()
            form = {"grant_type": "client_credentials"}
            headers = {"Authorization": f"Basic {shown}"}
            async with http.post(f"{client.root}/auth/token", data=form, headers=headers) as answer:
                assert answer.status == 200
                assert answer.headers["Cache-Control"] == "no-store"

    run(check())


def test_a_token_ends_and_one_of_a_secret_that_was_changed_is_worth_nothing_in_five_seconds() -> (
    None
):
    async def check() -> None:
        clock = Ticking()
        async with OwnVtn.serving(now=clock) as vtn, stranger(vtn) as client:
            assert (await client.ask("GET", "/programs"))[0] == 200
            clock.pass_s(900)
            assert (await client.ask("GET", "/programs"))[0] == 401
            await client.log_in("steel")
            assert (await client.ask("GET", "/programs"))[0] == 200
            vtn.secrets["steel"] = "another-secret-0123456789"
            clock.pass_s(5)
            assert (await client.ask("GET", "/programs"))[0] == 401
            assert (await client.log_in("steel"))[0] == 401
            assert (await client.log_in("steel", secret=vtn.secrets["steel"]))[0] == 200
            assert (await client.ask("GET", "/programs"))[0] == 200

    run(check())


@pytest.mark.parametrize(
    ("header", "value", "body"),
    [
        ("Content-Type", "application/x-www-form-urlencoded; charset=nonsense", b"a=b"),
        ("Content-Type", "application/x-www-form-urlencoded", b"grant_type=\xff"),
        ("Authorization", "Basic \u00e9", b"grant_type=client_credentials"),
        ("Authorization", "Basic /w==", b"grant_type=client_credentials"),
    ],
)
def test_who_asks_for_a_token_in_a_way_that_cannot_be_read_is_told_so(
    header: str, value: str, body: bytes
) -> None:
    async def check() -> None:
        async with OwnVtn.serving() as vtn, aiohttp.ClientSession() as http:
            headers = {"Content-Type": "application/x-www-form-urlencoded", header: value}
            async with http.post(
                f"{vtn.root('3.1')}/auth/token", data=body, headers=headers
            ) as answer:
                assert (answer.status, await answer.json()) == (400, {"error": "invalid_request"})
            async with http.get(
                f"{vtn.root('3.1')}/auth/server", headers={"Host": "a:b:c"}
            ) as answer:
                assert answer.status == 400

    run(check())


def test_nothing_is_kept_of_a_request_for_what_is_not_there() -> None:
    async def check() -> None:
        async with OwnVtn.serving() as vtn, stranger(vtn) as client:
            for _ in range(5):
                assert (await client.ask("PUT", "/subscriptions/x", {"clientName": "x"}))[0] == 404
            gc.collect()
            kept = [one for one in gc.get_objects() if type(one) is openadr3_door._Asked]
            assert kept == []

    run(check())


def test_who_guesses_has_one_secret_read_and_not_every_clients() -> None:
    looked: list[str] = []

    def kept(what: str) -> str:
        looked.append(what)
        return what

    names = [f"site-{number}" for number in range(100)]
    tokens = Tokens(
        {
            name: Credentials(
                client_id=partial(kept, name), client_secret=partial(kept, f"secret of {name}")
            )
            for name in names
        },
        now=Ticking(),
    )
    assert isinstance(tokens.grant("site-7", "a guess", ""), Refused)
    assert sorted(looked) == sorted([*names, "secret of site-7"])
    looked.clear()
    assert isinstance(tokens.grant("site-7", "another", ""), Refused)
    assert isinstance(tokens.grant("nobody", "secret of site-0", ""), Refused)
    assert isinstance(tokens.grant("site-7", "secret of site-7", ""), Granted)
    assert looked == ["secret of site-7", "secret of site-0", "secret of site-7"]


def test_a_client_has_so_many_tokens_that_the_oldest_gives_way() -> None:
    async def check() -> None:
        async with OwnVtn.serving() as vtn, stranger(vtn) as client:
            first = client.token
            for _ in range(50):
                await client.log_in("steel")
            assert (await client.ask("GET", "/programs"))[0] == 200
            client.token = first
            assert (await client.ask("GET", "/programs"))[0] == 401

    run(check())


def test_a_token_does_what_was_asked_for_and_never_more_than_the_client_may() -> None:
    async def check() -> None:
        may = frozenset({"read_targets", "write_reports"})
        async with (
            OwnVtn.serving(scopes=may) as vtn,
            stranger(vtn, scope="read_targets write_events") as client,
        ):
            assert (await client.ask("GET", "/events"))[0] == 200
            assert (await client.ask("POST", "/reports", a_report("x")))[0] == 403
            assert (await client.ask("GET", "/vens"))[0] == 403
            assert await client.log_in("steel", scope="write_events") == (
                400,
                {"error": "invalid_scope"},
            )

    run(check())


@in_both
def test_programs_events_vens_and_devices_are_written_by_nobody(version: Version) -> None:
    async def check() -> None:
        async with OwnVtn.serving() as vtn, stranger(vtn, version=version) as client:
            _, (program,) = await client.ask("GET", "/programs")
            _, (event,) = await client.ask("GET", "/events")
            _, (ven,) = await client.ask("GET", "/vens")
            there = f"/vens/{ven['id']}/resources" if version == "3.0" else "/resources"
            _, (resource,) = await client.ask("GET", there)
            for path, one in (
                ("/programs", program), ("/events", event), ("/vens", ven), (there, resource)
            ):  # fmt: skip
                if path != "/vens":
                    assert (await client.ask("POST", path, one))[0] == 403
                assert (await client.ask("PUT", f"{path}/{one['id']}", one))[0] == 403
                assert (await client.ask("DELETE", f"{path}/{one['id']}"))[0] == 403
                assert await client.ask("GET", f"{path}/{one['id']}") == (200, one)
            assert (await client.ask("POST", "/vens", {"venName": "steel"}))[0] == 409
            assert (await client.ask("POST", "/vens", {"venName": "glass"}))[0] == 403

    run(check())


# ---------------------------------------------------------------- whose it is


@in_both
def test_what_is_another_clients_is_not_there_and_cannot_be_told_from_what_is_nobodys(
    version: Version,
) -> None:
    async def check() -> None:
        async with (
            OwnVtn.serving(callbacks=("http://127.0.0.1:9",)) as vtn,
            stranger(vtn, version=version) as steel,
            stranger(vtn, "glass", version=version) as glass,
        ):
            theirs = await everything(steel, version)
            mine = await everything(glass, version)
            assert not {one for ids in theirs.values() for one in ids} & {
                one for ids in mine.values() for one in ids
            }
            for path, ids in theirs.items():
                own = path.replace(theirs["/vens"][0], mine["/vens"][0])
                for stolen in ids:
                    for method, body in (("GET", None), ("DELETE", None), ("PUT", {})):
                        got = await glass.ask(method, f"{own}/{stolen}", body)
                        none = await glass.ask(method, f"{own}/{'0' * 32}", body)
                        assert got == none, (method, path)
                        assert got[0] in (400, 403, 404)
            if version == "3.0":
                status, _ = await glass.ask("GET", f"/vens/{theirs['/vens'][0]}/resources")
                assert status == 404
            report = a_report(theirs["/events"][0], ("READING", 1.0))
            assert await glass.ask("POST", "/reports", report) == await glass.ask(
                "POST", "/reports", report | {"eventID": "0" * 32}
            )
            assert await everything(steel, version) == theirs

    run(check())


async def everything(client: Stranger, version: Version) -> dict[str, list[str]]:
    """Ids of all that a client sees, with a report and a subscription of its own."""
    _, (ven,) = await client.ask("GET", "/vens")
    _, (event,) = await client.ask("GET", "/events")
    name = event["targets"][0] if version == "3.1" else event["targets"][0]["values"][0]
    if not (await client.ask("GET", "/reports"))[1]:
        report = a_report(event["id"], ("READING", 40.0))
        report["resources"][0]["resourceName"] = name
        assert (await client.ask("POST", "/reports", report))[0] == 201
        assert (await client.ask("POST", "/subscriptions", a_wish("http://127.0.0.1:9/x")))[
            0
        ] == 201
    paths = ["/programs", "/events", "/vens", "/reports", "/subscriptions"]
    paths.append(f"/vens/{ven['id']}/resources" if version == "3.0" else "/resources")
    return {path: [one["id"] for one in (await client.ask("GET", path))[1]] for path in paths}


# ---------------------------------------------------------------- what is asked of the site


@in_both
def test_a_set_point_is_an_event_until_it_ends_and_draw_counts_positive_in_it(
    version: Version,
) -> None:
    async def check() -> None:
        clock = Ticking()
        async with OwnVtn.serving(now=clock) as vtn, stranger(vtn, version=version) as client:
            assert await listed(client) == []
            assert await vtn.links["steel"].send([a_setpoint(-40.0)]) == ()
            (event,) = await listed(client)
            assert event["intervals"][0]["payloads"] == [
                {"type": "DISPATCH_SETPOINT", "values": [40.0]}
            ]
            assert event["intervalPeriod"] == {
                "start": "2026-03-02T12:00:00Z",
                "duration": "PT300S",
            }
            targets = (
                ["bess"] if version == "3.1" else [{"type": "RESOURCE_NAME", "values": ["bess"]}]
            )
            assert event["targets"] == targets
            clock.pass_s(300)
            vtn.links["steel"].end_what_is_over()
            assert await listed(client) == []

    run(check())


def test_a_refresh_makes_the_event_longer_and_another_value_changes_it_under_the_same_id() -> None:
    async def check() -> None:
        clock = Ticking()
        async with OwnVtn.serving(now=clock) as vtn, stranger(vtn) as client:
            link = vtn.links["steel"]
            await link.send([a_setpoint(-40.0)])
            (first,) = await listed(client)
            clock.pass_s(150)
            await link.send([a_setpoint(-40.0, seq=2, at=clock.at)])
            (longer,) = await listed(client)
            assert longer["intervalPeriod"] == {
                "start": "2026-03-02T12:00:00Z",
                "duration": "PT450S",
            }
            await link.send([a_setpoint(25.0, seq=3, at=clock.at)])  # the clock stands
            (other,) = await listed(client)
            assert other["intervals"][0]["payloads"][0]["values"] == [-25.0]
            assert other["intervalPeriod"]["start"] == "2026-03-02T12:02:30Z"
            assert first["id"] == longer["id"] == other["id"]
            times = [
                datetime.fromisoformat(one["modificationDateTime"])
                for one in (first, longer, other)
            ]
            assert times == sorted(set(times))
            assert first["createdDateTime"] == other["createdDateTime"]

    run(check())


@pytest.mark.parametrize(
    ("sends", "power_kw", "value"),
    [
        ("IMPORT_CAPACITY_LIMIT", -40.0, 40.0),
        ("IMPORT_CAPACITY_LIMIT", 30.0, 0.0),
        ("EXPORT_CAPACITY_LIMIT", 30.0, 30.0),
        ("EXPORT_CAPACITY_LIMIT", -40.0, 0.0),
    ],
)
def test_a_limit_is_a_size_and_the_other_direction_is_none_of_it(
    sends: Any, power_kw: float, value: float
) -> None:
    async def check() -> None:
        async with OwnVtn.serving(now=Ticking(), sends=sends) as vtn, stranger(vtn) as client:
            await vtn.links["steel"].send([a_setpoint(power_kw)])
            (event,) = await listed(client)
            assert event["intervals"][0]["payloads"] == [{"type": sends, "values": [value]}]

    run(check())


def test_a_device_that_is_only_read_is_never_sent_anything() -> None:
    async def check() -> None:
        async with OwnVtn.serving(now=Ticking(), sends=None) as vtn, stranger(vtn) as client:
            (unsent,) = await vtn.links["steel"].send([a_setpoint()])
            assert unsent.reason == "is read-only"
            assert await listed(client) == []

    run(check())


def test_a_command_to_a_device_of_another_is_a_fault_of_ours() -> None:
    async def check() -> None:
        async with OwnVtn.serving() as vtn:
            with pytest.raises(DataError, match="no resource of steel"):
                await vtn.links["glass"].send([a_setpoint()])

    run(check())


def test_a_command_is_acknowledged_when_the_site_has_read_it_and_once() -> None:
    async def check() -> None:
        async with OwnVtn.serving(now=Ticking()) as vtn, stranger(vtn) as client:
            link = vtn.links["steel"]
            await link.send([a_setpoint(seq=7)])
            await listed(client)
            await listed(client)
            await client.ask(
                "POST", "/reports", a_report(await asks_reports(client), ("READING", 5))
            )
            ack, telemetry = await said(link, 2)
            assert isinstance(ack, AckMessage)
            assert (ack.command_id, ack.seq, ack.accepted) == ("bess-7", 7, True)
            assert isinstance(telemetry, TelemetryMessage)

    run(check())


def test_who_has_read_an_older_version_has_not_read_the_newer_one() -> None:
    async def check() -> None:
        async with OwnVtn.serving(now=Ticking()) as vtn, stranger(vtn) as client:
            link, asks = vtn.links["steel"], await asks_reports(client)
            await link.send([a_setpoint(-40.0, seq=7)])
            old = link.shelf.events[-1]
            await link.send([a_setpoint(-30.0, seq=8)])
            link.read(old.event_id, old.modified_at)  # a notification that was long on its way
            link.read("another", old.modified_at)
            await client.ask("POST", "/reports", a_report(asks, ("READING", 5)))
            await listed(client)
            telemetry, ack = await said(link, 2)
            assert isinstance(telemetry, TelemetryMessage)
            assert isinstance(ack, AckMessage)
            assert ack.seq == 8

    run(check())


def test_reports_are_asked_for_anew_before_the_month_is_over() -> None:
    async def check() -> None:
        clock = Ticking()
        async with OwnVtn.serving(now=clock) as vtn, stranger(vtn) as client:
            event = await asks_reports(client)
            (before,) = (await client.ask("GET", "/events"))[1]
            clock.pass_s(16 * 86_400)
            vtn.links["steel"].end_what_is_over()
            await client.log_in("steel")
            (after,) = (await client.ask("GET", "/events"))[1]
            assert after["id"] == event
            assert before["intervalPeriod"]["start"] == "2026-03-02T12:00:00Z"
            assert after["intervalPeriod"] == {"start": "2026-03-18T12:00:00Z", "duration": "PT60S"}
            assert after["duration"] == "PT2678400S"

    run(check())


def test_after_a_restart_nothing_of_before_is_on_the_list_and_names_lead_to_the_same_ids() -> None:
    async def seen(setpoint: Setpoint | None) -> tuple[str, list[dict[str, Any]]]:
        async with OwnVtn.serving(now=Ticking()) as vtn, stranger(vtn) as client:
            if setpoint is not None:
                await vtn.links["steel"].send([setpoint])
            _, (program,) = await client.ask("GET", "/programs")
            return program["id"], await listed(client)

    async def check() -> None:
        program, (event,) = await seen(a_setpoint())
        again, nothing = await seen(None)
        assert (again, nothing) == (program, [])
        _, (other,) = await seen(a_setpoint())
        assert other["id"] != event["id"]

    run(check())


# ---------------------------------------------------------------- what the site tells


@pytest.mark.parametrize(
    ("payloads", "descriptors", "power_kw", "quality"),
    [
        ([("READING", 40)], [], -40.0, "good"),
        ([("READING", -12.5)], [], 12.5, "good"),
        ([("DEMAND", 40_000)], [("DEMAND", "W")], -40.0, "good"),
        ([("USAGE", 2)], [("USAGE", "KWH")], -120.0, "good"),  # in a minute
        ([("USAGE", 2), ("READING", 40)], [], -40.0, "good"),
        ([("READING", 40), ("DATA_QUALITY", "ESTIMATED")], [], -40.0, "uncertain"),
        ([("READING", 40), ("DATA_QUALITY", "BAD")], [], -40.0, "bad"),
    ],
)
def test_a_report_is_telemetry_of_the_end_of_its_interval(
    payloads: Sequence[tuple[str, Any]],
    descriptors: Sequence[tuple[str, str]],
    power_kw: float,
    quality: str,
) -> None:
    async def check() -> None:
        async with OwnVtn.serving(now=Ticking()) as vtn, stranger(vtn) as client:
            report = a_report(await asks_reports(client), *payloads)
            report["payloadDescriptors"] = [
                {"objectType": "REPORT_PAYLOAD_DESCRIPTOR", "payloadType": kind, "units": units}
                for kind, units in descriptors
            ]
            status, kept = await client.ask("POST", "/reports", report)
            assert (status, kept["objectType"]) == (201, "REPORT")
            (told,) = await said(vtn.links["steel"], 1)
            assert isinstance(told, TelemetryMessage)
            assert (told.ts, told.power_kw, told.quality) == (
                "2026-03-02T12:00:00Z",
                power_kw,
                quality,
            )

    run(check())


def test_the_charge_of_a_store_and_the_state_of_its_set_point_are_told() -> None:
    async def check() -> None:
        async with OwnVtn.serving(now=Ticking()) as vtn, stranger(vtn) as client:
            link = vtn.links["steel"]
            await link.send([a_setpoint(-40.0, seq=7)])
            event = await asks_reports(client)
            report = a_report(
                event, ("READING", 40), ("STORAGE_CHARGE_LEVEL", 55), ("SETPOINT", 40)
            )
            assert (await client.ask("POST", "/reports", report))[0] == 201
            ack, told = await said(link, 2)
            assert isinstance(ack, AckMessage)
            assert isinstance(told, TelemetryMessage)
            assert (told.soc, told.setpoint_seq) == (0.55, 7)

    run(check())


def test_somebody_else_who_sets_the_device_is_told_and_the_event_is_taken_back() -> None:
    async def check() -> None:
        async with OwnVtn.serving(now=Ticking()) as vtn, stranger(vtn) as client:
            link = vtn.links["steel"]
            await link.send([a_setpoint(-40.0, seq=7)])
            event = await asks_reports(client)
            for number, held in enumerate((0, 40, 10)):  # not yet, ours, no longer ours
                report = a_report(event, ("SETPOINT", held), reportName=f"r-{number}")
                assert (await client.ask("POST", "/reports", report))[0] == 201
            taken, refused = await said(link, 2)
            assert isinstance(taken, AckMessage)
            assert isinstance(refused, AckMessage)
            assert (taken.accepted, refused.accepted, refused.seq) == (True, False, 7)
            assert refused.reason == "somebody else changed it: it holds -10 kW"
            assert await listed(client) == []

    run(check())


def test_what_was_measured_before_the_newest_is_late_and_comes_into_the_history_once() -> None:
    """Reports that overlap, as after an outage: the door for telemetry takes every reading, each once."""

    async def check() -> None:
        owner = (EnterpriseId("steel"), ConnectionPointId("mill"))
        intake = Intake(
            {ResourceId("bess"): owner}, {ResourceId("bess"): (-100.0, 100.0)}, frozenset()
        )
        async with OwnVtn.serving(now=Ticking()) as vtn, stranger(vtn) as client:
            event = await asks_reports(client)
            for minutes in ((-1,), (-3, -2, -1), (-3, -2, -1)):
                report = a_report(event, reportName=f"{len(minutes)}")
                report["resources"][0]["intervals"] = [
                    {"id": 0, **a_minute(minute), "payloads": [{"type": "READING", "values": [5]}]}
                    for minute in minutes
                ]
                _, known = await client.ask("GET", "/reports")
                same = [one["id"] for one in known if one["reportName"] == report["reportName"]]
                if same:  # as a client does that writes the same report anew
                    await client.ask("PUT", f"/reports/{same[0]}", report)
                else:
                    await client.ask("POST", "/reports", report)
            link = vtn.links["steel"]
            messages = link.messages()
            heard = [await anext(messages) for _ in range(len(link.inbox))]
            told = [intake.accept(one.topic, one.payload, NOON) for one in heard]
            kept = [one.measured_at for one in told if isinstance(one, Reading)]
            ago = [(NOON - one).total_seconds() / 60 for one in kept]
            assert (ago, intake.refused.total()) == ([0, 2, 1], 0)

    run(check())


def a_minute(number: int) -> dict[str, Any]:
    """The interval that begins so many minutes after noon."""
    start = (NOON + timedelta(minutes=number)).isoformat()
    return {"intervalPeriod": {"start": start, "duration": "PT60S"}}


def test_what_a_device_held_before_it_was_asked_takes_nothing_back() -> None:
    async def check() -> None:
        clock = Ticking()
        async with OwnVtn.serving(now=clock) as vtn, stranger(vtn) as client:
            link = vtn.links["steel"]
            await link.send([a_setpoint(-40.0, seq=7)])
            event = await asks_reports(client)
            (power,) = await listed(client)
            # the hour's report, written anew each minute: before noon the device held something else
            for minutes in ((-3, -2, 0), (-3, -2, 0, 1)):
                report = a_report(event, reportName="the hour")
                report["resources"][0]["intervals"] = [
                    {
                        "id": 0,
                        **a_minute(minute),
                        "payloads": [{"type": "SETPOINT", "values": [40 if minute >= 0 else 5]}],
                    }
                    for minute in minutes
                ]
                assert (await client.ask("POST", "/reports", report))[0] == 201
            assert [one["id"] for one in await listed(client)] == [power["id"]]
            assert len(await said(link, 1)) == 1  # that it was read, and nothing else

    run(check())


def test_a_site_that_reads_and_does_nothing_is_not_taken_at_its_word() -> None:
    async def check() -> None:
        async with OwnVtn.serving(now=Ticking()) as vtn, stranger(vtn) as client:
            link = vtn.links["steel"]
            await link.send([a_setpoint(-40.0, seq=7)])
            event = await asks_reports(client)
            report = a_report(event, ("READING", 0), ("SETPOINT", 0))
            assert (await client.ask("POST", "/reports", report))[0] == 201
            ack, told = await said(link, 2)
            assert isinstance(ack, AckMessage)
            assert isinstance(told, TelemetryMessage)
            assert (told.power_kw, told.setpoint_seq) == (0.0, None)

    run(check())


def test_what_is_missing_is_no_reading() -> None:
    async def check() -> None:
        async with OwnVtn.serving(now=Ticking()) as vtn, stranger(vtn) as client:
            event = await asks_reports(client)
            missing = a_report(event, ("READING", 40), ("DATA_QUALITY", "MISSING"))
            assert (await client.ask("POST", "/reports", missing))[0] == 201
            assert (await client.ask("POST", "/reports", a_report(event, ("READING", 7))))[0] == 201
            (told,) = await said(vtn.links["steel"], 1)
            assert isinstance(told, TelemetryMessage)
            assert told.power_kw == -7

    run(check())


BAD_REPORTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no object": lambda report: [report],
    "no event": lambda report: report | {"eventID": None},
    "another event": lambda report: report | {"eventID": "0" * 32},
    "another program": lambda report: report | {"programID": "0" * 32},
    "another device": lambda report: (
        report | {"resources": [report["resources"][0] | {"resourceName": "furnace"}]}
    ),
    "no time": lambda report: (
        report | {"resources": [{"resourceName": "bess", "intervals": [{"id": 0, "payloads": []}]}]}
    ),
    "a text": lambda report: a_report(report["eventID"], ("READING", "many")),
    "true": lambda report: a_report(report["eventID"], ("READING", True)),
    "more than a float holds": lambda report: a_report(report["eventID"], ("READING", 10**400)),
    "beyond sense": lambda report: (
        a_report(report["eventID"], ("READING", 1e308))
        | {"payloadDescriptors": [{"payloadType": "READING", "units": "MW"}]}
    ),
    "beyond sense in an instant": lambda report: a_report(
        report["eventID"],
        ("USAGE", 1e300),
        interval={"intervalPeriod": {"start": "2026-03-02T12:00:00Z", "duration": "PT0.000001S"}},
    ),
    "volts": lambda report: (
        report | {"payloadDescriptors": [{"payloadType": "READING", "units": "VOLTS"}]}
    ),
    "a month": lambda report: a_report(
        report["eventID"],
        ("READING", 1),
        interval={"intervalPeriod": {"start": "2026-03-02T12:00:00Z", "duration": "P1M"}},
    ),
    "no zone": lambda report: a_report(
        report["eventID"],
        ("READING", 1),
        interval={"intervalPeriod": {"start": "2026-03-02T12:00:00"}},
    ),
}


@pytest.mark.parametrize("spoil", BAD_REPORTS.values(), ids=BAD_REPORTS)
def test_a_report_that_is_not_as_it_should_be_is_refused_and_tells_nothing(
    spoil: Callable[[dict[str, Any]], Any],
) -> None:
    async def check() -> None:
        async with OwnVtn.serving(now=Ticking()) as vtn, stranger(vtn) as client:
            good = a_report(await asks_reports(client), ("READING", 40))
            status, told = await client.ask("POST", "/reports", spoil(good))
            assert (status, told["status"]) == (400, 400)
            assert (await client.ask("GET", "/reports"))[1] == []
            assert (await client.ask("POST", "/reports", good))[0] == 201
            assert len(await said(vtn.links["steel"], 1)) == 1

    run(check())


def test_the_same_report_again_is_a_conflict_and_is_told_once() -> None:
    async def check() -> None:
        async with OwnVtn.serving(now=Ticking()) as vtn, stranger(vtn) as client:
            report = a_report(await asks_reports(client), ("READING", 40))
            assert (await client.ask("POST", "/reports", report))[0] == 201
            assert (await client.ask("POST", "/reports", report))[0] == 409
            _, (kept,) = await client.ask("GET", "/reports")
            assert (await client.ask("DELETE", f"/reports/{kept['id']}"))[0] == 200
            assert (await client.ask("GET", "/reports"))[1] == []
            other = a_report(report["eventID"], ("READING", 7))
            assert (await client.ask("POST", "/reports", other))[0] == 201
            told = await said(vtn.links["steel"], 2)
            assert [one.power_kw for one in told if isinstance(one, TelemetryMessage)] == [-40, -7]

    run(check())


def test_reports_are_kept_up_to_so_many_bytes_and_the_oldest_gives_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def check() -> None:
        async with OwnVtn.serving(now=Ticking()) as vtn, stranger(vtn) as client:
            event = await asks_reports(client)
            first = a_report(event, ("READING", 1), ("NOTE", "x" * 100_000))
            assert (await client.ask("POST", "/reports", first))[0] == 201
            (kept,) = vtn.shelf.reports
            monkeypatch.setattr(openadr3_shelf, "MOST_REPORT_BYTES", 2 * len(kept.content))
            for number in (2, 3):
                more = a_report(event, ("READING", number), ("NOTE", "x" * 100_000))
                assert (await client.ask("POST", "/reports", more))[0] == 201
            _, told = await client.ask("GET", "/reports")
            read = [one["resources"][0]["intervals"][0]["payloads"][0]["values"] for one in told]
            assert read == [[2], [3]]
            changed = a_report(event, ("READING", 4), ("NOTE", "x" * 200_000))
            assert (await client.ask("PUT", f"/reports/{told[0]['id']}", changed))[0] == 200
            _, (left,) = await client.ask("GET", "/reports")
            assert left["id"] == told[0]["id"]

    run(check())


def test_an_event_that_is_over_may_still_be_reported_on() -> None:
    async def check() -> None:
        clock = Ticking()
        async with OwnVtn.serving(now=clock) as vtn, stranger(vtn) as client:
            await vtn.links["steel"].send([a_setpoint()])
            (event,) = await listed(client)
            clock.pass_s(300)
            vtn.links["steel"].end_what_is_over()
            report = a_report(event["id"], ("READING", 40))
            assert (await client.ask("POST", "/reports", report))[0] == 201

    run(check())


# ---------------------------------------------------------------- how the link does


def test_a_site_that_does_not_ask_is_away_and_its_commands_are_told_as_unsent() -> None:
    async def check() -> None:
        clock = Ticking()
        async with OwnVtn.serving(now=clock) as vtn, stranger(vtn) as client:
            link = vtn.links["steel"]
            assert (link.connected, link.since, link.fault) == (
                False,
                NOON,
                "the site steel has not asked",
            )
            clock.pass_s(10)
            await listed(client)
            assert (link.connected, link.since, link.fault) == (True, clock.at, None)
            assert await link.send([a_setpoint()]) == ()
            clock.pass_s(181)
            assert (link.connected, link.since) == (False, NOON + timedelta(seconds=190))
            (unsent,) = await link.send([a_setpoint(seq=2, at=clock.at)])
            since = "since 2026-03-02T12:00:10Z, then from 127.0.0.1"
            assert unsent.reason == f"the site steel has not asked {since}"
            assert len(await listed(client)) == 1  # it is back, and finds it
            assert (link.connected, link.reconnects) == (True, 1)

    run(check())


# ---------------------------------------------------------------- lists


def test_lists_are_paged_and_filtered_as_the_standard_has_it() -> None:
    async def check() -> None:
        async with OwnVtn.serving(reports=False) as vtn, stranger(vtn) as client:
            hour = timedelta(hours=1)
            events = [vtn.add_level(n, start=NOON + n * hour, duration=hour) for n in range(60)]
            ids = [event.event_id for event in events]
            assert [one["id"] for one in (await client.ask("GET", "/events"))[1]] == ids[:50]
            got = await client.ask("GET", "/events", skip="49", limit="50")
            assert [one["id"] for one in got[1]] == ids[49:]
            span = {"dateStart": "2026-03-02T13:00:00Z", "dateEnd": "2026-03-02T14:00:00Z"}
            got = await client.ask("GET", "/events", **span)
            assert [one["id"] for one in got[1]] == ids[1:2]
            assert await client.ask("GET", "/events", programID="other") == (200, [])
            for odd in ({"limit": "51"}, {"skip": "-1"}, {"limit": "x"}, {"skip": "9" * 30}):
                assert (await client.ask("GET", "/events", **odd))[0] == 400

    run(check())


# ---------------------------------------------------------------- subscriptions


def a_wish(url: str, **more: Any) -> dict[str, Any]:
    asked = {"objects": ["EVENT"], "operations": ["CREATE", "UPDATE", "DELETE"], "callbackUrl": url}
    return {"clientName": "steel", "objectOperations": [asked | more]}


@asynccontextmanager
async def receiver(status: int = 200) -> AsyncIterator[tuple[str, asyncio.Queue[Any]]]:
    """A site's own web server, and what it is told."""
    told: asyncio.Queue[Any] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        await told.put((request.headers.get("Authorization"), await request.json()))
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    app = web.Application()
    app.router.add_post("/told", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", told
    await runner.cleanup()


@in_both
def test_a_subscriber_is_told_of_its_own_events_as_they_come_change_and_go(
    version: Version,
) -> None:
    async def check() -> None:
        async with (
            receiver() as (url, told),
            OwnVtn.serving(now=(clock := Ticking()), callbacks=(url,)) as vtn,
            stranger(vtn, version=version) as client,
        ):
            words = (
                ("POST", "PUT", "DELETE") if version == "3.0" else ("CREATE", "UPDATE", "DELETE")
            )
            wish = a_wish(f"{url}/told", bearerToken="knock", operations=list(words))
            status, kept = await client.ask("POST", "/subscriptions", wish)
            assert status == 201
            assert "knock" not in str(kept)
            link = vtn.links["steel"]
            await link.send([a_setpoint(-40.0)])
            await link.send([a_setpoint(-30.0, seq=2)])
            clock.pass_s(300)
            link.end_what_is_over()
            heard = [await told.get() for _ in range(3)]
            assert {knock for knock, _ in heard} == {"Bearer knock"}
            assert [body["operation"] for _, body in heard] == list(words)
            values = [b["object"]["intervals"][0]["payloads"][0]["values"][0] for _, b in heard]
            assert values == [40.0, 30.0, 30.0]

    run(check())


def test_a_subscriber_is_told_of_what_it_asked_for_alone() -> None:
    async def check() -> None:
        async with (
            receiver() as (url, told),
            OwnVtn.serving(now=(clock := Ticking()), callbacks=(url,)) as vtn,
            stranger(vtn) as client,
        ):
            await client.ask("POST", "/subscriptions", a_wish(f"{url}/told", operations=["DELETE"]))
            await client.ask("POST", "/subscriptions", a_wish(f"{url}/told", objects=["REPORT"]))
            await vtn.links["steel"].send([a_setpoint()])
            clock.pass_s(300)
            vtn.links["steel"].end_what_is_over()
            _, body = await told.get()
            assert body["operation"] == "DELETE"
            assert told.empty()

    run(check())


def test_a_subscriber_that_takes_a_notification_has_read_the_command() -> None:
    async def check() -> None:
        async with (
            receiver() as (url, told),
            OwnVtn.serving(now=Ticking(), callbacks=(url,)) as vtn,
            stranger(vtn) as client,
        ):
            await client.ask("POST", "/subscriptions", a_wish(f"{url}/told"))
            await vtn.links["steel"].send([a_setpoint(seq=9)])
            await told.get()
            (ack,) = await said(vtn.links["steel"], 1)
            assert isinstance(ack, AckMessage)
            assert (ack.seq, ack.accepted) == (9, True)

    run(check())


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/told",
        "http://169.254.169.254/latest/meta-data",
        "https://gateway.example:444/told",
        "https://gateway.example:0/told",
        "https://user:word@gateway.example/told",
        "https://gateway.example@evil.example/told",
        "https://gateway.example\\@evil.example/told",
        "https://gateway.example.evil.example/told",
        "http://gateway.example/told",
        "file://gateway.example/told",
        "https://gateway.example/told#x",
        "https://gateway.example/ told",
        "https://gateway.example/\\told",
        "//gateway.example/told",
        "https://[::1/told",
    ],
)
def test_nobody_makes_us_call_an_address_that_the_operator_did_not_name(url: str) -> None:
    async def check() -> None:
        async with (
            OwnVtn.serving(callbacks=("https://gateway.example:443",)) as vtn,
            stranger(vtn) as client,
        ):
            status, told = await client.ask("POST", "/subscriptions", a_wish(url))
            assert (status, "callbackUrl" in told["title"]) == (400, True)
            assert (await client.ask("GET", "/subscriptions"))[1] == []
            named = a_wish("https://gateway.example/told")
            assert (await client.ask("POST", "/subscriptions", named))[0] == 201

    run(check())


def test_a_subscriber_that_sends_us_elsewhere_is_not_followed_and_given_up_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("adapters.openadr3_notifier.FIRST_RETRY_S", 0.001)

    async def check() -> None:
        async with (
            receiver(307) as (url, told),
            OwnVtn.serving(now=Ticking(), callbacks=(url,)) as vtn,
            stranger(vtn) as client,
        ):
            await client.ask("POST", "/subscriptions", a_wish(f"{url}/told"))
            await vtn.links["steel"].send([a_setpoint()])
            for _ in range(4):
                await told.get()
            while not vtn.notifier.counts("steel")[1]:  # noqa: ASYNC110
                await asyncio.sleep(0)
            assert told.empty()
            assert len(await listed(client)) == 1  # the list says it all the same

    run(check())


def test_a_subscriber_that_hangs_delays_nobody_else_and_its_queue_is_bounded() -> None:
    async def check() -> None:
        hanging = asyncio.Event()

        async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await hanging.wait()
            writer.close()

        server = await asyncio.start_server(hang, "127.0.0.1", 0)
        dead = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with (
            receiver() as (url, told),
            OwnVtn.serving(now=Ticking(), callbacks=(url, dead)) as vtn,
            stranger(vtn) as steel,
            stranger(vtn, "glass") as glass,
        ):
            await steel.ask("POST", "/subscriptions", a_wish(f"{dead}/told"))
            await glass.ask("POST", "/subscriptions", a_wish(f"{url}/told"))
            for seq in range(150):
                await vtn.links["steel"].send([a_setpoint(-seq, seq=seq + 1)])
            shelf = vtn.links["glass"].shelf
            shelf.put_event(shelf.events[0])
            _, body = await told.get()
            assert body["operation"] == "UPDATE"
            assert 49 <= vtn.notifier.counts("steel")[1] <= 50
            hanging.set()
        server.close()

    run(check())


def test_a_client_has_few_subscriptions_and_may_change_and_delete_them() -> None:
    async def check() -> None:
        async with (
            OwnVtn.serving(callbacks=("http://127.0.0.1:9",)) as vtn,
            stranger(vtn) as client,
        ):
            wish = a_wish("http://127.0.0.1:9/told")
            kept = [(await client.ask("POST", "/subscriptions", wish))[1]["id"] for _ in range(5)]
            assert (await client.ask("POST", "/subscriptions", wish))[0] == 400
            other = a_wish("http://127.0.0.1:9/other")
            status, changed = await client.ask("PUT", f"/subscriptions/{kept[0]}", other)
            assert status == 200
            assert changed["objectOperations"][0]["callbackUrl"].endswith("/other")
            assert (await client.ask("DELETE", f"/subscriptions/{kept[0]}"))[0] == 200
            assert (await client.ask("GET", f"/subscriptions/{kept[0]}"))[0] == 404
            assert (await client.ask("POST", "/subscriptions", wish))[0] == 201

    run(check())
