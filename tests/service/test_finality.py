"""What is settled stays so over a restart, and what nobody can meter any more stands in nobody's way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

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
from tests.service.test_recovery_money import publish_prices, tell
from vpp.model.ids import ProductId
from vpp.model.time import QUARTER
from vpp.service import cycle, finality
from vpp.service.plant import Plant

FIRST = EVENING + timedelta(minutes=30)
"""When the park begins to trade."""


@pytest.fixture
def bench(plant: Plant, tmp_path: Path) -> Callable[..., Bench]:
    return bench_of(plant, tmp_path)


async def live(lab: Bench, minutes: int, *, anew_at: int | None = None) -> None:
    """Meters tell every 5 minutes; at one of them, after 10 silent minutes, their registers begin anew."""
    points = lab.file.park.connection_points
    for minute in range(0, minutes + 1, 5):
        at = EVENING + minute * MINUTE
        if anew_at is not None and minute == anew_at - 5:
            continue
        begun = 0 if anew_at is None or minute < anew_at else anew_at
        level = 5_000_000 if begun == 0 and anew_at is not None else 0
        tell(lab, at, {p.meter_id: level + (minute - begun) * 1000 for p in points}, "running")
    await cycle.account(lab.plant, lab.clock.at + MINUTE)


def states(lab: Bench, name: str) -> dict[str, int]:
    return lab.plant.book.states(name)


async def a_sale(lab: Bench, quarter: int) -> str:
    """A bid for a quarter-hour, awarded whole; the name of its set."""
    answer = await bid(lab, a_request(f"r-{quarter}", quarter))
    await award(lab, an_award(answer, f"a-{quarter}", 1, Decimal(1)))
    (bid_set,) = [
        s
        for s in lab.plant.book.newest_sets(ProductId(PRODUCT), 9)
        if s.delivery.start == FIRST + quarter * QUARTER
    ]
    return bid_set.bid_set_id


def test_bids_that_are_settled_are_so_after_a_restart(bench: Callable[..., Bench]) -> None:
    lab = bench()

    async def run() -> None:
        await publish_prices(lab, Random(7))
        name = await a_sale(lab, 0)
        await live(lab, 50)
        assert set(states(lab, name)) == {"settled"}
        lab.build()
        assert set(states(lab, name)) == {"settled"}
        assert [e.key for e in lab.journal.entries(finality.FINAL)] == ["2025-12-02T23:15:00Z"]

    asyncio.run(run())


def test_a_quarter_hour_that_nobody_metered_is_given_up_aloud_and_what_follows_is_settled(
    bench: Callable[..., Bench],
) -> None:
    lab = bench()
    trading = lab.file.trading.model_copy(update={"unmetered_given_up_after_hours": 1.0})
    lab.file = replace(lab.file, trading=trading)

    async def run() -> None:
        await publish_prices(lab, Random(7))
        lost, kept = await a_sale(lab, 0), await a_sale(lab, 2)
        await live(lab, 95, anew_at=50)  # the registers break between 23:10 and 23:20
        assert set(states(lab, kept)) == {"delivered"}
        assert lab.plant.final_until is None
        await live(lab, 125, anew_at=50)
        await cycle.account(lab.plant, lab.clock.at + MINUTE)
        assert set(states(lab, kept)) == {"settled"}
        assert set(states(lab, lost)) == {"settled"}
        assert lab.plant.final_until == FIRST + 6 * QUARTER
        told = [e.text for e in lab.plant.events.recent() if e.kind == "settlement_given_up"]
        assert [text[:16] for text in told] == ["2 quarter-hours "]

    asyncio.run(run())


def test_what_ended_before_the_service_first_ran_is_given_up_without_a_word(
    bench: Callable[..., Bench],
) -> None:
    """The unit trades since the evening before last; the service first runs now, and misses a quarter-hour."""
    lab = bench()
    trading = lab.file.trading.model_copy(update={"unmetered_given_up_after_hours": 1.0})
    (unit,) = lab.file.park.bidding_units
    unit = replace(unit, trades_from=EVENING - timedelta(days=2))
    lab.file = replace(
        lab.file, trading=trading, park=replace(lab.file.park, bidding_units=(unit,))
    )

    async def run() -> None:
        await cycle.account(lab.plant, EVENING)
        assert lab.plant.final_until == EVENING - timedelta(hours=1)
        lab.clock.at = EVENING + timedelta(hours=1)
        await cycle.account(lab.plant, lab.clock.at)
        assert lab.plant.final_until == EVENING
        assert not [e for e in lab.plant.events.recent() if e.kind == "settlement_given_up"]

        lab.clock.at += QUARTER
        await cycle.account(lab.plant, lab.clock.at)
        told = [e.text for e in lab.plant.events.recent() if e.kind == "settlement_given_up"]
        assert [text[:16] for text in told] == ["1 quarter-hours "]

    asyncio.run(run())
