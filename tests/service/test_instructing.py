"""Instructions to people: asked, answered, let pass, given to others, metered; and what the next one counts for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.memory_journal import MemoryJournal
from adapters.sqlite_journal import SqliteJournal
from tests.service.conftest import QuietLink
from tests.service.drpark import FIRST
from tests.service.peoplebench import Postbox, acted, settle
from tests.service.peoplepark import (
    NOW,
    WINDOW,
    a_plant,
    at,
    called,
    hear,
    meter,
    planned,
    through_quarters,
    write_park,
)
from vpp.errors import ConflictError, DataError, UnavailableError
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.instruction import (
    Accepted,
    AcceptedLess,
    Declined,
    Instruction,
    Kept,
    Reason,
    State,
    Unanswered,
    Unverified,
)
from vpp.model.message import NotYet, OnItsWay
from vpp.model.schedule import Unsolved
from vpp.model.time import QUARTER, Interval
from vpp.service import cycle
from vpp.service.calls import reserves
from vpp.service.demandresponse import demandresponse
from vpp.service.demandresponse import reply as drreply
from vpp.service.instructions import instructing
from vpp.service.instructions import loop as instructionloop
from vpp.service.instructions import plan as instructionplan
from vpp.service.instructions import turn as instructionturn
from vpp.service.instructions.desk import Story
from vpp.service.kill import Scope
from vpp.service.people import people
from vpp.service.steering import overrides
from vpp.wirecontrol import OverrideRequest
from vpp.wiredr import InvitationRequest

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
PRESS, BATTERY = ResourceId("press-1"), ResourceId("battery-1")
TOLD_AT = NOW + timedelta(hours=1)
"""Four hours before the window: calls are told from here on."""
DEADLINE = WINDOW.start - 30 * MINUTE
WHO = "person-1"


class Bench:
    """A plant, and what its people were told."""

    def __init__(self, folder: Path, **sizes: Any) -> None:
        self.folder = folder
        self.box = Postbox()
        self.draws_kw: dict[str, float] = {}
        """What presses draw otherwise than by themselves, net injection."""
        self.file = write_park(folder, **sizes)
        self.plant = a_plant(self.file, folder, box=self.box)

    async def look(self, moment: datetime) -> None:
        """Everybody is heard, and the loop of instructions has its turn."""
        at(self.plant, moment)
        hear(self.plant, moment, **self.draws_kw)
        await instructionloop.look(self.plant, moment)
        await settle(self.plant)

    async def planned(self, moment: datetime) -> None:
        await planned(self.plant, moment, **self.draws_kw)

    async def through(self, quarter: Interval) -> None:
        await through_quarters(self.plant, quarter, **self.draws_kw)
        await self.look(quarter.end)

    async def asked(self, wanted_mw: str = "0.4") -> Story:
        """A call is confirmed and told: of 0.4 MW the press gives 0.3, for it is cheaper than the battery."""
        await called(self.plant, wanted_mw)
        await planned(self.plant, TOLD_AT)
        await self.look(TOLD_AT + 15 * SECOND)
        return self.story

    @property
    def story(self) -> Story:
        return instructing.find(self.plant, "press-1-1")

    @property
    def topics(self) -> list[str]:
        return [letter.message.topic.value for _, letter in self.box.given]

    def net_kw(self, name: ResourceId) -> float:
        """What the plan has of a resource over the window, a mean."""
        schedule = self.plant.schedule
        assert schedule is not None
        row = schedule.resource_ids.index(name)
        return float(schedule.power_kw[row, schedule.horizon.slice(WINDOW)].mean())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """One press and one battery; the battery's wear makes it the dearer one."""
    return Bench(tmp_path, changes={"wear_cost_per_kwh: 0.5": "wear_cost_per_kwh: 1.5"})


# ---------------------------------------------------------------- asking


