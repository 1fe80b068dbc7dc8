"""What is settled for good: up to when, on record; and what nobody can settle any more."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from vpp.errors import UnavailableError
from vpp.model.time import EPOCH, Interval, isoformat, parse_utc
from vpp.service.events import Severity
from vpp.service.plant import Plant
from vpp.service.record import append

FINAL = "settled_until"
"""Kind of the journal entries that say up to when everything is settled for good."""

REMEMBERED = timedelta(days=62)
"""As long as meters are kept, it is known what was given up."""


def given_up(plant: Plant, interval: Interval, now: datetime) -> bool:
    """Whether nobody waits any more for what lacks of an interval that is not settled.

    That one began before the service first looked at this park is no news: nobody could meter it whole.
    """
    patience = timedelta(hours=plant.file.trading.unmetered_given_up_after_hours)
    if now - interval.end < patience:
        return False
    plant.given_up.setdefault(interval, interval.start < plant.quotas.began_at)
    return True


def tell_given_up(plant: Plant, now: datetime) -> None:
    """Say once what is not settled and will not be."""
    fresh = sorted(interval for interval, told in plant.given_up.items() if not told)
    if fresh:
        span = f"{isoformat(fresh[0].start)} to {isoformat(fresh[-1].end)}"
        plant.events.emit(
            "settlement_given_up",
            f"{len(fresh)} quarter-hours from {span} were not metered, or have no day-ahead price:"
            " they are not settled",
            at=now,
            severity=Severity.ALARM,
            intervals=len(fresh),
        )
    plant.given_up = {
        interval: True for interval in plant.given_up if interval.end > now - REMEMBERED
    }


async def note_final(plant: Plant, now: datetime) -> None:
    """Put on record up to when everything is settled for good, so that bids stay settled over a restart."""
    until = plant.final_until
    if until is None or until == plant.final_noted:
        return
    with suppress(UnavailableError):  # said and counted there; noted by the next cycle
        await append(plant, FINAL, isoformat(until), b"{}", now=now)
        plant.final_noted = until


def recover(plant: Plant) -> None:
    """Let bids be settled that were: money is made again from meters, but what a bid is, is on record."""
    newest = plant.journal.greatest_key(FINAL)
    if newest is not None:
        plant.book.settled(EPOCH, parse_utc(newest, where="journal"))
