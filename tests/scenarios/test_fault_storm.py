"""An hour in which broker, solver and prices fail at once, of 200 devices: what an operator sees of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks._storm import NOON, ROOTS, storm
from vpp.model.alarm import AlarmState, Priority
from vpp.service.alarms.book import MOST_SHOWN


@pytest.mark.parametrize("flaps", [False, True], ids=["all down", "the link comes and goes"])
def test_of_a_fault_storm_few_alarms_are_shown_and_the_first_causes_first(
    flaps: bool, tmp_path: Path
) -> None:
    seen = storm(200, tmp_path, flaps=flaps)

    assert seen.roots_first
    assert seen.most_in_10min <= MOST_SHOWN
    assert {a.condition.kind for a in seen.at_the_end} == ROOTS
    first_at, first = seen.first_shown[0]
    assert (first_at, first.priority) == (NOON, Priority.CRITICAL), "the solver, at its question"
    assert all(a.state is AlarmState.UNACKNOWLEDGED for a in seen.at_the_end)
    assert seen.raised > len(seen.at_the_end), "consequences are there, under their causes"
