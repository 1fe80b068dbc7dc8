"""Write to the journal, time it, and let the plant know when it cannot be written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from time import perf_counter

from vpp.errors import UnavailableError
from vpp.service.events import Severity
from vpp.service.plant import Plant

PLAN = "plan"
"""Kind of the journal entries of plans that stand, each under the id of the plan."""


async def append(plant: Plant, kind: str, key: str, body: bytes, *, now: datetime) -> None:
    """Put one entry on disk.

    Raises:
        ConflictError: The key is there with another body.
        UnavailableError: The disk refuses; until it takes an entry again nothing new is bid.
    """
    await append_all(plant, [(kind, key, body)], now=now)


async def append_all(
    plant: Plant, entries: Sequence[tuple[str, str, bytes]], *, now: datetime
) -> None:
    """Put several (kind, key, body) on disk, all or none. Raises as `append`."""
    began = perf_counter()
    try:
        await plant.journal.append_all(entries, now=now)
    except UnavailableError as error:
        plant.metrics.journal_failed()
        if plant.journal_fault is None:  # the change of state, not the state
            plant.events.emit("journal", str(error), at=now, severity=Severity.ALARM)
        plant.journal_fault = str(error)
        raise
    plant.metrics.journal_written(perf_counter() - began)
    if plant.journal_fault is not None:
        plant.journal_fault = None
        plant.events.emit("journal", "the journal takes entries again", at=now)
