"""A cloud front over a park that sold its sun: what the intraday auctions save, in small."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from benchmarks.cloud_front import DAY, HERE, WITH, WITHOUT, Asked, both, lost, sunny_park
from vpp.errors import DataError
from vpp.model.horizon import Horizon, Profile
from vpp.model.settlement import LineKind
from vpp.model.time import QUARTER, Interval, local_day
from vpp.service.backtest.asked import BacktestOptions, Way
from vpp.service.backtest.backtest import backtest
from vpp.service.backtest.rows import Row
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.solving.inline import InlineExecutor
from vpp.service.trading.contractschema import ContractSection


def test_re_trading_through_the_intraday_auctions_costs_less_than_the_imbalance_it_avoids() -> None:
    asked = Asked(every=timedelta(hours=3), hours=14)

    rows = asyncio.run(both(asked, InlineExecutor()))

    with_, without = rows[WITH], rows[WITHOUT]
    assert without.imbalance_kwh > 4000  # three of four hours: 3 MW of sun, a fifth is left
    assert with_.imbalance_kwh < without.imbalance_kwh / 2
    assert lost(with_) < lost(without) / 2
    assert with_.cost < without.cost
    assert (with_.plans_failed, without.plans_failed) == (0, 0)


CFD = ContractSection(
    id="cfd",
    obligation="financial",
    side="sell",
    quantity_series="contract.cfd",
    price_per_mwh=Decimal(100),
    reference_series="price.day-ahead.se3",
    counterparty="c",
    reason="a test",
    by="Ada",
)


async def an_hour(file: ParkFile, plants: list[Plant]) -> Row:
    """The first hour of the day, with 1 MW contracted all day."""
    midnight = local_day(DAY, HERE).start
    day = Horizon(midnight, QUARTER, 96)

    def look(_: Way, plant: Plant) -> None:
        if not plants:
            plants.append(plant)
            plant.series.put_profile(
                "contract.cfd", unit="MW", profile=Profile.constant(day, 1.0),
                known_at=plant.clock.now(), source="test",
            )  # fmt: skip

    options = BacktestOptions(
        span=Interval(midnight, midnight + timedelta(hours=1)),
        every=timedelta(hours=3),
        foresight=False,
    )
    return (await backtest(file, options, InlineExecutor(), look)).rows[1]


def test_a_contract_for_difference_is_in_the_statements_and_the_books_agree(tmp_path: Path) -> None:
    plants: list[Plant] = []
    file = replace(sunny_park(tmp_path, 1), contracts=(CFD,))

    asyncio.run(an_hour(file, plants))

    lines = [line for one in plants[0].accounted.values() for line in one.lines]
    differences = [line.amount for line in lines if line.kind is LineKind.CONTRACT_DIFFERENCE]
    assert len(differences) >= 4
    assert set(differences) == {Decimal("7.50")}  # a quarter of (100 - 70)


def test_days_with_a_physical_contract_are_not_scored(tmp_path: Path) -> None:
    physical = CFD.model_copy(update={"obligation": "physical", "reference_series": None})
    file = replace(sunny_park(tmp_path, 1), contracts=(physical,))

    with pytest.raises(DataError, match="a physical contract was settled"):
        asyncio.run(an_hour(file, []))