@acted
async def test_a_call_that_is_confirmed_is_told_once_with_its_amount_window_deadline_and_why(
    bench: Bench,
) -> None:
    story = await bench.asked()

    one = story.instruction
    assert (one.amount_kw, one.window, one.answer_by) == (300, WINDOW, DEADLINE)
    assert (one.why.reason, one.why.reference) == (Reason.DEMAND_RESPONSE, "peak-1")
    assert one.course_kw == (400.0,) * 8
    ((to, letter),) = bench.box.given
    assert to == "person-1@park.example"
    assert letter.message.change_kw == 300
    assert "需求响应 peak-1" in letter.text
    await bench.planned(TOLD_AT + QUARTER)
    await bench.look(TOLD_AT + QUARTER + 15 * SECOND)
    assert len(bench.box.given) == 1


@acted
async def test_nobody_is_told_before_it_is_confirmed_nor_before_it_is_time(bench: Bench) -> None:
    await called(bench.plant, "0.4")
    await bench.planned(TOLD_AT - QUARTER)
    await bench.look(TOLD_AT - 15 * SECOND)
    assert bench.box.given == []
    await bench.look(TOLD_AT)
    assert bench.topics == ["ask"]


@acted
async def test_an_invitation_that_is_not_confirmed_is_nobodys_call(bench: Bench) -> None:
    request = InvitationRequest.model_validate(
        {"invitation_id": "later", "revision": 1, "start": WINDOW.start, "end": WINDOW.end}
        | {"wanted_mw": "0.3", "price_cap_per_mwh": "3000", "source": "the platform"}
        | {"reply_by": WINDOW.start - timedelta(hours=3)}
    )
    meter(bench.plant, FIRST, NOW, {})
    at(bench.plant, NOW)
    await demandresponse.take(bench.plant, "cn.generic.dr.peak.day_ahead", request, now=NOW)
    await bench.planned(TOLD_AT)
    schedule = bench.plant.schedule
    assert schedule is not None
    assert PRESS in schedule.starts
    await bench.look(TOLD_AT + 15 * SECOND)
    assert bench.box.given == []


@pytest.mark.parametrize("scope", [Scope(), Scope("enterprise", "hand-1")])
@acted
async def test_what_stops_set_points_stops_instructions(bench: Bench, scope: Scope) -> None:
    await called(bench.plant, "0.4")
    await bench.planned(TOLD_AT)
    bench.plant.kill.kill("a drill", scope)
    await bench.look(TOLD_AT + 15 * SECOND)
    assert bench.box.given == []


@acted
async def test_no_set_point_is_sent_to_what_a_person_turns(bench: Bench) -> None:
    await bench.asked()
    plant, link = bench.plant, bench.plant.sink
    assert isinstance(link, QuietLink)
    schedule = plant.schedule
    assert schedule is not None
    assert schedule.curtailed_kw[PRESS][schedule.horizon.index(WINDOW.start)] == 300
    plant.schedule = replace(schedule, issued_at=WINDOW.start)  # no newer plan has come
    for moment in (TOLD_AT + MINUTE, WINDOW.start + MINUTE):
        at(plant, moment)
        hear(plant, moment)
        await cycle.act(plant, moment)
    assert {one.resource_id for one in link.sent} == {BATTERY}


def test_what_a_person_turns_keeps_no_reserve(bench: Bench) -> None:
    assert reserves.keepers_of(bench.plant) == {BATTERY}


@acted
async def test_an_operator_cannot_take_it_in_hand_but_can_ask(bench: Bench) -> None:
    plant = bench.plant
    await planned(plant, NOW)
    hand = {"power_kw": -100.0, "for_minutes": 30, "by": "Li", "reason": "a drill"}
    with pytest.raises(DataError, match="a person turns it by hand"):
        await overrides.take(plant, PRESS, OverrideRequest.model_validate(hand), now=NOW)

    story = await instructing.ask_by_hand(
        plant, PRESS, window=WINDOW, amount_kw=250.0, why="works at the transformer", now=NOW
    )
    await settle(plant)
    assert (story.instruction.why.reason, bench.topics) == (Reason.OPERATOR, ["ask"])
    assert "works at the transformer" in bench.box.given[0][1].text
    await planned(plant, NOW + QUARTER)
    assert bench.net_kw(PRESS) == -150


