from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from vpp.errors import RejectedError, UnavailableError
from vpp.model.horizon import Horizon, Profile
from vpp.simulate.auction import Auction, read_auction
from vpp.simulate.clearing import pay_as_cleared, read_bid
from vpp.simulate.clearingrules import Among, AtPrice, Regulation
from vpp.simulate.exchange import HttpExchange
from vpp.simulate.hall import Taken
from vpp.simulate.ledger import Ledger, TakeBack, Trade
from vpp.simulate.market import Market, Registration, SeriesIds
from vpp.simulate.prices import Prices
from vpp.simulate.spec import MarketRules

OPENED = datetime(2025, 12, 1, 10, tzinfo=UTC)
"""11:00 in Stockholm on D-1."""
MIDNIGHT = datetime(2025, 12, 1, 23, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
CENT = Decimal("0.01")
SLOT = (MIDNIGHT, MIDNIGHT + QUARTER)
SERIES = SeriesIds(
    unit="EUR/MWh",
    day_ahead="price.day-ahead.se3",
    quarter_hour="price.quarter-hour.se3",
    short="price.imbalance-short.se3",
    long="price.imbalance-long.se3",
)
RULES = MarketRules(
    quarter_hour_noise_sd_per_mwh=4.0,
    quarter_hour_noise_correlation=0.8,
    imbalance_spread_per_mwh=10.0,
)


def prices(
    per_mwh: float | Sequence[float] = 50.0,
    *,
    seed: int = 1,
    start: datetime = OPENED,
    steps: int = 400,
) -> Prices:
    values = np.resize(np.array(per_mwh, dtype=float), steps)
    return Prices(Profile(Horizon(start, QUARTER, steps), values), RULES, seed)


# ---------------------------------------------------------------- clearing


def offer(side: str, *steps: tuple[str, str]) -> dict[str, Any]:
    return {
        "side": side,
        "offer": {
            "form": "curve_step",
            "steps": [{"quantity_mw": mw, "price_per_mwh": price} for mw, price in steps],
        },
    }


def segments(side: str, *ends: tuple[str, str, str]) -> dict[str, Any]:
    return {
        "side": side,
        "offer": {
            "form": "segments",
            "segments": [
                {"from_mw": low, "to_mw": high, "price_per_mwh": price} for low, high, price in ends
            ],
        },
    }


@pytest.mark.parametrize(
    ("bid", "taken_mw"),
    [
        pytest.param(offer("buy", ("0.5", "60"), ("0.3", "50"), ("0.2", "40")), "0.8", id="a buyer's steps at or above the price"),
        pytest.param(offer("sell", ("0.5", "40"), ("0.3", "50"), ("0.2", "60")), "0.8", id="a seller's steps at or below the price"),
        pytest.param(offer("buy", ("1", "49.99")), "0", id="a buyer who offers too little"),
        pytest.param(offer("sell", ("1", "50.01")), "0", id="a seller who asks too much"),
        pytest.param(offer("sell", ("1", "-500")), "1", id="whoever sells at any price"),
        pytest.param(segments("buy", ("0", "2", "1300"), ("2", "2.5", "50"), ("2.5", "4", "40")), "2.5", id="a buyer's segments at or above the price"),
    ],
)  # fmt: skip
def test_a_curve_is_taken_up_to_the_price(bid: dict[str, Any], taken_mw: str) -> None:
    lines = pay_as_cleared(read_bid(bid, "b"), Decimal(50))
    assert sum((line.quantity_mw for line in lines), Decimal(0)) == Decimal(taken_mw)
    assert all(line.price == 50 for line in lines)


@pytest.mark.parametrize(
    "bid",
    [
        pytest.param({"side": "buy", "offer": {"form": "block"}}, id="another form"),
        pytest.param(offer("hold", ("1", "1")), id="another side"),
        pytest.param(offer("buy", ("-1", "60")), id="a negative quantity"),
        pytest.param(offer("buy", ("NaN", "60")), id="not a number"),
        pytest.param(offer("buy", ("much", "60")), id="not even a decimal"),
    ],
)
def test_what_breaks_the_contract_is_not_traded(bid: dict[str, Any]) -> None:
    with pytest.raises((ValueError, ArithmeticError, LookupError)):
        read_bid(bid, "b")


# ---------------------------------------------------------------- settlement


def settled(
    metered_wh: int, *trades: tuple[str, str, str], minor: Decimal = CENT
) -> dict[str, Decimal]:
    ledger = Ledger(minor)
    ledger.cleared(
        "set-1",
        "award-1",
        [Trade(kind, "unit-1", SLOT, Decimal(mw), Decimal(price)) for kind, mw, price in trades],
    )
    ledger.settle("unit-1", SLOT, metered_wh, Decimal(70), Decimal(30))
    return ledger.totals()


@pytest.mark.parametrize(
    ("metered_wh", "trades", "day_ahead", "quarter_hour", "imbalance"),
    [
        pytest.param(-250_000, [("day_ahead", "-1", "50")], "-12.50", "0", "0", id="bought and drawn"),
        pytest.param(-350_000, [("day_ahead", "-1", "50")], "-12.50", "0", "-7.00", id="0.1 MWh drawn too much, at the short price"),
        pytest.param(-150_000, [("day_ahead", "-1", "50")], "-12.50", "0", "3.00", id="0.1 MWh drawn too little, at the long price"),
        pytest.param(-150_000, [("day_ahead", "-1", "50"), ("quarter_hour", "0.4", "55")], "-12.50", "5.50", "0", id="sold back in the later auction"),
        pytest.param(125_000, [], "0", "0", "3.75", id="fed without having sold"),
        pytest.param(0, [("day_ahead", "0.1", "0.2"), ("day_ahead", "0.1", "0.4")], "0.01", "0", "-3.50", id="each line is rounded by itself, 0.005 and 0.01 half to even"),
        pytest.param(0, [("day_ahead", "0.1", "1")], "0.02", "0", "-1.75", id="0.025 is rounded half to even"),
    ],
)  # fmt: skip
def test_settlement_by_hand(
    metered_wh: int,
    trades: list[tuple[str, str, str]],
    day_ahead: str,
    quarter_hour: str,
    imbalance: str,
) -> None:
    assert settled(metered_wh, *trades) == {
        "day_ahead": Decimal(day_ahead),
        "quarter_hour": Decimal(quarter_hour),
        "imbalance": Decimal(imbalance),
    }


def test_without_an_imbalance_price_an_interval_stays_open_and_is_counted() -> None:
    ledger = Ledger(CENT)
    ledger.settle("unit-1", SLOT, 1000, None, None)
    assert ledger.totals()["imbalance"] == 0
    assert ledger.counts["unsettled"] == 1


def test_the_ledger_is_on_disk_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(CENT, path)
    ledger.received("set-1", "abc", at=OPENED)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    ledger.close()

    assert lines == [
        {"kind": "received", "bid_set_id": "set-1", "digest": "abc", "at": "2025-12-01T10:00:00Z"}
    ]


# ---------------------------------------------------------------- prices


def test_an_interval_has_the_same_price_whatever_the_span() -> None:
    longer = prices(start=OPENED - timedelta(days=2), steps=800)
    shorter = prices()
    moments = [OPENED + step * QUARTER for step in range(0, 400, 37)]

    assert [longer.quarter_hour(m) for m in reversed(moments)] == [
        shorter.quarter_hour(m) for m in reversed(moments)
    ]
    assert prices(seed=2).quarter_hour(OPENED) != shorter.quarter_hour(OPENED)


def test_noise_has_the_stated_spread_and_correlation() -> None:
    source = prices(steps=4000)
    noise = np.array(
        [float(source.quarter_hour(OPENED + i * QUARTER) or 0) - 50 for i in range(4000)]
    )
    assert noise.std() == pytest.approx(4, rel=0.1)
    assert np.corrcoef(noise[1:], noise[:-1])[0, 1] == pytest.approx(0.8, abs=0.05)


def test_imbalance_prices_punish_both_directions() -> None:
    source = prices()
    for step in range(50):
        start = OPENED + step * QUARTER
        quarter_hour = source.quarter_hour(start)
        assert quarter_hour is not None
        assert source.short(start) == max(Decimal(50), quarter_hour) + 10
        assert source.long(start) == min(Decimal(50), quarter_hour) - 10


def test_a_missing_price_is_none_and_never_zero() -> None:
    source = prices([float("nan"), 50.0])
    assert source.day_ahead(OPENED) is None
    assert source.short(OPENED) is None
    assert source.quarter_hour(OPENED - QUARTER) is None
    assert source.day_ahead(OPENED + QUARTER) == 50


# ---------------------------------------------------------------- calendar


def daily_auction(zone: str = "Europe/Stockholm") -> Auction:
    return Auction(
        product="da",
        currency="EUR",
        zone=ZoneInfo(zone),
        interval=QUARTER,
        units=("unit-1",),
        daily=True,
        lead=timedelta(0),
        days_before=1,
        closes=time(12),
    )


@pytest.mark.parametrize(
    ("asked_at", "zone", "count", "gate"),
    [
        pytest.param("2025-03-29T08:00Z", "Europe/Stockholm", 92, "2025-03-29T11:00Z", id="the day of 23 hours"),
        pytest.param("2025-10-25T08:00Z", "Europe/Stockholm", 100, "2025-10-25T10:00Z", id="the day of 25 hours"),
        pytest.param("2025-12-01T02:00Z", "Asia/Shanghai", 96, "2025-12-01T04:00Z", id="Shanghai"),
        pytest.param("2025-12-01T10:55Z", "Europe/Stockholm", 96, "2025-12-01T11:00Z", id="just in time"),
        pytest.param("2025-12-01T10:56Z", "Europe/Stockholm", 96, "2025-12-02T11:00Z", id="too late for tomorrow"),
    ],
)  # fmt: skip
def test_the_day_ahead_gate_keeps_local_time(
    asked_at: str, zone: str, count: int, gate: str
) -> None:
    auction = daily_auction(zone)
    delivery = auction.first_open(datetime.fromisoformat(asked_at), timedelta(minutes=5))

    assert len(auction.slots(delivery)) == count
    assert auction.closes_at(delivery) == datetime.fromisoformat(gate)
    assert auction.following(delivery)[0] == delivery[1]


def test_a_gate_rule_is_read_off_one_example() -> None:
    example = {
        "product": "qh",
        "currency": "EUR",
        "timezone": "Europe/Stockholm",
        "delivery_interval_s": 900,
        "units": ["unit-1"],
        "next_delivery": {
            "delivery": {"start": "2025-12-01T11:00:00Z", "end": "2025-12-01T11:15:00Z"},
            "closes_at": "2025-12-01T10:45:00Z",
        },
    }
    auction = read_auction(example)
    assert not auction.daily
    assert auction.closes_at(SLOT) == MIDNIGHT - QUARTER


@pytest.mark.parametrize(
    ("bought_mw", "drawn_mwh", "real_time", "imbalance", "deviation"),
    [
        # A quarter-hour, 300 a day ahead, a band of 20 %.
        pytest.param(520, 100, "500", 15_000, -2_000, id="golden 7: 130 MWh bought, 100 drawn, dearer"),
        pytest.param(480, 100, "500", 10_000, 0, id="120 MWh bought: within the band"),
        pytest.param(280, 100, "200", -6_000, -1_000, id="70 MWh bought, 10 too few, cheaper by 100"),
        pytest.param(280, 100, "500", -15_000, 0, id="70 MWh bought, and dearer: a loss stays"),
    ],
)  # fmt: skip
def test_the_venue_of_two_settlements_takes_back_what_a_wrong_declaration_gained(
    bought_mw: int, drawn_mwh: int, real_time: str, imbalance: int, deviation: int
) -> None:
    ledger = Ledger(CENT)
    trade = Trade("day_ahead", "unit-1", SLOT, Decimal(-bought_mw), Decimal(300))
    ledger.cleared("set-1", "award-1", [trade])
    rule = TakeBack(Decimal("0.2"), Decimal(1), Decimal(300))

    price = Decimal(real_time)
    ledger.settle("unit-1", SLOT, -drawn_mwh * 1_000_000, price, price, rule)

    assert ledger.totals() == {
        "day_ahead": -bought_mw * 75,
        "quarter_hour": 0,
        "imbalance": imbalance,
        "deviation": deviation,
    }


def test_one_price_of_the_real_time_pays_both_ways_and_keeps_its_bounds() -> None:
    rules = replace(RULES, imbalance="real_time", least_per_mwh=49.0, most_per_mwh=51.0)
    profile = Profile(Horizon(OPENED, QUARTER, 400), np.full(400, 50.0))
    market = Prices(profile, rules, seed=1)
    starts = [OPENED + k * QUARTER for k in range(400)]

    assert [market.short(start) for start in starts] == [market.long(start) for start in starts]
    assert {market.short(start) for start in starts} > {Decimal(49), Decimal(51)}


# ---------------------------------------------------------------- the market at work

Play = Callable[[Market, Ledger], Awaitable[None]]


def at_work(service: Any, play: Play, *, attempts: int = 3, **changes: Any) -> Ledger:
    ledger = changes.get("ledger") or Ledger(CENT)

    async def run() -> None:
        url = await service.start()
        market = Market(
            HttpExchange(changes.get("url", url), Random(1), attempts=attempts),
            prices(),
            ledger,
            [Registration("unit-1", MIDNIGHT)],
            lambda _unit, _slot: -200_000,
            seed=1,
            opened_at=changes.get("opened_at", OPENED),
            series=SERIES,
            clearing=changes.get("clearing"),
        )
        try:
            await market.start()
            await play(market, ledger)
        finally:
            await market.stop()
            await service.stop()

    asyncio.run(run())
    return ledger


async def until(market: Market, moment: datetime) -> list[datetime]:
    """Act at each due time up to `moment`; those times."""
    times = []
    while market.next_due() <= moment:
        times.append(market.next_due())
        await market.act(market.next_due())
    return times


def bids(start: str, end: str) -> list[dict[str, Any]]:
    span = {"start": start, "end": end}
    return [
        span | {"bid_id": f"b/{start}"} | offer("buy", ("0.8", "90"), ("0.1", "-90")),
        span | {"bid_id": f"s/{start}"} | offer("sell", ("0.5", "900")),
    ]


def test_a_day_is_asked_before_its_gate_and_awarded_after(service: Any) -> None:
    service.bids["2025-12-01T23:00:00Z"] = bids("2025-12-01T23:00:00Z", "2025-12-01T23:15:00Z")

    async def play(market: Market, ledger: Ledger) -> None:
        await until(market, OPENED + timedelta(minutes=55))
        [asked] = [body for body in service.asked if body["product"] == "se3-day-ahead"]
        assert asked["delivery"] == {"start": "2025-12-01T23:00:00Z", "end": "2025-12-02T23:00:00Z"}
        assert ledger.status("se3-day-ahead/unit-1/2025-12-01T23:00:00Z") == "received"
        times = await until(market, OPENED + timedelta(minutes=105))
        assert OPENED + timedelta(minutes=105) in times
        assert ledger.status("se3-day-ahead/unit-1/2025-12-01T23:00:00Z") == "cleared"

    ledger = at_work(service, play)
    [award] = service.awards
    assert award["cleared"] == [
        {
            "bid_id": "b/2025-12-01T23:00:00Z",
            "start": "2025-12-01T23:00:00Z",
            "end": "2025-12-01T23:15:00Z",
            "quantity_mw": "0.8",
            "price_per_mwh": "50.00",
        }
    ]
    assert award["rejected"] == ["s/2025-12-01T23:00:00Z"]
    assert award["final"]
    [published] = service.series["price.day-ahead.se3"]
    assert len(published["values"]) == 96
    assert published["issued_at"] == "2025-12-01T11:45:00Z"
    assert ledger.counts["award_acknowledged"] == 1


def test_only_deliveries_from_the_first_one_on_are_asked(service: Any) -> None:
    async def play(market: Market, ledger: Ledger) -> None:
        await until(market, MIDNIGHT + timedelta(minutes=2))

    ledger = at_work(service, play)
    rolling = [b["delivery"]["start"] for b in service.asked if b["product"] == "se3-quarter-hour"]
    assert rolling == ["2025-12-01T23:00:00Z", "2025-12-01T23:15:00Z"]
    assert service.series["price.quarter-hour.se3"][0]["values"][0]["interval_start"] == (
        "2025-12-01T10:30:00Z"
    )
    assert ledger.counts["settled"] == 0


def test_a_market_that_opens_between_quarter_hours_keeps_to_the_grid(service: Any) -> None:
    async def play(market: Market, ledger: Ledger) -> None:
        assert market.next_due() == OPENED - timedelta(minutes=1)
        await until(market, OPENED + timedelta(minutes=20))

    at_work(service, play, opened_at=OPENED - timedelta(minutes=1))
    values = [upload["values"][0] for upload in service.series["price.imbalance-short.se3"]]
    assert [value["interval_start"] for value in values] == ["2025-12-01T10:00:00Z"]


def test_delivered_intervals_are_settled_a_minute_later(service: Any) -> None:
    start = "2025-12-01T23:00:00Z"
    service.bids[start] = bids(start, "2025-12-01T23:15:00Z")[:1]

    async def play(market: Market, ledger: Ledger) -> None:
        await until(market, MIDNIGHT + timedelta(minutes=16))
        # The toy service bids the same in both auctions: 0.8 MW bought twice is 0.4 MWh,
        # 0.2 MWh are drawn, so 0.2 MWh are too much.
        totals = ledger.totals()
        assert totals["day_ahead"] == Decimal("-10.00")
        price = prices().quarter_hour(MIDNIGHT)
        long = prices().long(MIDNIGHT)
        assert price is not None
        assert long is not None
        assert totals["quarter_hour"] == (-price / 5).quantize(CENT)
        assert totals["imbalance"] == (long / 5).quantize(CENT)

    ledger = at_work(service, play)
    assert ledger.counts["settled"] == 1
    short = service.series["price.imbalance-short.se3"][-1]
    assert short["values"][0]["interval_start"] == start
    assert short["issued_at"] == "2025-12-01T23:16:00Z"


@pytest.mark.parametrize("status", [409, 422, 503])
def test_a_refused_request_is_a_day_without_a_bid(service: Any, status: int) -> None:
    service.refuse["bids"], service.refuse_status = 1, status

    async def play(market: Market, ledger: Ledger) -> None:
        await until(market, OPENED + timedelta(minutes=105))

    ledger = at_work(service, play)
    [entry] = [entry for entry in ledger.entries if entry["kind"] == "no_bid"]
    assert entry["code"] == "not_now"
    assert service.awards == []
    assert len(service.series["price.day-ahead.se3"]) == 1


def test_an_award_is_sent_again_with_the_same_id_until_it_is_acknowledged(service: Any) -> None:
    service.refuse["awards"] = 4  # more than one act's attempts

    async def play(market: Market, ledger: Ledger) -> None:
        await until(market, OPENED + timedelta(minutes=105))
        assert service.awards == []
        assert market.unsent == 2
        await until(market, OPENED + timedelta(minutes=116))
        assert market.unsent == 0

    ledger = at_work(service, play)
    assert len(service.awards) == 1
    assert ledger.counts["award_acknowledged"] == 1


def test_an_award_that_is_refused_for_good_is_noted_and_not_repeated(service: Any) -> None:
    service.refuse["awards"], service.refuse_status = 1, 409

    async def play(market: Market, ledger: Ledger) -> None:
        await until(market, OPENED + timedelta(minutes=116))

    ledger = at_work(service, play)
    assert ledger.counts["award_refused"] == 1
    assert service.awards == []


def test_bids_for_other_intervals_and_broken_ones_are_rejected(service: Any) -> None:
    start = "2025-12-01T23:00:00Z"
    service.bids[start] = [
        *bids("2025-12-03T23:00:00Z", "2025-12-03T23:15:00Z"),
        {"bid_id": "broken", "start": start, "end": "2025-12-01T23:15:00Z", "side": "buy"},
        {"bid_id": "timeless", "start": "now", "end": "then"},
    ]

    async def play(market: Market, ledger: Ledger) -> None:
        await until(market, OPENED + timedelta(minutes=105))

    ledger = at_work(service, play)
    [award] = service.awards
    assert award["cleared"] == []
    assert len(award["rejected"]) == 4
    assert ledger.counts["bad_bid"] == 2


def test_request_ids_fit_the_contract_and_name_the_delivery(service: Any) -> None:
    async def play(market: Market, ledger: Ledger) -> None:
        await until(market, OPENED + timedelta(minutes=55))

    at_work(service, play)
    [asked] = service.asked
    assert asked["request_id"].startswith("se3-day-ahead:20251201T2300Z:")
    assert len(asked["request_id"]) <= 64


def test_a_service_that_is_not_there_is_named(service: Any) -> None:
    async def play(market: Market, ledger: Ledger) -> None:
        raise AssertionError("must not start")

    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9"):
        at_work(service, play, url="http://127.0.0.1:9", attempts=1)
    with pytest.raises(RejectedError, match="http-404"):
        at_work(NoMarkets(service), play)


class NoMarkets:
    """A web server that knows no markets."""

    def __init__(self, service: Any) -> None:
        self._service = service

    async def start(self) -> str:
        return f"{await self._service.start()}/elsewhere"

    async def stop(self) -> None:
        await self._service.stop()


# ---------------------------------------------------------------- how a product is cleared

AT = "2025-12-01T23:00:00Z"
UNTIL = "2025-12-01T23:15:00Z"


def one_bid(offered: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"bid_id": "b", "start": AT, "end": UNTIL} | offered]


