"""A version is put on the journal, and waits for the next plan."""

from __future__ import annotations

from datetime import datetime

from vpp.service.events import Severity
from vpp.service.plant import Plant
from vpp.service.record import append_all
from vpp.service.strategies.strategies import Strategies
from vpp.service.tuning import record
from vpp.service.tuning.desk import Version
from vpp.wirestrategies import Origin


async def accept(
    plant: Plant,
    read: Strategies,
    origin: Origin,
    by: str,
    reason: str,
    based_on: str | None,
    now: datetime,
) -> int:
    """Put a version on the journal, with the text that it will replace in the file where none is."""
    desk = plant.tuning
    number = max(desk.versions, default=0) + 1
    entries = [record.accepted_entry(number, read, origin, by, reason, based_on)]
    known = {read.version, *(one.version for one in desk.versions.values())}
    if desk.seen.text and desk.seen.version not in known:
        entries.insert(0, record.overwritten_entry(number, desk.seen.text))
    await append_all(plant, entries, now=now)
    desk.versions[number] = Version(
        number=number,
        version=read.version,
        origin=origin,
        by=by,
        reason=reason,
        accepted_at=now,
    )
    desk.leave_to_the_journal()
    return number


def wait(plant: Plant, read: Strategies, number: int, now: datetime) -> None:
    """Let a version that is accepted wait for the next plan."""
    desk, version = plant.tuning, plant.tuning.versions[number]
    desk.waiting, desk.waiting_number = read, number
    plant.metrics.tuning.changed("accepted")
    plant.events.emit(
        "strategies",
        f"version {number} ({read.version}) waits for the next plan: {version.by}: {version.reason}",
        at=now,
        severity=Severity.WARNING,
        version=read.version,
        number=number,
        by=version.by,
        origin=version.origin,
    )


async def accept_edit(plant: Plant, read: Strategies, by: str, now: datetime) -> None:
    """Accept what somebody wrote into the file. Called with `changing` held.

    Raises:
        UnavailableError: The journal cannot be written: looked at again later.
    """
    desk = plant.tuning
    if read.version == plant.strategy_version:
        if desk.waiting is not None:
            desk.waiting, desk.waiting_number = None, None
            plant.events.emit(
                "strategies", "the file holds again what is live: nothing waits", at=now
            )
        return
    if desk.waiting is not None and read.version == desk.waiting.version:
        return
    number = await accept(
        plant, read, "file", by, "the file was edited", plant.strategy_version, now
    )
    wait(plant, read, number, now)