@pytest.mark.parametrize(
    ("resource", "amount_kw", "window", "what"),
    [
        ("battery-1", 100.0, WINDOW, "no person turns it"),
        ("press-1", 301.0, WINDOW, "can give up"),
        ("press-1", 100.0, Interval(NOW + 15 * MINUTE, NOW + 30 * MINUTE), "leave"),
        ("press-1", 100.0, Interval(NOW + timedelta(days=9), NOW + timedelta(days=10)), "plan"),
    ],
)
@acted
async def test_an_operator_asks_for_what_can_be_given_and_in_time(
    bench: Bench, resource: str, amount_kw: float, window: Interval, what: str
) -> None:
    await bench.planned(NOW)
    with pytest.raises((DataError, UnavailableError), match=f"(?i){what}"):
        await instructing.ask_by_hand(
            bench.plant, resource, window=window, amount_kw=amount_kw, why="a drill", now=NOW
        )
    assert bench.plant.instructions.stories == {}


@acted
async def test_of_two_operators_who_ask_at_once_one_asks(bench: Bench) -> None:
    async with SqliteJournal.open(bench.folder / "journal.sqlite") as journal:
        plant = bench.plant = a_plant(bench.file, bench.folder, box=bench.box, journal=journal)
        await bench.planned(NOW)

        async def ask() -> Story:
            return await instructing.ask_by_hand(
                plant, PRESS, window=WINDOW, amount_kw=200.0, why="a drill", now=NOW
            )

        first, second = await asyncio.gather(ask(), ask(), return_exceptions=True)
        assert isinstance(first, Story)
        assert isinstance(second, ConflictError)
        assert list(plant.instructions.stories) == ["press-1-1"]
        await settle(plant)
        await people.close(plant.people)


@acted
async def test_what_was_declined_is_asked_again_of_what_it_draws_by_itself(bench: Bench) -> None:
    """The plan that stands still has what was accepted: by it the load would draw 200 kW."""
    plant = bench.plant
    await bench.planned(NOW)

    async def ask(moment: datetime) -> Story:
        return await instructing.ask_by_hand(
            plant, PRESS, window=WINDOW, amount_kw=200.0, why="a drill", now=moment
        )

    await ask(NOW)
    await bench.planned(NOW + QUARTER)
    moment = NOW + QUARTER + MINUTE
    await instructing.answer(plant, "press-1-1", Declined(at=moment, by=WHO), now=moment)
    with pytest.raises(UnavailableError, match="still counts on"):
        await ask(moment)
    await bench.look(moment + 15 * SECOND)
    assert (await ask(moment + 15 * SECOND)).instruction.course_kw == (400.0,) * 8
    await settle(plant)


# ---------------------------------------------------------------- answering


@acted
async def test_what_is_accepted_stands_whatever_the_next_plan_would_like_better(
    bench: Bench,
) -> None:
    await bench.asked()
    moment = TOLD_AT + MINUTE
    story = await instructing.answer(
        bench.plant, "press-1-1", Accepted(at=moment, by=WHO), now=moment
    )
    assert (story.state, story.promised_kw) == (State.ACCEPTED, 300)
    request = InvitationRequest.model_validate(
        {"invitation_id": "other", "revision": 1, "wanted_mw": "0.3"}
        | {"start": WINDOW.end, "end": WINDOW.end + timedelta(hours=1)}
        | {"price_cap_per_mwh": "9000", "source": "the platform", "reply_by": WINDOW.start}
    )
    await demandresponse.take(
        bench.plant, "cn.generic.dr.peak.day_ahead", request, now=TOLD_AT + MINUTE
    )
    await bench.planned(TOLD_AT + QUARTER)
    assert bench.net_kw(PRESS) == pytest.approx(-100)