def test_a_product_that_pays_as_bid_is_paid_step_by_step(service: Any) -> None:
    service.bids[AT] = one_bid(offer("buy", ("0.8", "90"), ("0.1", "70"), ("0.1", "-90")))

    async def play(market: Market, ledger: Ledger) -> None:
        await until(market, OPENED + timedelta(minutes=105))

    ledger = at_work(service, play, clearing={"se3-day-ahead": AtPrice(pays="bid")})
    [award] = service.awards
    assert [(line["quantity_mw"], line["price_per_mwh"]) for line in award["cleared"]] == [
        ("0.8", "90"),
        ("0.1", "70"),
    ]
    assert ledger.position_mwh() == {("unit-1", MIDNIGHT): Decimal("-0.225")}


def test_an_auction_among_others_publishes_the_price_it_found(service: Any) -> None:
    service.bids[AT] = one_bid(offer("sell", ("500", "-400")))

    async def play(market: Market, ledger: Ledger) -> None:
        await until(market, OPENED + timedelta(minutes=105))

    at_work(service, play, clearing={"se3-day-ahead": Among(depth_mw=Decimal(50))})
    [award] = service.awards
    [line] = award["cleared"]
    values = service.series["price.day-ahead.se3"][0]["values"]
    assert values[0]["value"] == float(line["price_per_mwh"]) == -400  # ours is more than all want
    assert Decimal(line["quantity_mw"]) < 100
    others = [value["value"] for value in values[1:]]
    assert all(20 <= price <= 80 for price in others)
    assert len(set(others)) > 50


