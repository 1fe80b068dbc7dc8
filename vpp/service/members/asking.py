"""A member asks for a window, an operator confirms it: then it stands in the strategy file, as a version of that.

    member ─▶ POST ─▶ journal ─▶ open ─▶ operator ─┬─ refuse ─▶ journal
                                                   └─ accept ─▶ strategy file (`windowtext.py`) ─▶ journal

Nothing a member asks for holds before a person has said so; whoever accepts is named in the version's reason.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from vpp.errors import ConflictError, DataError
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.time import Interval, isoformat, local_date, parse_utc
from vpp.ports import JournalEntry
from vpp.service.events import Severity
from vpp.service.members.desk import AskedWindow, RequestState
from vpp.service.members.windowtext import with_window
from vpp.service.plant import Plant
from vpp.service.record import append
from vpp.service.tuning import changing
from vpp.wiremembers import WindowKind, WindowRequest

ASKED, DECIDED = "member_request", "member_decision"
"""Kinds of journal entries; both under the number of the request."""

MOST_OPEN = 50
"""Requests of one member that nobody has decided: more are refused."""

MOST_KEPT = 2000
"""Requests of all members that are kept in memory; all are on record."""

LONGEST = timedelta(days=366)


class _Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    enterprise: str
    kind: WindowKind
    resources: list[str]
    start: str
    end: str
    by: str
    reason: str


class _Decided(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    state: str
    by: str
    reason: str
    strategy_version: str | None


async def ask(
    plant: Plant, enterprise_id: EnterpriseId, request: WindowRequest, *, now: datetime
) -> AskedWindow:
    """Take a request down; acknowledged when it is on disk.

    Raises:
        DataError: What it names is not the member's, its span is none, or too many wait.
        UnavailableError: The journal cannot be written: it was not taken.
    """
    desk, where = plant.members, f"request of {enterprise_id}"
    _require_sense(plant, enterprise_id, request, now, where)
    waiting = [one for one in desk.asked.values() if one.state is RequestState.OPEN]
    if sum(one.enterprise_id == enterprise_id for one in waiting) >= MOST_OPEN:
        raise DataError(
            f"{MOST_OPEN} requests wait already",
            where=where,
            fix="Withdraw one, or have them decided",
        )
    desk.numbers += 1  # taken before the disk is: two at once are two
    asked = AskedWindow(
        number=desk.numbers,
        enterprise_id=enterprise_id,
        kind=request.kind,
        resources=tuple(map(ResourceId, request.resources)),
        span=Interval(request.start, request.end),
        by=request.by,
        reason=request.reason,
        at=now,
    )
    body = msgspec.json.encode(
        _Asked(
            enterprise=enterprise_id,
            kind=asked.kind,
            resources=list(asked.resources),
            start=isoformat(asked.span.start),
            end=isoformat(asked.span.end),
            by=asked.by,
            reason=asked.reason,
        )
    )
    await append(plant, ASKED, str(asked.number), body, now=now)
    desk.asked[asked.number] = asked
    _keep_few(plant)
    text = f"{asked.by} of {enterprise_id} asks for {_words(asked)}: {asked.reason}"
    _tell(plant, asked, text, now)
    return asked


async def decide(
    plant: Plant, number: int, *, accept: bool, by: str, reason: str, now: datetime
) -> AskedWindow:
    """Confirm a request, so that it stands in the strategy file, or refuse it.

    Raises:
        DataError: There is no such request, or the file has no line to put it into.
        ConflictError: It is decided, or the file was changed meanwhile.
        ConfigErrors: With it the strategy file would not hold.
        UnavailableError: Journal or file cannot be written.
    """
    async with plant.members.deciding:
        asked = _open(plant, number)
        version: str | None = None
        if accept:
            seen = plant.tuning.seen
            key, item = _item(plant, asked)
            text = with_window(seen.text, asked.enterprise_id, key, item)
            why = f"request {number} of {asked.enterprise_id} ({asked.reason}): {reason}"
            put = changing.put(plant, text, by=by, reason=why[:500], based_on=seen.version, now=now)
            version = (await put).version
        state = RequestState.ACCEPTED if accept else RequestState.REFUSED
        return await _decided(plant, asked, state, by, reason, version, now)


async def withdraw(
    plant: Plant, enterprise_id: EnterpriseId, number: int, *, by: str, reason: str, now: datetime
) -> AskedWindow:
    """A member takes its request back. Raises as `decide`."""
    async with plant.members.deciding:
        asked = _open(plant, number, of=enterprise_id)
        return await _decided(plant, asked, RequestState.WITHDRAWN, by, reason, None, now)


def recover(plant: Plant) -> None:
    """Take up what the journal holds, in the order in which it came."""
    for entry in plant.journal.entries(ASKED, DECIDED):
        _replay(plant, entry)
    _keep_few(plant)


# ---------------------------------------------------------------- inside


def _require_sense(
    plant: Plant, enterprise_id: EnterpriseId, request: WindowRequest, now: datetime, where: str
) -> None:
    owned = plant.file.park.resource_by_id
    for name in request.resources:
        resource = owned.get(ResourceId(name))
        if resource is None or resource.enterprise_id != enterprise_id:
            raise DataError(
                f"{name} is no resource of {enterprise_id}", where=where, fix="Name its own"
            )
    if request.kind == "no_calls" and request.resources:
        raise DataError("a member is called as a whole", where=where, fix="Leave `resources` out")
    if not request.start < request.end:
        raise DataError(
            f"{isoformat(request.start)} to {isoformat(request.end)} is no span",
            where=where,
            fix="Let the end lie after the beginning",
        )
    if request.end <= now or request.end - request.start > LONGEST:
        raise DataError(
            f"{isoformat(request.start)} to {isoformat(request.end)} is over, or longer than a year",
            where=where,
            fix=f"Ask for at most {LONGEST.days} days that are to come",
        )


def _item(plant: Plant, asked: AskedWindow) -> tuple[str, dict[str, Any]]:
    """Under which key of a member what stands in the strategy file."""
    zone = plant.file.park.timezone
    own: dict[str, Any] = {"resources": list(asked.resources)} if asked.resources else {}
    reason = f"{asked.reason} (asked by {asked.by})"
    if asked.kind == "maintenance":
        start, end = (at.astimezone(zone).isoformat() for at in (asked.span.start, asked.span.end))
        return "maintenance", own | {"from": start, "to": end, "reason": reason}
    days = {
        "first": local_date(asked.span.start, zone).isoformat(),
        "last": local_date(asked.span.end - timedelta(microseconds=1), zone).isoformat(),
    }
    covers = {"covers": "calls"} if asked.kind == "no_calls" else {}
    return "vetoes", own | covers | days | {"reason": reason}


def _open(plant: Plant, number: int, of: EnterpriseId | None = None) -> AskedWindow:
    asked = plant.members.asked.get(number)
    if asked is None or of not in (None, asked.enterprise_id):
        raise DataError(
            f"there is no request {number}", where="requests", fix="Look at what was asked for"
        )
    if asked.state is not RequestState.OPEN:
        raise ConflictError(
            f"it is {asked.state}: {asked.decided_by}: {asked.decided_because}",
            where=f"request {number}",
            fix="Ask for another one",
        )
    return asked


async def _decided(
    plant: Plant,
    asked: AskedWindow,
    state: RequestState,
    by: str,
    reason: str,
    version: str | None,
    now: datetime,
) -> AskedWindow:
    body = msgspec.json.encode(
        _Decided(state=state, by=by, reason=reason, strategy_version=version)
    )
    await append(plant, DECIDED, str(asked.number), body, now=now)
    done = _with(asked, state, by, reason, version, now)
    plant.members.asked[asked.number] = done
    text = f"request {done.number} of {done.enterprise_id} ({_words(done)}) is {state} by {by}: {reason}"
    _tell(plant, done, text, now)
    return done


def _with(
    asked: AskedWindow,
    state: RequestState,
    by: str,
    reason: str,
    version: str | None,
    at: datetime,
) -> AskedWindow:
    return replace(
        asked,
        state=state,
        decided_by=by,
        decided_because=reason,
        decided_at=at,
        strategy_version=version,
    )


def _replay(plant: Plant, entry: JournalEntry) -> None:
    desk, number, where = plant.members, int(entry.key), f"journal, request {entry.key}"
    if entry.kind == DECIDED:
        said = msgspec.json.decode(entry.body, type=_Decided)
        state = RequestState(said.state)
        desk.asked[number] = _with(
            desk.asked[number],
            state,
            said.by,
            said.reason,
            said.strategy_version,
            entry.recorded_at,
        )
        return
    told = msgspec.json.decode(entry.body, type=_Asked)
    desk.numbers = max(desk.numbers, number)
    desk.asked[number] = AskedWindow(
        number=number,
        enterprise_id=EnterpriseId(told.enterprise),
        kind=told.kind,
        resources=tuple(map(ResourceId, told.resources)),
        span=Interval(parse_utc(told.start, where=where), parse_utc(told.end, where=where)),
        by=told.by,
        reason=told.reason,
        at=entry.recorded_at,
    )


def _keep_few(plant: Plant) -> None:
    """Forget the oldest that are decided; those that wait are bounded by `MOST_OPEN`."""
    desk = plant.members
    done = [n for n, one in desk.asked.items() if one.state is not RequestState.OPEN]
    for number in done[: max(0, len(desk.asked) - MOST_KEPT)]:
        del desk.asked[number]


def _words(asked: AskedWindow) -> str:
    what = ", ".join(asked.resources) or "everything it owns"
    span = f"{isoformat(asked.span.start)} to {isoformat(asked.span.end)}"
    return f"{asked.kind} of {what} from {span}"


def _tell(plant: Plant, asked: AskedWindow, text: str, now: datetime) -> None:
    plant.events.emit(
        "member_request", text, at=now, severity=Severity.WARNING, request=asked.number,
        enterprise=asked.enterprise_id, state=asked.state.value,
    )  # fmt: skip
