"""The net position after 10 000 random events, held against the journal alone, every 500 of them.

    python -m benchmarks net_position [--small] [--json]

Bids, awards and their revisions, withdrawals, outside trades, contracts by series, calls, restarts: see
`_positions.py`. A figure that is not 0 is a fault of the book, of the position or of recovery.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks._positions import Script, script
from benchmarks.harness import Benchmark, Figure

EVENTS, EVERY = 10_000, 500
SMALL, SMALL_EVERY = 300, 3


async def play(events: int, every: int, seed: int, folder: Path) -> tuple[Script, list[str]]:
    """So many events; all differences found `every` so many of them, and after a last restart."""
    one = script(folder, seed)
    wrong: list[str] = []
    for number in range(1, events + 1):
        await one.happen()
        if number % every == 0:
            wrong += one.wrong()
    wrong += one.wrong()
    await one.restart()
    wrong += one.wrong()
    return one, wrong


def measure(small: bool) -> Sequence[Figure]:
    """One script."""
    with tempfile.TemporaryDirectory(prefix="vpp-positions-") as folder:
        size = (SMALL, SMALL_EVERY) if small else (EVENTS, EVERY)
        one, wrong = asyncio.run(play(*size, 1, Path(folder)))
    return (
        Figure(name="events", measured=one.number),
        Figure(name="refused or in conflict", measured=sum(one.refused.values())),
        Figure(name="restarts", measured=one.done["restart"] + 1),
        Figure(name="differences from the journal", measured=len(wrong), at_least=0, at_most=0),
    )


BENCHMARK = Benchmark(about="the net position equals its journal", measure=measure)
