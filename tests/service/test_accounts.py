"""Accounts by day and month: what is settled, what it waits for, and tables that run nothing in a spreadsheet."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.service.rebuilt import HandClock
from vpp.account.meters import MeteredEnergy
from vpp.account.statements import AccountedInterval
from vpp.model.horizon import Horizon, Profile
from vpp.model.settlement import LineKind, SettlementLine
from vpp.model.time import QUARTER, Interval
from vpp.service.csvtext import csv_of, plain_text
from vpp.service.plant import Plant
from vpp.wire import WireModel

D = Decimal
MIDNIGHT = datetime(2025, 12, 2, 23, tzinfo=UTC)
"""Of 3 December in Stockholm; the unit trades from here on."""

Get = Callable[..., Any]


def settled(
    at: datetime, *, imbalance: str = "0.50", provisional: bool = False
) -> AccountedInterval:
    """The steel works draws 100 kWh at 40 EUR/MWh; the unit had bought 0.1 MWh of it and 0.02 too much."""
    interval = Interval(at, at + QUARTER)

    def line(kind: LineKind, mwh: str, price: str, amount: str, *, open_: bool = False) -> Any:
        return SettlementLine(
            interval=interval,
            kind=kind,
            energy_mwh=D(mwh),
            price_per_mwh=D(price),
            amount=D(amount),
            provisional=open_,
        )

    return AccountedInterval(
        interval=interval,
        metered={"steel": MeteredEnergy(100_000, 0, provisional=False)},  # type: ignore[dict-item]
        day_ahead_per_mwh=D(40),
        lines=(
            line(LineKind.DAY_AHEAD, "-0.12", "40", "-4.80"),
            line(LineKind.IMBALANCE, "0.02", "25", imbalance, open_=provisional),
        ),
    )


@pytest.fixture
def get(plant: Plant, serving: Any) -> Iterator[Get]:
    """`get("/v1/…")`: JSON, or text where it is a table; at an hour past midnight."""
    plant.clock = HandClock(at=MIDNIGHT + 4 * QUARTER)
    for number in (0, 1):
        one = settled(MIDNIGHT + number * QUARTER, provisional=number == 1)
        plant.accounted[one.interval] = one
    with asyncio.Runner() as runner:
        served = serving(plant)
        client = runner.run(served.__aenter__())

        async def ask(path: str) -> Any:
            answer = await client.get(path)
            if answer.content_type == "text/csv":
                assert "attachment" in answer.headers["Content-Disposition"]
                return await answer.text()
            return {"http": answer.status} | await answer.json(content_type=None)

        yield lambda path: runner.run(ask(path))
        runner.run(served.__aexit__(None, None, None))


def test_days_and_months_are_those_of_the_park_and_say_what_is_open(get: Get) -> None:
    shown = get("/v1/accounts/periods")

    (day,), (month,) = shown["days"], shown["months"]
    assert (day["period"], month["period"]) == ("2025-12-03", "2025-12")
    assert day["span"] == {"start": "2025-12-02T23:00:00Z", "end": "2025-12-03T23:00:00Z"}
    assert (day["settled"], day["provisional"]) == (2, 1)


def test_statements_of_a_day_add_up_to_what_the_venue_paid(get: Get) -> None:
    """2 · (−4.80 + 0.50) = −8.60 from the venue; no meter is read, so the tariff bills nothing but itself."""
    shown = get("/v1/accounts/statements?period=2025-12-03")

    venue = sum(
        D(line["amount"])
        for one in shown["statements"]
        for line in one["lines"]
        if line["item"] in ("energy_spot", "trading_share")
    )
    steel = next(one for one in shown["statements"] if one["enterprise_id"] == "steel")
    spot = next(line for line in steel["lines"] if line["item"] == "energy_spot")
    assert venue == D("-8.60")
    assert (spot["energy_kwh"], spot["amount"]) == ("-200", "-8")
    assert shown["span"] == {"start": "2025-12-02T23:00:00Z", "end": "2025-12-02T23:30:00Z"}
    assert D(shown["total"]) == sum(D(one["total"]) for one in shown["statements"])


def test_one_enterprise_alone_is_told_of_no_other(get: Get, plant: Plant) -> None:
    shown = get("/v1/accounts/statements?period=2025-12&enterprise=steel")

    assert [one["enterprise_id"] for one in shown["statements"]] == ["steel"]
    refused = get("/v1/accounts/statements?period=2025-12&enterprise=nobody")
    assert (refused["http"], refused["code"]) == (404, "unknown_enterprise")
    assert "metal" not in refused["detail"]


def test_settlement_is_shown_by_interval_to_the_cent(get: Get) -> None:
    shown = get("/v1/accounts/settlement?period=2025-12-03")

    first, second = shown["intervals"]
    assert shown["amount"] == "-8.60"
    assert (first["net_kwh"], first["amount"], first["provisional"]) == ("-100", "-4.30", False)
    assert [line["kind"] for line in first["lines"]] == ["day_ahead", "imbalance"]
    assert second["provisional"]


def test_what_a_period_waits_for_is_named_with_its_quarter_hours(get: Get, plant: Plant) -> None:
    short = "price.imbalance-short.se3"
    plant.series.put_profile(
        short,
        unit="EUR/MWh",
        profile=Profile.constant(Horizon(MIDNIGHT, QUARTER, 4), 25.0),
        known_at=MIDNIGHT,
        source="test",
    )

    waits = get("/v1/accounts/settlement?period=2025-12-03")["waits"]

    (price,) = [one for one in waits if one["what"] == "imbalance_price"]
    assert (price["name"], price["intervals"]) == ("price.imbalance-long.se3", 1)
    meters = {one["name"]: one for one in waits if one["what"] == "main_meter"}
    assert meters.keys() == {p.meter_id for p in plant.file.park.connection_points}
    assert meters["steel-melt-meter"]["intervals"] == 2
    assert meters["steel-melt-meter"]["start"] == "2025-12-02T23:30:00Z"
    assert not meters["steel-melt-meter"]["given_up"]


def test_a_period_that_is_none_is_refused(get: Get) -> None:
    for period in ("2025-13", "2025-02-30", "2025", "=1+1", "9999-12"):
        assert get(f"/v1/accounts/statements?period={period}")["http"] == 422


def test_a_table_has_a_row_for_each_line_and_adds_up(get: Get) -> None:
    rows = list(
        csv.DictReader(io.StringIO(get("/v1/accounts/settlement?period=2025-12&format=csv")))
    )
    lines = get("/v1/accounts/statements?period=2025-12&format=csv")

    assert [row["amount"] for row in rows] == ["-4.80", "0.50", "-4.80", "0.50"]
    assert [row["provisional"] for row in rows] == ["no", "no", "no", "yes"]
    total = D(get("/v1/accounts/statements?period=2025-12")["total"])
    assert sum(D(row["amount"]) for row in csv.DictReader(io.StringIO(lines))) == total


def test_a_name_that_a_spreadsheet_would_run_is_text_in_the_table(get: Get, plant: Plant) -> None:
    park = plant.file.park
    for name in ("=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1"):
        first = replace(park.enterprises[0], name=name)
        others = park.enterprises[1:]
        plant.file = replace(plant.file, park=replace(park, enterprises=(first, *others)))

        text = get("/v1/accounts/statements?period=2025-12&format=csv")

        told = {row["enterprise"] for row in csv.DictReader(io.StringIO(text))}
        assert f"'{name}".replace("\r", " ") in told


def test_numbers_below_zero_stay_numbers() -> None:
    class Row(WireModel):
        amount: Decimal
        kwh: float
        words: str

    assert (
        csv_of(Row, [Row(amount=D("-1.50"), kwh=-2.5, words="-")]).splitlines()[1]
        == "-1.50,-2.5,'-"
    )
    assert plain_text("steel") == "steel"
    assert plain_text("＝1+1") == "'＝1+1"  # the wide sign of a Chinese keyboard
