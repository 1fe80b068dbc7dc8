"""Awards in from venues: fetched by sequence with an overlap, booked through the one door, gaps told.

    poll        from `overlap` awards before the newest one on; page by page
    reconcile   once a day all awards of the last days, by time of issue; at once where a gap was told
    after gate  a bid set without an award: what does the venue say of it?

An award counts once however often it is listed (`awarding.book_award`). The cursor stops at a gap, so
that what is missing is asked for again at each poll; a gap that a later poll does not fill is told to a
person, and one that even the reconcile does not fill is given up, which is told too.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from itertools import islice

from vpp.errors import ConflictError, DataError, UnavailableError
from vpp.model.time import Interval
from vpp.ports import AwardPage, PublishedAward
from vpp.service.events import Severity
from vpp.service.plant import Plant
from vpp.service.trading import awarding
from vpp.service.venues import log as venuelog
from vpp.service.venues.state import AwardList, Sending, SendState, VenueDesk
from vpp.service.venues.talk import ask, page_of, wait_after

MOST_PAGES = 50
"""Fetched in one look; the rest follows in the next."""

MOST_ASKED = 20
"""Bid sets without an award that are asked about in one look."""

MOST_DIGESTS = 20_000
"""Awards that are remembered as they came, the newest."""

EARLY_EVERY = timedelta(minutes=15)
"""How often a gap that was told is looked for by time of issue."""

LOOK_AHEAD = timedelta(hours=1)
"""A venue whose clock is ahead issues awards in our future."""


async def look(plant: Plant, desk: VenueDesk, now: datetime) -> None:
    """Fetch what is due; a venue that does not answer is asked again sooner than after a whole period."""
    listed = desk.list
    if listed.due is not None and now < listed.due:
        return
    period = timedelta(seconds=desk.section.poll_s)
    try:
        well = await _poll(plant, desk, now)
        if well and (listed.reconcile_due is None or listed.reconcile_due <= now):
            well = await _reconcile(plant, desk, now)
        elif well and listed.by_time_after is not None:
            well = await _hold_against_ours(plant, desk, now)
        elif well and listed.early_due is not None and listed.early_due <= now:
            listed.early_due = now + EARLY_EVERY
            well = await _hold_against_ours(plant, desk, now)
        if well:
            await _ask_after_gates(plant, desk, now)
    except UnavailableError:  # the journal, which said so
        well = False
    desk.failures = 0 if well else desk.failures + 1
    listed.due = now + (period if well else min(period, wait_after(desk.failures)))


async def _poll(plant: Plant, desk: VenueDesk, now: datetime) -> bool:
    listed, first = desk.list, desk.section.first_sequence - 1
    before = listed.cursor
    newest = (
        before if listed.last is None else min(before, listed.last)
    )  # numbered anew: from there
    after = max(newest - desk.section.overlap, first)
    well, _, _ = await _fetch(plant, desk, after, None)
    if listed.cursor > before:
        await venuelog.note_cursor(plant, desk, now)
    if well:
        _tell_gap(plant, desk, now)
    return well


async def _fetch(
    plant: Plant, desk: VenueDesk, after: int, issued_in: Interval | None
) -> tuple[bool, int, int | None]:
    """Book the pages from `after` on; whether each came, how many awards were not here before, what follows.

    What follows is where the next look goes on; None where the list has ended.
    """
    fresh = 0
    for _ in range(MOST_PAGES):
        page = await page_of(plant, desk, after, issued_in)
        if page is None:
            return False, fresh, after
        fresh += await _take(plant, desk, page)
        desk.port.confirm(page)
        if page.next_after is None or page.next_after <= after:
            return True, fresh, None
        after = page.next_after
    return True, fresh, after


async def _take(plant: Plant, desk: VenueDesk, page: AwardPage) -> int:
    """Book one page, in the order of its sequence; how many awards were not here before.

    Raises:
        UnavailableError: The journal cannot be written; the page is fetched again.
    """
    listed, fresh = desk.list, 0
    for entry in page.foreign:
        await venuelog.note_foreign_award(
            plant, desk, entry.where, entry.what, entry.raw, now=plant.clock.now()
        )
    for published in sorted(page.awards, key=lambda award: award.sequence or 0):
        fresh += await _book(plant, desk, published)
        if published.sequence is not None and published.sequence > listed.cursor:
            listed.seen.add(published.sequence)
    if page.last_sequence is not None:
        _note_last(plant, desk, page.last_sequence)
    _advance(listed)
    return fresh


async def _book(plant: Plant, desk: VenueDesk, published: PublishedAward) -> bool:
    """Book one award, unless it is booked as it is; whether it was not. Raises as `_take`."""
    award, now = published.award, plant.clock.now()
    raw = award.model_dump_json().encode()
    digest = hashlib.sha256(published.product_id.encode() + b"/" + raw).hexdigest()
    key = published.sequence
    place = f"{award.award_id}/{award.revision}" if key is None else key
    if desk.list.digests.get(place) == digest:
        return False
    try:
        await awarding.book_award(plant, published.product_id, award, now=now)
    except (ConflictError, DataError) as error:
        where = f"award {award.award_id}/{award.revision}, sequence {key}"
        await venuelog.note_foreign_award(plant, desk, where, str(error), raw, now=now)
    else:
        plant.metrics.venues.award(desk.name)
    desk.list.digests[place] = digest
    return True


def _note_last(plant: Plant, desk: VenueDesk, last: int) -> None:
    """The newest sequence that the venue tells of; one that falls says that its list was changed."""
    known = desk.list.last
    if known is not None and last < known:
        plant.events.emit(
            "award_gap",
            f"venue {desk.name} told of award {known}, and now of {last} as the newest: its list was changed",
            at=plant.clock.now(),
            severity=Severity.ALARM,
            venue=desk.name,
        )
    desk.list.last = last


def _advance(listed: AwardList) -> None:
    while listed.cursor + 1 in listed.seen:
        listed.cursor += 1
        listed.seen.discard(listed.cursor)
    for place in list(islice(listed.digests, max(0, len(listed.digests) - MOST_DIGESTS))):
        del listed.digests[place]


def _tell_gap(plant: Plant, desk: VenueDesk, now: datetime) -> None:
    """A gap that was there at the last poll already is told; the first time awards may be on their way."""
    listed = desk.list
    gap = listed.cursor + 1 if listed.missing else None
    if gap is not None and gap == listed.gap != listed.gap_told:
        listed.gap_told, listed.early_due = gap, now
        plant.events.emit(
            "award_gap",
            f"venue {desk.name} does not list award {gap}, {listed.missing} are missing up to {listed.last}",
            at=now,
            severity=Severity.ALARM,
            venue=desk.name,
            missing=listed.missing,
        )
    if gap is None and listed.gap_told is not None:
        listed.gap_told = listed.early_due = None
        text = f"no award of venue {desk.name} is missing any more"
        plant.events.emit("award_gap", text, at=now, venue=desk.name)
    listed.gap = gap


async def _reconcile(plant: Plant, desk: VenueDesk, now: datetime) -> bool:
    """Hold all awards of the last days against ours, and give up what even that does not bring."""
    listed = desk.list
    if not await _hold_against_ours(plant, desk, now):
        return False
    listed.reconcile_due = now + timedelta(hours=desk.section.reconcile_hours)
    if listed.seen and listed.gap_told is not None:
        await _give_up_gap(plant, desk, now)
    return True


async def _hold_against_ours(plant: Plant, desk: VenueDesk, now: datetime) -> bool:
    """All awards of the last days, by time of issue; what the polls missed is booked, and told."""
    span = Interval(now - timedelta(days=desk.section.reconcile_days), now + LOOK_AHEAD)
    known = bool(desk.list.digests)
    after = desk.list.by_time_after
    first = desk.section.first_sequence - 1 if after is None else after
    well, fresh, desk.list.by_time_after = await _fetch(plant, desk, first, span)
    if fresh and known and desk.list.reconcile_due is not None:
        plant.events.emit(
            "awards_found",
            f"{fresh} awards of venue {desk.name} came by time of issue alone",
            at=now,
            severity=Severity.WARNING,
            venue=desk.name,
        )
    return well and desk.list.by_time_after is None


async def _give_up_gap(plant: Plant, desk: VenueDesk, now: datetime) -> None:
    """Go on behind a gap, up to the newest award that came: what is missing was told, and asked for again."""
    listed = desk.list
    newest = max(listed.seen)
    missing = newest - listed.cursor - len(listed.seen)
    listed.cursor = newest
    listed.seen.clear()
    plant.events.emit(
        "award_gap",
        f"the reconcile did not bring {missing} missing awards of venue {desk.name}: given up",
        at=now,
        severity=Severity.ALARM,
        venue=desk.name,
        missing=missing,
    )
    listed.gap = listed.gap_told = listed.early_due = None
    await venuelog.note_cursor(plant, desk, now)


async def _ask_after_gates(plant: Plant, desk: VenueDesk, now: datetime) -> None:
    """What became of bid sets whose gate has passed and that got no award."""
    waiting = [s for s in plant.book.in_doubt(now) if s.product_id in desk.section.products]
    for bid_set in waiting[:MOST_ASKED]:
        name = bid_set.bid_set_id
        sending = desk.sendings.get(name, Sending())
        if desk.sends and sending.state in (SendState.LATER, SendState.ABSENT):
            word: str | None = "unknown"  # it surely never got there
        elif not desk.port.answers:
            word = "silent"
        else:
            plant.book.doubted(name)
            word = await ask(plant, desk, name)
        if word is None:
            return
        await awarding.take_word(plant, bid_set, word, plant.clock.now())
