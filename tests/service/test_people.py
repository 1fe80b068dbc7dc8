"""Messages to people: on record, tried again, given up in time, and harmless whatever a channel does."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from tests.service.conftest import NOW
from tests.service.peoplebench import ANNA, Postbox, a_message, acted, look, settle, staff
from tests.service.rebuilt import HandClock
from vpp.errors import DataError, UnavailableError
from vpp.model.message import (
    Handed,
    NotReached,
    NotYet,
    OnItsWay,
    Reached,
    Refused,
    Topic,
    Unsure,
)
from vpp.service.people import people
from vpp.service.people.desk import PeopleDesk
from vpp.service.people.onetimelinks import hash_of
from vpp.service.plant import Plant

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@dataclass
class Scene:
    """A plant, the time, a mail server and a receiver."""

    plant: Plant
    clock: HandClock
    mail: Postbox
    erp: Postbox

    async def look(self, at: datetime) -> None:
        self.clock.at = at
        await look(self.plant, at)

    def told(self, kind: str) -> list[str]:
        return [event.text for event in self.plant.events.recent() if event.kind == kind]

    def restart(self) -> None:
        """The same journal, and a desk that remembers nothing."""
        self.mail, self.erp = Postbox(), Postbox()
        self.plant.people = staff(self.mail, self.erp)
        people.recover(self.plant)


@pytest.fixture
def scene(empty_plant: Plant) -> Scene:
    mail, erp = Postbox(), Postbox()
    empty_plant.clock = clock = HandClock(at=NOW)
    empty_plant.people = staff(mail, erp)
    return Scene(empty_plant, clock, mail, erp)


def token_in(scene: Scene, place: int = 0) -> str:
    link = scene.mail.given[place][1].link
    assert link is not None
    return link.rpartition("/")[2]


@acted
async def test_a_message_leaves_at_once_in_the_language_of_its_person(scene: Scene) -> None:
    await people.tell(scene.plant, a_message(NOW), NOW)
    await settle(scene.plant)

    ((to, letter),) = scene.mail.given
    assert to == "wang@park.example"
    assert letter.subject == "请答复：Cold store 3，降低用电 120 kW，12月2日（周二）14:00–16:00"
    assert "王工，您好" in letter.text
    assert "电网需求响应" in letter.text
    assert letter.link is not None
    assert letter.link in letter.text
    assert people.delivered(scene.plant, "m-1") == Reached(channel="mail", at=NOW)


@acted
async def test_the_journal_holds_the_message_and_a_hash_and_never_the_link(scene: Scene) -> None:
    await people.tell(scene.plant, a_message(NOW), NOW)
    await settle(scene.plant)
    token = token_in(scene)

    entries = list(
        scene.plant.journal.entries("person_message", "person_link", "person_message_end")
    )
    assert [entry.kind for entry in entries] == [
        "person_message",
        "person_link",
        "person_message_end",
    ]
    assert entries[1].key == hash_of(token)
    assert all(token.encode() not in entry.body + entry.key.encode() for entry in entries)
    assert all(token not in str(event) for event in scene.plant.events.recent())


@acted
async def test_a_server_that_repeats_the_link_puts_it_on_no_record(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scene.plant.people.links, "mint", lambda: "t" * 43)
    link = f"https://park.example/answer/{'t' * 43}"
    scene.mail.outcomes = [Refused(what=f"554 listed: {link}")]
    await people.tell(scene.plant, a_message(NOW), NOW)
    await settle(scene.plant)

    assert "554 listed: https://park.example/answer/(link)" in scene.told("person_not_reached")[0]
    said = [str(event) for event in scene.plant.events.recent()]
    kept = [entry.body.decode() for entry in scene.plant.journal.entries("person_message_end")]
    assert all("t" * 43 not in text for text in said + kept)


@acted
async def test_the_same_message_again_is_not_said_twice(scene: Scene) -> None:
    for _ in range(2):
        await people.tell(scene.plant, a_message(NOW), NOW)
        await settle(scene.plant)

    assert len(scene.mail.given) == 1


@acted
async def test_one_channel_that_hands_it_over_is_enough(scene: Scene) -> None:
    scene.mail.outcomes = [Refused(what="550 no such mailbox")]
    await people.tell(scene.plant, a_message(NOW, ANNA), NOW)
    await settle(scene.plant)

    assert people.delivered(scene.plant, "m-1") == Reached(channel="erp", at=NOW)
    assert scene.told("message_not_handed_over")
    assert not scene.told("person_not_reached")


@pytest.mark.parametrize("outcome", [NotYet(what="421 busy"), Unsure(what="no answer")])
@acted
async def test_what_was_not_handed_over_is_tried_again_as_the_same_letter(
    scene: Scene, outcome: NotYet | Unsure
) -> None:
    scene.mail.outcomes = [outcome]
    await people.tell(scene.plant, a_message(NOW), NOW)
    await settle(scene.plant)
    assert people.delivered(scene.plant, "m-1") == OnItsWay()

    await scene.look(NOW + 9 * SECOND)
    assert len(scene.mail.given) == 1
    await scene.look(NOW + 10 * SECOND)

    assert scene.mail.given[0] == scene.mail.given[1]
    assert people.delivered(scene.plant, "m-1") == Reached(channel="mail", at=NOW + 10 * SECOND)


@acted
async def test_a_server_that_names_a_time_is_not_asked_before(scene: Scene) -> None:
    scene.mail.outcomes = [NotYet(what="503", retry_at=NOW + MINUTE)]
    await people.tell(scene.plant, a_message(NOW), NOW)
    await settle(scene.plant)

    await scene.look(NOW + 59 * SECOND)
    assert len(scene.mail.given) == 1
    await scene.look(NOW + MINUTE)
    assert len(scene.mail.given) == 2


@acted
async def test_pauses_grow_to_five_minutes_and_people_are_told_once(scene: Scene) -> None:
    scene.mail.outcomes = [NotYet(what="421 busy")] * 1000
    await people.tell(scene.plant, a_message(NOW), NOW)
    await settle(scene.plant)
    at, tried_at, before = NOW, [NOW], 1
    while at < NOW + HOUR:
        at += 5 * SECOND
        await scene.look(at)
        if len(scene.mail.given) > before:
            before = len(scene.mail.given)
            tried_at.append(at)

    pauses = [(b - a).total_seconds() for a, b in itertools.pairwise(tried_at)]
    assert pauses[:6] == [10, 20, 40, 80, 160, 300]
    assert set(pauses[5:]) == {300}
    assert len(scene.told("channel")) == 1


@acted
async def test_a_question_is_given_up_at_its_deadline_and_that_is_an_alarm(scene: Scene) -> None:
    scene.mail.outcomes = [NotYet(what="421 busy")] * 1000
    await people.tell(scene.plant, a_message(NOW), NOW)
    await settle(scene.plant)

    await scene.look(NOW + 2 * HOUR)

    found = people.delivered(scene.plant, "m-1")
    assert isinstance(found, NotReached)
    assert "421 busy" in found.what
    assert len(scene.told("person_not_reached")) == 1
    tried = len(scene.mail.given)
    await scene.look(NOW + 3 * HOUR)
    assert len(scene.mail.given) == tried


@acted
async def test_a_refusal_is_not_tried_again(scene: Scene) -> None:
    scene.mail.outcomes = [Refused(what="550 no such mailbox")]
    await people.tell(scene.plant, a_message(NOW), NOW)
    await settle(scene.plant)
    await scene.look(NOW + HOUR)

    assert len(scene.mail.given) == 1
    assert isinstance(people.delivered(scene.plant, "m-1"), NotReached)


@acted
async def test_a_mail_server_that_hangs_keeps_nobody_else_and_no_look(scene: Scene) -> None:
    scene.mail.hangs = True
    for number in range(10):
        await people.tell(scene.plant, a_message(NOW, ANNA, message_id=f"m-{number}"), NOW)
    began = asyncio.get_running_loop().time()
    await scene.look(NOW + 5 * SECOND)

    assert asyncio.get_running_loop().time() - began < 5
    assert len(scene.erp.given) == 10  # each of them was reached over the other channel
    assert scene.mail.most_at_once == 4
    scene.mail.time_out()
    await settle(scene.plant)
    assert scene.mail.at_once == 1  # an ill server is tried with one letter at a time


@acted
async def test_a_server_that_hung_and_comes_back_gets_all_that_waited(scene: Scene) -> None:
    scene.mail.hangs = True
    for number in range(10):
        await people.tell(scene.plant, a_message(NOW, message_id=f"m-{number}"), NOW)
    await scene.look(NOW + 5 * SECOND)
    scene.mail.hangs = False
    scene.mail.time_out()
    await settle(scene.plant)
    await scene.look(NOW + MINUTE)

    assert all(
        isinstance(people.delivered(scene.plant, f"m-{number}"), Reached) for number in range(10)
    )


@acted
async def test_a_fault_of_ours_costs_one_letter_and_no_loop(scene: Scene) -> None:
    scene.mail.breaks = True
    await people.tell(scene.plant, a_message(NOW, ANNA), NOW)
    await settle(scene.plant)
    assert people.delivered(scene.plant, "m-1") == Reached(channel="erp", at=NOW)
    assert len(scene.mail.given) == 1
    (told,) = scene.told("message_not_handed_over")
    assert "a fault of our own: RuntimeError" in told

    scene.mail.breaks = False
    await people.tell(scene.plant, a_message(NOW, message_id="m-2"), NOW)
    await settle(scene.plant)
    assert people.delivered(scene.plant, "m-2") == Reached(channel="mail", at=NOW)


@acted
async def test_after_a_restart_what_nobody_has_leaves_again_and_what_somebody_has_does_not(
    scene: Scene,
) -> None:
    await people.tell(scene.plant, a_message(NOW, message_id="m-1"), NOW)
    await settle(scene.plant)
    scene.mail.outcomes = [NotYet(what="421 busy")]
    await people.tell(scene.plant, a_message(NOW, message_id="m-2"), NOW)
    await settle(scene.plant)
    first = token_in(scene, 1)

    scene.restart()
    await scene.look(NOW + MINUTE)

    assert [letter.message.message_id for _, letter in scene.mail.given] == ["m-2"]
    second = token_in(scene)
    links = scene.plant.people.links
    assert second != first
    assert links.find(first) == links.find(second)  # both open the same question
    assert people.delivered(scene.plant, "m-1") == Reached(channel="mail", at=NOW)


@acted
async def test_what_is_said_while_the_service_ends_leaves_after_its_next_start(
    scene: Scene,
) -> None:
    """A channel that is closed already would refuse it, and a refusal is for good."""
    await people.close(scene.plant.people)
    await people.tell(scene.plant, a_message(NOW), NOW)
    await settle(scene.plant)
    assert scene.mail.given == []

    scene.restart()
    await scene.look(NOW + MINUTE)
    assert [letter.message.message_id for _, letter in scene.mail.given] == ["m-1"]


@acted
async def test_nobody_is_written_to_whom_the_park_file_does_not_know(scene: Scene) -> None:
    scene.plant.people = PeopleDesk()
    with pytest.raises(DataError, match="no person wang"):
        await people.tell(scene.plant, a_message(NOW), NOW)
    assert not list(scene.plant.journal.entries("person_message"))


@acted
async def test_too_many_that_wait_are_refused_and_not_queued(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "MOST_WAITING", 3)
    scene.mail.hangs = True
    for number in range(3):
        await people.tell(scene.plant, a_message(NOW, message_id=f"m-{number}"), NOW)
    with pytest.raises(UnavailableError, match="3 messages wait"):
        await people.tell(scene.plant, a_message(NOW, message_id="m-3"), NOW)


@acted
async def test_a_notice_carries_no_link(scene: Scene) -> None:
    await people.tell(scene.plant, a_message(NOW, topic=Topic.WITHDRAWN), NOW)
    await settle(scene.plant)

    ((_, letter),) = scene.mail.given
    assert letter.link is None
    assert "http" not in letter.text
    assert not list(scene.plant.journal.entries("person_link"))


@acted
async def test_what_is_long_over_is_forgotten(scene: Scene) -> None:
    await people.tell(scene.plant, a_message(NOW), NOW)
    await settle(scene.plant)
    token = token_in(scene)

    await scene.look(NOW + timedelta(days=10))

    assert people.delivered(scene.plant, "m-1") is None
    assert scene.plant.people.links.find(token) is None


@acted
async def test_the_last_word_of_an_accepted_letter_is_on_record(scene: Scene) -> None:
    scene.mail.outcomes = [Handed(what="250 queued as 42")]
    await people.tell(scene.plant, a_message(NOW), NOW)
    await settle(scene.plant)

    (end,) = scene.plant.journal.entries("person_message_end")
    assert end.key == "m-1/mail"
    assert b"250 queued as 42" in end.body
