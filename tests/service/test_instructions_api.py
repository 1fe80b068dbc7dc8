"""Instructions over HTTP: asked by hand, answered for somebody, taken back, shown with all that came of them."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.service.conftest import QuietLink, Serving
from tests.service.peoplebench import Postbox, acted, settle
from tests.service.peoplepark import NOW, WINDOW, a_plant, at, called, planned, write_park
from vpp.clock import SimulatedClock
from vpp.errors import RejectedError, UnavailableError
from vpp.model.ids import ResourceId
from vpp.model.instruction import Accepted, AcceptedLess, Declined, State
from vpp.model.time import QUARTER, isoformat
from vpp.service import cycle
from vpp.service.demandresponse.timelinecommand import seen
from vpp.service.instructions import loop as instructionloop
from vpp.service.kill import ALL, Scope
from vpp.service.people.wiring import open_people
from vpp.service.plant import Plant

PATH = "/v1/instructions"
ASKED = {
    "resource": "press-1",
    "amount_kw": 250.0,
    "start": isoformat(WINDOW.start),
    "end": isoformat(WINDOW.end),
    "why": "works at the transformer",
}


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return a_plant(write_park(tmp_path), tmp_path, box=Postbox())


@acted
async def test_an_operator_asks_answers_for_somebody_and_takes_back(
    plant: Plant, serving: Serving
) -> None:
    await planned(plant, NOW)
    async with serving(plant) as client:

        async def send(method: str, path: str, **more: Any) -> tuple[int, dict[str, Any]]:
            async with client.request(method, path, **more) as answer:
                return answer.status, await answer.json()

        status, made = await send("POST", PATH, json=ASKED)
        assert (status, made["state"], made["promised_kw"]) == (200, "asked", 250)
        assert (made["why"], made["words"]) == ("operator", "works at the transformer")
        assert made["expected_kw"] == 400
        name = made["instruction_id"]
        again, _ = await send("POST", PATH, json=ASKED)
        assert again == 409
        less = {"decision": "accept_less", "amount_kw": 100.0, "by": "Li", "reason": "by telephone"}
        status, answered = await send("PUT", f"{PATH}/{name}/answer", json=less)
        assert (status, answered["state"], answered["promised_kw"]) == (200, "accepted_less", 100)
        assert answered["answered_by"] == "Li"
        status, refused = await send(
            "PUT", f"{PATH}/{name}/answer", json={"decision": "accept", "by": "Li"}
        )
        assert (status, refused["code"]) == (409, "conflict")
        nobody, why = await send("DELETE", f"{PATH}/{name}", params={"by": "Li"})
        assert (nobody, why["code"]) == (422, "invalid_query")
        who = {"by": "Li", "reason": "the works are over"}
        status, back = await send("DELETE", f"{PATH}/{name}", params=who)
        assert (status, back["state"], back["promised_kw"]) == (200, "taken_back", 0)
        assert back["steps"][-1]["words"] == "Li: the works are over"
        assert (await send("DELETE", f"{PATH}/{name}", params=who))[0] == 409
        status, whole = await send("GET", PATH)
        assert whole["resources"] == [
            {"resource": "press-1", "person": "person-1", "reliability": 1.0}
        ]
        assert [one["instruction_id"] for one in whole["instructions"]] == [name]
        assert (await send("GET", f"{PATH}/{name}"))[1] == whole["instructions"][0]
    await settle(plant)


REFUSED = (
    ("GET", f"{PATH}/press-1-9", None, 404),
    ("DELETE", f"{PATH}/press-1-9?by=Li&reason=nothing", None, 404),
    ("PUT", f"{PATH}/press-1-9/answer", {"decision": "accept", "by": "Li"}, 404),
    ("POST", PATH, ASKED | {"resource": "battery-1"}, 422),
    ("POST", PATH, ASKED | {"start": "2026-07-15T09:01:00Z"}, 422),
    ("POST", PATH, ASKED | {"amount_kw": 0}, 422),
    ("POST", PATH, ASKED | {"amount_kw": 301.0}, 422),
    ("POST", PATH, ASKED | {"end": isoformat(WINDOW.start)}, 422),
)


@acted
async def test_what_cannot_be_is_refused(plant: Plant, serving: Serving) -> None:
    await planned(plant, NOW)
    async with serving(plant) as client:
        for method, path, body, status in REFUSED:
            async with client.request(method, path, json=body) as answer:
                assert (answer.status, method, path, body) == (status, method, path, body)
    assert plant.instructions.stories == {}


@pytest.mark.parametrize("scope", [ALL, Scope("enterprise", "hand-1")], ids=str)
@acted
async def test_while_the_kill_switch_stops_its_enterprise_nobody_is_asked_by_hand(
    scope: Scope, plant: Plant, serving: Serving
) -> None:
    await planned(plant, NOW)
    plant.kill.kill("a drill", scope)
    async with serving(plant) as client:
        async with client.post(PATH, json=ASKED) as answer:
            assert (answer.status, (await answer.json())["code"]) == (503, "killed")
        assert plant.instructions.stories == {}
        plant.kill.release(scope)
        plant.kill.kill("another's drill", Scope("enterprise", "site-1"))
        async with client.post(PATH, json=ASKED) as answer:
            assert answer.status == 200
    await settle(plant)


NO_ANSWERS: tuple[dict[str, Any], ...] = (
    {"decision": "accept_less", "by": "Li"},
    {"decision": "accept", "amount_kw": 100.0, "by": "Li"},
    {"decision": "accept"},
    {"decision": "perhaps", "by": "Li"},
)


@acted
async def test_an_answer_that_is_none_is_refused(plant: Plant, serving: Serving) -> None:
    await planned(plant, NOW)
    async with serving(plant) as client:
        async with client.post(PATH, json=ASKED) as made:
            name = (await made.json())["instruction_id"]
        for body in NO_ANSWERS:
            async with client.put(f"{PATH}/{name}/answer", json=body) as answer:
                assert (answer.status, body) == (422, body)
    (story,) = plant.instructions.stories.values()
    assert story.answer is None
    await settle(plant)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"decision": "accept"}, "accept"),
        ({"decision": "accept_less", "amount_kw": 100.0}, "accept less"),
        ({"decision": "decline"}, "decline"),
    ],
)
@acted
async def test_what_is_said_beside_an_answer_is_kept_whichever_it_is(
    said: dict[str, Any], told: str, plant: Plant, serving: Serving
) -> None:
    await planned(plant, NOW)
    async with serving(plant) as client:
        async with client.post(PATH, json=ASKED) as made:
            name = (await made.json())["instruction_id"]
        body = said | {"by": "Li", "reason": "by telephone"}
        async with client.put(f"{PATH}/{name}/answer", json=body) as answer:
            shown = await answer.json()
    assert shown["steps"][-1]["words"] == f"Li: {told} (by telephone)"
    (story,) = plant.instructions.stories.values()
    assert isinstance(story.answer, Accepted | AcceptedLess | Declined)
    assert story.answer.reason == "by telephone"
    assert any(
        "(by telephone)" in event.text
        for event in plant.events.recent()
        if event.kind == "instruction"
    )
    await settle(plant)


@acted
async def test_what_happens_is_counted(plant: Plant, serving: Serving) -> None:
    await planned(plant, NOW)
    async with serving(plant) as client:
        async with client.post(PATH, json=ASKED) as made:
            name = (await made.json())["instruction_id"]
        decline = {"decision": "decline", "by": "Li"}
        async with client.put(f"{PATH}/{name}/answer", json=decline) as answer:
            assert answer.status == 200
        async with client.get("/metrics") as metrics:
            text = await metrics.text()
    assert 'vpp_instructions_total{happening="ask"} 1.0' in text
    assert 'vpp_instructions_total{happening="decline"} 1.0' in text
    await settle(plant)


@acted
async def test_in_a_simulation_everybody_says_yes_and_his_machine_does_as_it_is_told(
    tmp_path: Path,
) -> None:
    """Where the market is simulated with the park nobody has a channel."""
    file = write_park(tmp_path)
    plant, clock = a_plant(file, tmp_path), SimulatedClock(NOW)
    async with AsyncExitStack() as stack:
        plant.people = await open_people(file, clock, stack)
    await called(plant, "0.7")
    await planned(plant, NOW + timedelta(hours=1))
    await instructionloop.look(plant, NOW + timedelta(hours=1))
    (story,) = plant.instructions.stories.values()
    assert (story.state, story.promised_kw) == (State.ACCEPTED, 300)
    link = plant.sink
    assert isinstance(link, QuietLink)
    for moment, asked_kw in ((WINDOW.start - QUARTER, None), (WINDOW.start, -100)):
        await planned(plant, moment)
        await instructionloop.look(plant, moment)
        link.sent.clear()
        await cycle.act(plant, moment)
        told = {one.resource_id: one.power_kw for one in link.sent}
        assert told.get(ResourceId("press-1")) == asked_kw
    assert plant.people.tracked == {}


@acted
async def test_a_load_that_needs_notice_is_called_when_its_time_has_come(tmp_path: Path) -> None:
    """One that nobody turns by hand: each plan keeps what the one before announced."""
    reached = "    - {resource: press-1, person: person-1}\n"
    file = write_park(tmp_path, changes={f"  resources:\n{reached}": "  resources: []\n"})
    plant = a_plant(file, tmp_path)
    await called(plant, "0.7")
    for hours in (3, 2, 1, 0):
        await planned(plant, WINDOW.start - timedelta(hours=hours))
    await cycle.act(plant, WINDOW.start)
    link = plant.sink
    assert isinstance(link, QuietLink)
    told = {one.resource_id: one.power_kw for one in link.sent}
    assert told[ResourceId("press-1")] == pytest.approx(-100)


@acted
async def test_a_time_line_of_what_is_not_there_says_so(plant: Plant, serving: Serving) -> None:
    at(plant, NOW)
    async with serving(plant) as client:
        url = str(client.make_url("")).rstrip("/")
        with pytest.raises(
            RejectedError, match="answers 404: invitation peak-9: there is no such"
        ) as refused:
            await seen(url, "cn.generic.dr.peak.day_ahead", "peak-9")
        assert str(refused.value).count(" -> ") == 1
    with pytest.raises(UnavailableError, match="does not answer"):
        await seen(url, "cn.generic.dr.peak.day_ahead", "peak-9")


@acted
async def test_the_name_of_an_invitation_stays_one_piece_of_the_path(
    plant: Plant, serving: Serving
) -> None:
    at(plant, NOW)
    async with serving(plant) as client:
        url = str(client.make_url("")).rstrip("/")
        for name in ("peak 9?a=b#c", "peak%2F9", "../../../park"):
            with pytest.raises(RejectedError) as refused:
                await seen(url, "cn.generic.dr.peak.day_ahead", name)
            assert f"answers 404: invitation {name}: there is no such" in refused.value.what