@acted
async def test_what_is_promised_less_others_take_and_it_is_said_who(bench: Bench) -> None:
    await bench.asked()
    await bench.planned(TOLD_AT + QUARTER)
    moment = TOLD_AT + 20 * MINUTE
    at(bench.plant, moment)
    given = AcceptedLess(at=moment, by=WHO, amount_kw=100.0)
    await instructing.answer(bench.plant, "press-1-1", given, now=moment)
    await bench.look(moment + 15 * SECOND)

    assert bench.net_kw(PRESS) == pytest.approx(-300)
    found = bench.story.resplit
    assert found is not None
    assert found.lost_kw == 200
    assert found.taken_kw == {BATTERY: pytest.approx(200)}
    assert found.left_kw == pytest.approx(0)
    assert bench.story.state is State.ACCEPTED_LESS


@acted
async def test_a_share_that_is_not_acknowledged_by_its_deadline_is_others_within_a_minute(
    bench: Bench,
) -> None:
    await bench.asked()
    await bench.look(DEADLINE - 15 * MINUTE)
    assert bench.topics == ["ask", "remind"]
    await bench.planned(DEADLINE - SECOND)
    assert bench.net_kw(PRESS) == pytest.approx(-100)  # counted on until then
    assert bench.net_kw(BATTERY) == pytest.approx(100)
    await bench.look(DEADLINE + 14 * SECOND)  # a tick of the loop at the latest

    assert isinstance(bench.story.answer, Unanswered)
    assert bench.net_kw(PRESS) == pytest.approx(-400)
    assert bench.net_kw(BATTERY) == pytest.approx(400)
    found = bench.story.resplit
    assert found is not None
    assert found.taken_kw == {BATTERY: pytest.approx(300)}
    assert found.after_s < 60
    assert bench.topics == ["ask", "remind", "lapsed"]
    assert "300 kW by battery-1" in bench.story.steps[-1].words


@acted
async def test_a_plan_that_fails_is_tried_again_until_the_share_is_others(bench: Bench) -> None:
    await bench.asked()
    await bench.planned(DEADLINE - SECOND)
    unsolved = bench.plant.executor
    bench.plant.executor = NoSolver()
    await bench.look(DEADLINE)
    assert bench.story.state is State.UNANSWERED
    assert bench.story.resplit is None
    bench.plant.executor = unsolved
    await bench.look(DEADLINE + 30 * SECOND)  # not at every tick: a solver that fails is not beaten
    assert bench.story.resplit is None
    await bench.look(DEADLINE + 60 * SECOND)
    found = bench.story.resplit
    assert found is not None
    assert found.taken_kw == {BATTERY: pytest.approx(300)}


class NoSolver:
    """Finds no plan."""

    pid = None

    async def solve(self, problem: Any, *, hard_s: float) -> Any:
        return Unsolved(reason="a drill")


@acted
async def test_whoever_said_no_is_not_asked_again_that_day(bench: Bench) -> None:
    await bench.asked()
    moment = TOLD_AT + MINUTE
    at(bench.plant, moment)
    given = Declined(at=moment, by=WHO, reason="a rush order")
    await instructing.answer(bench.plant, "press-1-1", given, now=moment)
    for minutes in (15, 30, 45):
        await bench.planned(TOLD_AT + minutes * MINUTE)
        await bench.look(TOLD_AT + minutes * MINUTE + 15 * SECOND)
    assert list(bench.plant.instructions.stories) == ["press-1-1"]
    schedule = bench.plant.schedule
    assert schedule is not None
    assert PRESS not in schedule.starts


