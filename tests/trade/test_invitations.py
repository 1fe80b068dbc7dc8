"""Invitations to demand response: the table of stages, revisions, and a book that is rebuilt from its record."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest

from vpp.errors import ConflictError, DataError
from vpp.model.demandresponse import (
    Confirmation,
    Evaluation,
    Invitation,
    MemberResult,
    Nomination,
    Stage,
)
from vpp.model.ids import EnterpriseId, ProductId, UnitId
from vpp.model.market import Side
from vpp.model.time import Interval
from vpp.trade import drlifecycle
from vpp.trade.drlifecycle import TRANSITIONS, Happening
from vpp.trade.invitations import (
    Detail,
    InvitationBook,
    Step,
    Story,
    invitation_from_record,
    invitation_to_record,
    step_from_record,
    step_to_record,
)

D = Decimal
START = datetime(2026, 7, 15, 9, tzinfo=UTC)
MILL = EnterpriseId("mill")


def invitation(revision: int = 1, wanted: str = "2", **changes: object) -> Invitation:
    base = Invitation(
        invitation_id="peak",
        revision=revision,
        product_id=ProductId("dr"),
        unit_id=UnitId("unit"),
        side=Side.SELL,
        window=Interval(START, START + timedelta(hours=2)),
        wanted_mw=D(wanted),
        price_cap_per_mwh=D(3000),
        fixed_price_per_mwh=None,
        reply_by=START - timedelta(hours=20),
        area="east",
        source="platform",
        received_at=START - timedelta(hours=30),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


NOMINATION = Nomination(
    bid_set_id="set-1",
    quantity_mw=D("1.5"),
    price_per_mwh=D(2900),
    shares_mw={MILL: D("1.5")},
    made_at=START - timedelta(hours=21),
    by="auto",
)
CONFIRMATION = Confirmation(quantity_mw=D(1), price_per_mwh=D(2900))
RESULT = MemberResult(
    baseline_mwh=D(4), actual_mwh=D(2), response_mwh=D(2), amount=D("5800.00"), penalty=D(0)
)
EVALUATION = Evaluation(
    at=START + timedelta(hours=3),
    cleared_mwh=D(2),
    response_mwh=D(2),
    completion=D(1),
    invalid="",
    amount=D("5800.00"),
    penalty=D(0),
    provisional=False,
    members={MILL: RESULT},
)
DETAILS: dict[Happening, Detail] = {
    Happening.NOMINATE: NOMINATION,
    Happening.CONFIRM: CONFIRMATION,
    Happening.EVALUATE: EVALUATION,
}


def step(number: int, happening: Happening) -> Step:
    return Step(
        invitation_id="peak",
        number=number,
        happening=happening,
        at=START,
        words="said",
        detail=DETAILS.get(happening),
    )


def told(*happenings: Happening) -> Story:
    book = InvitationBook()
    book.take(invitation())
    for number, happening in enumerate(happenings, 1):
        book.happen(step(number, happening))
    story = book.find("peak")
    assert story is not None
    return story


H = Happening


def test_an_invitation_goes_from_the_reply_to_the_money() -> None:
    path = [H.NOMINATE, H.CONFIRM, H.REMIND, H.BEGIN, H.EVALUATE, H.SETTLE]
    stages = [told(*path[:count]).stage for count in range(len(path) + 1)]
    assert [stage.value for stage in stages] == [
        *("invited", "nominated", "confirmed", "reminded", "under_way", "evaluated", "settled")
    ]
    story = told(*path)
    assert story.nomination == NOMINATION
    assert story.confirmation == CONFIRMATION
    assert story.evaluation == EVALUATION


def test_what_is_owed_is_the_nomination_until_something_is_confirmed() -> None:
    assert told().owed_mw == 0
    assert told(H.NOMINATE).owed_mw == D("1.5")
    assert told(H.NOMINATE, H.CONFIRM).owed_mw == 1
    assert told(H.NOMINATE, H.DECLINE).owed_mw == 0


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("happening", Happening)
def test_what_the_table_does_not_hold_is_refused_and_changes_nothing(
    stage: Stage, happening: Happening
) -> None:
    if (stage, happening) in TRANSITIONS:
        assert drlifecycle.after(stage, happening, where="x") is TRANSITIONS[stage, happening]
        return
    with pytest.raises(ConflictError, match=f"it is {stage}"):
        drlifecycle.after(stage, happening, where="x")


def test_every_stage_is_reached_and_only_a_settled_one_is_left_by_nothing() -> None:
    reached = set(TRANSITIONS.values()) | {Stage.INVITED}
    assert reached == set(Stage)
    assert set(Stage) - {stage for stage, _ in TRANSITIONS} == {Stage.SETTLED}


def test_the_platform_may_take_back_at_any_point_until_it_is_evaluated() -> None:
    for path in (
        [],
        [H.NOMINATE],
        [H.NOMINATE, H.CONFIRM],
        [H.NOMINATE, H.CONFIRM, H.REMIND, H.BEGIN],
    ):
        book = InvitationBook()
        book.take(invitation())
        for number, happening in enumerate(path, 1):
            book.happen(step(number, happening))
        book.take(invitation(2, "0"))
        story = book.find("peak")
        assert story is not None
        assert story.stage is Stage.WITHDRAWN
    book.take(invitation(3, "1"))
    assert book.find("peak").stage is Stage.INVITED  # type: ignore[union-attr]


def test_a_higher_revision_begins_anew_and_a_late_one_moves_nothing() -> None:
    book = InvitationBook()
    book.take(invitation())
    book.happen(step(1, H.NOMINATE))
    book.take(invitation(3, "4"))
    story = book.find("peak")
    assert story is not None
    assert (story.stage, story.nomination) == (Stage.INVITED, None)
    assert story.invitation.wanted_mw == 4
    assert not book.is_new(invitation(2, "9"))
    book.take(invitation(2, "9"))
    assert book.find("peak") == story


def test_the_same_revision_with_other_content_is_a_conflict() -> None:
    book = InvitationBook()
    book.take(invitation())
    assert not book.is_new(invitation(received_at=START - timedelta(hours=29)))
    with pytest.raises(ConflictError, match="other content"):
        book.take(invitation(wanted="3"))
    with pytest.raises(ConflictError, match="Use another id"):
        book.take(invitation(2, product_id=ProductId("other")))


def test_an_invitation_that_cannot_be_answered_in_time_is_none() -> None:
    with pytest.raises(DataError, match="before the window"):
        invitation(reply_by=START)


def test_thousand_random_stories_are_the_same_after_a_restart() -> None:
    random = Random(7)
    for _ in range(1000):
        live, again, journal = InvitationBook(), InvitationBook(), []
        first = invitation()
        journal.append(("invitation", "", invitation_to_record(first)))
        live.take(first)
        revision = 1
        for _ in range(random.randrange(12)):
            story = live.find("peak")
            assert story is not None
            happening = random.choice(list(Happening))
            if not drlifecycle.may(story.stage, happening):
                continue
            if happening in (H.REVISE, H.WITHDRAW):
                revision += 1
                revised = invitation(revision, "0" if happening is H.WITHDRAW else "3")
                journal.append(("invitation", "", invitation_to_record(revised)))
                live.take(revised)
                continue
            one = step(len(story.steps) + 1, happening)
            journal.append(("step", one.key, step_to_record(one)))
            live.happen(one)
        for kind, key, body in [*journal, *journal[-1:]]:  # the last one twice: an unsure commit
            if kind == "invitation":
                again.take(invitation_from_record(body))
            else:
                again.happen(step_from_record(key, body))
        assert again.stories() == live.stories()
