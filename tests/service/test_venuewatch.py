"""What a person hears of a venue beside its answers, what the API shows, and who is spoken to at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.http_venue import HttpVenue
from tests.service.rebuilt import EVENING, MINUTE, PRODUCT, Bench, bench_of
from tests.service.venuebench import FIRST_GATE, SECOND, Floor, floor_of, section
from vpp.clock import SimulatedClock
from vpp.model.venue import Foreign, Submission, Taken, VenueHealth
from vpp.service.events import Severity
from vpp.service.loops import loops_of
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.venues import desk as venuedesk
from vpp.service.venues import watch as venuewatch
from vpp.service.venues.schema import MappingSection
from vpp.service.wiring import open_venues

DAY = timedelta(days=1)


@pytest.fixture
def make(plant: Plant, tmp_path: Path) -> Callable[..., Bench]:
    return bench_of(plant, tmp_path)


@pytest.fixture
def floor(make: Callable[..., Bench]) -> Floor:
    return floor_of(make, ask_before_minutes=15)


def watch(floor: Floor, *health: VenueHealth) -> None:
    for one in health:
        floor.venue.health_now = one
        floor.look(floor.bench.clock.at + SECOND)


# ---------------------------------------------------------------- certificate, clock, token


def test_the_end_of_a_certificate_is_told_thirty_fourteen_seven_and_one_days_before(
    floor: Floor,
) -> None:
    ends = [EVENING + days * DAY for days in (40, 29, 28, 13, 6, 0.9, 0.5, 0)]
    watch(floor, *(VenueHealth(certificate_ends_at=end) for end in ends))

    told = [e for e in floor.plant.events.recent() if e.kind == "venue_certificate"]
    assert [event.data["days"] for event in told] == [30, 14, 7, 1, 0]
    assert [event.severity for event in told] == [Severity.WARNING] * 2 + [Severity.ALARM] * 3


def test_a_renewed_certificate_is_told_again_when_its_own_time_comes(floor: Floor) -> None:
    soon, late = EVENING + 6 * DAY, EVENING + 90 * DAY
    watch(floor, *(VenueHealth(certificate_ends_at=end) for end in (soon, late, soon)))

    assert len(floor.told("venue_certificate")) == 2


def test_a_clock_that_differs_is_told_when_it_begins_to(floor: Floor) -> None:
    watch(floor, *(VenueHealth(clock_offset_s=s) for s in (0, 4, -6, -7, 5, 9)))

    assert floor.told("venue_clock") == [
        "the clock of venue exchange differs from ours by -6 s",
        "the clock of venue exchange differs from ours by +9 s",
    ]


def test_a_token_that_does_not_come_is_told_once(floor: Floor) -> None:
    ill = VenueHealth(token_fault="answered 503")
    watch(floor, ill, ill, VenueHealth(), ill)

    assert len(floor.told("venue_token")) == 2


# ---------------------------------------------------------------- API, metrics


def test_the_api_shows_a_venue_and_a_person_releases_it(floor: Floor, serving: Any) -> None:
    async def run() -> tuple[Any, Any, Any, int, str]:
        async with serving(floor.plant) as client:
            before = await (await client.get("/v1/venues")).json()
            said = {"by": "ann", "reason": "they were away"}
            released = await client.post("/v1/venues/exchange/release", json=said)
            after = await (await client.get("/v1/venues")).json()
            stranger = await client.post("/v1/venues/other/release", json=said)
            metrics = await (await client.get("/metrics")).text()
            return before, await released.json(), after, stranger.status, metrics

    floor.venue.says = [(Foreign(what="answered 302", raw=b""), False)]
    floor.look(EVENING, EVENING + SECOND)
    before, released, after, status, metrics = asyncio.run(run())

    (venue,) = before["venues"]
    assert (venue["venue"], venue["kind"], venue["products"]) == ("exchange", "http", [PRODUCT])
    assert "answered 302" in venue["no_new_bids"]
    assert venue["latched_at"] == "2025-12-02T22:30:00Z"
    assert venue["sendings"][0]["state"] == "foreign"
    assert released == after["venues"][0]
    assert (released["no_new_bids"], released["latched_at"]) == (None, None)
    assert status == 404
    assert 'vpp_venue_submissions_total{outcome="foreign",venue="exchange"} 1.0' in metrics
    assert 'vpp_venue_no_new_bids{venue="exchange"} 1.0' in metrics


def test_a_gate_at_risk_is_shown_and_counted(floor: Floor, serving: Any) -> None:
    async def run() -> tuple[Any, str]:
        async with serving(floor.plant) as client:
            shown = await (await client.get("/v1/venues")).json()
            return shown, await (await client.get("/metrics")).text()

    floor.venue.away = True
    floor.ticks(FIRST_GATE - 5 * MINUTE, 30 * SECOND)
    shown, metrics = asyncio.run(run())

    (risk,) = shown["venues"][0]["at_risk"]
    assert risk["delivery_start"] == "2025-12-02T23:00:00Z"
    assert 'vpp_venue_gates_at_risk_total{venue="exchange"} 1.0' in metrics


def test_a_park_without_venues_shows_none(plant: Plant, serving: Any) -> None:
    async def run() -> Any:
        async with serving(plant) as client:
            return await (await client.get("/v1/venues")).json()

    assert asyncio.run(run()) == {"venues": []}


# ---------------------------------------------------------------- wiring


def opened(file: ParkFile) -> list[str]:
    async def main() -> list[str]:
        async with AsyncExitStack() as stack:
            desks = await open_venues(file, SimulatedClock(EVENING), stack)
            assert all(isinstance(desk.port, HttpVenue) for desk in desks)
            return [desk.name for desk in desks]

    return asyncio.run(main())


def test_a_simulated_park_speaks_to_no_venue_outside(park_file: ParkFile) -> None:
    live = park_file.trading.model_copy(update={"mode": "live"})
    file = replace(
        park_file, venues=(section(),), mappings={"exchange": MappingSection()}, trading=live
    )
    assert opened(file) == ["exchange"]
    assert opened(file.in_simulation()) == []


def test_each_venue_has_a_loop_of_its_own_and_their_gates_one_that_waits_for_nobody(
    floor: Floor, plant: Plant
) -> None:
    clock = SimulatedClock(EVENING)
    assert {"venue-exchange", "venues"} <= loops_of(floor.plant, clock.seat).keys()
    assert not {n for n in loops_of(plant, clock.seat) if n.startswith("venue")}


def test_a_venue_that_hangs_keeps_nobody_from_telling_of_its_gate(floor: Floor) -> None:
    async def main() -> None:
        hangs, begun = asyncio.Event(), asyncio.Event()

        async def silence(bid_set_id: str, body: bytes, *, until: datetime) -> Submission:
            begun.set()
            await hangs.wait()
            return Taken()

        floor.venue.submit = silence  # type: ignore[method-assign]
        looking = asyncio.create_task(venuedesk.look(floor.plant, floor.desk, EVENING))
        await begun.wait()
        floor.bench.clock.at = FIRST_GATE - 7 * MINUTE
        with pytest.raises(StopIteration):  # it ends without waiting for anything
            venuewatch.watch(floor.plant, floor.bench.clock.at).send(None)
        hangs.set()
        await looking

    asyncio.run(main())
    assert "left: sent" in floor.told("gate_at_risk")[0]