@acted
async def test_an_answer_counts_once_and_before_the_deadline(bench: Bench) -> None:
    await bench.asked()
    plant, moment = bench.plant, TOLD_AT + MINUTE
    no_less = AcceptedLess(at=moment, by=WHO, amount_kw=300.0)
    with pytest.raises(DataError, match="between 0 and what was asked"):
        await instructing.answer(plant, "press-1-1", no_less, now=moment)
    late = Accepted(at=DEADLINE, by=WHO)
    with pytest.raises(ConflictError, match="its time was over"):
        await instructing.answer(plant, "press-1-1", late, now=DEADLINE)
    await instructing.answer(plant, "press-1-1", Accepted(at=moment, by=WHO), now=moment)
    with pytest.raises(ConflictError, match="it is accepted"):
        await instructing.answer(plant, "press-1-1", Accepted(at=moment, by=WHO), now=moment)
    with pytest.raises(DataError, match="no such instruction"):
        await instructing.answer(plant, "press-1-2", Accepted(at=moment, by=WHO), now=moment)


@pytest.mark.parametrize("how", ["answered", "taken back"])
@acted
async def test_a_question_that_the_post_still_has_does_not_leave_once_it_is_answered_or_taken_back(
    bench: Bench, how: str
) -> None:
    """The mail server is away; meanwhile the control room hears the person, or needs nothing any more."""
    bench.box.outcomes = [NotYet(what="451 try later")]
    await bench.asked()
    moment = TOLD_AT + MINUTE
    at(bench.plant, moment)
    if how == "answered":
        given = Accepted(at=moment, by="Li")
        await instructing.answer(bench.plant, "press-1-1", given, now=moment)
    else:
        await instructing.take_back(bench.plant, "press-1-1", "not needed", now=moment)
    await settle(bench.plant)
    restarted = a_plant(
        bench.file, bench.folder, box=bench.box, now=moment, journal=bench.plant.journal
    )
    instructing.recover(restarted)
    people.recover(restarted)
    for plant in (bench.plant, restarted):
        for minutes in range(1, 10):
            at(plant, moment + minutes * MINUTE)
            await people.look(plant, moment + minutes * MINUTE)
            await settle(plant)
        assert people.delivered(plant, "press-1-1.ask") != OnItsWay()
    assert bench.topics.count("ask") == 1
    assert bench.topics.count("withdrawn") == (how == "taken back")
    kinds = {event.kind for event in bench.plant.events.recent()}
    assert not {"person_not_reached", "message_not_handed_over"} & kinds


@acted
async def test_a_promise_can_be_lowered_and_not_raised(bench: Bench) -> None:
    await bench.asked()
    plant, moment = bench.plant, TOLD_AT + MINUTE

    async def less(amount_kw: float) -> Story:
        given = AcceptedLess(at=moment, by=WHO, amount_kw=amount_kw)
        return await instructing.answer(plant, "press-1-1", given, now=moment)

    await less(100.0)
    for amount_kw in (150.0, 100.0):
        with pytest.raises(DataError, match="between 0 and what was promised"):
            await less(amount_kw)
    assert (await less(50.0)).promised_kw == 50
    no = Declined(at=moment, by=WHO, reason="a drive broke")
    declined = await instructing.answer(plant, "press-1-1", no, now=moment)
    assert declined.steps[-1].words == "person-1: decline (a drive broke)"
    with pytest.raises(ConflictError, match="it is declined"):
        await less(50.0)


@acted
async def test_what_was_promised_less_and_then_taken_back_asks_for_no_plan_again_and_again(
    bench: Bench,
) -> None:
    await bench.asked()
    moment = TOLD_AT + MINUTE
    at(bench.plant, moment)
    less = AcceptedLess(at=moment, by=WHO, amount_kw=50.0)
    await instructing.answer(bench.plant, "press-1-1", less, now=moment)
    await instructing.take_back(bench.plant, "press-1-1", "not needed", now=moment)
    await bench.look(moment + 15 * SECOND)
    assert bench.plant.instructions.lost == {}
    assert not instructionturn.waiting(bench.plant, moment + timedelta(minutes=5))


class FullDisk(MemoryJournal):
    full = False

    async def append_all(self, entries: Sequence[tuple[str, str, bytes]], *, now: datetime) -> None:
        if self.full:
            raise UnavailableError("the disk is full", where="journal", fix="Free some")
        await super().append_all(entries, now=now)


