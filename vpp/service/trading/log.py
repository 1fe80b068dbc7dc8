"""The trading part of the journal: written before it is booked, booked again after a restart."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from vpp.errors import UnavailableError
from vpp.model.demandresponse import Invitation
from vpp.ports import JournalEntry
from vpp.service import record
from vpp.service.events import Severity
from vpp.service.plant import Plant
from vpp.service.trading import golive, hands, presubmit
from vpp.trade.callrecords import activation_from_record, move_from_record
from vpp.trade.invitations import invitation_from_record, step_from_record
from vpp.trade.outsiderecords import outside_from_record
from vpp.trade.records import award_from_record, bid_set_from_record, reasons_key

BID_SET, WITHDRAWAL, AWARD = "bid_set", "withdrawal", "award"
DISOWNED, LAPSED = "bid_set_disowned", "bid_set_lapsed"
ACTIVATION, SIGNAL_MOVE = "activation", "signal_move"
OUTSIDE_TRADE = "outside_trade"
INVITATION, INVITATION_STEP = "invitation", "invitation_step"
"""Kinds of journal entries, replayed in the order in which they were written."""

REASONS = "bid_reasons"
"""Why an offer is as it is: written once, before the first bid set that was made of it."""


def recover(plant: Plant) -> None:
    """Rebuild book and position from the journal, in the order in which things happened."""
    kinds = (BID_SET, WITHDRAWAL, AWARD, DISOWNED, LAPSED, ACTIVATION, SIGNAL_MOVE, OUTSIDE_TRADE)
    for entry in plant.journal.entries(*kinds, INVITATION, INVITATION_STEP):
        _book(plant, entry)
    for product_id in sorted(plant.book.products_bid() - plant.products.keys()):
        what = (
            f"bids into {product_id} are on record, and the park file does not trade it any more:"
            " awards to them are booked, and neither planned for nor settled"
        )
        at = plant.clock.now()
        plant.events.emit("product_lost", what, at=at, severity=Severity.WARNING)
    for entry in plant.journal.entries(golive.KIND):
        golive.replay(plant, entry)
    for entry in plant.journal.entries(presubmit.HELD, presubmit.APPROVAL):
        presubmit.replay(plant, entry)
    for entry in plant.journal.entries(hands.HAND, hands.HAND_END, hands.LOCK):
        hands.replay(plant, entry)


def _book(plant: Plant, entry: JournalEntry) -> None:
    match entry.kind:
        case "bid_set":
            bid_set, response, digest, shadow = bid_set_from_record(entry.body)
            plant.book.add(bid_set, response, digest, shadow=shadow)
        case "withdrawal":
            plant.book.withdraw(entry.key, entry.recorded_at)
        case "bid_set_disowned" | "bid_set_lapsed":
            give_up(plant, entry.kind, entry.key)
        case "activation":
            plant.book.activate(activation_from_record(entry.key, entry.body, entry.recorded_at))
        case "signal_move":
            before = plant.book.calls.newest(entry.key.rpartition("/")[0])
            plant.book.activate(move_from_record(entry.key, entry.body, entry.recorded_at, before))
        case "outside_trade":
            plant.book.trade_outside(outside_from_record(entry.key, entry.body, entry.recorded_at))
        case "invitation":
            book_invitation(plant, invitation_from_record(entry.body))
        case "invitation_step":
            plant.dr.book.happen(step_from_record(entry.key, entry.body))
        case _:
            plant.book.apply(award_from_record(entry.body))


def book_invitation(plant: Plant, invitation: Invitation) -> None:
    """Book a revision that is on disk; what was nominated for the one before it is owed no more."""
    before = plant.dr.book.find(invitation.invitation_id)
    plant.dr.book.take(invitation)
    if before is None or before.nomination is None:
        return
    if plant.dr.book.find(invitation.invitation_id) != before:
        plant.book.taken_back(before.nomination.bid_set_id)


def give_up(plant: Plant, kind: str, bid_set_id: str) -> None:
    """Book that nothing is expected of a bid set any more."""
    if kind == DISOWNED:
        plant.book.disowned(bid_set_id)
    else:
        plant.book.lapsed(bid_set_id)


async def append(
    plant: Plant,
    kind: str,
    key: str,
    body: bytes,
    *,
    now: datetime,
    before: Sequence[tuple[str, str, bytes]] = (),
) -> None:
    """Put an entry on disk before it is booked, with what must stand `before` it. Raises as `record.append`."""
    try:
        await record.append_all(plant, [*before, (kind, key, body)], now=now)
    except UnavailableError:
        plant.unsure.append((kind, key))
        raise


def reasons_of(plant: Plant, bid_set_id: str) -> bytes | None:
    """Why a bid set is as it is, a `BidReasons` as JSON; None where its record does not say."""
    entry = plant.journal.find(BID_SET, bid_set_id)
    key = "" if entry is None else reasons_key(entry.body)
    told = plant.journal.find(REASONS, key) if key else None
    return None if told is None else told.body


def settle_unsure(plant: Plant) -> None:
    """Book what the journal refused and has all the same: a failed commit may be on disk.

    Otherwise the same request would meet its own entry as a stranger's, until the next restart.

    Raises:
        UnavailableError: The journal cannot be read either; nothing is traded meanwhile.
    """
    while plant.unsure:
        entry = plant.journal.find(*plant.unsure[0])
        if entry is not None:
            _book(plant, entry)
        plant.unsure.pop(0)
