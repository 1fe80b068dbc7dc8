"""A demand-response call with fourteen members, seven of them people, from the invitation to the money."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from tests.scenarios.peopleday import END, FOREMEN, afternoon
from tests.service.peoplepark import PRODUCT, WINDOW
from vpp.model.demandresponse import Stage
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.instruction import Kept, State
from vpp.service.demandresponse.timelinecommand import seen
from vpp.service.demandresponse.timelineplot import CallSeen, draw_timeline
from vpp.service.instructions import instructing
from vpp.service.instructions import plan as instructionplan
from vpp.service.instructions.desk import Story
from vpp.service.plant import Plant


@dataclass(frozen=True, kw_only=True)
class Told:
    """What is left of the afternoon."""

    plant: Plant
    call: CallSeen
    statuses: dict[int, int]
    """What the page said to each foreman."""
    again: Sequence[int]
    """What it said to one who answers twice, and to one who comes after the deadline."""
    mails: int
    hooked: int

    def of(self, n: int) -> Story:
        """What was asked of one press, and what came of it."""
        (story,) = self.plant.instructions.of(ResourceId(f"press-{n}"))
        return story


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("people")

    async def play() -> Told:
        async with afternoon(folder) as day:
            await day.invite_and_confirm()
            await day.until(WINDOW.start)
            again = []
            for n in (1, 5):
                async with day.browser.post(day.links()[n], json={"answer": "decline"}) as said:
                    again.append(said.status)
            await day.until(END)
            url = str(day.api.make_url("")).rstrip("/")
            return Told(
                plant=day.plant,
                call=await seen(url, PRODUCT, "peak-1"),
                statuses=day.statuses,
                again=again,
                mails=len(day.room.mails),
                hooked=len(day.hooked),
            )

    return asyncio.run(play())


def test_everybody_is_told_over_his_own_channel_and_answers_on_the_page(told: Told) -> None:
    """Four by mail, three by webhook; two are reminded, and to one it is said that it is over."""
    assert (told.mails, told.hooked) == (4 + 1 + 1, 3 + 1)
    assert told.statuses == {1: 303, 2: 200, 3: 303, 4: 200, 6: 200, 7: 303}


def test_each_instruction_ends_as_its_foreman_meant_it(told: Told) -> None:
    ends = {n: told.of(n).state for n in FOREMEN}
    kept = dict.fromkeys((1, 2, 3, 6, 7), State.VERIFIED)
    assert ends == kept | {4: State.DECLINED, 5: State.UNANSWERED}


def test_what_is_not_promised_is_others_within_a_minute(told: Told) -> None:
    lost_kw = {3: 150, 4: 300, 5: 300}
    for n, kw in lost_kw.items():
        found = told.of(n).resplit
        assert found is not None
        assert found.after_s <= 60
        assert found.lost_kw == pytest.approx(kw)
        assert sum(found.taken_kw.values()) == pytest.approx(kw, abs=1)
        assert found.left_kw == pytest.approx(0, abs=1)
    assert all(told.of(n).resplit is None for n in FOREMEN.keys() - lost_kw.keys())


def test_the_meter_says_what_each_did_whatever_he_had_said(told: Told) -> None:
    for n, kw in {1: 300, 2: 300, 3: 150, 6: 300, 7: 100}.items():
        found = told.of(n).verification
        assert isinstance(found, Kept)
        assert found.delivered_kw == pytest.approx(kw, abs=1)
        assert found.metered == 8


def test_the_call_is_met_all_the_same(told: Told) -> None:
    (story,) = told.plant.dr.book.stories()
    assert story.stage is Stage.SETTLED
    evaluation = story.evaluation
    assert evaluation is not None
    assert evaluation.completion > Decimal("0.99")
    paid = {name: one.amount for name, one in evaluation.members.items()}
    assert len(paid) == 14
    assert paid[EnterpriseId("hand-4")] == paid[EnterpriseId("hand-5")] == 0
    assert paid[EnterpriseId("hand-1")] == 3 * paid[EnterpriseId("hand-7")]


def test_the_next_call_counts_on_each_for_what_he_did(told: Told) -> None:
    """A half at least: the park file's `least_reliability`."""
    counted = {
        n: instructionplan.reliability_of(told.plant, ResourceId(f"press-{n}")) for n in FOREMEN
    }
    assert counted == pytest.approx({1: 1, 2: 1, 3: 0.5, 4: 0.5, 5: 0.5, 6: 1, 7: 0.5})


def test_a_link_that_is_used_twice_or_late_changes_nothing(told: Told) -> None:
    assert told.again == [409, 410]
    assert told.of(1).promised_kw == 0  # it is verified; what was promised stands in its story
    assert [step.happening.value for step in told.of(1).steps] == ["accept", "begin", "verify"]
    assert [s.happening.value for s in told.of(5).steps] == ["remind", "pass", "resplit"]


def test_all_of_it_is_on_the_journal(told: Told) -> None:
    kinds = (instructing.INSTRUCTION, instructing.STEP, instructing.METERED)
    found = [sum(1 for _ in told.plant.journal.entries(kind)) for kind in kinds]
    steps = sum(len(told.of(n).steps) for n in FOREMEN)
    assert found == [7, steps, 5 * 8]


def test_its_time_line_is_drawn_of_what_the_service_says(told: Told, tmp_path: Path) -> None:
    """`VPP_PICTURES` names a folder where it stays."""
    pytest.importorskip("matplotlib")
    target = Path(os.environ.get("VPP_PICTURES", tmp_path)) / "people-call.png"
    draw_timeline(told.call, target)
    assert target.read_bytes().startswith(b"\x89PNG")
    assert target.stat().st_size > 50_000
    assert told.call.members == [f"hand-{n}" for n in range(1, 8)] + [
        f"site-{n}" for n in range(1, 8)
    ]
