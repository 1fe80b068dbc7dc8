"""A plant that is built again on its record goes on as if it had never ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest

from adapters.memory_journal import MemoryJournal
from adapters.sqlite_journal import SqliteJournal
from tests.service.rebuilt import (
    EVENING,
    MINUTE,
    PRODUCT,
    Bench,
    Killed,
    a_request,
    an_award,
    award,
    bench_of,
    bid,
)
from vpp.errors import RejectedError, UnavailableError, VppError
from vpp.model.horizon import Horizon
from vpp.model.resource import EvFleet
from vpp.model.time import QUARTER, Interval, isoformat, latest_boundary
from vpp.service import cycle, recovery
from vpp.service.feeds import door as series_door
from vpp.service.plant import Plant
from vpp.service.record import PLAN
from vpp.service.trading import awarding, trading
from vpp.trade.book import BidSetStatus
from vpp.wire import SeriesUpload


@pytest.fixture
def bench(plant: Plant, tmp_path: Path) -> Callable[..., Bench]:
    return bench_of(plant, tmp_path)


def an_upload(value: float, revision: int) -> SeriesUpload:
    return SeriesUpload.model_validate(
        {
            "unit": "EUR/MWh",
            "resolution_s": 900,
            "issued_at": EVENING,
            "source": "test",
            "revision": revision,
            "values": [{"interval_start": EVENING, "value": value}],
        }
    )


Op = tuple[Any, ...]


async def do(bench: Bench, op: Op, answers: dict[str, bytes]) -> object:
    """Carry an operation out; what it answered, or what it was refused with."""
    try:
        match op:
            case ("bid", name, quarter):
                return await bid(bench, a_request(name, quarter))
            case ("award", name, award_id, revision, share) if name in answers:
                return await award(bench, an_award(answers[name], award_id, revision, share))
            case ("withdraw", name) if name in answers:
                bid_set_id = msgspec.json.decode(answers[name])["bid_set_id"]
                return await trading.withdraw(bench.plant, PRODUCT, bid_set_id, now=bench.clock.at)
            case ("series", series_id, value, revision):
                upload = an_upload(value, revision)
                await series_door.put_series(bench.plant, series_id, upload, now=bench.clock.at)
                return "taken"
            case _:
                return "nothing to do"
    except VppError as error:
        return type(error).__name__, error.what


def an_op(random: Random) -> Op:
    name = f"r-{random.randrange(8)}"
    match random.choices(["bid", "award", "withdraw", "series"], [5, 5, 1, 2])[0]:
        case "bid":
            # Mostly the same delivery again for the same id; now and then another one: refused.
            return ("bid", name, random.choice([hash_of(name), random.randrange(4)]))
        case "award":
            share = random.choice([Decimal(1), Decimal(1), Decimal(2), Decimal("0.5")])
            return ("award", name, f"a-{random.randrange(5)}", random.randrange(1, 4), share)
        case "withdraw":
            return ("withdraw", name)
        case _:
            series_id = f"price.{random.randrange(2)}"
            return ("series", series_id, float(random.randrange(3)), random.randrange(1, 3))


def hash_of(name: str) -> int:
    return int(name.removeprefix("r-")) % 4


POINTS = (
    *("bid made", "bid journalled", "bid booked"),
    *("award checked", "award journalled", "award booked"),
)


async def compare(steady: Bench, broken: Bench, random: Random) -> int:
    """The same operations with and without kills; how many kills there were."""
    answers: dict[str, bytes] = {}
    kills = 0
    for _ in range(24):
        op = an_op(random)
        for one in (steady, broken):
            one.clock.at += MINUTE / 4
        if random.random() < 0.15:
            broken.build()
        broken.die_at = random.choice(POINTS) if random.random() < 0.5 else ""
        expected = await do(steady, op, answers)
        try:
            got = await do(broken, op, answers)
        except Killed:
            kills += 1
            broken.build()
            got = await do(broken, op, answers)  # the other side asks again
        assert got == expected, op
        if op[0] == "bid" and isinstance(expected, bytes):
            answers[op[1]] = expected
    broken.build()
    assert image(broken.plant, answers) == image(steady.plant, answers)
    return kills


def image(plant: Plant, answers: dict[str, bytes]) -> object:
    """All that the trading side of a plant knows."""
    ids = [msgspec.json.decode(answer)["bid_set_id"] for answer in answers.values()]
    night = Interval(EVENING, EVENING + 8 * QUARTER)
    return (
        [plant.book.answer(name) for name in ids],
        [plant.book.status(name) for name in ids],
        [plant.book.trades_of(name) for name in ids],
        [plant.book.position().trades(interval) for interval in night.split(QUARTER)],
        [(a.award_id, why) for a, why in plant.book.quarantined()],
        plant.book.in_doubt(EVENING + timedelta(hours=9)),
        [
            plant.series.known(
                name, Horizon(EVENING, QUARTER, 1), EVENING + timedelta(days=1)
            ).values.tolist()
            for name in plant.series.ids
        ],
    )


def test_kills_and_rebuilds_change_no_answer_and_no_book(
    bench: Callable[..., Bench],
) -> None:
    async def play() -> None:
        kills = 0
        for seed in range(100):
            kills += await compare(bench(), bench(), Random(seed))
        assert kills > 100

    asyncio.run(play())


def test_the_same_holds_for_the_journal_on_disk(
    bench: Callable[..., Bench], tmp_path: Path
) -> None:
    async def play() -> None:
        for seed in range(3):
            path = tmp_path / str(seed) / "journal.sqlite"
            async with SqliteJournal.open(path) as journal:
                await compare(bench(), bench(journal), Random(1000 + seed))

    asyncio.run(play())


@pytest.mark.parametrize("order", [(1, 2), (2, 1)], ids=["in order", "the older one last"])
def test_the_highest_revision_of_an_award_stands_after_a_restart(
    bench: Callable[..., Bench], order: tuple[int, int]
) -> None:
    async def play() -> None:
        lab = bench()
        answer = await bid(lab, a_request("r-1", 0))
        shares = {1: Decimal(1), 2: Decimal("0.5")}
        for revision in order:
            await award(lab, an_award(answer, "a-1", revision, shares[revision]))
        lab.build()
        owed = {
            trade.bid_id: trade.quantity_mw
            for trade in lab.plant.book.trades_of(msgspec.json.decode(answer)["bid_set_id"])
        }
        newest = an_award(answer, "a-1", 2, shares[2])
        assert owed == {line.bid_id: line.quantity_mw for line in newest.cleared}

    asyncio.run(play())


# ---------------------------------------------------------------- numbers


def test_command_numbers_rise_over_restarts_within_one_second_and_when_the_clock_falls_back(
    bench: Callable[..., Bench], plant: Plant
) -> None:
    lab = bench()
    lab.clock.at = plant.clock.now() + timedelta(seconds=40)
    lab.schedule = replace(lab.schedule, issued_at=lab.clock.at)

    async def act(now: datetime) -> list[int]:
        before = len(lab.link.sent)
        lab.plant.intake = plant.intake
        await cycle.act(lab.plant, now)
        return [setpoint.seq for setpoint in lab.link.sent[before:]]

    async def play() -> None:
        newest = 0
        for back in (0, 0, 0, 20):
            lab.clock.at -= timedelta(seconds=back)
            lab.build()
            numbers = await act(lab.clock.at)
            assert numbers
            assert min(numbers) > newest
            newest = max(numbers)

    asyncio.run(play())


@pytest.mark.parametrize("later", ["setpoint", "setpoints"])
def test_command_numbers_rise_above_those_of_either_form_of_record(later: str) -> None:
    """A row for each command, as it was written before, and a row for all commands of a cycle."""
    far = int(EVENING.timestamp()) + 1_000_000
    keys = {"setpoint": f"{far:012d}/steel-battery", "setpoints": f"{far:012d}/0123456789abcdef"}
    journal = MemoryJournal()

    async def write() -> None:
        for kind, key in keys.items():
            number = key if kind == later else f"{far - 5:012d}/{key.split('/')[1]}"
            await journal.append(kind, number, b"[]", now=EVENING)

    asyncio.run(write())

    assert recovery.first_command_seq(journal, EVENING) == far + 1


def test_what_was_measured_is_known_after_a_restart(bench: Callable[..., Bench]) -> None:
    at_work = bench()
    interval = Interval(EVENING, EVENING + QUARTER)
    asyncio.run(
        at_work.plant.journal.append(
            cycle.OBSERVED,
            isoformat(interval.start),
            b'{"power.new-line":-412.5}',
            now=interval.end,
        )
    )

    at_work.build()

    horizon = Horizon.over(interval, QUARTER)
    series = at_work.plant.series
    assert series.known("power.new-line", horizon, interval.end).values.tolist() == [-412.5]
    assert np.isnan(series.known("power.new-line", horizon, interval.start).values).all()


def test_a_quarter_hour_that_a_clock_set_back_brings_again_is_measured_once(
    bench: Callable[..., Bench],
) -> None:
    lab = bench()
    fleets = [r.resource_id for r in lab.plant.file.park.resources if isinstance(r, EvFleet)]
    assert fleets, "of a fleet something is known for every quarter-hour"
    start = latest_boundary(lab.plant.started_at, QUARTER) + QUARTER
    body = msgspec.json.encode({f"arriving.{name}": 7.5 for name in fleets})

    async def play() -> None:
        await lab.journal.append(cycle.OBSERVED, isoformat(start), body, now=start + QUARTER)
        lab.build()
        await cycle.plan(lab.plant, start + QUARTER)

    asyncio.run(play())
    (entry,) = lab.journal.entries(cycle.OBSERVED)
    assert entry.body == body


def test_plan_numbers_go_on_from_the_newest_one_not_from_their_count(
    bench: Callable[..., Bench],
) -> None:
    lab = bench()

    async def play() -> None:
        for number in (1, 2, 7):  # between them plans failed
            await lab.journal.append(PLAN, f"plan-{number:06d}", b"{}", now=EVENING)
        lab.build()
        assert lab.plant.plan_count == 7

    asyncio.run(play())


# ---------------------------------------------------------------- doubts


@dataclass
class Oracle:
    """A venue that says what it is told to say."""

    says: str | VppError
    asked: list[str] = field(default_factory=list)

    async def bid_set_status(self, bid_set_id: str) -> str:
        self.asked.append(bid_set_id)
        if isinstance(self.says, VppError):
            raise self.says
        return self.says


AWAY = UnavailableError("away", where="venue", fix="wait")
REFUSED = RejectedError("answered 404", where="venue", fix="look")


@pytest.mark.parametrize(
    ("says", "reconciled", "given_up"),
    [
        ("received", True, False),
        ("cleared", True, False),
        ("unknown", True, True),
        (AWAY, False, False),
        (REFUSED, False, False),
    ],
    ids=["received", "cleared", "unknown", "the venue is away", "the venue refuses"],
)
def test_after_a_restart_the_market_is_asked_about_every_bid_without_an_award(
    bench: Callable[..., Bench], says: Any, reconciled: bool, given_up: bool
) -> None:
    async def play() -> None:
        lab = bench()
        answer = await bid(lab, a_request("r-1", 0))
        bid_set_id = msgspec.json.decode(answer)["bid_set_id"]
        lab.venue = oracle = Oracle(says)
        lab.build()
        refused = await do(lab, ("bid", "r-2", 1), {})
        assert refused == ("TradeRefusal", "bids of the last run are still in doubt")
        assert await bid(lab, a_request("r-1", 0)) == answer  # what is known is known

        await awarding.ask_about_doubts(lab.plant, lab.clock.at)  # before the gate
        assert oracle.asked == [bid_set_id]
        assert lab.plant.reconciled is reconciled
        open_ = BidSetStatus.OPEN  # the market may still ask again
        assert lab.plant.book.status(bid_set_id) is open_

        lab.clock.at += 2 * QUARTER
        await awarding.ask_about_doubts(lab.plant, lab.clock.at)  # after it
        given = BidSetStatus.UNANSWERED if given_up else open_
        assert lab.plant.book.status(bid_set_id) is given
        await awarding.ask_about_doubts(lab.plant, lab.clock.at)
        assert len(oracle.asked) == (2 if given_up else 3)

        span = Interval(EVENING, EVENING + 8 * QUARTER)
        assert lab.plant.book.position().trades(span) == ()
        if says == "received":
            assert await award(lab, an_award(answer, "a-1", 1, Decimal(1))) == "booked"
            await awarding.ask_about_doubts(lab.plant, lab.clock.at)
            assert len(oracle.asked) == 3

    asyncio.run(play())


# ---------------------------------------------------------------- a commit that failed and did not


class Full(MemoryJournal):
    """A disk that takes nothing while it is full."""

    full = False

    async def append_all(self, entries: Sequence[tuple[str, str, bytes]], *, now: datetime) -> None:
        if self.full:
            raise UnavailableError("full", where="disk", fix="free it")
        await super().append_all(entries, now=now)


@pytest.mark.parametrize(
    "op",
    [
        ("bid", "r-2", 1),
        ("award", "r-1", "a-1", 1, Decimal(1)),
        ("withdraw", "r-1"),
    ],
    ids=["a bid", "an award", "a withdrawal"],
)
def test_what_is_not_on_disk_is_not_in_the_book(bench: Callable[..., Bench], op: Op) -> None:
    async def play() -> None:
        journal = Full()
        lab = bench(journal)
        answers = {"r-1": await bid(lab, a_request("r-1", 0))}
        before = image(lab.plant, answers)
        journal.full = True
        assert await do(lab, op, answers) == ("UnavailableError", "full")
        assert image(lab.plant, answers) == before
        assert lab.plant.book.by_request("r-2") is None
        journal.full = False
        assert not isinstance(await do(lab, op, answers), tuple)
        after = image(lab.plant, answers)
        lab.build()
        assert image(lab.plant, answers) == after

    asyncio.run(play())


class Doubtful(MemoryJournal):
    """Writes, and says that it did not: what a failed fsync may leave."""

    refusals = 0

    async def append_all(self, entries: Sequence[tuple[str, str, bytes]], *, now: datetime) -> None:
        await super().append_all(entries, now=now)
        if self.refusals:
            self.refusals -= 1
            raise UnavailableError("not known whether it is on disk", where="disk", fix="again")


def test_what_the_journal_refused_and_has_all_the_same_is_not_met_as_a_stranger(
    bench: Callable[..., Bench],
) -> None:
    async def play() -> None:
        journal = Doubtful()
        lab = bench(journal)
        journal.refusals = 1
        with pytest.raises(UnavailableError):
            await bid(lab, a_request("r-1", 0))
        lab.clock.at += MINUTE
        answer = await bid(lab, a_request("r-1", 0))
        assert msgspec.json.decode(answer)["issued_at"] == isoformat(EVENING)
        assert msgspec.json.decode(await bid(lab, a_request("r-2", 0)))["revision"] == 2

        other = await bid(lab, a_request("r-3", 1))
        journal.refusals = 1
        with pytest.raises(UnavailableError):
            await award(lab, an_award(other, "a-1", 1, Decimal(1)))
        lab.clock.at += MINUTE
        assert await award(lab, an_award(other, "a-1", 1, Decimal(1))) == "booked"
        trades = lab.plant.book.trades_of(msgspec.json.decode(other)["bid_set_id"])
        lab.build()
        assert lab.plant.book.trades_of(msgspec.json.decode(other)["bid_set_id"]) == trades != ()

        journal.refusals = 1
        third = await bid_again(lab)
        with pytest.raises(UnavailableError):
            await trading.withdraw(lab.plant, PRODUCT, third, now=lab.clock.at)
        assert lab.plant.book.status(third).value == "open"
        await trading.withdraw(lab.plant, PRODUCT, third, now=lab.clock.at)
        assert lab.plant.book.status(third).value == "withdrawn"

    async def bid_again(lab: Bench) -> str:
        journal = lab.journal
        assert isinstance(journal, Doubtful)
        journal.refusals = 0
        name: str = msgspec.json.decode(await bid(lab, a_request("r-4", 2)))["bid_set_id"]
        journal.refusals = 1
        return name

    asyncio.run(play())
