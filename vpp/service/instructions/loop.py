"""The loop of instructions: what is due is done, and what fell out is given to others without waiting."""

from __future__ import annotations

from datetime import datetime, timedelta

from vpp.service import cycle
from vpp.service.instructions import turn as instructionturn
from vpp.service.plant import Plant

TICK = timedelta(seconds=15)
"""With a plan after it a deadline that passes is made up for well within a minute."""


async def look(plant: Plant, now: datetime) -> None:
    """Move every instruction on; where a share fell out make a plan at once, and say who takes it."""
    await instructionturn.look(plant, now)
    if not instructionturn.waiting(plant, now):
        return
    instructionturn.try_again(plant, now)
    await cycle.replan(plant, now)
    await instructionturn.look(plant, now)
