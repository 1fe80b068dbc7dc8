"""From an instruction to its answer over the real adapters: a mail, its link, the page; and a mail server that hangs."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.adapters.letters import Mailroom, Talker
from tests.patience import PATIENCE_S
from tests.service.conftest import NOW
from tests.service.peoplebench import acted
from tests.service.rebuilt import HandClock, Killed
from tests.service.test_calendars import demo_with
from tests.service.test_peoplepage import an_instruction
from vpp.clock import WallClock
from vpp.model.instruction import State
from vpp.model.message import OnItsWay, Reached
from vpp.service import cycle
from vpp.service.http import reserved_port
from vpp.service.instructions import instructing
from vpp.service.instructions import turn as instructionturn
from vpp.service.instructions.desk import InstructionDesk
from vpp.service.outerfaces import serve_outside
from vpp.service.people import people
from vpp.service.people.wiring import open_people
from vpp.service.plant import Plant
from vpp.service.wiring import nowhere

PARK = """\
people:
  page:
    url: http://127.0.0.1:{page}/answer
    listen: {{port: {page}}}
  mail: {{host: 127.0.0.1, port: {mail}, tls: none, from: vpp@park.example, timeout_s: 5}}
  persons:
    - {{id: wang, name: 王工, language: zh, mail: wang@park.example}}
"""


@dataclass
class Site:
    """A plant with its page open, and what the mail server got."""

    plant: Plant
    room: Mailroom

    async def until_mailed(self) -> str:
        """The link of the next mail, as the person reads it."""
        async with asyncio.timeout(PATIENCE_S):
            raw = await self.room.arrived.get()
        mail = email.message_from_bytes(raw, policy=email.policy.default)
        assert isinstance(mail, email.message.EmailMessage)
        found = re.search(r"http://\S+", mail.get_content())
        assert found is not None
        return found.group()


@asynccontextmanager
async def site(plant: Plant, folder: Path, mail_port: int, room: Mailroom) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        page = stack.enter_context(reserved_port())
        plant.file = demo_with(folder, PARK.format(page=page, mail=mail_port))
        plant.clock = HandClock(at=NOW)
        plant.people = await open_people(plant.file, plant.clock, stack)
        await stack.enter_async_context(serve_outside(plant))
        yield Site(plant, room)
        await people.close(plant.people)


@acted
async def test_a_person_answers_by_the_link_that_came_by_mail(plant: Plant, tmp_path: Path) -> None:
    room = Mailroom()
    async with room.open() as port, site(plant, tmp_path, port, room) as here:
        await instructing.ask(plant, an_instruction(plant), now=NOW)
        link = await here.until_mailed()
        async with aiohttp.ClientSession() as browser:
            async with browser.get(link) as page:
                assert page.status == 200
            (story,) = plant.instructions.stories.values()
            assert story.state is State.ASKED
            async with browser.post(link, data={"answer": "less", "amount_kw": "80"}) as page:
                assert page.status == 200
                assert "80 kW" in await page.text()
        (story,) = plant.instructions.stories.values()
        assert (story.state, story.promised_kw) == (State.ACCEPTED_LESS, 80.0)
        name = f"{story.instruction.instruction_id}.ask"
        assert people.delivered(plant, name) == Reached(channel="mail", at=NOW)


@acted
async def test_a_mail_server_that_hangs_holds_up_neither_the_act_cycle_nor_a_stop(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talker = Talker({"EHLO": None})
    async with talker.open() as port, site(plant, tmp_path, port, Mailroom()):
        loop = asyncio.get_running_loop()
        for number in range(1, 21):
            await instructing.ask(plant, an_instruction(plant, number=number), now=NOW)
        began = loop.time()
        await people.look(plant, NOW)
        await cycle.act(plant, NOW)
        assert loop.time() - began < 4  # far less than the 5 s of one try
        assert all(
            isinstance(people.delivered(plant, f"{name}.ask"), OnItsWay)
            for name in plant.instructions.stories
        )
        assert len(plant.people.sending) == 4
        stop = asyncio.Event()
        stop.set()
        async with asyncio.timeout(4):
            await people.follow(plant, WallClock(start=NOW), stop)
        assert not plant.people.sending


@acted
async def test_a_service_that_ended_between_an_instruction_and_its_message_says_it_after_its_start(
    plant: Plant, tmp_path: Path
) -> None:
    def dies(point: str) -> None:
        if point == "instruction journalled":
            raise Killed(point)

    room = Mailroom()
    async with room.open() as port, site(plant, tmp_path, port, room) as here:
        plant.reach = dies
        with pytest.raises(Killed):
            await instructing.ask(plant, an_instruction(plant), now=NOW)
        assert not plant.people.tracked
        plant.reach = nowhere
        plant.instructions = InstructionDesk()
        instructing.recover(plant)
        for _ in range(3):
            await instructionturn.look(plant, NOW)
        assert "answer/" in await here.until_mailed()
        assert len(room.mails) == 1


@acted
async def test_a_message_that_could_not_be_taken_is_taken_later_and_told_once(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Mailroom()
    async with room.open() as port, site(plant, tmp_path, port, room) as here:
        with monkeypatch.context() as full:
            full.setattr(people, "MOST_WAITING", 0)
            await instructing.ask(plant, an_instruction(plant), now=NOW)
            for _ in range(3):
                await instructionturn.look(plant, NOW)
            told = [e for e in plant.events.recent() if "was not told" in e.text]
            assert len(told) == 1
        await instructionturn.look(plant, NOW)
        assert "answer/" in await here.until_mailed()
