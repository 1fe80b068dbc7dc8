"""What every `Venue` promises, however the market is reached."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapters.file_venue import AWARD_COLUMNS, FileVenue
from adapters.http_venue import HttpVenue, HttpVenueAccess
from tests.simulate.venuekit import CENT, START, bid_set, hall, quarter
from vpp.errors import RejectedError, UnavailableError
from vpp.model.time import Interval
from vpp.model.venue import CONFLICT, Declined, Later, Taken, Unknown
from vpp.ports import Venue
from vpp.simulate.ledger import Ledger
from vpp.simulate.venuedoor import VenueDoor
from vpp.simulate.venueserver import VenueServer
from vpp.wire import AwardRequest

NOW = START
GATE = NOW + timedelta(minutes=10)
NAME, _ = bid_set(quarter(0))


def a_bid_set(quantity_mw: str = "1.5") -> bytes:
    """As much of a `BidSetResponse` as a venue looks at."""
    return bid_set(quarter(0), mw=quantity_mw)[1]


def an_award(name: str, revision: int = 1, quantity_mw: str = "1.5") -> dict[str, Any]:
    line = {
        "bid_id": "qh/unit-1/20251201T1100Z/sell/1",
        "start": "2025-12-01T11:00:00Z",
        "end": "2025-12-01T11:15:00Z",
        "quantity_mw": quantity_mw,
        "price_per_mwh": "41",
    }
    return {
        "award_id": name,
        "revision": revision,
        "final": True,
        "bid_set_id": NAME,
        "cleared": [line],
        "rejected": [],
    }


@dataclass
class Bench:
    """A market that a test can look into."""

    venue: Callable[[], AbstractAsyncContextManager[Venue]]
    """A new adapter each time, as after a restart."""

    bids: Callable[[], int]
    """How many bid sets the market has, or will when they are carried there."""

    settle: Callable[[], None]
    """Let the market say of everything that it has it."""

    issue: Callable[[dict[str, Any]], None]
    spoil: Callable[[], None]
    """Put something among the awards that is none."""

    leave: Callable[[], Awaitable[None]]
    """Nobody is there any more."""


Check = Callable[[Bench], Awaitable[None]]
Run = Callable[[Check], None]


@asynccontextmanager
async def _files(folder: Path) -> AsyncIterator[Bench]:
    outbox, inbox = folder / "out", folder / "in"
    outbox.mkdir()
    inbox.mkdir()
    numbers = iter(range(1000))

    def put(name: str, rows: list[dict[str, Any]]) -> None:
        text = io.StringIO()
        table = csv.DictWriter(text, sorted(AWARD_COLUMNS) if name == "awards" else list(rows[0]))
        table.writeheader()
        table.writerows(rows)
        (inbox / f"{name}-{next(numbers)}.csv").write_text(text.getvalue(), encoding="utf-8")

    def settle() -> None:
        put("receipts", [{"bid_set_id": f.stem, "status": "received"} for f in outbox.iterdir()])

    def issue(award: dict[str, Any]) -> None:
        whole = {name: award[name] for name in ("award_id", "revision", "bid_set_id")}
        put("awards", [{**whole, "final": "yes", "product": "qh", **c} for c in award["cleared"]])

    def spoil() -> None:
        (inbox / "awards-odd.csv").write_text("award_id\nx\n", encoding="utf-8")

    async def leave() -> None:
        outbox.rename(folder / "gone-out")
        inbox.rename(folder / "gone-in")

    @asynccontextmanager
    async def venue() -> AsyncIterator[Venue]:
        yield FileVenue(outbox, inbox, max_bytes=100_000, now=lambda: NOW)

    yield Bench(venue, lambda: len(list(outbox.iterdir())), settle, issue, spoil, leave)


@asynccontextmanager
async def _http() -> AsyncIterator[Bench]:
    has: dict[str, bytes] = {}
    entries: list[Any] = []

    async def put(request: web.Request) -> web.Response:
        name, body = request.match_info["name"], await request.read()
        if name in has and has[name] != body:
            return web.json_response({"code": "conflict", "detail": "other bytes"}, status=409)
        known = name in has
        has[name] = body
        return web.json_response({"status": "received"}, status=200 if known else 201)

    async def status(request: web.Request) -> web.Response:
        known = request.match_info["name"] in has
        return web.json_response({"status": "received" if known else "unknown"})

    async def awards(request: web.Request) -> web.Response:
        after, limit = int(request.query["after"]), int(request.query["limit"])
        fitting = [e for e in entries if e["sequence"] > after]
        return web.json_response(
            {
                "awards": fitting[:limit],
                "last_sequence": len(entries),
                "more": len(fitting) > limit,
            }
        )

    def issue(award: dict[str, Any]) -> None:
        entries.append({"sequence": len(entries) + 1, "product": "qh", "award": award})

    app = web.Application()
    app.router.add_put("/bid-sets/{name}", put)
    app.router.add_get("/bid-sets/{name}", status)
    app.router.add_get("/awards", awards)
    async with TestServer(app, host="127.0.0.1") as server:
        access = HttpVenueAccess(url=str(server.make_url("/")))
        yield Bench(
            lambda: HttpVenue(access, now=lambda: NOW),
            lambda: len(has),
            lambda: None,
            issue,
            lambda: issue({"award_id": "x"}),
            server.close,
        )


@asynccontextmanager
async def _simulated() -> AsyncIterator[Bench]:
    """The simulated venue: its awards follow from its auctions, so none can be issued by hand."""
    ledger = Ledger(CENT)
    one, faults = hall(ledger)
    server = VenueServer(VenueDoor(one, faults, now=lambda: NOW))
    await server.start()

    def nothing(award: object = None) -> None:
        pass

    def bids() -> int:
        return len([e for e in ledger.entries if e["kind"].startswith("received")])

    try:
        access = HttpVenueAccess(url=server.url)
        yield Bench(
            lambda: HttpVenue(access, now=lambda: NOW),
            bids,
            nothing,
            nothing,
            nothing,
            server.go_away,
        )
    finally:
        await server.stop()


def _runner(kind: str, folder: Path) -> Run:
    async def against(check: Check) -> None:
        benches = {"files": lambda: _files(folder), "http": _http, "simulated": _simulated}
        async with benches[kind]() as bench:
            await check(bench)

    return lambda check: asyncio.run(against(check))


@pytest.fixture(params=["files", "http", "simulated"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Run a check against one kind of venue."""
    return _runner(request.param, tmp_path)


