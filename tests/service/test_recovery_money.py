"""Money after a restart: statements, peaks and calls as if the plant had never ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Literal

import msgspec
import pytest

from adapters.sqlite_telemetry import SqliteTelemetry
from tests.service.rebuilt import (
    EVENING,
    MINUTE,
    PRODUCT,
    Bench,
    a_request,
    an_award,
    award,
    bench_of,
    bid,
)
from vpp.model.ids import ResourceId
from vpp.model.resource import InterruptibleLoad
from vpp.model.settlement import LineKind
from vpp.model.time import QUARTER, Interval, isoformat
from vpp.service import accounting, cycle, run
from vpp.service.feeds import door as series_door
from vpp.service.plant import Plant
from vpp.service.trading import awarding
from vpp.trade.calendar import TradeRefusal
from vpp.wire import AwardRequest, SeriesUpload, TelemetryMessage, topic


@pytest.fixture
def bench(plant: Plant, tmp_path: Path) -> Callable[..., Bench]:
    return bench_of(plant, tmp_path)


Phase = Literal["waiting", "running", "called", "done"]


def tell(bench: Bench, at: datetime, registers: dict[ResourceId, int], phase: Phase) -> None:
    """All main meters and interruptible loads speak once."""
    bench.clock.at = at
    park = bench.file.park
    loads = {r.resource_id for r in park.resources if isinstance(r, InterruptibleLoad)}
    for device, (owner, site) in park.device_owner.items():
        if device in registers:
            message = TelemetryMessage(
                ts=isoformat(at),
                seq=int(at.timestamp()),
                power_kw=-1.0,
                import_wh=registers[device],
                export_wh=0,
            )
        elif device in loads:
            since = at.replace(minute=0)
            message = TelemetryMessage(
                ts=isoformat(at),
                seq=int(at.timestamp()),
                power_kw=0.0,
                phase=phase,
                phase_since=isoformat(since),
                calls_today=0,
            )
        else:
            continue
        run.take(bench.plant, topic(owner, site, device, "telemetry"), msgspec.json.encode(message))


async def publish_prices(bench: Bench, random: Random) -> None:
    for series_id in (
        "price.day-ahead.se3",
        "price.imbalance-short.se3",
        "price.imbalance-long.se3",
    ):
        values = [
            {
                "interval_start": EVENING - QUARTER * 2 + k * QUARTER,
                "value": random.randrange(9000) / 100,
            }
            for k in range(16)
        ]
        upload = SeriesUpload.model_validate(
            {
                "unit": "EUR/MWh",
                "resolution_s": 900,
                "issued_at": EVENING - timedelta(hours=1),
                "source": "test",
                "values": values,
            }
        )
        await series_door.put_series(bench.plant, series_id, upload, now=bench.clock.at)


async def live_hours(bench: Bench, restart_at: set[int], down: set[int]) -> Plant:
    """Three hours by the minute; built again at some minutes, not running during others."""
    random = Random(7)
    park = bench.file.park
    registers = {point.meter_id: 0 for point in park.connection_points}
    await publish_prices(bench, random)
    answer = await bid(bench, a_request("r-1", 0))
    await award(bench, an_award(answer, "a-1", 1, Decimal(1)))
    for minute in range(180):
        at = EVENING + minute * MINUTE
        for meter in registers:
            registers[meter] += random.randrange(200_000)
        if minute in down:
            continue
        if minute in restart_at:
            assert bench.historian is not None
            await bench.historian.flush()
            bench.clock.at = at
            bench.build()
        tell(bench, at, registers, "called" if 45 <= minute < 100 else "running")
        accounting.note_calls(bench.plant)
        if at == at.replace(minute=at.minute // 15 * 15):
            accounting.note_peaks(bench.plant, Interval(at - QUARTER, at))
        if at.minute % 15 == 2:
            await cycle.account(bench.plant, at)
    await cycle.account(bench.plant, bench.clock.at)
    return bench.plant


def money(plant: Plant) -> object:
    """All that is told of money."""
    month = Interval(EVENING - timedelta(days=1), EVENING + timedelta(days=1))
    return (
        accounting.current_statements(plant),
        plant.money,
        plant.deliveries,
        plant.calls,
        [
            plant.peaks.increases(p.connection_point_id, month)
            for p in plant.file.park.connection_points
        ],
    )


@pytest.mark.parametrize(
    ("restart_at", "down"),
    [({179}, set[int]()), ({37, 38, 80, 121}, set[int]()), ({62}, {59, 60, 61})],
    ids=["at the end", "again and again", "down over the end of an interval"],
)
def test_statements_peaks_and_calls_after_a_restart_equal_those_without_to_the_cent(
    bench: Callable[..., Bench], tmp_path: Path, restart_at: set[int], down: set[int]
) -> None:
    async def play() -> None:
        images = []
        for name, restarts in (("steady", set[int]()), ("broken", restart_at)):
            async with SqliteTelemetry(tmp_path / name / "telemetry.sqlite") as historian:
                lab = bench(historian=historian)
                plant = await live_hours(lab, restarts, down)
                images.append(money(plant))
                assert plant.accounted
                assert plant.calls
        assert images[0] == images[1]

    asyncio.run(play())


def stray_award(bid_id: str) -> AwardRequest:
    """1 MW at 40 EUR/MWh in the first traded quarter, of a bid that nobody here made."""
    first = EVENING + timedelta(minutes=30)
    line = {"start": first, "end": first + QUARTER, "quantity_mw": "1", "price_per_mwh": "40"}
    return AwardRequest.model_validate(
        {
            "award_id": "stray",
            "revision": 1,
            "final": True,
            "bid_set_id": "nobody",
            "cleared": [line | {"bid_id": bid_id}],
        }
    )


@pytest.mark.parametrize("product", ["nobody-trades-this", "se3-quarter-hour", "listed-not-built"])
def test_an_award_of_a_bid_nobody_made_is_owed_and_settled_and_nothing_ends(
    bench: Callable[..., Bench], product: str
) -> None:
    """Where the id names no product of ours, it counts for the market at whose door it came."""

    async def play() -> None:
        lab = bench()
        if product == "listed-not-built":
            shown, *rest = lab.file.packs
            section = shown.section.model_copy(update={"id": product})
            lab.file = replace(lab.file, packs=(replace(shown, section=section), *rest))
        await publish_prices(lab, Random(7))
        stray = stray_award(f"{product}/park-se3/20251202T2300Z/sell/1")
        assert await award(lab, stray) == "quarantined"
        registers = {point.meter_id: 0 for point in lab.file.park.connection_points}
        for _ in range(2):  # the journal holds it: a restart meets it again
            for minute in range(0, 51, 5):
                tell(lab, EVENING + minute * MINUTE, registers, "running")
            await cycle.account(lab.plant, lab.clock.at)
            (settled,) = lab.plant.accounted.values()
            (line,) = [one for one in settled.lines if one.kind is LineKind.QUARTER_HOUR]
            assert line.amount == Decimal(10)
            lab.build()
            await publish_prices(lab, Random(7))

    asyncio.run(play())


def test_a_product_that_left_the_park_file_still_gets_its_award_and_ends_nothing(
    bench: Callable[..., Bench],
) -> None:
    async def play() -> None:
        lab = bench()
        await publish_prices(lab, Random(7))
        answer = await bid(lab, a_request("r-1", 0))
        park = lab.file.park
        lab.file = replace(
            lab.file,
            products=tuple(p for p in lab.file.products if p.product_id != PRODUCT),
            packs=tuple(p for p in lab.file.packs if p.product_id != PRODUCT),
            park=replace(
                park,
                bidding_units=tuple(
                    replace(unit, product_ids=tuple(p for p in unit.product_ids if p != PRODUCT))
                    for unit in park.bidding_units
                ),
            ),
        )
        lab.build()
        await publish_prices(lab, Random(7))
        assert await award(lab, an_award(answer, "a-1", 1, Decimal(1))) == "booked"
        with pytest.raises(TradeRefusal, match="does not trade it"):
            await award(lab, stray_award(f"{PRODUCT}/park-se3/x/sell/1"))
        registers = {point.meter_id: 0 for point in park.connection_points}
        for minute in range(0, 51, 5):
            tell(lab, EVENING + minute * MINUTE, registers, "running")
        await awarding.ask_about_doubts(lab.plant, lab.clock.at)
        await cycle.account(lab.plant, lab.clock.at)
        assert lab.plant.accounted
        lost = [e for e in lab.plant.events.recent() if e.kind == "product_lost"]
        assert [PRODUCT in event.text for event in lost] == [True]

    asyncio.run(play())