@acted
async def test_an_answer_that_is_not_on_disk_is_none_and_a_deadline_passes_when_it_can(
    bench: Bench,
) -> None:
    disk = bench.plant.journal = FullDisk()
    await bench.asked()
    disk.full = True
    moment = TOLD_AT + MINUTE
    with pytest.raises(UnavailableError):
        await instructing.answer(bench.plant, "press-1-1", Accepted(at=moment, by=WHO), now=moment)
    await bench.look(DEADLINE)
    assert bench.story.answer is None
    disk.full = False
    await bench.look(DEADLINE + 15 * SECOND)
    assert bench.story.state is State.UNANSWERED


class LyingDisk(MemoryJournal):
    """Says once that it did not write what it wrote."""

    lies_about: str | None = None

    async def append_all(self, entries: Sequence[tuple[str, str, bytes]], *, now: datetime) -> None:
        await super().append_all(entries, now=now)
        if self.lies_about in {kind for kind, _, _ in entries}:
            self.lies_about = None
            raise UnavailableError("no answer", where="journal", fix="Look at the disk")


@acted
async def test_what_reached_the_disk_though_it_said_no_stands(bench: Bench) -> None:
    disk = bench.plant.journal = LyingDisk()
    await called(bench.plant, "0.4")
    await bench.planned(TOLD_AT)
    disk.lies_about = instructing.INSTRUCTION
    await bench.look(TOLD_AT + 15 * SECOND)
    assert bench.topics == []
    await bench.look(TOLD_AT + 30 * SECOND)
    assert bench.topics == ["ask"]
    assert bench.story.instruction.made_at == TOLD_AT + 15 * SECOND

    disk.lies_about = instructing.STEP
    for seconds in (0, 15, 30):
        await bench.look(DEADLINE + seconds * SECOND)
    assert [step.happening.value for step in bench.story.steps] == ["pass", "resplit"]
    assert bench.story.steps[0].at == DEADLINE


@acted
async def test_a_call_that_is_called_off_is_taken_back_and_its_person_told(bench: Bench) -> None:
    await bench.asked()
    moment = TOLD_AT + MINUTE
    await instructing.answer(bench.plant, "press-1-1", Accepted(at=moment, by=WHO), now=moment)
    (invited,) = bench.plant.dr.book.stories()
    request = InvitationRequest.model_validate(
        {"invitation_id": "peak-1", "revision": 2, "wanted_mw": "0", "price_cap_per_mwh": "3000"}
        | {"start": WINDOW.start, "end": WINDOW.end, "source": invited.invitation.source}
        | {"reply_by": invited.invitation.reply_by, "area": "east"}
    )
    await demandresponse.take(bench.plant, "cn.generic.dr.peak.day_ahead", request, now=moment)
    await bench.look(moment + 15 * SECOND)
    assert bench.story.state is State.TAKEN_BACK
    assert bench.topics == ["ask", "withdrawn"]
    assert bench.plant.replan is not None
    await bench.planned(TOLD_AT + QUARTER)
    assert bench.net_kw(PRESS) == pytest.approx(-400)


@acted
async def test_a_plan_that_is_about_to_be_replaced_is_told_to_nobody(bench: Bench) -> None:
    await called(bench.plant, "0.4")
    await bench.planned(TOLD_AT)
    bench.plant.replan = "an order of the grid"
    await bench.look(TOLD_AT + 15 * SECOND)
    assert bench.topics == []
    bench.plant.replan = None
    await bench.look(TOLD_AT + 30 * SECOND)
    assert bench.topics == ["ask"]


