"""Three hundred random events: the net position equals what the journal alone says, on the way and after a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path

from benchmarks.net_position import SMALL, SMALL_EVERY, play


def test_the_net_position_equals_its_journal_after_random_events(tmp_path: Path) -> None:
    script, wrong = asyncio.run(play(SMALL, SMALL_EVERY, 1, tmp_path))

    assert wrong == []
    assert script.number == SMALL
    assert min(script.done[kind] for kind in ("bid", "award", "deal", "contract", "call")) > 10
    assert sum(script.refused.values()) < SMALL / 5
