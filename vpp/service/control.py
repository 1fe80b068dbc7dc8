"""What operators order: the kill switch, and its release by two persons. Each order is on record.

    kill      one call, at once: latch first, record afterwards
    release   one person asks ─▶ on record ─▶ within `trading.release_within_minutes` another one agrees ─▶ released

What the limits latch by themselves, and what is latched or released by hand, is put on record by the next control
cycle; where the journal is away it waits.

There are no credentials yet: the names are what was said, on a machine where only its users can call. Whoever
may delete the latch's file releases it too; the next control cycle says so.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

import msgspec

from vpp.errors import ConflictError, DataError, UnavailableError
from vpp.model.ids import ProductId
from vpp.model.time import isoformat
from vpp.service.events import Severity
from vpp.service.kill import ALL, Scope
from vpp.service.plant import Plant
from vpp.service.record import append
from vpp.service.trading.desk import ReleaseAsked
from vpp.wire import KillRequest

KIND = "kill"
BY_HAND = "somebody, by hand"


async def set_kill(plant: Plant, request: KillRequest, *, now: datetime) -> None:
    """Stop bids and set-points at once, or ask that they go again, or be the second to ask.

    Killing needs neither journal nor broker: the latch is set first and recorded afterwards.

    Raises:
        DataError: No such product or enterprise.
        ConflictError: Nothing is latched, the same person asked before, or a kill came while the release
            was put on record: the kill stands.
        UnavailableError: The latch could not be written or removed, or an order could not be recorded.
    """
    scope = _scope(plant, request)
    body = request.model_dump_json().encode()
    key = f"{isoformat(now)}/{hashlib.sha256(body).hexdigest()[:16]}"
    if request.killed:
        latch(plant, scope, request.reason, now=now, by=request.by or "an operator")
        await append(plant, KIND, key, body, now=now)
        return
    mark = plant.kill.mark_of(scope)
    if mark is None:
        raise ConflictError(
            f"{scope} is not killed", where="kill", fix="Look at GET /v1/kill for what is"
        )
    first = _first(plant, scope, request, mark, now)
    await append(plant, KIND, key, body, now=now)
    if plant.kill.mark_of(scope) not in (None, mark):  # None: somebody released it by hand
        plant.releases.pop(scope, None)
        raise ConflictError(
            f"meanwhile it was killed again: {plant.kill.reason_of(scope)}",
            where="kill",
            fix="Release it anew if that reason is settled too",
        )
    if first is None:
        until = now + timedelta(minutes=plant.file.trading.release_within_minutes)
        plant.releases[scope] = ReleaseAsked(by=request.by or "", until=until, mark=mark)
        told = f"{request.by} asks to release {scope}: {request.reason}; a second person must agree"
    else:
        _release(plant, scope)
        plant.releases.pop(scope, None)
        _begin_anew(plant, scope)
        told = f"released: {scope}, by {first.by} and {request.by}: {request.reason}"
    plant.events.emit("kill", told, at=now, severity=Severity.ALARM, scope=str(scope))


def latch_by_itself(plant: Plant, scope: Scope, reason: str, *, now: datetime, by: str) -> None:
    """Stop what no person asked to stop; the next control cycle puts it on record. Raises as `latch`."""
    _to_record(plant, scope, killed=True, reason=reason, by=by, now=now)
    latch(plant, scope, reason, now=now, by=by)


def latch(plant: Plant, scope: Scope, reason: str, *, now: datetime, by: str) -> None:
    """Stop what `scope` says, before anything else happens. A release that was asked for is void.

    Raises:
        UnavailableError: The latch could not be written: it holds until the process ends.
    """
    plant.releases.pop(scope, None)
    fault: OSError | None = None
    try:
        plant.kill.kill(reason, scope)
    except OSError as error:
        fault = error
    plant.latches[scope] = reason
    plant.events.emit(
        "kill",
        f"killed: {scope}, by {by}: {reason}",
        at=now,
        severity=Severity.ALARM,
        scope=str(scope),
    )
    if fault is not None:
        raise UnavailableError(
            f"killed, and not on disk, so a restart would forget it: {fault}",
            where="kill",
            fix="Free or mount the data folder, then kill again before the process ends",
        ) from fault


def _release(plant: Plant, scope: Scope) -> None:
    try:
        plant.kill.release(scope)
    except OSError as error:
        raise UnavailableError(
            f"the latch could not be removed, it holds: {error}",
            where="kill",
            fix="Mend the data folder, then agree again",
        ) from error


def _begin_anew(plant: Plant, scope: Scope) -> None:
    """A released market is not stopped again by what was counted before."""
    if scope.kind == "market":
        plant.trade.rates.pop(ProductId(scope.name), None)
        plant.trade.refusals.pop(ProductId(scope.name), None)


def tell_latches(plant: Plant, now: datetime) -> None:
    """Say what somebody latched or released by hand, on the disk."""
    found = plant.kill.latched()
    for scope in found.keys() | plant.latches.keys():
        if (scope in found) != (scope in plant.latches):
            what = (
                f"killed by hand: {scope}: {found[scope]}"
                if scope in found
                else (f"released by hand: {scope}")
            )
            plant.events.emit("kill", what, at=now, severity=Severity.ALARM, scope=str(scope))
            reason = found.get(scope, "the latch is gone")
            _to_record(plant, scope, killed=scope in found, reason=reason, by=BY_HAND, now=now)
            if scope not in found:
                _begin_anew(plant, scope)
    plant.latches = found


async def record_latches(plant: Plant) -> None:
    """Put on record what was latched and released without an order; what cannot be written now waits."""
    waiting = plant.trade.unrecorded
    while waiting:
        at, key, body = waiting[0]
        try:
            await append(plant, KIND, key, body, now=at)
        except UnavailableError:  # said and counted there
            return
        waiting.popleft()


def _to_record(
    plant: Plant, scope: Scope, *, killed: bool, reason: str, by: str, now: datetime
) -> None:
    """In the shape of an order (`KillRequest`)."""
    order = {
        "killed": killed,
        "reason": reason,
        "by": by,
        "market": scope.name if scope.kind == "market" else None,
        "enterprise": scope.name if scope.kind == "enterprise" else None,
    }
    body = msgspec.json.encode(order)
    key = f"{isoformat(now)}/{hashlib.sha256(body).hexdigest()[:16]}"
    plant.trade.unrecorded.append((now, key, body))


def _scope(plant: Plant, request: KillRequest) -> Scope:
    known: set[str]
    if request.market is not None:
        scope, known = Scope("market", request.market), {p.product_id for p in plant.file.packs}
    elif request.enterprise is not None:
        scope = Scope("enterprise", request.enterprise)
        known = {enterprise.enterprise_id for enterprise in plant.file.park.enterprises}
    else:
        return ALL
    if scope.name not in known:
        raise DataError(f"there is no {scope}", where="kill", fix=f"Use one of {sorted(known)}")
    return scope


def _first(
    plant: Plant, scope: Scope, request: KillRequest, mark: int, now: datetime
) -> ReleaseAsked | None:
    """What another person asked of this very latch, in time; None where this is the first to ask."""
    first = plant.releases.get(scope)
    if first is None or now > first.until or first.mark != mark:
        return None
    if first.by.strip().casefold() == (request.by or "").strip().casefold():
        raise ConflictError(
            f"{first.by} has asked already",
            where="kill",
            fix=f"Have another person agree until {isoformat(first.until)}",
        )
    return first
