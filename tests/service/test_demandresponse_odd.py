"""Demand response where things happen that nobody meant: late corrections, two hands at once, odd windows."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.service.drpark import FIRST, NOW, PRODUCT, WINDOW, a_plant, planned, read, write_park
from tests.service.test_demandresponse import (
    MILL,
    REPLY_AT,
    Making,
    award,
    by_hand,
    confirmed,
    invite,
    nominated,
    story,
    through_the_window,
)
from vpp.account.meters import MeterBook
from vpp.errors import DataError
from vpp.model.demandresponse import Stage
from vpp.model.ids import ProductId, ResourceId
from vpp.model.time import QUARTER, Interval, isoformat
from vpp.service.demandresponse import demandresponse
from vpp.service.demandresponse import money as drmoney
from vpp.service.demandresponse import plan as drplan
from vpp.service.park.parkfile import load_park
from vpp.service.plant import Plant
from vpp.wiredr import ReplyRequest


@pytest.fixture
def making(tmp_path: Path) -> Making:
    def make() -> Plant:
        return a_plant(write_park(tmp_path), tmp_path)

    return make


NO = ReplyRequest.model_validate({"decision": "decline", "by": "ada", "reason": "furnace"})


def test_what_is_taken_back_while_it_is_under_way_is_owed_no_more(making: Making) -> None:
    plant = making()

    async def run() -> None:
        await confirmed(plant)
        await demandresponse.advance(plant, WINDOW.start)
        assert story(plant).stage is Stage.UNDER_WAY
        await award(plant, "0", revision=2)
        await demandresponse.advance(plant, WINDOW.start)
        assert story(plant).stage is Stage.NOT_CHOSEN
        assert drplan.terms(plant, plant.schedule.horizon, NOW) == ()  # type: ignore[union-attr]

    asyncio.run(run())


def test_what_is_taken_back_after_it_was_evaluated_is_not_paid(tmp_path: Path) -> None:
    write_park(tmp_path)
    rules = tmp_path / "dr.yaml"
    owed = "reporting:\n"
    text = rules.read_text()
    assert owed in text
    rules.write_text(text.replace(owed, f"{owed}  settlement_lag_days: 5\n"))
    plant = a_plant(load_park(tmp_path / "park.yaml"), tmp_path)

    async def run() -> None:
        await confirmed(plant)
        await through_the_window(plant, mill=1300, dairy=600)
        assert story(plant).stage is Stage.EVALUATED
        assert drmoney.paid(plant) > 0
        await award(plant, "0", revision=2)
        await demandresponse.advance(plant, WINDOW.end)
        assert story(plant).stage is Stage.NOT_CHOSEN
        assert drmoney.paid(plant) == 0

    asyncio.run(run())


def test_an_award_that_is_corrected_after_it_was_settled_is_told_once(making: Making) -> None:
    plant = making()

    async def run() -> None:
        await confirmed(plant)
        await through_the_window(plant, mill=1300, dairy=600)
        assert story(plant).stage is Stage.SETTLED
        paid = drmoney.paid(plant)
        await award(plant, "0.5", revision=2)
        for _ in range(2):
            await demandresponse.advance(plant, WINDOW.end)
        assert drmoney.paid(plant) == paid

    asyncio.run(run())
    (text,) = [e.text for e in plant.events.recent() if "by hand" in e.text]
    assert "corrected to 0.50 MW at 3000" in text


@pytest.mark.parametrize("request_", [NO, by_hand(mill="0.4")])
def test_a_person_who_replies_while_the_automatic_reply_waits_has_the_last_word(
    making: Making, request_: ReplyRequest
) -> None:
    plant = making()

    async def run() -> None:
        await invite(plant)
        await planned(plant)
        async with plant.trading:  # somebody else trades
            person = asyncio.create_task(
                demandresponse.reply(plant, PRODUCT, "peak-1", request_, now=REPLY_AT)
            )
            await asyncio.sleep(0)
            cycle = asyncio.create_task(demandresponse.advance(plant, REPLY_AT))
            await asyncio.sleep(0)
        told = await person
        await cycle
        assert story(plant) == told

    asyncio.run(run())


def test_a_nomination_whose_bids_a_person_withdrew_is_held_no_longer(making: Making) -> None:
    plant = making()

    async def run() -> None:
        await nominated(plant)
        nomination = story(plant).nomination
        assert nomination is not None
        plant.book.withdraw(nomination.bid_set_id, REPLY_AT)
        await demandresponse.advance(plant, REPLY_AT)
        assert story(plant).stage is Stage.NOT_CHOSEN
        assert "withdrawn" in story(plant).steps[-1].words

    asyncio.run(run())


@pytest.mark.parametrize("stage", [Stage.INVITED, Stage.NOMINATED, Stage.CONFIRMED])
def test_a_product_that_the_park_file_drops_ends_no_cycle(making: Making, stage: Stage) -> None:
    plant = making()

    async def run() -> None:
        if stage is Stage.INVITED:
            await invite(plant)
        else:
            await (nominated if stage is Stage.NOMINATED else confirmed)(plant)
        assert story(plant).stage is stage
        packs = tuple(pack for pack in plant.file.packs if pack.product_id != PRODUCT)
        plant.file = replace(plant.file, packs=packs)
        plant.products.pop(ProductId(PRODUCT))
        await planned(plant, seq=9)
        for now in (REPLY_AT, WINDOW.start, WINDOW.start + QUARTER, WINDOW.end):
            await demandresponse.advance(plant, now)
            drplan.owed_kw(plant, Interval(WINDOW.start, WINDOW.start + QUARTER), 0.0)

    asyncio.run(run())


def test_a_window_of_more_than_a_day_is_refused(making: Making) -> None:
    plant = making()

    async def run() -> None:
        with pytest.raises(DataError, match="longer than"):
            await invite(plant, end=isoformat(WINDOW.start + timedelta(days=366)))
        await invite(plant, end=isoformat(WINDOW.start + timedelta(days=1)))

    asyncio.run(run())
    assert story(plant).stage is Stage.INVITED


def test_more_than_we_could_ever_offer_is_planned_for_as_what_we_could(making: Making) -> None:
    plant = making()

    async def run() -> None:
        await invite(plant, wanted_mw="1000000")
        await planned(plant)
        await demandresponse.advance(plant, REPLY_AT)

    asyncio.run(run())
    nomination = story(plant).nomination
    assert nomination is not None
    assert nomination.quantity_mw > Decimal(1)


def test_a_member_without_a_baseline_keeps_nobody_else_from_being_planned_for(
    making: Making,
) -> None:
    plant = making()
    plant.meters, plant.dr.days = MeterBook(), {}
    quarters = Interval(FIRST, NOW).split(QUARTER)
    for n, quarter in enumerate([*quarters, Interval(NOW, NOW + QUARTER)]):
        read(plant, ResourceId("mill-meter"), MILL, quarter.start, n * 500_000)

    async def run() -> None:
        await invite(plant)
        await planned(plant)
        assert plant.schedule is not None
        (cap,) = drplan.terms(plant, plant.schedule.horizon, NOW)
        assert cap.place == MILL
        await demandresponse.advance(plant, REPLY_AT)
        nomination = story(plant).nomination
        assert nomination is not None
        assert nomination.members == (MILL,)

    asyncio.run(run())
