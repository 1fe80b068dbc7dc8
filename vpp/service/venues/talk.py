"""Questions to a venue, and that it does not answer them: told when it changes, not each time."""

from __future__ import annotations

from datetime import datetime, timedelta

from vpp.errors import ForeignError, RejectedError, UnavailableError
from vpp.model.time import Interval
from vpp.ports import AwardPage
from vpp.service.events import Severity
from vpp.service.plant import Plant
from vpp.service.venues import log as venuelog
from vpp.service.venues.state import VenueDesk

FIRST_RETRY = timedelta(seconds=5)
LONGEST_RETRY = timedelta(seconds=30)
"""Before bids are sent, or a venue is asked, again: what is unknown is settled within a minute."""


def wait_after(failures: int) -> timedelta:
    """How long to wait after so many failures in a row, from 1 on."""
    return min(FIRST_RETRY * (1 << min(failures - 1, 10)), LONGEST_RETRY)


async def ask(plant: Plant, desk: VenueDesk, bid_set_id: str) -> str | None:
    """The venue's word on a bid set, `silent` where it cannot say; None where it does not answer.

    Neither is lost: what is foreign latches the venue, and that it is away is told.
    """
    try:
        word = await desk.port.bid_set_status(bid_set_id)
    except ForeignError as error:
        await venuelog.latch(plant, desk, str(error), error.raw, now=plant.clock.now())
        return None
    except RejectedError:
        return "silent"
    except UnavailableError as error:
        note_ill(plant, desk, str(error), plant.clock.now())
        return None
    note_well(plant, desk, plant.clock.now())
    return word


async def page_of(
    plant: Plant, desk: VenueDesk, after: int, issued_in: Interval | None
) -> AwardPage | None:
    """A page of the venue's list of awards; None where it gives none, which is told."""
    try:
        page = await desk.port.awards(after, issued_in=issued_in)
    except ForeignError as error:
        await venuelog.latch(plant, desk, str(error), error.raw, now=plant.clock.now())
        return None
    except (UnavailableError, RejectedError) as error:
        note_ill(plant, desk, str(error), plant.clock.now())
        return None
    note_well(plant, desk, plant.clock.now())
    return page


def note_ill(plant: Plant, desk: VenueDesk, why: str, now: datetime) -> None:
    """The venue gave no answer."""
    if desk.ill is None:
        text = f"venue {desk.name} does not answer: {why[:500]}"
        plant.events.emit("venue", text, at=now, severity=Severity.WARNING, venue=desk.name)
    desk.ill = why


def note_well(plant: Plant, desk: VenueDesk, now: datetime) -> None:
    """The venue answered."""
    if desk.ill is not None:
        text = f"venue {desk.name} answers again"
        plant.events.emit("venue", text, at=now, venue=desk.name)
    desk.ill = None
