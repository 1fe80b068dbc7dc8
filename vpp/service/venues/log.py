"""The venues' part of the journal: an intent before anything is sent, what came of it, what stops a venue.

venue_intent    {bid set}/{n}        it may leave from here on
venue_outcome   {bid set}/{n}        what was answered, with the answer where it was foreign
                {bid set}/{n}/asked  what the venue said when it was asked
venue_latch     {venue}/{time}/…     nothing new is bid, with the answer; or a person's release
venue_foreign   {venue}/{digest}     an entry of its list that is no award
venue_cursor    {venue}/{sequence}   all awards up to it are booked
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec

from vpp.errors import ConflictError, UnavailableError
from vpp.model.time import isoformat
from vpp.model.venue import CONFLICT, Declined, Foreign, Later, Submission, Taken, Unknown
from vpp.ports import JournalEntry
from vpp.service.events import Severity
from vpp.service.plant import Plant
from vpp.service.record import append
from vpp.service.venues.state import IN_DOUBT, Latch, Sending, SendState, VenueDesk, desk_of
from vpp.trade.book import BidSetStatus

INTENT, OUTCOME, LATCH = "venue_intent", "venue_outcome", "venue_latch"
FOREIGN, CURSOR = "venue_foreign", "venue_cursor"
"""Kinds of journal entries."""


def recover(plant: Plant) -> None:
    """Take up what was sent and what came of it; what nobody knows stops its venue until it is asked."""
    desks = {desk.name: desk for desk in plant.venues}
    for entry in plant.journal.entries(INTENT, OUTCOME, LATCH, FOREIGN, CURSOR):
        said = msgspec.json.decode(entry.body)
        if entry.kind in (INTENT, OUTCOME):
            name, bid_set_id = said["venue"], entry.key.partition("/")[0]
            product_id = plant.book.answer(bid_set_id).bid_set.product_id
            if (desk := desk_of(plant.venues, product_id)) is not None and desk.name != name:
                _take_up(desk, entry, said)
                _keep_back(desk.sendings[bid_set_id], name)
                continue
        else:
            name = entry.key.partition("/")[0]
        if (desk := desks.get(name)) is not None:
            _take_up(desk, entry, said)
    for desk in plant.venues:
        for bid_set in plant.book.live_sets():
            if desk.in_doubt(bid_set.bid_set_id):
                desk.sendings[bid_set.bid_set_id].left = True
    _tell_kept_back(plant)


def _keep_back(sending: Sending, elsewhere: str) -> None:
    """The park file has moved its product, or renamed its venue: here it would be bid a second time."""
    if sending.state in IN_DOUBT | {SendState.TAKEN}:
        sending.state = SendState.CONFLICT
        sending.what = f"it was sent to venue {elsewhere}, where its product is traded no more"


def _tell_kept_back(plant: Plant) -> None:
    now = plant.clock.now()
    for bid_set in plant.book.open_sets(now):
        desk = desk_of(plant.venues, bid_set.product_id)
        sending = None if desk is None else desk.sendings.get(bid_set.bid_set_id)
        if desk is not None and sending is not None and sending.state is SendState.CONFLICT:
            plant.events.emit(
                "bid_unsure",
                f"venue {desk.name} does not get {bid_set.bid_set_id}: {sending.what}",
                at=now,
                severity=Severity.ALARM,
                bid_set_id=bid_set.bid_set_id,
                venue=desk.name,
            )


def _take_up(desk: VenueDesk, entry: JournalEntry, said: dict[str, Any]) -> None:
    match entry.kind:
        case "venue_intent" | "venue_outcome":
            bid_set_id, number, *_ = entry.key.split("/")
            sending = desk.sendings.setdefault(bid_set_id, Sending())
            sending.attempts = int(number)
            sending.state = SendState(said.get("state", SendState.LEFT))
            sending.what = said.get("what", "")
        case "venue_latch":
            desk.latch = None
            if said["latched"]:
                desk.latch = Latch(
                    reason=said["reason"], at=entry.recorded_at, digest=said["digest"]
                )
        case "venue_foreign":
            desk.foreign.add(entry.key.partition("/")[2])
        case _:
            desk.list.cursor = max(desk.list.cursor, int(entry.key.partition("/")[2]))


async def intend(plant: Plant, desk: VenueDesk, bid_set_id: str, body: bytes) -> Sending:
    """Put on record that these bytes are about to leave; from here on nobody knows, until an answer comes.

    Raises:
        UnavailableError: It cannot be put on record: nothing may leave.
    """
    sending = desk.sendings.setdefault(bid_set_id, Sending())
    key = f"{bid_set_id}/{sending.attempts + 1}"
    said = {"venue": desk.name, "digest": hashlib.sha256(body).hexdigest()}
    await append(plant, INTENT, key, msgspec.json.encode(said), now=plant.clock.now())
    sending.attempts += 1
    sending.state, sending.what = SendState.LEFT, "sent"
    return sending


async def note_outcome(
    plant: Plant, desk: VenueDesk, bid_set_id: str, outcome: Submission
) -> SendState:
    """What was answered, in memory at once and on record; without a record it is asked after a restart."""
    sending = desk.sendings[bid_set_id]
    state, what = _told(outcome)
    sending.state, sending.what = state, what
    said = {"venue": desk.name, "state": state.value, "what": what}
    if isinstance(outcome, Declined):
        said["code"] = outcome.code
    if isinstance(outcome, Foreign):
        said["raw"] = b64encode(outcome.raw).decode()
    await _note(plant, f"{bid_set_id}/{sending.attempts}", said)
    return state


async def note_asked(
    plant: Plant, desk: VenueDesk, bid_set_id: str, state: SendState, what: str
) -> None:
    """What the venue said of a bid set in doubt. As `note_outcome`."""
    sending = desk.sendings[bid_set_id]
    sending.state, sending.what = state, what
    said = {"venue": desk.name, "state": state.value, "what": what}
    await _note(plant, f"{bid_set_id}/{sending.attempts}/asked", said)


async def _note(plant: Plant, key: str, said: dict[str, str]) -> None:
    with suppress(UnavailableError):  # said and counted there
        await append(plant, OUTCOME, key, msgspec.json.encode(said), now=plant.clock.now())


def _told(outcome: Submission) -> tuple[SendState, str]:
    match outcome:
        case Taken():
            return SendState.TAKEN, "it has them"
        case Declined(code=code, what=what):
            state = SendState.CONFLICT if code == CONFLICT else SendState.DECLINED
            return state, f"{code}: {what}"
        case Later(what=what):
            return SendState.LATER, what
        case Unknown(what=what):
            return SendState.UNKNOWN, what
        case Foreign(what=what):
            return SendState.FOREIGN, what


async def latch(plant: Plant, desk: VenueDesk, reason: str, raw: bytes, *, now: datetime) -> None:
    """Bid nothing new into a venue until a person has looked; with the answer on record.

    Each reason once: a page that tells the time is another one each time it is asked for.
    """
    digest = hashlib.sha256(raw).hexdigest()[:16]
    if desk.latch is not None and reason in desk.latched_for | {desk.latch.reason}:
        return
    desk.latched_for.add(reason)
    desk.latch = Latch(reason=reason, at=now, digest=digest)
    plant.events.emit(
        "venue_latched",
        f"nothing new is bid into venue {desk.name}: {reason}",
        at=now,
        severity=Severity.ALARM,
        venue=desk.name,
        raw=raw[:200].decode(errors="replace"),
    )
    said = {"latched": True, "reason": reason, "digest": digest, "raw": b64encode(raw).decode()}
    with suppress(
        UnavailableError
    ):  # it holds in memory, and the next foreign answer latches again
        await append(plant, LATCH, _latch_key(desk, said, now), msgspec.json.encode(said), now=now)


async def release(plant: Plant, desk: VenueDesk, *, by: str, reason: str, now: datetime) -> None:
    """A person lets bids go to a venue again; where nothing is latched this changes nothing.

    Raises:
        UnavailableError: It cannot be put on record: the latch holds.
    """
    if desk.latch is None:
        return
    said = {"latched": False, "by": by, "reason": reason}
    await append(plant, LATCH, _latch_key(desk, said, now), msgspec.json.encode(said), now=now)
    desk.latch = None
    desk.latched_for.clear()
    plant.events.emit(
        "venue_released",
        f"{by} lets bids go to venue {desk.name} again: {reason}",
        at=now,
        severity=Severity.WARNING,
        venue=desk.name,
    )


def _latch_key(desk: VenueDesk, said: dict[str, Any], now: datetime) -> str:
    digest = hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:16]
    return f"{desk.name}/{isoformat(now)}/{digest}"


async def note_foreign_award(
    plant: Plant, desk: VenueDesk, where: str, what: str, raw: bytes, *, now: datetime
) -> None:
    """An entry of a venue's list that is no award: on record once, and nothing new is bid.

    Raises:
        UnavailableError: It cannot be put on record.
    """
    digest = hashlib.sha256(raw).hexdigest()[:32]
    if digest in desk.foreign:
        return
    said = {"where": where, "what": what, "raw": b64encode(raw).decode()}
    with suppress(ConflictError):  # on disk, though nobody told us, and said in other words
        await append(plant, FOREIGN, f"{desk.name}/{digest}", msgspec.json.encode(said), now=now)
    desk.foreign.add(digest)
    await latch(plant, desk, f"an award that is none ({where}): {what}", raw, now=now)


async def note_cursor(plant: Plant, desk: VenueDesk, now: datetime) -> None:
    """All awards up to the cursor are booked. Raises UnavailableError."""
    await append(plant, CURSOR, f"{desk.name}/{desk.list.cursor:016d}", b"{}", now=now)


def settled(plant: Plant, desk: VenueDesk) -> bool:
    """Whether nothing of the last run is in doubt any more."""
    return not any(
        sending.left
        and sending.state in IN_DOUBT
        and not sending.told
        and plant.book.status(name) is BidSetStatus.OPEN
        for name, sending in desk.sendings.items()
    )
