"""An operator takes a resource in hand for a while: a power, or bounds that everything else goes on inside of.

    POST ─▶ fits the device? ─▶ journal ─▶ in force from the next act cycle, which comes at once

It is outranked by what protects the device and by the grid's orders, and outranks awards and strategies
(`vpp/act/arbitration.py`). It ends by itself, and survives a restart. A newer one of the same resource
replaces it. It holds where the service has let go of everything too (RELEASE): a person takes over; the kill
switch stops it like everything else.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec

from vpp.errors import DataError
from vpp.model.ids import ResourceId
from vpp.model.resource import FixedLoad, Resource
from vpp.model.time import isoformat, parse_utc
from vpp.service.events import Severity
from vpp.service.instructions import plan as instructionplan
from vpp.service.planning import alone, inhand
from vpp.service.plant import Plant
from vpp.service.record import append
from vpp.service.steering.desk import HeldOverride
from vpp.service.strategies import members
from vpp.wirecontrol import OverrideRequest

OVERRIDE, OVERRIDE_END = "override", "override_end"
"""Kinds of journal entries; both under `resource id/number of the override`."""

LONGEST = timedelta(days=31)
"""Nothing is in hand for longer without being renewed, however its end is given."""


async def take(
    plant: Plant, resource_id: str, request: OverrideRequest, *, now: datetime
) -> HeldOverride:
    """Take a resource in hand; acknowledged when it is on disk, in force from then on.

    Raises:
        DataError: No such resource, one that cannot be steered, a power that it cannot do, or a time that
            is over.
        UnavailableError: The journal cannot be written: not in force.
    """
    held = _held(plant, resource_id, request, now)
    plant.acting.overrides_made = held.number  # taken before the disk is: two at once are two
    await append(plant, OVERRIDE, _key(held), msgspec.json.encode(_record(held)), now=now)
    before = plant.acting.overrides.get(held.resource_id)
    if before is None or before.number < held.number:  # no newer one meanwhile
        plant.acting.overrides[held.resource_id] = held
        _ask_for_plan(plant, held, before, now)
    text = f"{held.by} takes {held.resource_id} in hand: {_words(held)}: {held.reason}"
    _tell(plant, held, text, now)
    return held


async def end(
    plant: Plant, resource_id: str, *, by: str, reason: str, now: datetime
) -> HeldOverride | None:
    """Give a resource back; again changes nothing. None where it was never in hand.

    Raises:
        UnavailableError: The journal cannot be written: it stays in force.
    """
    held = plant.acting.overrides.get(ResourceId(resource_id))
    if held is None or not held.holds(now):
        return held
    told = msgspec.json.encode({"by": by, "reason": reason})
    await append(plant, OVERRIDE_END, _key(held), told, now=now)
    held = replace(held, ended=True)
    if plant.acting.overrides[held.resource_id].number == held.number:  # no newer one meanwhile
        plant.acting.overrides[held.resource_id] = held
        _ask_for_plan(plant, held, None, now)
    _tell(plant, held, f"{by} gives {held.resource_id} back, as {held.by} had it: {reason}", now)
    return held


def in_force(plant: Plant, now: datetime) -> bool:
    """Whether any resource is in hand now."""
    return any(held.holds(now) for held in plant.acting.overrides.values())


def tell_expired(plant: Plant, now: datetime) -> None:
    """Say once of each override that its time is over."""
    for name, held in plant.acting.overrides.items():
        if held.until <= now and not held.ended and not held.told_over:
            plant.acting.overrides[name] = replace(held, told_over=True)
            plant.events.emit(
                "override",
                f"the override of {name} by {held.by} is over: it is steered as before",
                at=now,
                resource_id=name,
            )


def recover(plant: Plant) -> None:
    """Take up what the journal holds, in the order in which it came; what was over before is not told again."""
    desk, known = plant.acting, plant.file.park.resource_by_id
    now = plant.clock.now()
    for entry in plant.journal.entries(OVERRIDE, OVERRIDE_END):
        name, _, number = entry.key.rpartition("/")
        if entry.kind == OVERRIDE_END:
            held = desk.overrides.get(ResourceId(name))
            if held is not None and held.number == int(number):
                desk.overrides[held.resource_id] = replace(held, ended=True)
            continue
        desk.overrides_made = max(desk.overrides_made, int(number))
        if ResourceId(name) not in known:  # the park file lost it: nothing to hold
            continue
        newer = desk.overrides.get(ResourceId(name))
        if newer is not None and newer.number > int(number):  # two at once: the later one holds
            continue
        told = msgspec.json.decode(entry.body, type=dict[str, str | float])
        until = parse_utc(str(told["until"]), where=f"journal, {entry.key}")
        desk.overrides[ResourceId(name)] = HeldOverride(
            resource_id=ResourceId(name),
            number=int(number),
            low_kw=float(told["low_kw"]),
            high_kw=float(told["high_kw"]),
            since=entry.recorded_at,
            until=until,
            by=str(told["by"]),
            reason=str(told["reason"]),
            told_over=until <= now,
        )


def _held(plant: Plant, resource_id: str, request: OverrideRequest, now: datetime) -> HeldOverride:
    where = f"override of {resource_id[:80]}"
    resource = plant.file.park.resource_by_id.get(ResourceId(resource_id))
    if resource is None:
        raise DataError("there is no such resource", where=where, fix="Look at GET /v1/resources")
    if resource.resource_id in instructionplan.reached(plant):
        raise DataError(
            "a person turns it by hand", where=where, fix="Ask them: POST /v1/instructions"
        )
    if (why := members.left_alone(plant.strategies, now).get(resource.resource_id)) is not None:
        raise DataError(
            f"it is left alone now ({why})",
            where=where,
            fix="Change `members` of the strategy file",
        )
    if isinstance(resource, FixedLoad):
        raise DataError("a fixed load cannot be steered", where=where, fix="Name another resource")
    if request.end is not None:
        until = request.end.astimezone(UTC)
    else:
        assert request.for_minutes is not None
        until = now + timedelta(minutes=request.for_minutes)
    if until <= now:
        raise DataError(f"ended at {isoformat(until)}", where=where, fix="Give a time to come")
    if until > now + LONGEST:
        raise DataError(
            f"it would end at {isoformat(until)}, more than {LONGEST.days} days away",
            where=where,
            fix="Give a nearer end, and renew it",
        )
    low_kw, high_kw = _bounds(resource, request, where)
    return HeldOverride(
        resource_id=resource.resource_id,
        number=plant.acting.overrides_made + 1,
        low_kw=low_kw,
        high_kw=high_kw,
        since=now,
        until=until,
        by=request.by,
        reason=request.reason,
    )


def _bounds(resource: Resource, request: OverrideRequest, where: str) -> tuple[float, float]:
    """What it may still do, within what it can."""
    least, most = -resource.draw_kw, resource.feed_kw
    if request.power_kw is not None:
        low_kw = high_kw = request.power_kw
    else:
        low_kw = least if request.low_kw is None else request.low_kw
        high_kw = most if request.high_kw is None else request.high_kw
    if not least <= low_kw <= high_kw <= most:
        raise DataError(
            f"{low_kw:g} to {high_kw:g} kW is not within {least:g} to {most:g} kW",
            where=where,
            fix="Ask for what the resource can do; feeding is above 0",
        )
    return low_kw, high_kw


def _key(held: HeldOverride) -> str:
    return f"{held.resource_id}/{held.number}"


def _record(held: HeldOverride) -> dict[str, object]:
    return {
        "low_kw": held.low_kw,
        "high_kw": held.high_kw,
        "until": isoformat(held.until),
        "by": held.by,
        "reason": held.reason,
    }


def _words(held: HeldOverride) -> str:
    same = held.low_kw == held.high_kw
    what = f"{held.low_kw:g} kW" if same else f"{held.low_kw:g} to {held.high_kw:g} kW"
    return f"{what} until {isoformat(held.until)}"


def _ask_for_plan(
    plant: Plant, held: HeldOverride, before: HeldOverride | None, now: datetime
) -> None:
    """A plan at once of whose it is, where plans reckon with this override, or did with the one `before`."""
    resource = plant.file.park.resource_by_id[held.resource_id]
    known = before is not None and before.holds(now) and inhand.plannable(resource, before)
    if known or inhand.plannable(resource, held):
        what = "given back" if held.ended else "in hand"
        owners = frozenset({resource.enterprise_id})
        alone.ask(plant, owners, f"{held.resource_id} is {what}")


def _tell(plant: Plant, held: HeldOverride, text: str, now: datetime) -> None:
    plant.acting.nudge.ask()
    plant.events.emit(
        "override", text, at=now, severity=Severity.WARNING, resource_id=held.resource_id
    )
