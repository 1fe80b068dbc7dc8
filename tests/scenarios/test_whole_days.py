"""A whole simulated day of each shipped park, as cheap as it can be: every market gets its bids and takes some.

Nothing is learnt (yesterday is the forecast), plans are made every four hours, devices step by the quarter-hour:
what is looked at is whether bids pass all that stands between a plan and a market.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from vpp.model.settlement import LineKind, SettlementLine
from vpp.model.time import QUARTER, Interval, local_day
from vpp.service.backtest.asked import BacktestOptions, Way, as_asked
from vpp.service.backtest.replay import ReplayOptions, open_replay
from vpp.service.backtest.scoring import Scored, scored_of
from vpp.service.demo.simulation import lockstep
from vpp.service.forecasting.schema import ForecastsSection
from vpp.service.park.parkfile import ParkFile, load_park, shipped_park
from vpp.service.plant import Plant
from vpp.service.solving.inline import InlineExecutor
from vpp.simulate.market import VenueTimes

FOUR_HOURS = timedelta(hours=4)
FORECASTS = {"series": [{"match": "*", "candidates": ["yesterday"]}]}


@dataclass(frozen=True)
class Lived:
    """A day that is over."""

    plant: Plant
    scored: Scored
    span: Interval


def live(name: str, *, length: timedelta = timedelta(days=1)) -> Lived:
    """Play the first day of a shipped park, or a part of it."""
    shipped = load_park(shipped_park(name))
    assert shipped.simulation is not None
    start = local_day(shipped.simulation.first_delivery_day, shipped.park.timezone).start
    span = Interval(start, start + length)
    asked = BacktestOptions(span=span, every=FOUR_HOURS, period=QUARTER)
    file = replace(
        as_asked(shipped, asked, Way.POINT),
        forecasts=ForecastsSection.model_validate(FORECASTS),
    )
    return asyncio.run(_live(file, span))


async def _live(file: ParkFile, span: Interval) -> Lived:
    options = ReplayOptions(span=span, seed=1, device_step=QUARTER, times=VenueTimes())
    async with open_replay(file, options, InlineExecutor()) as (run, clock):
        await lockstep(run, clock, asyncio.Event(), lambda plant: None, plan_limit_s=600.0)
        return Lived(run.plant, await scored_of(run), span)


@pytest.fixture(scope="module")
def swedish() -> Lived:
    return live("demo")


def test_the_demo_park_trades_a_whole_day_in_both_its_markets_within_the_default_limits(
    swedish: Lived,
) -> None:
    venue = swedish.scored.report["ledger"]
    bid_for: defaultdict[str, set[Interval]] = defaultdict(set)
    for bid in swedish.plant.book.all_bids():
        if swedish.span.covers(bid.interval):
            bid_for[bid.bid_id.split("/")[0]].add(bid.interval)
    traded = Counter(
        kind
        for kind, _, start, mwh, _ in swedish.scored.report["bookings"]
        if start in swedish.span and Decimal(mwh)
    )

    assert venue.get("no_bid", 0) == 0, "no request was refused"
    assert len(bid_for["se3-day-ahead"]) == 96
    assert len(bid_for["se3-quarter-hour"]) >= 60
    assert traded["day_ahead"] >= 90
    assert traded["quarter_hour"] >= 40


# ---------------------------------------------------------------- the Chinese park


@pytest.fixture(scope="module")
def chinese() -> Lived:
    return live("demo_cn", length=timedelta(hours=14))


def lines_of(lived: Lived, kind: LineKind) -> Iterator[SettlementLine]:
    for interval, accounted in lived.plant.accounted.items():
        if lived.span.covers(interval):
            yield from (line for line in accounted.lines if line.kind is kind)


def test_the_chinese_park_bids_three_to_ten_segments_within_the_bounds_of_shandong(
    chinese: Lived,
) -> None:
    bids = [
        bid
        for bid in chinese.plant.book.all_bids()
        if bid.bid_id.startswith("cn.sd.spot.da.load_vpp/")
    ]

    assert len(bids) >= 40
    for bid in bids:
        segments = bid.offer.segments  # type: ignore[union-attr]
        prices = [segment.price_per_mwh for segment in segments]
        assert bid.side.value == "buy"
        assert 3 <= len(segments) <= 10
        assert segments[0].from_mw == 0
        assert all(one.to_mw == after.from_mw for one, after in pairwise(segments))
        assert all((s.to_mw * 10) % 1 == 0 and s.to_mw > s.from_mw for s in segments)
        assert all(-80 <= price <= 1300 and price % 1 == 0 for price in prices)
        assert prices == sorted(prices, reverse=True)
        assert segments[-1].to_mw >= 1


def test_it_settles_in_yuan_by_two_settlements_and_both_books_agree_to_the_fen(
    chinese: Lived,
) -> None:
    """`scored_of` has compared statements and ledger already; here each interval is looked at by hand."""
    real_time = dict(chinese.scored.report["prices"]["short"])
    day_ahead = dict(chinese.scored.report["prices"]["day_ahead"])
    booked: defaultdict[str, Decimal] = defaultdict(Decimal)
    for kind, _, start, _, amount in chinese.scored.report["bookings"]:
        if start in chinese.span:
            booked[kind] += Decimal(amount)

    assert {s.currency for s in chinese.scored.statements} == {"CNY"}
    for kind in (LineKind.DAY_AHEAD, LineKind.IMBALANCE, LineKind.DEVIATION):
        assert sum(line.amount for line in lines_of(chinese, kind)) == booked[kind.value]
    for line in lines_of(chinese, LineKind.IMBALANCE):
        assert line.price_per_mwh == Decimal(real_time[line.interval.start])
    for line in lines_of(chinese, LineKind.DAY_AHEAD):
        assert line.price_per_mwh == Decimal(day_ahead[line.interval.start])
        assert line.energy_mwh < 0, "it only buys"
    assert chinese.scored.report["prices"]["long"] == chinese.scored.report["prices"]["short"]
    assert chinese.plant.series.has("price.real-time.sd"), "as the market file names it"


def test_its_networks_lack_nothing_and_the_electrolyser_moves_into_the_sun(chinese: Lived) -> None:
    ours, nothing = chinese.scored.ours_course, chinese.scored.nothing_course
    row = ours.resource_ids.index("hydrogen-electrolyser")
    noon = slice(40, 56)

    for course in (ours, nothing):
        assert all(float(kwh.sum()) == 0 for kwh in course.lacked_kwh.values())
    assert -ours.power_kw[row, noon].mean() > -ours.power_kw[row, :32].mean()


def test_the_platform_has_invited_it_to_the_afternoon_of_the_day_after(chinese: Lived) -> None:
    (story,) = chinese.plant.dr.book.stories()
    window = Interval(
        chinese.span.start + timedelta(hours=40), chinese.span.start + timedelta(hours=42)
    )

    assert (story.invitation.invitation_id, story.stage.value) == ("afternoon", "invited")
    assert story.invitation.window == window
    assert story.invitation.wanted_mw == 5
