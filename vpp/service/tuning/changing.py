"""A version is accepted, waits, and is taken at the next plan, whole or not at all.

    PUT, roll back ─▶ journal ─▶ file ─┐
    edit of the file ─────▶ journal ───┴─▶ waits ─▶ next plan: journal ─▶ live ─▶ stamped on plans, bids, set-points

The live version goes on whatever happens to the file: one that is broken, gone or half written is told,
and changes nothing. One that waits is replaced by a newer one, or dropped where the file goes back to what runs.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime

from vpp.errors import ConflictError, DataError, VppError
from vpp.service.events import Severity
from vpp.service.plant import Plant
from vpp.service.record import append_all
from vpp.service.strategies.strategies import Strategies, version_of
from vpp.service.tuning import record
from vpp.service.tuning.accepting import accept, wait
from vpp.service.tuning.desk import Seen, Version
from vpp.service.tuning.file import signature_of, write_text
from vpp.service.tuning.reading import read_aside
from vpp.service.tuning.trial import refused, trial_of
from vpp.service.tuning.watch import look_now
from vpp.wirestrategies import Origin

START_BY, START_REASON = "file", "as the file lay at the start"


async def put(
    plant: Plant,
    text: str,
    *,
    by: str,
    reason: str,
    based_on: str,
    now: datetime,
    origin: Origin = "put",
) -> Version:
    """Accept a text: on the journal first, then in the file; taken at the next plan.

    The text that the file holds already changes nothing.

    Raises:
        ConfigErrors: Every fault of the text; nothing is changed.
        ConflictError: The file is no longer what the text was made from.
        DataError: The strategies fail on the park as it stands, or failed at their first plan; or the park has
            no strategy file.
        UnavailableError: Journal or file cannot be written: the live version goes on.
    """
    desk = plant.tuning
    if not plant.strategies.given:
        raise DataError(
            "the park file names no strategy file",
            where="strategies",
            fix="Name one there (`strategies: strategies.yaml`), and start anew",
        )
    async with desk.changing:
        await look_now(plant, now)
        if desk.seen.version != based_on:
            raise ConflictError(
                f"the file holds {desk.seen.version} now, not {based_on}",
                where="strategies",
                fix="Read GET /v1/strategies, and make the change to that",
            )
        if (fault := refused(desk, version_of(text))) is not None:
            raise DataError(
                fault.what,
                where="strategies",
                fix="Change what it asks for; the same text is not tried again",
            )
        if desk.seen.text == text and not desk.seen.faults and desk.live_number:
            return desk.versions[desk.waiting_number or desk.live_number]
        read = await read_aside(plant, text)
        try_on_view(plant, read)
        number = await accept(plant, read, origin, by, reason, based_on, now)
        if desk.path is not None:
            await asyncio.to_thread(write_text, desk.path, text)
            desk.signature = signature_of(desk.path)
        desk.seen = Seen(text=text)
        wait(plant, read, number, now)
        return desk.versions[number]


async def roll_back(
    plant: Plant, to: int, *, by: str, reason: str, based_on: str, now: datetime
) -> Version:
    """Accept the text of an earlier version again, as a new one. Raises as `put`.

    Raises:
        DataError: There is no version of that number.
    """
    text = record.text_of(plant.journal, to)
    if text is None:
        raise DataError(
            f"there is no version {to}",
            where="strategies",
            fix="Name one of GET /v1/strategies/versions",
        )
    return await put(
        plant, text, by=by, reason=reason, based_on=based_on, now=now, origin="rollback"
    )


async def take(plant: Plant, now: datetime) -> None:
    """Let what waits be live from the plan of `now` on; at the first plan, what the file said at the start.

    Where the journal cannot be written it waits on: what plans go by is on record first.
    """
    desk = plant.tuning
    async with desk.changing:
        if desk.live_number == 0 and desk.waiting is None:
            began = plant.strategies
            number = await accept(plant, began, "start", START_BY, START_REASON, None, now)
            desk.waiting, desk.waiting_number = began, number
        read, number = desk.waiting, desk.waiting_number or 0
        plan_id = f"plan-{plant.plan_count + 1:06d}"
        before, desk.before = desk.before, None
        if read is None:
            if before is not None:  # on record as live, and the service ended before its first plan
                desk.trial = trial_of(desk.live_number, plant.strategies, plan_id, before)
            return
        await append_all(plant, [record.live_entry(number, plan_id)], now=now)
        record.mark_live(desk.versions, number, record.live_number(desk.versions), now, plan_id)
        if desk.live_number:
            before = desk.live_number, plant.strategies
        desk.trial = trial_of(number, read, plan_id, before)
        plant.file = replace(plant.file, strategies=read)
        desk.live_number, desk.waiting, desk.waiting_number = number, None, None
    version = desk.versions[number]
    plant.metrics.tuning.live(number)
    plant.events.emit(
        "strategies",
        f"version {number} ({read.version}) is live from {plan_id} on: {version.by}: {version.reason}",
        at=now,
        severity=Severity.INFO if version.origin == "start" else Severity.WARNING,
        version=read.version,
        number=number,
        plan_id=plan_id,
        by=version.by,
    )


def try_on_view(plant: Plant, read: Strategies) -> None:
    """Ask the strategies for terms of the newest picture of the park, which nobody follows.

    Raises:
        DataError: They have none to give.
    """
    if plant.view is None:
        return
    try:
        read.terms(plant.view)
    except (
        VppError
    ) as error:  # whatever else a strategy raises comes as one (`strategies/compose.py`)
        raise DataError(
            f"fail on the park as it stands: {error}",
            where="strategies",
            fix="Change the strategy that it names, or its settings",
        ) from error