@acted
async def test_no_plan_asks_again_for_what_the_control_room_took_back(bench: Bench) -> None:
    await bench.asked()
    moment = TOLD_AT + MINUTE
    at(bench.plant, moment)
    await instructing.take_back(bench.plant, "press-1-1", "not needed", now=moment)
    await bench.planned(TOLD_AT + QUARTER)
    await bench.look(TOLD_AT + QUARTER + 15 * SECOND)
    assert bench.topics == ["ask", "withdrawn"]
    assert bench.net_kw(PRESS) == pytest.approx(-400)
    later = TOLD_AT + QUARTER + MINUTE
    at(bench.plant, later)
    await instructing.ask_by_hand(
        bench.plant, PRESS, window=WINDOW, amount_kw=200.0, why="a drill", now=later
    )
    await settle(bench.plant)
    assert bench.topics == ["ask", "withdrawn", "ask"]


@acted
async def test_an_old_plan_does_not_ask_again_for_what_was_taken_back(bench: Bench) -> None:
    """The next one fails, and the old one still has the call."""
    await bench.asked()
    moment = TOLD_AT + MINUTE
    at(bench.plant, moment)
    await instructing.take_back(bench.plant, "press-1-1", "not needed", now=moment)
    bench.plant.executor = NoSolver()
    await cycle.replan(bench.plant, moment)
    await bench.look(moment + 15 * SECOND)
    assert bench.topics == ["ask", "withdrawn"]


# ---------------------------------------------------------------- the meter, and the next time


async def through_the_window(bench: Bench, press_kw: float) -> None:
    """Accepted; the press draws so much in the window (a size)."""
    await bench.asked()
    moment = TOLD_AT + MINUTE
    await instructing.answer(bench.plant, "press-1-1", Accepted(at=moment, by=WHO), now=moment)
    bench.draws_kw["press_1"] = -press_kw
    await bench.planned(WINDOW.start)
    await bench.look(WINDOW.start)
    assert bench.story.state is State.UNDER_WAY
    for quarter in WINDOW.split(QUARTER):
        await bench.through(quarter)


@acted
async def test_the_meter_says_what_was_kept_and_nobody_else(bench: Bench) -> None:
    await through_the_window(bench, 100.0)
    assert bench.story.state is State.VERIFIED
    assert bench.story.verification == Kept(delivered_kw=300.0, metered=8, quarters=8)
    assert instructionplan.reliability_of(bench.plant, PRESS) == 1


@acted
async def test_half_of_what_was_promised_makes_the_next_offer_count_on_half(bench: Bench) -> None:
    await through_the_window(bench, 250.0)
    plant, tomorrow = bench.plant, WINDOW.start + timedelta(days=1)
    assert bench.story.verification == Kept(delivered_kw=150.0, metered=8, quarters=8)
    assert instructionplan.reliability_of(plant, PRESS) == 0.5

    request = InvitationRequest.model_validate(
        {"invitation_id": "peak-2", "revision": 1, "wanted_mw": "0.3", "source": "the platform"}
        | {"start": tomorrow, "end": tomorrow + timedelta(hours=2), "price_cap_per_mwh": "3000"}
        | {"reply_by": tomorrow - timedelta(hours=6)}
    )
    later = WINDOW.end + timedelta(hours=1)
    await demandresponse.take(plant, "cn.generic.dr.peak.day_ahead", request, now=WINDOW.end)
    await planned(plant, later)
    (_, invited) = plant.dr.book.stories()
    schedule = plant.schedule
    assert schedule is not None
    inside = schedule.horizon.slice(invited.invitation.window)
    assert schedule.curtailed_kw[PRESS][inside] == pytest.approx(np.full(8, 150.0))
    plant.file = replace(
        plant.file,
        demand_response=plant.file.demand_response.model_copy(update={"reliability_calls": 0}),
    )
    found = drreply.capability(plant, invited.invitation, later)
    assert found.response_kw[EnterpriseId("hand-1")] == pytest.approx(150, abs=1)
    assert found.quantity_mw == Decimal("0.30")  # the battery takes what is not counted on


