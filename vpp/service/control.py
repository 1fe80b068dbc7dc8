"""What operators order: for now the kill switch. Each order is on record before it is confirmed."""

from __future__ import annotations

import hashlib
from datetime import datetime

from vpp.errors import ConflictError, UnavailableError
from vpp.model.time import isoformat
from vpp.service.events import Severity
from vpp.service.plant import Plant
from vpp.service.record import append
from vpp.wire import KillRequest

KIND = "kill"


async def set_kill(plant: Plant, request: KillRequest, *, now: datetime) -> None:
    """Stop bids and set-points at once, or let them go again.

    Killing needs neither journal nor broker: the latch is set first and recorded afterwards.

    Raises:
        ConflictError: A kill came while the release was put on record: the kill stands.
        UnavailableError: The latch could not be written, or an order could not be recorded.
    """
    body = request.model_dump_json().encode()
    key = f"{isoformat(now)}/{hashlib.sha256(body).hexdigest()[:16]}"
    if not request.killed:
        latched_ns = plant.kill.latched_ns
        await append(plant, KIND, key, body, now=now)
        if plant.kill.latched_ns not in (None, latched_ns):
            raise ConflictError(
                f"meanwhile it was killed again: {plant.kill.reason}",
                where="kill",
                fix="Release it anew if that reason is settled too",
            )
        plant.kill.release()
    else:
        try:
            plant.kill.kill(request.reason)
        except OSError as error:
            raise UnavailableError(
                f"the kill switch could not be latched: {error}",
                where="kill",
                fix="Stop the process; free or mount the data folder",
            ) from error
    plant.events.emit(
        "kill",
        ("killed: " if request.killed else "released: ") + request.reason,
        at=now,
        severity=Severity.ALARM,
    )
    if request.killed:
        await append(plant, KIND, key, body, now=now)