FREQUENCY = {
    "product": "regulation",
    "kind": "regulation",
    "direction": "symmetric",
    "price_unit": "mileage_price_per_mw",
}


def test_regulation_is_held_and_called_by_a_signal_that_is_paid_by_its_way(service: Any) -> None:
    service.also = [FREQUENCY]
    single = {"form": "single", "quantity_mw": "2", "mileage_price_per_mw": "4"}
    service.bids[AT] = one_bid({"side": "sell", "offer": single})

    async def play(market: Market, ledger: Ledger) -> None:
        await until(market, MIDNIGHT - timedelta(minutes=1))
        assert service.activations == []
        times = await until(market, MIDNIGHT + timedelta(minutes=16))
        assert MIDNIGHT + timedelta(seconds=4) in times

    rule = Regulation(price=Decimal(6), signal_period_s=4)
    ledger = at_work(service, play, clearing={"regulation": rule})
    awards = [award for award in service.awards if award["award_id"].startswith("award:regul")]
    [award] = [award for award in awards if award["cleared"]]
    assert award["cleared"][0]["price_per_mwh"] == "6"
    calls = service.activations
    assert {(call["start"], call["end"], call["unit"]) for call in calls} == {(AT, UNTIL, "unit-1")}
    assert len({call["activation_id"] for call in calls}) == 1
    assert [call["revision"] for call in calls] == list(range(1, len(calls) + 1))
    assert 100 < len(calls) <= 225
    way, before = Decimal(0), Decimal(0)
    for call in calls:
        now_mw = Decimal(call["quantity_mw"]) * (1 if call["direction"] == "up" else -1)
        assert -2 <= now_mw <= 2
        way, before = way + abs(now_mw - before), now_mw
    [signalled] = [entry for entry in ledger.entries if entry["kind"] == "signal"]
    assert Decimal(signalled["mileage_mw"]) == way
    [earned] = ledger.services.values()
    assert earned.amount == (way * 6).quantize(CENT)
    cleared = {e["award_id"]: e["trades"] for e in ledger.entries if e["kind"] == "cleared"}
    assert cleared[award["award_id"]] == []
    assert ledger.counts["activation_acknowledged"] == len(calls)


