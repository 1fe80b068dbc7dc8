"""What a utility's programme asks of us, quarter-hour by quarter-hour, reconciled with each list of its events.

    list of events ─▶ reconcile ─▶ what stands ─▶ schedule ─▶ orders by quarter-hour
         what stood ─────┘  └─▶ changes: new, modified, cancelled, ended …

Rules
-----
* The list is the truth: an event that is not in it is cancelled. A list that was lost changes nothing.
* Of two versions of an event the newer one counts; one that comes late moves nothing.
* An event that cannot be read stays as it stood. Where not even its id can be read, nothing is cancelled by
  being absent: the one that is missing may be the one that is illegible.
* Where events ask for two things at once, the one of higher priority (the lower number) is followed, among
  equals the one that was created later.
* A quarter-hour belongs to all that touches it: a limit that is followed at any time of it holds in the whole of
  it, the tightest of them. Of other events that touch it the one of higher priority is followed: of its dispatches
  the one that fills most of it, of its prices the mean by time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import inf
from typing import TypeAlias

import msgspec

from vpp.errors import DataError
from vpp.model.programme import FOREVER, EventList, PayloadUnits, ProgrammeEvent
from vpp.model.time import QUARTER, Interval, latest_boundary
from vpp.trade.programmeorders import (
    SPLIT,
    CapacityOrder,
    ProgrammeOrder,
    SetpointOrder,
    SignalOrder,
    Slot,
    Uses,
    order_of,
    slot_of,
)
from vpp.trade.programmetimes import Draw, Stretch, ends_at, stretches

ProgrammeSchedule: TypeAlias = dict[datetime, tuple[ProgrammeOrder, ...]]
"""By the start of each quarter-hour in which something is asked; ordered by slot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An event as it stands with us."""

    event: ProgrammeEvent
    seen_at: datetime
    """When it was seen first: what `now` means in it."""

    over: bool = False
    """Whether its end was told."""


Stood: TypeAlias = Mapping[str, Standing]
"""By id of the event."""


class ChangeKind(StrEnum):
    """What became of an event since the list before."""

    NEW = "new"
    MODIFIED = "modified"
    CANCELLED = "cancelled"
    ENDED = "ended"
    OLDER = "older"
    """A version that is older than the one that stands: it is ignored."""

    ILLEGIBLE = "illegible"
    """It cannot be read, and stays as it stood, if it did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change, in words too."""

    kind: ChangeKind
    event_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotDone:
    """A payload that nothing is done about, and why."""

    event_id: str
    payload_type: str
    why: str


# ---------------------------------------------------------------- events


def addressed(polled: EventList, ours: frozenset[str]) -> EventList:
    """The list without events that name targets and none of `ours`; all of it where we have none."""
    if not ours:
        return polled
    kept = tuple(e for e in polled.events if not e.targets or ours.intersection(e.targets))
    return replace(polled, events=kept)


def reconcile(
    polled: EventList, stood: Stood, *, now: datetime, draw: Draw
) -> tuple[dict[str, Standing], tuple[Change, ...]]:
    """What stands after a list of events, and what that changed."""
    illegible = {fault.event_id for fault in polled.faults}
    stands: dict[str, Standing] = {}
    changes = [
        Change(kind=ChangeKind.ILLEGIBLE, event_id=fault.event_id or "", text=fault.what)
        for fault in polled.faults
    ]
    for event in polled.events:
        before = stood.get(event.event_id)
        after, change = _taken(event, before, now)
        stands[event.event_id] = after
        changes += [change] if change is not None else []
    for event_id, before in stood.items():
        if event_id in stands:
            continue
        if event_id in illegible or None in illegible:
            stands[event_id] = before
        elif not before.over and ends_at(before.event, before.seen_at, draw) > now:
            text = f"{_name(before.event)} is cancelled"
            changes.append(Change(kind=ChangeKind.CANCELLED, event_id=event_id, text=text))
    return _ended(stands, changes, now, draw), tuple(changes)


def _ended(
    stands: Mapping[str, Standing], changes: list[Change], now: datetime, draw: Draw
) -> dict[str, Standing]:
    """The same with what is over marked as over; that is told once, and not of an event that is new."""
    marked = {}
    fresh = {change.event_id for change in changes if change.kind is ChangeKind.NEW}
    for event_id, one in stands.items():
        over = ends_at(one.event, one.seen_at, draw) <= now
        if over and not one.over and event_id not in fresh:
            text = f"{_name(one.event)} is over"
            changes.append(Change(kind=ChangeKind.ENDED, event_id=event_id, text=text))
        marked[event_id] = replace(one, over=over)
    return marked


def _taken(
    event: ProgrammeEvent, before: Standing | None, now: datetime
) -> tuple[Standing, Change | None]:
    if before is None:
        text = f"{_name(event)} is new"
        return (
            Standing(event=event, seen_at=now),
            Change(kind=ChangeKind.NEW, event_id=event.event_id, text=text),
        )
    if event == before.event:
        return before, None
    if event.version < before.event.version:
        text = f"{_name(event)}: a version came that is older than ours, and moves nothing"
        return before, Change(kind=ChangeKind.OLDER, event_id=event.event_id, text=text)
    said = "" if event.version > before.event.version else ", though its version is the same"
    text = f"{_name(event)} is modified{said}"
    change = Change(kind=ChangeKind.MODIFIED, event_id=event.event_id, text=text)
    return Standing(event=event, seen_at=before.seen_at), change


def _name(event: ProgrammeEvent) -> str:
    return f"event {event.event_id}" + (f" ({event.name[:80]})" if event.name else "")


def stood_to_record(stood: Stood) -> bytes:
    """What stands as the journal keeps it."""
    return msgspec.json.encode(list(stood.values()))


def stood_from_record(body: bytes) -> dict[str, Standing]:
    """What stood, as it was kept."""
    return {one.event.event_id: one for one in msgspec.json.decode(body, type=list[Standing])}


# ---------------------------------------------------------------- orders


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """One value of one event, from `start` to `end`."""

    rank: tuple[float, float, str]
    """The lowest is followed."""

    start: datetime
    end: datetime
    order: ProgrammeOrder


def schedule(
    stands: Stood,
    uses: Uses,
    units: Mapping[str, Sequence[PayloadUnits]],
    window: Interval,
    draw: Draw,
) -> tuple[ProgrammeSchedule, tuple[NotDone, ...]]:
    """The orders of each quarter-hour of `window`, and what nothing is done about.

    `window` begins and ends on quarter-hours; `units` are those of each program, for events that name none.
    """
    touching: dict[tuple[datetime, Slot], list[_Piece]] = defaultdict(list)
    not_done: dict[tuple[str, str], NotDone] = {}
    for one in stands.values():
        for piece in _pieces(one, uses, units, window, draw, not_done):
            first = latest_boundary(max(piece.start, window.start), QUARTER)
            last = min(piece.end, window.end)
            slot = slot_of(piece.order)
            while first < last:
                touching[first, slot].append(piece)
                first += QUARTER
    found: dict[datetime, dict[Slot, ProgrammeOrder]] = defaultdict(dict)
    for (start, slot), pieces in touching.items():
        quarter = Interval(start, start + QUARTER)
        found[start][slot] = _settled(_followed(pieces, quarter), quarter)
    quarters = {
        start: tuple(found[start][slot] for slot in sorted(found[start])) for start in sorted(found)
    }
    return quarters, tuple(not_done.values())


def _pieces(
    one: Standing,
    uses: Uses,
    units: Mapping[str, Sequence[PayloadUnits]],
    window: Interval,
    draw: Draw,
    not_done: dict[tuple[str, str], NotDone],
) -> Iterable[_Piece]:
    event = one.event
    try:
        lying = stretches(event, one.seen_at, window, draw)
    except DataError as error:
        not_done[event.event_id, ""] = NotDone(
            event_id=event.event_id, payload_type="", why=error.what
        )
        return
    counted = {u.payload_type: u for u in (*units.get(event.program_id, ()), *event.units)}
    for stretch in lying:
        for payload in stretch.payloads:
            kind = payload.payload_type
            use = uses.get(event.program_id, {}).get(kind)
            unit = counted.get(kind) or PayloadUnits(payload_type=kind)
            try:
                parts = _parts(stretch, kind, len(payload.values), event.event_id)
                for value, (start, end) in zip(payload.values, parts, strict=True):
                    order = order_of(event.event_id, kind, value, unit, use)
                    if start == end:  # the event is over before
                        continue
                    yield _Piece(rank=_rank(event), start=start, end=end, order=order)
            except DataError as error:
                key = event.event_id, kind
                not_done[key] = NotDone(event_id=key[0], payload_type=kind, why=error.what)


def _rank(event: ProgrammeEvent) -> tuple[float, float, str]:
    created = event.created_at or datetime.min.replace(tzinfo=UTC)
    age = (datetime.max.replace(tzinfo=UTC) - created) / timedelta(seconds=1)
    return inf if event.priority is None else event.priority, age, event.event_id


def _parts(
    stretch: Stretch, payload_type: str, values: int, event_id: str
) -> list[tuple[datetime, datetime]]:
    """Which part of a stretch each value is about."""
    if values == 1:
        return [(stretch.start, stretch.until)]
    if values == 0 or payload_type not in SPLIT or stretch.end == FOREVER:
        raise DataError(
            f"{values} values of {payload_type} in one interval",
            where=f"event {event_id[:80]}",
            fix="Send one value for each interval",
        )
    each = (stretch.end - stretch.start) / values
    starts = [stretch.start + n * each for n in range(values)]
    return [(start, min(start + each, max(stretch.until, start))) for start in starts]


def _followed(pieces: Sequence[_Piece], quarter: Interval) -> list[_Piece]:
    """Those of the event of the highest rank; of limits all that are the highest at some time of it.

    A limit that is loosened from the seventh minute on holds in the six before, and so in the whole of it.
    """
    ranked = sorted(pieces, key=lambda piece: piece.rank)
    if isinstance(ranked[0].order, CapacityOrder):
        return [piece for piece in ranked if _stands_out(piece, ranked, quarter)]
    return [piece for piece in ranked if piece.rank == ranked[0].rank]


def _stands_out(piece: _Piece, pieces: Sequence[_Piece], quarter: Interval) -> bool:
    """Whether no other of a higher rank is on at some time at which this one is."""
    start, end = max(piece.start, quarter.start), min(piece.end, quarter.end)
    higher = [one for one in pieces if one.rank < piece.rank]
    moments = [start, *(one.end for one in higher if start < one.end < end)]
    return any(not any(one.start <= at < one.end for one in higher) for at in moments)


def _settled(pieces: Sequence[_Piece], quarter: Interval) -> ProgrammeOrder:
    """What holds in a quarter-hour that several values touch: of one event, or of limits."""
    first = pieces[0].order
    if len(pieces) == 1:
        return first
    if isinstance(first, CapacityOrder):
        return min((p.order for p in pieces), key=_size_kw)
    if isinstance(first, SignalOrder):
        seconds = [_seconds(piece, quarter) for piece in pieces]
        values = [p.order.value for p in pieces if isinstance(p.order, SignalOrder)]
        mean = sum(v * s for v, s in zip(values, seconds, strict=True)) / sum(seconds)
        return replace(first, value=round(mean, 9))
    # Of a set-point and a change that fill as much, the set-point says more.
    chosen = min(
        pieces,
        key=lambda p: (-_seconds(p, quarter), p.start, not isinstance(p.order, SetpointOrder)),
    )
    return chosen.order


def _size_kw(order: ProgrammeOrder) -> float:
    return order.most_kw if isinstance(order, CapacityOrder) else inf


def _seconds(piece: _Piece, quarter: Interval) -> float:
    return (min(piece.end, quarter.end) - max(piece.start, quarter.start)).total_seconds()