@acted
async def test_who_is_counted_on_for_half_is_asked_for_all_of_it(bench: Bench) -> None:
    await through_the_window(bench, 250.0)
    plant, tomorrow = bench.plant, WINDOW.start + timedelta(days=1)
    await planned(plant, tomorrow - timedelta(hours=3))
    await instructing.ask_by_hand(
        plant,
        PRESS,
        window=Interval(tomorrow, tomorrow + timedelta(hours=2)),
        amount_kw=300.0,
        why="a drill",
        now=tomorrow - timedelta(hours=3),
    )
    newest = list(plant.instructions.stories.values())[-1]
    assert newest.promised_kw == 300
    assert instructionplan.counts_kw(newest) == 150


@acted
async def test_while_it_is_under_way_the_plan_counts_on_no_more_than_the_meter_shows(
    bench: Bench,
) -> None:
    await bench.asked()
    moment = TOLD_AT + MINUTE
    await instructing.answer(bench.plant, "press-1-1", Accepted(at=moment, by=WHO), now=moment)
    bench.draws_kw["press_1"] = -320.0
    await bench.planned(WINDOW.start)
    await bench.look(WINDOW.start)
    first = Interval(WINDOW.start, WINDOW.start + QUARTER)
    await bench.through(first)
    assert instructionplan.counts_kw(bench.story) == pytest.approx(80)


@acted
async def test_a_window_that_nobody_metered_is_not_verified_and_changes_nothing(
    bench: Bench,
) -> None:
    await bench.asked()
    moment = TOLD_AT + MINUTE
    await instructing.answer(bench.plant, "press-1-1", Accepted(at=moment, by=WHO), now=moment)
    await bench.look(WINDOW.start)
    await bench.look(WINDOW.end)
    assert bench.story.state is State.UNDER_WAY  # late meters are waited for
    await bench.look(WINDOW.end + instructionturn.METER_GRACE)
    assert bench.story.verification == Unverified(reason="0 of 8 quarter-hours were metered")
    assert instructionplan.reliability_of(bench.plant, PRESS) == 1


@acted
async def test_what_a_load_draws_while_it_is_turned_down_is_not_learnt(bench: Bench) -> None:
    await through_the_window(bench, 100.0)
    closed = bench.plant.closed
    assert closed is not None
    assert closed.interval.end == WINDOW.end
    assert PRESS in closed.turned_down


@acted
async def test_a_restart_goes_on_where_every_story_stood(bench: Bench) -> None:
    await through_the_window(bench, 250.0)
    journal = bench.plant.journal
    again = a_plant(bench.file, bench.folder, now=WINDOW.end, journal=journal)
    assert again.instructions.stories == bench.plant.instructions.stories
    assert again.instructions.made == 1
    assert instructionplan.reliability_of(again, PRESS) == 0.5


@acted
async def test_a_person_who_left_the_park_file_says_yes_to_nothing(bench: Bench) -> None:
    """In a real service; in a simulation nobody stands there, and everybody says yes."""
    await bench.asked()
    moment = TOLD_AT + MINUTE
    await instructing.answer(bench.plant, "press-1-1", Accepted(at=moment, by=WHO), now=moment)
    bench.plant.people.persons = {}
    assert instructionplan.simulated_kw(bench.plant, WINDOW.start) == {PRESS: -100.0}
    trading = bench.file.trading.model_copy(update={"mode": "live"})
    bench.plant.file = replace(bench.file, trading=trading)
    assert instructionplan.simulated_kw(bench.plant, WINDOW.start) == {}
    await instructing.take_back(bench.plant, "press-1-1", "not needed", now=moment)
    said = [event.text for event in bench.plant.events.recent()]
    assert any("person-1 was not told of press-1-1 (withdrawn)" in text for text in said)


@acted
async def test_a_restart_before_the_deadline_waits_for_the_answer_on(bench: Bench) -> None:
    await bench.asked()
    again = a_plant(bench.file, bench.folder, now=TOLD_AT + MINUTE, journal=bench.plant.journal)
    moment = TOLD_AT + 2 * MINUTE
    story = await instructing.answer(again, "press-1-1", Accepted(at=moment, by=WHO), now=moment)
    assert story.state is State.ACCEPTED
    assert isinstance(story.instruction, Instruction)
