from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from vpp.act.ladder import SafeState, decide
from vpp.model.time import QUARTER

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)


def at(minute: float, **changes: Any) -> Any:
    """The rung `minute` minutes after a plan made at noon for a day."""
    facts: dict[str, Any] = {
        "now": NOON + timedelta(minutes=minute),
        "killed": None,
        "reconciled": True,
        "plan_issued_at": NOON,
        "plan_ends_at": NOON + timedelta(hours=24),
        "plan_every": QUARTER + timedelta(minutes=1),
        "hold_for": 2 * QUARTER,
        "failure": None,
        "doubts": (),
    }
    return decide(**(facts | changes))


@pytest.mark.parametrize(
    ("rung", "state", "bids", "commands"),
    [
        pytest.param(at(0), "normal", True, True, id="a fresh plan"),
        pytest.param(at(15.9), "normal", True, True, id="the next one is being solved"),
        pytest.param(at(1, doubts=("prices missing",)), "no_new_bids", False, True, id="a doubt"),
        pytest.param(at(1, failure="infeasible"), "hold", False, True, id="a solve failed"),
        pytest.param(at(16), "hold", False, True, id="no newer plan, and nobody says why"),
        pytest.param(at(45.9, failure="time limit"), "hold", False, True, id="still held"),
        pytest.param(at(46), "release", False, False, id="held for two intervals"),
        pytest.param(
            at(5, plan_ends_at=NOON + timedelta(minutes=5)), "release", False, False, id="its end"
        ),
        pytest.param(at(0, plan_issued_at=None), "release", False, False, id="no plan yet"),
        pytest.param(at(0, reconciled=False), "release", False, False, id="after a restart"),
        pytest.param(at(0, killed="by hand"), "killed", False, False, id="killed beats all"),
        pytest.param(
            at(50, killed="by hand", reconciled=False), "killed", False, False, id="killed, really"
        ),
    ],
)
def test_the_rung_follows_from_the_facts(rung: Any, state: str, bids: bool, commands: bool) -> None:
    assert rung.state is SafeState(state)
    assert (rung.may_bid, rung.may_command) == (bids, commands)
    assert bool(rung.reason) == (state != "normal")


def test_the_reason_names_cause_and_end() -> None:
    assert at(20, failure="infeasible").reason == "infeasible; held until 2025-12-03T12:46:00Z"
    assert "infeasible" in at(50, failure="infeasible").reason
    assert at(1, doubts=("prices missing", "disk full")).reason == "prices missing; disk full"