def test_a_unit_that_has_sent_its_bids_is_not_asked(service: Any) -> None:
    async def play(market: Market, ledger: Ledger) -> None:
        body = {
            "bid_set_id": "set-1",
            "product": "se3-day-ahead",
            "unit": "unit-1",
            "revision": 1,
            "delivery": {"start": AT, "end": "2025-12-02T23:00:00Z"},
            "bids": one_bid(offer("buy", ("0.8", "90"))),
        }
        assert market.hall.put("set-1", json.dumps(body).encode(), OPENED) == Taken(new=True)
        await until(market, OPENED + timedelta(minutes=105))
        [told] = market.hall.page(0, 10, OPENED + timedelta(minutes=105)).told
        assert told.award["cleared"][0]["quantity_mw"] == "0.8"

    ledger = at_work(service, play)
    assert [body for body in service.asked if body["product"] == "se3-day-ahead"] == []
    assert service.awards == []
    assert ledger.position_mwh() == {("unit-1", MIDNIGHT): Decimal("-0.2")}
    assert len(service.series["price.day-ahead.se3"][0]["values"]) == 96


def test_an_award_that_was_not_brought_is_brought_by_the_next_market(
    service: Any, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.jsonl"
    service.refuse["awards"] = 100

    async def first(market: Market, ledger: Ledger) -> None:
        await until(market, OPENED + timedelta(minutes=105))
        ledger.close()

    at_work(service, first, ledger=Ledger(CENT, path))
    assert service.awards == []
    service.refuse["awards"] = 0

    async def second(market: Market, ledger: Ledger) -> None:
        await market.act(OPENED + timedelta(minutes=106))

    ledger = at_work(
        service, second, ledger=Ledger(CENT, path), opened_at=OPENED + timedelta(minutes=106)
    )
    ledger.close()
    assert [award["award_id"][:19] for award in service.awards] == ["award:se3-day-ahead"]
    assert ledger.counts["award_acknowledged"] == 1


@pytest.mark.parametrize(
    ("example", "first"),
    [("2025-12-01T18:00:00Z", "2025-12-01T18:00:00Z"), ("2025-12-01T23:00:00Z", AT)],
)
def test_a_trading_day_may_begin_in_the_small_hours(example: str, first: str) -> None:
    start = datetime.fromisoformat(example)
    auction = read_auction(
        {
            "product": "nem",
            "currency": "AUD",
            "timezone": "Australia/Brisbane" if "18:" in example else "Europe/Stockholm",
            "delivery_interval_s": 300,
            "units": ["unit-1"],
            "next_delivery": {
                "delivery": {
                    "start": example,
                    "end": (start + timedelta(days=1)).isoformat(),
                },
                "closes_at": (start - timedelta(hours=15)).isoformat(),
            },
        }
    )
    delivery = auction.delivery_of(start + timedelta(hours=20))
    assert delivery[0] == datetime.fromisoformat(first)
    assert len(auction.slots(delivery)) == 288
    assert auction.delivery_of(start - timedelta(minutes=5))[1] == start
