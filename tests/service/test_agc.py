"""A signal of 10 MW in Hunan, followed: what is told of it while it runs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.service.drpark import planned
from tests.service.regulationpark import HOUR, MILEAGE, D, a_park, regulating, signal
from vpp.clock import SimulatedClock
from vpp.model.ids import ProductId
from vpp.model.time import Interval, isoformat
from vpp.service.calls.reservedesk import ReserveDesk
from vpp.service.plant import Plant
from vpp.service.steering import agc, mainmeters, owing
from vpp.service.trading import log as tradelog
from vpp.trade.book import BidBook
from vpp.wire import TelemetryMessage, topic

SECOND = timedelta(seconds=1)
PRODUCT = ProductId(MILEAGE)


@pytest.fixture
def hunan(tmp_path: Path) -> Plant:
    plant = a_park(tmp_path, MILEAGE)
    asyncio.run(_ready(plant))
    return plant


async def _ready(plant: Plant) -> None:
    await regulating(plant)
    await planned(plant, HOUR.start, seq=5)


def show(plant: Plant, at: datetime, response_mw: str) -> None:
    """The mill's meter shows what is owed and so much more at a moment; the dairy's nothing."""
    hear(plant, at, response_mw)
    agc.note(plant, at)


def hear(plant: Plant, at: datetime, response_mw: str) -> None:
    """The same, not looked at yet."""
    plant.clock = SimulatedClock(at)
    base_kw = owing.mean_owed_kw(plant, HOUR_FIRST)
    assert base_kw is not None
    for device in ("mill-meter", "dairy-meter"):
        owner, site = plant.file.park.device_owner[device]  # type: ignore[index]
        kw = base_kw + float(D(response_mw)) * 1000 if device == "mill-meter" else 0.0
        message = TelemetryMessage(
            ts=isoformat(at), seq=int(at.timestamp()), power_kw=kw, import_wh=0, export_wh=0
        )
        raw = msgspec.json.encode(message)
        plant.intake.accept(topic(owner, site, device, "telemetry"), raw, at)


HOUR_FIRST = next(iter(HOUR.split(timedelta(minutes=15))))


async def one_step(plant: Plant) -> None:
    """10 MW up: a fifth after 6 s, nine tenths and 0.05 MW short after 90 s, 0.05 too much after 100; then back."""
    await signal(plant, MILEAGE, "10", HOUR.start, revision=1, span=HOUR)
    for seconds, mw in ((1, "0"), (6, "2"), (90, "9.95"), (100, "10.05")):
        show(plant, HOUR.start + seconds * SECOND, mw)
    await signal(plant, MILEAGE, "0", HOUR.start + 300 * SECOND, revision=2, span=HOUR)
    show(plant, HOUR.start + 301 * SECOND, "10")


def test_the_parts_of_the_index_are_told_as_soon_as_an_instruction_is_over(hunan: Plant) -> None:
    """A standard rate of 1.5 MW a minute: K = 0.4·3 + 0.3·0.9 + 0.3·0.75, as in the golden case."""
    asyncio.run(one_step(hunan))

    ((name, run, running),) = agc.runs_at(hunan, HOUR.start + 302 * SECOND)
    told = run.following.told()
    assert (name, running, told.instructions) == (PRODUCT, True, 1)
    assert told.parts is not None
    assert [round(part, 3) for part in told.parts] == [3, D("0.9"), D("0.75")]
    assert told.index is not None
    assert round(told.index, 3) == D("1.695")
    assert told.first_reaction_s == 6
    assert told.mileage_mw == 20
    assert [sample.response_mw for sample in hunan.reserve.samples] == [
        *(D(0), D(2), D("9.95"), D("10.05"), D(10))
    ]


def test_the_face_shows_a_signal_while_it_runs_and_metrics_do(hunan: Plant, serving: Any) -> None:
    asyncio.run(one_step(hunan))

    async def run() -> tuple[dict[str, Any], str]:
        async with serving(hunan) as client:
            answer = await client.get("/v1/regulation")
            assert answer.status == 200, await answer.text()
            return await answer.json(), await (await client.get("/metrics")).text()

    shown, metrics = asyncio.run(run())
    (one,) = shown["runs"]
    assert one["product"] == MILEAGE
    assert one["running"] is True
    assert D(one["asked_mw"]) == 0
    assert D(one["response_mw"]) == D(one["error_mw_now"]) == 10
    assert D(one["index"]) == D("1.695")
    assert D(one["awarded_mw"]) == 10
    assert D(one["in_band_share"]) == D("0.4"), "two of five within half a MW: 5 % of the award"
    assert one["pjm"] is None, "ten minutes are not over"
    assert f'vpp_regulation_response_watts{{product="{MILEAGE}"}} 1e+07' in metrics


def test_a_run_that_pauses_is_followed_by_one_of_its_own(hunan: Plant) -> None:
    asyncio.run(one_step(hunan))
    first = hunan.reserve.runs[PRODUCT]
    assert first.until == HOUR.end
    assert agc.runs_at(hunan, HOUR.end)[0][2] is False


def test_meters_that_say_nothing_new_are_not_counted_twice(hunan: Plant) -> None:
    asyncio.run(one_step(hunan))
    agc.note(hunan, HOUR.start + 305 * SECOND)
    assert len(hunan.reserve.samples) == 5
    assert hunan.reserve.runs[PRODUCT].following.told().samples == 5


def test_a_reading_of_before_the_boundary_is_judged_by_what_was_owed_then(hunan: Plant) -> None:
    """The plan of the quarter-hour that begins is 5 MW higher: no answer to the signal."""

    async def run() -> None:
        await signal(hunan, MILEAGE, "10", HOUR.start, revision=1, span=HOUR)
        show(hunan, HOUR_FIRST.end - 60 * SECOND, "10")
        hear(hunan, HOUR_FIRST.end - SECOND, "10")
        assert hunan.schedule is not None
        net_kw = hunan.schedule.net_kw.copy()
        net_kw[hunan.schedule.horizon.index(HOUR_FIRST.end)] += 5000
        hunan.schedule = replace(hunan.schedule, net_kw=net_kw)
        agc.note(hunan, HOUR_FIRST.end)

    asyncio.run(run())
    assert [sample.response_mw for sample in hunan.reserve.samples] == [10, 10]


def test_a_signal_that_outlasts_its_award_is_judged_by_it_and_ends_no_cycle(hunan: Plant) -> None:
    """10 MW until the hour of the award is over, and back to 0 after that."""
    span = Interval(HOUR.start, HOUR.end + 600 * SECOND)
    after = HOUR.end + 5 * SECOND

    async def run() -> None:
        await signal(hunan, MILEAGE, "10", HOUR.start, revision=1, span=span)
        for seconds in (1, 6, 90):
            show(hunan, HOUR.start + seconds * SECOND, "10")
        hunan.clock = SimulatedClock(after)
        await signal(hunan, MILEAGE, "0", after, revision=2, span=span)
        agc.note(hunan, after + SECOND)

    asyncio.run(run())
    told = hunan.reserve.runs[PRODUCT].following.told()
    assert told.instructions == 1
    assert told.asked_mw == 0
    assert hunan.reserve.runs[PRODUCT].following.rule.capacity_mw == 10


def test_a_course_of_many_set_points_is_handed_over_once(hunan: Plant) -> None:
    """Each second another MW between two control cycles; none is lost and none counts twice."""

    async def run() -> None:
        for number in range(8):
            at = HOUR.start + number * SECOND
            await signal(hunan, MILEAGE, str(number + 1), at, revision=number + 1, span=HOUR)
        show(hunan, HOUR.start + 8 * SECOND, "8")
        show(hunan, HOUR.start + 9 * SECOND, "8")

    asyncio.run(run())
    told = hunan.reserve.runs[PRODUCT].following.told()
    assert told.mileage_mw == Decimal(8)
    assert told.asked_mw == 8


def test_what_settlement_judges_by_is_found_after_a_restart(hunan: Plant) -> None:
    """A quarter-hour that is over is one entry; it is written once, and the delivery is settled by it."""

    async def run() -> None:
        await one_step(hunan)
        await agc.keep(hunan, HOUR_FIRST.end - SECOND)
        assert list(hunan.journal.entries(agc.KIND)) == [], "it is not over"
        for _ in range(2):
            await agc.keep(hunan, HOUR_FIRST.end)

    asyncio.run(run())
    before = [*hunan.reserve.samples]
    assert len(list(hunan.journal.entries(agc.KIND))) == 1
    hunan.reserve = ReserveDesk()
    agc.recover(hunan, HOUR.end)
    assert [*hunan.reserve.samples] == before
    asyncio.run(agc.keep(hunan, HOUR.end))
    assert len(list(hunan.journal.entries(agc.KIND))) == 1


def test_a_set_point_that_moves_a_signal_is_a_few_bytes_of_the_journal(hunan: Plant) -> None:
    async def run() -> None:
        for number in range(10):
            at = HOUR.start + 4 * number * SECOND
            await signal(hunan, MILEAGE, str(5 - number), at, revision=number + 1, span=HOUR)

    asyncio.run(run())
    before = hunan.book.calls.standing()
    (first,) = hunan.journal.entries(tradelog.ACTIVATION)
    moves = list(hunan.journal.entries(tradelog.SIGNAL_MOVE))
    assert len(moves) == 9
    assert max(len(move.body) for move in moves) < len(first.body) / 10
    hunan.book = BidBook(frozenset(hunan.products))
    tradelog.recover(hunan)
    assert [one.followed for one in hunan.book.calls.standing()] == [one.followed for one in before]
    assert hunan.book.calls.standing()[0].same_order(before[0])


def test_a_meter_that_is_doubted_shows_nothing(hunan: Plant) -> None:
    """Whose clock is two minutes behind tells of another moment: no loop is closed by it, and nothing judged."""
    at = HOUR.start + 5 * SECOND
    hear(hunan, at, "10")
    meters = hunan.intake.newest_meter
    name = next(iter(meters))
    assert mainmeters.shown(hunan, at) is not None

    meters[name] = replace(meters[name], doubt="its clock is behind: 120 s, message by message")
    assert mainmeters.shown(hunan, at) is None
