"""The one-time page at its own listener: it shows by GET, acts by POST alone, once, and never late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.service.conftest import NOW
from tests.service.peoplebench import ANNA, WANG, Postbox, acted, look, settle, staff
from tests.service.rebuilt import HandClock
from vpp.errors import UnavailableError
from vpp.model.ids import PersonId, ResourceId
from vpp.model.instruction import Accepted, AcceptedLess, Declined, Instruction, Reason, State, Why
from vpp.model.time import QUARTER, Interval
from vpp.service.http import reserved_port
from vpp.service.instructions import instructing
from vpp.service.instructions import turn as instructionturn
from vpp.service.instructions.desk import InstructionDesk, Story
from vpp.service.listeners import serve_face
from vpp.service.listenerschema import ListenSection
from vpp.service.people import people
from vpp.service.people.onetimelinks import hash_of, random_token
from vpp.service.people.page import faces
from vpp.service.people.schema import PageSection, PeopleSection
from vpp.service.plant import Plant

HOUR = timedelta(hours=1)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def an_instruction(
    plant: Plant, *, number: int = 1, person: PersonId = WANG, why: str = ""
) -> Instruction:
    """120 kW less from 13:00 to 15:00 UTC, to be answered by 12:00."""
    resource = plant.file.park.resources[0]
    window = Interval(NOW + 3 * HOUR, NOW + 5 * HOUR)
    return Instruction(
        instruction_id=f"{resource.resource_id}-{number}",
        resource_id=ResourceId(resource.resource_id),
        enterprise_id=resource.enterprise_id,
        person_id=person,
        amount_kw=120.0,
        course_kw=(200.0,) * ((window.end - window.start) // QUARTER),
        window=window,
        answer_by=NOW + 2 * HOUR,
        made_at=NOW,
        why=Why(reason=Reason.OPERATOR, words=why or "a cold evening"),
    )


@dataclass
class Scene:
    """A plant that asked Wang for 120 kW, and a browser at its page."""

    plant: Plant
    clock: HandClock
    mail: Postbox
    client: aiohttp.ClientSession
    address: str
    tokens: list[str] = field(default_factory=list)

    async def ask(self, **more: Any) -> str:
        """Ask, and take the token out of the letter."""
        await instructing.ask(self.plant, an_instruction(self.plant, **more), now=self.clock.at)
        await settle(self.plant)
        link = self.mail.given[-1][1].link
        assert link is not None
        self.tokens.append(link.rpartition("/")[2])
        return self.tokens[-1]

    async def get(self, token: str, method: str = "GET", **more: Any) -> tuple[int, str]:
        async with self.client.request(method, f"{self.address}/answer/{token}", **more) as answer:
            return answer.status, await answer.text()

    async def post(self, token: str, **form: str) -> tuple[int, str]:
        return await self.get(token, "POST", data=form, allow_redirects=False)

    async def post_json(self, token: str, **body: Any) -> tuple[int, str]:
        return await self.get(token, "POST", json=body)

    @property
    def stories(self) -> list[Story]:
        return list(self.plant.instructions.stories.values())

    @property
    def steps(self) -> list[str]:
        return [entry.key for entry in self.plant.journal.entries(instructing.STEP)]


@asynccontextmanager
async def opened(plant: Plant, **listen: Any) -> AsyncIterator[Scene]:
    mail = Postbox()
    plant.clock = clock = HandClock(at=NOW)
    plant.people = staff(mail)
    plant.instructions = InstructionDesk()
    with reserved_port() as port:
        page = PageSection(
            url="https://park.example/answer",
            listen=ListenSection(port=port, **{"requests_per_minute": 1_000_000} | listen),
        )
        plant.file = replace(plant.file, people=PeopleSection(page=page))
        (face,) = faces(plant)
        async with (
            serve_face(face, folder=plant.file.folder) as address,
            aiohttp.ClientSession() as client,
        ):
            yield Scene(plant, clock, mail, client, address)
    await people.close(plant.people)


@acted
async def test_the_page_says_what_when_until_when_and_why_in_the_language_of_its_person(
    plant: Plant,
) -> None:
    async with opened(plant) as scene:
        token = await scene.ask(why="今晚寒潮")
        status, page = await scene.get(token)
        assert status == 200
        for said in (
            'lang="zh-CN"',
            "请降低用电 120 kW",
            "12月2日（周二）14:00&#8288;–&#8288;16:00",
            "13:00",
            "今晚寒潮",
        ):
            assert said in page
        _, english = await scene.get(f"{token}?lang=en")
        for said in (
            'lang="en"',
            "Please draw 120 kW less",
            "Tue 2 Dec, 14:00&#8288;–&#8288;16:00",
        ):
            assert said in english


@acted
async def test_nothing_on_the_page_runs_is_kept_or_leads_elsewhere(plant: Plant) -> None:
    async with opened(plant) as scene:
        token = await scene.ask()
        async with scene.client.get(f"{scene.address}/answer/{token}") as answer:
            page, headers = await answer.text(), answer.headers
        assert "<script" not in page
        assert "style=" not in page
        assert token not in page
        assert "http" not in page
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "form-action 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "noindex" in headers["X-Robots-Tag"]
        async with scene.client.get(f"{scene.address}/answer/people.css") as style:
            assert (style.status, style.content_type) == (200, "text/css")


@acted
async def test_words_of_others_appear_as_text(plant: Plant) -> None:
    async with opened(plant) as scene:
        _, page = await scene.get(await scene.ask(why='<script>alert("x")</script>'))
        assert "<script" not in page
        assert "&lt;script&gt;" in page


# ---------------------------------------------------------------- once, by POST, in time


ROBOTS = (
    "Mozilla/5.0 (compatible; bingbot/2.0)",
    "WhatsApp/2.23.20.0",
    "Slackbot-LinkExpanding 1.0",
    "MicroMessenger/8.0.40",
    "facebookexternalhit/1.1",
)


@acted
async def test_a_preview_robot_that_follows_the_link_answers_nothing(plant: Plant) -> None:
    async with opened(plant) as scene:
        token = await scene.ask()
        for robot in ROBOTS:
            for method in ("GET", "HEAD"):
                for query in ("", "?answer=accept", "?answer=decline&lang=en"):
                    headers = {"User-Agent": robot, "Purpose": "prefetch"}
                    status, _ = await scene.get(token + query, method, headers=headers)
                    assert status == 200
        for method in ("PUT", "PATCH", "DELETE", "OPTIONS"):
            assert (await scene.get(token, method))[0] == 405
        assert scene.stories[0].state is State.ASKED
        assert scene.steps == []
        assert (await scene.post(token, answer="accept"))[0] == 303  # and it still serves


@pytest.mark.parametrize(
    ("form", "state", "given_as"),
    [
        ({"answer": "accept"}, State.ACCEPTED, Accepted(at=NOW, by="wang")),
        (
            {"answer": "less", "amount_kw": "80,5"},
            State.ACCEPTED_LESS,
            AcceptedLess(at=NOW, by="wang", amount_kw=80.5),
        ),
        (
            {"answer": "decline", "reason": "检修中"},
            State.DECLINED,
            Declined(at=NOW, by="wang", reason="检修中"),
        ),
    ],
)
@acted
async def test_an_answer_is_on_record_and_shown_and_loading_again_sends_nothing(
    plant: Plant, form: dict[str, str], state: State, given_as: Any
) -> None:
    async with opened(plant) as scene:
        token = await scene.ask()
        status, page = await scene.get(
            token, "POST", data=form
        )  # follows the redirect, as browsers do
        assert status == 200
        assert "已收到您的答复" in page
        assert "<form" not in page
        assert (scene.stories[0].state, scene.stories[0].answer) == (state, given_as)
        await scene.get(token)
        assert len(scene.steps) == 1


@acted
async def test_a_link_used_twice_acts_once(plant: Plant) -> None:
    async with opened(plant) as scene:
        token = await scene.ask()
        assert (await scene.post(token, answer="less", amount_kw="80"))[0] == 303
        for again in (
            {"answer": "decline"},
            {"answer": "less", "amount_kw": "10"},
            {"answer": "accept"},
        ):
            status, page = await scene.post(token, **again)
            assert status == 409
            assert "80 kW" in page
            assert "不能再次答复" in page
        assert scene.stories[0].promised_kw == 80.0
        assert len(scene.steps) == 1


@acted
async def test_of_many_answers_at_the_same_moment_one_counts(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = plant.journal.append_all

    async def slow(*given: Any, **named: Any) -> None:
        for _ in range(50):  # so that all of them have arrived before the first is on disk
            await asyncio.sleep(0)
        await write(*given, **named)

    async with opened(plant) as scene:
        token = await scene.ask()
        monkeypatch.setattr(plant.journal, "append_all", slow)
        forms = [
            {"answer": "accept"},
            {"answer": "decline"},
            {"answer": "less", "amount_kw": "9"},
        ] * 5
        statuses = [s for s, _ in await asyncio.gather(*(scene.post(token, **f) for f in forms))]
        assert sorted(statuses) == [303] + [409] * 14
        assert len(scene.steps) == 1


@acted
async def test_a_link_that_comes_late_acts_not_and_shows_nothing(plant: Plant) -> None:
    async with opened(plant) as scene:
        token = await scene.ask()
        scene.clock.at = NOW + 2 * HOUR
        for _ in range(2):
            for status, page in (await scene.get(token), await scene.post(token, answer="accept")):
                assert status == 410
                assert "120" not in page
                assert scene.stories[0].instruction.resource_id not in page
            await instructionturn.look(scene.plant, scene.clock.at)  # the deadline is booked now
        assert scene.stories[0].state is State.UNANSWERED
        scene.clock.at = NOW + timedelta(days=30)
        await look(scene.plant, scene.clock.at)
        assert (await scene.get(token))[0] == 404  # as if it had never been


@acted
async def test_a_moment_before_the_deadline_is_in_time(plant: Plant) -> None:
    async with opened(plant) as scene:
        token = await scene.ask()
        scene.clock.at = NOW + 2 * HOUR - timedelta(milliseconds=1)
        assert (await scene.post(token, answer="accept"))[0] == 303


@acted
async def test_what_is_taken_back_is_over(plant: Plant) -> None:
    async with opened(plant) as scene:
        token = await scene.ask()
        name = scene.stories[0].instruction.instruction_id
        await instructing.take_back(scene.plant, name, "not needed", now=NOW)
        await settle(scene.plant)
        assert (await scene.get(token))[0] == 410
        assert (await scene.post(token, answer="accept"))[0] == 410
        assert scene.stories[0].state is State.TAKEN_BACK


@acted
async def test_all_links_to_one_question_are_spent_by_one_answer(plant: Plant) -> None:
    async with opened(plant) as scene:
        first = await scene.ask()
        scene.clock.at = NOW + 2 * HOUR - timedelta(minutes=10)
        await instructionturn.look(
            scene.plant, scene.clock.at
        )  # the reminder, with a link of its own
        await settle(scene.plant)
        link = scene.mail.given[-1][1].link
        assert link is not None
        second = link.rpartition("/")[2]
        assert second != first
        assert (await scene.post(second, answer="accept"))[0] == 303
        assert (await scene.post(first, answer="decline"))[0] == 409
        assert scene.stories[0].state is State.ACCEPTED


@acted
async def test_one_persons_link_opens_nothing_of_another(plant: Plant) -> None:
    async with opened(plant) as scene:
        wangs = await scene.ask()
        annas = await scene.ask(number=2, person=ANNA)
        _, page = await scene.get(annas)
        assert 'lang="en"' in page
        assert (await scene.post(annas, answer="decline"))[0] == 303
        assert [story.state for story in scene.stories] == [State.ASKED, State.DECLINED]
        assert (await scene.get(wangs))[0] == 200


@acted
async def test_a_link_that_names_another_person_than_its_question_is_nobodys(plant: Plant) -> None:
    async with opened(plant) as scene:
        token = await scene.ask()
        links = scene.plant.people.links.links
        key = hash_of(token)
        links[key] = msgspec.structs.replace(links[key], person_id=ANNA)
        assert (await scene.get(token))[0] == 404
        assert (await scene.post(token, answer="accept"))[0] == 404
        assert scene.stories[0].state is State.ASKED


@acted
async def test_after_a_restart_a_used_link_is_used_and_an_open_one_serves(plant: Plant) -> None:
    async with opened(plant) as scene:
        used, unused = await scene.ask(), await scene.ask(number=2)
        assert (await scene.post(used, answer="accept"))[0] == 303
        scene.plant.people, scene.plant.instructions = staff(scene.mail), InstructionDesk()
        instructing.recover(scene.plant)
        people.recover(scene.plant)
        assert (await scene.post(used, answer="decline"))[0] == 409
        assert (await scene.post(unused, answer="decline"))[0] == 303
        assert [story.state for story in scene.stories] == [State.ACCEPTED, State.DECLINED]


@acted
async def test_an_answer_that_cannot_be_put_on_record_is_not_taken_and_may_come_again(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(plant) as scene:
        token = await scene.ask()

        async def full(*_: Any, **__: Any) -> None:
            raise UnavailableError("no space left", where="journal", fix="Make room")

        with monkeypatch.context() as broken:
            broken.setattr(scene.plant.journal, "append_all", full)
            status, page = await scene.post(token, answer="accept")
        assert status == 503
        assert "请稍后再试" in page
        assert scene.stories[0].state is State.ASKED
        assert (await scene.post(token, answer="accept"))[0] == 303


# ---------------------------------------------------------------- what is no answer


@pytest.mark.parametrize("amount", ["", "0", "-5", "120", "1e9", "nan", "inf", "eighty", "1e999"])
@acted
async def test_an_amount_that_is_not_less_is_asked_for_again(plant: Plant, amount: str) -> None:
    async with opened(plant) as scene:
        token = await scene.ask()
        status, page = await scene.post(token, answer="less", amount_kw=amount)
        assert status == 400
        assert 'role="alert"' in page
        assert "<form" in page
        assert scene.stories[0].state is State.ASKED


NO_ANSWERS: tuple[tuple[bytes, dict[str, str], int], ...] = (
    (b"", FORM, 400),
    (b"answer=yes", FORM, 400),
    (b"answer=accept&state=declined", FORM, 400),
    (b"\xff\xfe=accept", FORM, 400),
    (b"&".join(b"a%d=1" % n for n in range(100)), FORM, 400),
    (b"answer=decline&reason=" + b"x" * 300, FORM, 400),
    (b"answer=accept&reason=" + b"x" * 4096, FORM, 413),
    (b"answer=accept", {"Content-Type": "text/plain"}, 415),
    (b"answer=accept", {"Content-Type": "multipart/form-data; boundary=x"}, 415),
    (b"[]", {"Content-Type": "application/json"}, 400),
    (b'{"answer": "accept"', {"Content-Type": "application/json"}, 400),
    (b'{"answer": "less"}', {"Content-Type": "application/json"}, 400),
    (b'{"answer": "less", "amount_kw": NaN}', {"Content-Type": "application/json"}, 400),
    (b"[" * 4000, {"Content-Type": "application/json"}, 400),
)


@acted
async def test_what_is_no_answer_changes_nothing(plant: Plant) -> None:
    async with opened(plant) as scene:
        token = await scene.ask()
        for body, headers, status in NO_ANSWERS:
            found, _ = await scene.get(token, "POST", data=body, headers=headers)
            assert (body[:40], found) == (body[:40], status)
        assert scene.stories[0].state is State.ASKED
        assert scene.steps == []


@acted
async def test_a_system_answers_in_json_and_is_told_what_came_of_it(plant: Plant) -> None:
    async with opened(plant) as scene:
        token = await scene.ask()
        assert await scene.post_json(token, answer="less", amount_kw=80) == (
            200,
            '{"result": "answered"}',
        )
        assert await scene.post_json(token, answer="accept") == (
            409,
            '{"result": "already_answered"}',
        )
        assert await scene.post_json(random_token(), answer="accept") == (
            404,
            '{"result": "unknown_link"}',
        )
        assert scene.stories[0].promised_kw == 80.0


def mutated(token: str) -> Iterator[str]:
    """Tokens beside the one that serves."""
    yield token[:-1]
    yield token + "A"
    yield token.swapcase()
    yield token[::-1]
    yield token[:-1] + ("A" if token[-1] != "A" else "B")
    yield "../" + token
    yield "%00" + token
    yield "x" * 5000


@acted
async def test_a_token_beside_the_right_one_is_nobodys(plant: Plant) -> None:
    async with opened(plant) as scene:
        token = await scene.ask()
        for wrong in mutated(token):
            for status, page in (await scene.get(wrong), await scene.post(wrong, answer="accept")):
                assert status in (400, 404)
                assert "120 kW" not in page
        assert scene.steps == []


@acted
async def test_who_guesses_is_slowed_down(plant: Plant) -> None:
    async with opened(plant, requests_per_minute=600) as scene:
        statuses = [(await scene.get(random_token()))[0] for _ in range(40)]
        assert statuses[0] == 404
        assert statuses[-1] == 429


def test_a_park_that_asks_nobody_has_no_page(plant: Plant) -> None:
    assert faces(plant) == ()


def test_tokens_do_not_repeat_and_carry_256_bits() -> None:
    tokens = {random_token() for _ in range(1000)}
    assert len(tokens) == 1000
    assert {len(token) for token in tokens} == {43}
