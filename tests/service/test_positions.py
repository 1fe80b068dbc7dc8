"""Trades made outside and contracts by series: on disk first, owed, settled again, shown, and there after a restart."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pytest

from tests.service.rebuilt import Bench, Killed, a_request, bench_of, bid
from vpp.errors import ConflictError, DataError
from vpp.model.horizon import Horizon, Profile
from vpp.model.ids import UnitId
from vpp.model.measurement import MeterReading
from vpp.model.settlement import LineKind
from vpp.model.time import QUARTER, Interval
from vpp.service import accounting
from vpp.service.feeds import door as series_door
from vpp.service.plant import Plant
from vpp.service.trading import log as tradelog
from vpp.service.trading import outside, positions
from vpp.service.trading.contractschema import ContractSection
from vpp.service.trading.retrade import retrade
from vpp.trade.netposition import NetLine
from vpp.wire import SeriesUpload
from vpp.wireposition import OutsideTradeRequest

NIGHT = datetime(2025, 12, 2, 23, tzinfo=UTC)
"""When the demo park begins to trade."""

HOUR = timedelta(hours=1)
PATH = "/v1/positions/trades"
DEAL = {
    "trade_id": "desk-7",
    "revision": 1,
    "product": "forward-q4",
    "start": "2025-12-02T23:00:00Z",
    "end": "2025-12-03T00:00:00Z",
    "side": "sell",
    "quantity_mw": "0.8",
    "price_per_mwh": "55",
    "counterparty": "Nordic Trading",
    "reason": "sold by telephone",
    "by": "Ada Berg",
}
JSON = {"Content-Type": "application/json"}
CURVE = ContractSection(
    id="mlt-winter",
    obligation="financial",
    side="buy",
    quantity_series="contract.mlt-winter",
    price_per_mwh=Decimal(400),
    reference_series="price.day-ahead.se3",
    counterparty="a generator",
    reason="annual contract of November",
    by="Ada Berg",
)


@pytest.fixture
def bench(plant: Plant, tmp_path: Path) -> Callable[..., Bench]:
    return bench_of(plant, tmp_path)


def a_deal(**changes: Any) -> OutsideTradeRequest:
    return OutsideTradeRequest.model_validate_json(json.dumps(DEAL | changes))


def night(plant: Plant) -> list[NetLine]:
    """The first hour that the park trades."""
    return list(positions.net_lines(plant, Interval(NIGHT, NIGHT + HOUR)))


def upload(values: list[float | None], *, unit: str = "MW", revision: int = 1) -> SeriesUpload:
    """By quarter-hours from the first traded one on."""
    return SeriesUpload.model_validate(
        {
            "unit": unit,
            "resolution_s": 900,
            "issued_at": NIGHT - HOUR,
            "source": "contract desk",
            "revision": revision,
            "values": [
                {"interval_start": NIGHT + k * QUARTER, "value": v} for k, v in enumerate(values)
            ],
        }
    )


async def take(bench: Bench, **changes: Any) -> None:
    await outside.take(bench.plant, a_deal(**changes), now=bench.clock.at)


def test_a_deal_is_entered_once_revised_shown_and_taken_back(plant: Plant, serving: Any) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            first = await client.post(PATH, json=DEAL)
            again = await client.post(PATH, json=DEAL)
            assert (first.status, await first.json()) == (200, await again.json())
            other = await client.post(PATH, json=DEAL | {"quantity_mw": "0.9"})
            assert (other.status, (await other.json())["code"]) == (409, "conflict")
            higher = await client.post(PATH, json=DEAL | {"quantity_mw": "0.9", "revision": 2})
            assert (await higher.json())["counts_as"] == "contracts"
            assert [line.owed_mw for line in night(plant)] == [Decimal("0.9")] * 4
            listed = (await (await client.get(PATH)).json())["trades"]
            assert [(t["revision"], t["status"], t["by"]) for t in listed] == [
                (2, "booked", "Ada Berg")
            ]
            bare = await client.delete(f"{PATH}/desk-7", headers=JSON)
            assert (bare.status, (await bare.json())["code"]) == (422, "invalid_query")
            gone = await client.delete(f"{PATH}/desk-7?by=Bo+Ek&reason=typed+twice", headers=JSON)
            assert (await gone.json())["status"] == "withdrawn"
            missing = await client.delete(f"{PATH}/x?by=Bo+Ek&reason=typed+twice", headers=JSON)
            assert (missing.status, (await missing.json())["code"]) == (404, "unknown_trade")

    asyncio.run(run())
    assert [line.owed_mw for line in night(plant)] == [0] * 4
    kept = [entry.key for entry in plant.journal.entries(tradelog.OUTSIDE_TRADE)]
    assert kept == ["desk-7/1", "desk-7/2", "desk-7/3"]
    assert plant.replan is not None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"unit": "nobody"}, "unknown_unit"),
        ({"end": "2025-12-03T00:05:00Z"}, "off_grid"),
        ({"quantity_mw": "800"}, "invalid_data"),
        ({"end": "2095-12-03T00:00:00Z"}, "invalid_data"),
        ({"by": ""}, "invalid_body"),
        ({"reason": ""}, "invalid_body"),
        ({"quantity_mw": "-1"}, "invalid_body"),
        ({"obligation": "financial"}, "invalid_body"),
    ],
)
def test_a_deal_that_cannot_be_meant_is_refused_and_leaves_nothing(
    plant: Plant, serving: Any, changes: dict[str, str], code: str
) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            answer = await client.post(PATH, json=DEAL | changes)
            assert (await answer.json())["code"] == code

    asyncio.run(run())
    assert list(plant.journal.entries(tradelog.OUTSIDE_TRADE)) == []
    assert plant.book.outside.standing() == ()


def test_a_deal_counts_in_the_product_it_names_and_in_its_column_of_json_and_csv(
    plant: Plant, serving: Any
) -> None:
    span = "from=2025-12-02T23:00:00Z&to=2025-12-02T23:30:00Z"

    async def run() -> tuple[Any, str]:
        async with serving(plant) as client:
            await client.post(PATH, json=DEAL | {"product": "se3-day-ahead"})
            shown = await (await client.get(f"/v1/positions?{span}")).json()
            table = await (await client.get(f"/v1/positions?{span}&format=csv")).text()
        return shown, table

    assert plant.schedule is not None
    positions.note_plan(plant, plant.schedule)
    shown, table = asyncio.run(run())
    line = shown["lines"][0]

    planned = Decimal(line["planned_mw"])
    assert (line["day_ahead_mw"], line["contracts_mw"], line["metered_mw"]) == ("0.8", "0", None)
    assert Decimal(line["open_mw"]) == planned - Decimal("0.8")
    header, first, second = table.splitlines()
    assert header.startswith("start,end,contracts_mw,financial_mw,day_ahead_mw")
    assert first.startswith("2025-12-02T23:00:00Z,2025-12-02T23:15:00Z,0,0,0.8,")
    assert second.split(",")[2:] == first.split(",")[2:]


@pytest.mark.parametrize("point", ["outside trade checked", "outside trade journalled"])
def test_a_deal_that_a_kill_cut_short_is_owed_once_after_it_comes_again(
    bench: Callable[..., Bench], point: str
) -> None:
    lab = bench(die_at=point)

    async def run() -> None:
        with pytest.raises(Killed):
            await take(lab)
        lab.build()
        await take(lab)
        lab.build()

    asyncio.run(run())
    assert [line.contracts_mw for line in night(lab.plant)] == [Decimal("0.8")] * 4
    assert len(list(lab.journal.entries(tradelog.OUTSIDE_TRADE))) == 1


def test_a_contract_follows_its_series_through_revisions_and_a_restart(
    bench: Callable[..., Bench],
) -> None:
    lab = bench()
    physical = CURVE.model_copy(update={"obligation": "physical", "reference_series": None})
    lab.file = replace(lab.file, contracts=(physical,))

    async def put(values: list[float | None], **more: Any) -> None:
        series = upload(values, **more)
        await series_door.put_series(lab.plant, physical.quantity_series, series, now=lab.clock.at)

    async def run() -> None:
        await put([0.5, 0.5, 0.25, None])
        assert [line.contracts_mw for line in night(lab.plant)] == [
            Decimal("-0.5"), Decimal("-0.5"), Decimal("-0.25"), 0
        ]  # fmt: skip
        assert len(lab.plant.book.outside.curve("mlt-winter")) == 2
        await put([1.0, 1.0, None, 1.0], revision=2)

    asyncio.run(run())
    for _ in range(2):
        assert [line.contracts_mw for line in night(lab.plant)] == [-1, -1, 0, -1]
        lab.build()


def test_a_curve_that_did_not_change_is_not_made_again(bench: Callable[..., Bench]) -> None:
    lab = bench()
    lab.file = replace(lab.file, contracts=(CURVE,))
    year = Horizon(NIGHT, QUARTER, 35_040)
    moving = Profile(year, np.arange(year.steps) % 1_000 / 1_000)
    lab.plant.series.put_profile(
        CURVE.quantity_series, unit="MW", profile=moving, known_at=NIGHT - HOUR, source="desk"
    )

    def seconds() -> float:
        began_s = process_time()
        outside.follow(lab.plant, lab.clock.at)
        return process_time() - began_s

    first, second = seconds(), min(seconds(), seconds())
    assert len(lab.plant.book.outside.curve(CURVE.id)) > 35_000
    assert second < first / 10


def test_a_curve_below_0_or_in_another_unit_is_refused_at_the_door(
    bench: Callable[..., Bench],
) -> None:
    lab = bench()
    lab.file = replace(lab.file, contracts=(CURVE,))

    async def put(series: SeriesUpload) -> None:
        await series_door.put_series(lab.plant, CURVE.quantity_series, series, now=lab.clock.at)

    for wrong in (upload([-0.5]), upload([500.0], unit="kW")):
        with pytest.raises(DataError, match="curve of contract mlt-winter"):
            asyncio.run(put(wrong))
    assert not lab.plant.series.has(CURVE.quantity_series)


def test_a_deal_with_the_same_revision_and_another_person_is_a_conflict(
    bench: Callable[..., Bench],
) -> None:
    lab = bench()

    async def run() -> None:
        await take(lab)
        with pytest.raises(ConflictError):
            await take(lab, by="Bo Ek")

    asyncio.run(run())


def test_a_deal_that_is_entered_late_reopens_what_was_settled(
    bench: Callable[..., Bench],
) -> None:
    lab = bench()
    plant = lab.plant
    plant.final_until = NIGHT + HOUR

    asyncio.run(take(lab))

    assert plant.final_until == NIGHT


def test_a_deal_of_years_ago_settles_nothing_again_that_no_meter_is_kept_of(
    bench: Callable[..., Bench],
) -> None:
    lab = bench()
    plant = lab.plant
    lab.clock.at = NIGHT + timedelta(days=100)
    plant.final_until = lab.clock.at - HOUR
    kept_from = lab.clock.at - accounting.METERS_KEPT

    asyncio.run(take(lab, start="2015-12-02T23:00:00Z", end="2015-12-03T00:00:00Z"))

    assert plant.final_until == kept_from
    told = [event.text for event in plant.events.recent() if event.kind == "settlement"]
    assert len(told) == 1
    assert "2026-01-09T23:00:00Z" in told[0]


def test_what_no_meter_is_kept_of_is_not_looked_at_in_each_cycle(
    bench: Callable[..., Bench],
) -> None:
    lab = bench()
    plant = lab.plant
    meters = [point.meter_id for point in plant.file.park.connection_points]
    lab.clock.at = NIGHT + timedelta(days=100)
    read_meters(plant, meters, NIGHT, 0)

    def settled() -> list[Interval]:
        return accounting.settle_due(plant, lab.clock.at)

    async def prices() -> None:
        for series_id in (
            "price.day-ahead.se3",
            "price.imbalance-short.se3",
            "price.imbalance-long.se3",
        ):
            series = upload([50.0] * 4, unit="EUR/MWh")
            await series_door.put_series(plant, series_id, series, now=lab.clock.at)

    asyncio.run(prices())
    read_meters(plant, meters, NIGHT + QUARTER, 1000)
    assert settled() == []  # meters and prices of the first quarter-hour are there all the same


def test_differences_and_markets_make_the_two_settlement_sum(bench: Callable[..., Bench]) -> None:
    """Domain §6.6, case 6: 100 MWh at 400, day-ahead 110 at 350, drawn 105 at 600: costs 40 500."""
    lab = bench()
    plant = lab.plant
    quarter = Interval(NIGHT, NIGHT + QUARTER)

    async def run() -> None:
        for series_id, price in (
            ("price.day-ahead.se3", 350.0),
            ("price.imbalance-short.se3", 600.0),
            ("price.imbalance-long.se3", 600.0),
        ):
            series = upload([price] * 4, unit="EUR/MWh")
            await series_door.put_series(plant, series_id, series, now=lab.clock.at)
        # A MWh each quarter-hour for 100 of the case: its sums come as hundredths.
        financial = {"obligation": "financial", "reference_series": "price.day-ahead.se3"}
        await take(lab, side="buy", quantity_mw="4", price_per_mwh="400", **financial)
        day_ahead = {"product": "se3-day-ahead", "side": "buy", "price_per_mwh": "350"}
        await take(lab, trade_id="da", quantity_mw="4.4", **day_ahead)

    asyncio.run(run())
    lab.clock.at = quarter.end + timedelta(minutes=2)
    meters = [point.meter_id for point in plant.file.park.connection_points]
    for at, wh in ((quarter.start, 0), (quarter.end, 1_050_000)):
        read_meters(plant, meters, at, wh)

    settled = accounting.settle_due(plant, lab.clock.at)

    assert settled == [quarter]
    amounts = {line.kind: line.amount for line in plant.accounted[quarter].lines}
    assert amounts == {
        LineKind.CONTRACT_DIFFERENCE: Decimal("-50.00"),
        LineKind.DAY_AHEAD: Decimal("-385.00"),
        LineKind.IMBALANCE: Decimal("30.00"),
    }
    assert sum(amounts.values()) == Decimal("-405.00")


def read_meters(plant: Plant, meters: list[Any], at: datetime, wh: int) -> None:
    """The first meter drew `wh` since it was put up, the others nothing."""
    for place, meter in enumerate(meters):
        plant.meters.add(
            MeterReading(
                meter_id=meter,
                enterprise_id=plant.file.park.connection_points[place].enterprise_id,
                measured_at=at,
                received_at=at,
                seq=1,
                import_wh=0 if place else wh,
                export_wh=0,
                power_kw=0.0,
            )
        )


def test_the_delta_curve_is_of_the_unit_as_its_offers_are(plant: Plant) -> None:
    schedule, park = plant.schedule, plant.file.park
    assert schedule is not None
    (unit,) = park.bidding_units
    left_out = schedule.resource_ids[0]
    smaller = replace(unit, resource_ids=unit.resource_ids - {left_out})
    plant.file = replace(plant.file, park=replace(park, bidding_units=(smaller,)))
    moved = schedule.power_kw.copy()
    moved[0] += 1000.0  # of the one that is not in the unit
    positions.note_plan(plant, schedule)
    more = replace(schedule, plan_id="plan-2", power_kw=moved, net_kw=schedule.net_kw + 1000.0)
    positions.note_plan(plant, more)

    found = retrade(plant, None, None, NIGHT)

    assert found is not None
    assert {line.moved_mw for line in found.lines} == {0}
    start = schedule.horizon.start
    of_park, of_unit = (positions.planned_mw(plant, start, u) for u in (None, unit.unit_id))
    assert of_park is not None
    assert of_unit is not None
    assert of_park - of_unit == round(Decimal(float(more.net_kw[0] - moved[1:, 0].sum())) / 1000, 6)
    assert positions.planned_mw(plant, start, UnitId("other")) is None


def test_the_delta_curve_tells_what_to_trade_from_which_plan_to_which(
    plant: Plant, serving: Any
) -> None:
    older = plant.schedule
    assert older is not None
    less = older.power_kw.copy()
    less[0] -= 500.0
    newer = replace(older, plan_id="plan-2", net_kw=older.net_kw - 500.0, power_kw=less)
    positions.note_plan(plant, older)
    span = "from=2025-12-02T23:00:00Z&to=2025-12-02T23:30:00Z"
    sold = Decimal(str(older.net_kw[0])) / 1000

    async def run() -> tuple[list[Any], str]:
        async with serving(plant) as client:
            path = "/v1/positions/delta"
            alone = await (await client.get(f"{path}?{span}")).json()
            positions.note_plan(plant, newer)
            # All that the older plan would draw is bought, for half an hour.
            deal = {"side": "buy", "quantity_mw": str(-sold), "product": "se3-day-ahead"}
            await client.post(PATH, json=DEAL | deal | {"end": "2025-12-02T23:15:00Z"})
            both = await (await client.get(f"{path}?{span}&since=plan-1")).json()
            table = await (await client.get(f"{path}?{span}&format=csv")).text()
            lost = await client.get(f"{path}?since=plan-77")
            assert (lost.status, (await lost.json())["code"]) == (422, "invalid_query")
        return [alone, both], table

    (alone, both), table = asyncio.run(run())
    first, second = both["lines"]

    assert (alone["from_plan"], alone["to_plan"]) == (None, "plan-1")
    assert (both["from_plan"], both["to_plan"]) == ("plan-1", "plan-2")
    assert (first["moved_mw"], first["delta_mw"], first["side"]) == ("-0.5", "-0.5", "buy")
    assert (first["price_per_mwh"], first["tradable_until"]) == ("50.00", "2025-12-02T22:45:00Z")
    assert Decimal(second["delta_mw"]) == sold - Decimal("0.5")
    assert table.splitlines()[1].endswith("-0.5,buy,50.00,2025-12-02T22:45:00Z")


def test_a_physical_contract_is_planned_for_and_bid_beside_and_a_financial_one_is_not(
    bench: Callable[..., Bench],
) -> None:
    lab = bench()
    quarter = Interval(NIGHT, NIGHT + QUARTER)

    async def bought(name: str) -> Decimal:
        answer = json.loads(await bid(lab, a_request(name, 0)))
        (buys,) = [b["offer"]["steps"] for b in answer["bids"] if b["side"] == "buy"]
        return Decimal(buys[0]["quantity_mw"])  # what is bought at any price: all else is freedom

    async def run() -> None:
        before = await bought("r-1")
        financial = {"obligation": "financial", "reference_series": "price.day-ahead.se3"}
        await take(lab, trade_id="cfd", quantity_mw="0.5", **financial)
        assert await bought("r-2") == before
        assert lab.plant.sold_mw(quarter) == 0
        await take(lab, quantity_mw="0.5")
        assert await bought("r-3") == before + Decimal("0.5")
        assert lab.plant.sold_mw(quarter) == Decimal("0.5")

    asyncio.run(run())