@pytest.fixture(params=["files", "http"])
def run_awards(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """The same, where awards can be issued by hand."""
    return _runner(request.param, tmp_path)


# ---------------------------------------------------------------- bids


def test_bids_that_were_handed_over_are_there_and_the_venue_says_so(run: Run) -> None:
    async def check(bench: Bench) -> None:
        async with bench.venue() as venue:
            outcome = await venue.submit(NAME, a_bid_set(), until=GATE)
            bench.settle()
            word = await venue.bid_set_status(NAME)

        assert isinstance(outcome, Taken | Unknown)
        assert bench.bids() == 1
        assert venue.answers
        assert word == "received"

    run(check)


def test_the_same_bytes_again_are_one_submission_after_a_restart_too(run: Run) -> None:
    async def check(bench: Bench) -> None:
        for _ in range(3):
            async with bench.venue() as venue:
                outcome = await venue.submit(NAME, a_bid_set(), until=GATE)
                assert isinstance(outcome, Taken | Unknown)

        assert bench.bids() == 1

    run(check)


def test_other_bytes_under_the_same_id_are_declined(run: Run) -> None:
    async def check(bench: Bench) -> None:
        async with bench.venue() as venue:
            await venue.submit(NAME, a_bid_set("1.5"), until=GATE)
            outcome = await venue.submit(NAME, a_bid_set("9.5"), until=GATE)

        assert isinstance(outcome, Declined)
        assert outcome.code == CONFLICT

    run(check)


def test_nothing_goes_out_once_its_time_has_passed(run: Run) -> None:
    async def check(bench: Bench) -> None:
        async with bench.venue() as venue:
            outcome = await venue.submit(NAME, a_bid_set(), until=NOW)

        assert isinstance(outcome, Later)
        assert bench.bids() == 0

    run(check)


def test_of_what_a_venue_never_had_it_says_nothing_else(run: Run) -> None:
    async def check(bench: Bench) -> None:
        async with bench.venue() as venue:
            word = "cannot say"  # where nobody has told it anything
            with suppress(RejectedError):
                word = await venue.bid_set_status(NAME)

        assert word in ("unknown", "cannot say")

    run(check)


def test_a_venue_that_is_not_there_takes_nothing(run: Run) -> None:
    async def check(bench: Bench) -> None:
        async with bench.venue() as venue:
            await bench.leave()
            outcome = await venue.submit(NAME, a_bid_set(), until=GATE)
            assert isinstance(outcome, Later | Unknown)
            with pytest.raises(UnavailableError):
                await venue.bid_set_status(NAME)
            with pytest.raises(UnavailableError):
                await venue.awards(0)

    run(check)


# ---------------------------------------------------------------- awards


def test_awards_are_listed_as_they_were_issued(run_awards: Run) -> None:
    async def check(bench: Bench) -> None:
        bench.issue(an_award("a-1"))
        bench.issue(an_award("a-2", quantity_mw="0.5"))
        async with bench.venue() as venue:
            page = await venue.awards(0)

        assert [(a.product_id, a.award) for a in page.awards] == [
            ("qh", AwardRequest.model_validate(an_award("a-1"))),
            ("qh", AwardRequest.model_validate(an_award("a-2", quantity_mw="0.5"))),
        ]
        assert page.next_after is None

    run_awards(check)


def test_what_was_confirmed_need_not_come_again_and_what_is_new_does(run_awards: Run) -> None:
    async def check(bench: Bench) -> None:
        bench.issue(an_award("a-1"))
        async with bench.venue() as venue:
            page = await venue.awards(0)
            venue.confirm(page)
            after = max((a.sequence or 0 for a in page.awards), default=0)
            assert (await venue.awards(after)).awards == ()
            bench.issue(an_award("a-1", revision=2))
            (again,) = (await venue.awards(after)).awards
            assert again.award.revision == 2

    run_awards(check)


def test_what_was_not_confirmed_comes_again(run_awards: Run) -> None:
    async def check(bench: Bench) -> None:
        bench.issue(an_award("a-1"))
        async with bench.venue() as venue:
            assert (await venue.awards(0)).awards == (await venue.awards(0)).awards != ()

    run_awards(check)


def test_with_a_span_everything_comes_confirmed_or_not(run_awards: Run) -> None:
    async def check(bench: Bench) -> None:
        bench.issue(an_award("a-1"))
        span = Interval(NOW - timedelta(days=1), NOW + timedelta(days=1))
        async with bench.venue() as venue:
            venue.confirm(await venue.awards(0))
            assert len((await venue.awards(0, issued_in=span)).awards) == 1

    run_awards(check)


def test_what_is_no_award_is_told_with_its_bytes_and_hides_no_other(run_awards: Run) -> None:
    async def check(bench: Bench) -> None:
        bench.issue(an_award("a-1"))
        bench.spoil()
        bench.issue(an_award("a-2"))
        async with bench.venue() as venue:
            page = await venue.awards(0)

        assert {a.award.award_id for a in page.awards} == {"a-1", "a-2"}
        (stranger,) = page.foreign
        assert stranger.what
        assert b"award_id" in stranger.raw

    run_awards(check)
