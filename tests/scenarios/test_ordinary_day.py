"""Three hours of an ordinary night, after the thirteen hours before them: everything adds up."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from vpp.model.ids import ProductId
from vpp.model.market import BidSet
from vpp.model.resource import Storage
from vpp.model.time import QUARTER
from vpp.service.accounting import statements_of
from vpp.service.backtest.asked import BacktestOptions, Way
from vpp.service.backtest.backtest import backtest
from vpp.service.demo.summary import WALL_CLOCK_FIELDS
from vpp.service.solving.inline import InlineExecutor

if TYPE_CHECKING:
    from tests.scenarios.conftest import Eve, MakePark, Play, Played, Until
    from vpp.service.demo.demo import Run

CENT = Decimal("0.01")
DAY_AHEAD = ProductId("se3-day-ahead")
LENGTH = timedelta(hours=3)
PEAK_BEFORE_KW = {"works-point": 1000.0, "store-point": 400.0}


@pytest.fixture(scope="module")
def played(small_park: MakePark, play: Play) -> Played:
    return play(small_park(), length=LENGTH)


def test_nothing_is_lost_and_every_quarter_hour_has_its_plan_and_its_bid(played: Played) -> None:
    summary = played.summary

    assert summary["messages_lost"] == summary["telemetry_refused"] == 0
    assert summary["telemetry_messages"] == sum(played.report["published"].values())
    assert summary["plans"] == len(played.intervals) == 12
    assert summary["plans_fallback"] == summary["events_alarm"] == 0
    assert summary["bid_intervals_share"] == 1.0
    assert summary["setpoints"] > 0
    assert summary["setpoints_refused"] == 0


def test_the_last_plan_knows_what_it_was_made_from_and_what_it_changed(played: Played) -> None:
    plant = played.plant

    assert plant.schedule is not None
    assert plant.made_from is not None
    assert plant.changes is not None
    assert plant.made_from[0].horizon == plant.schedule.horizon
    assert plant.changes.since == f"plan-{plant.plan_count - 1:06d}"
    assert plant.changes.span is not None
    assert plant.validate_s is not None


def test_each_interval_owes_what_the_venue_cleared_and_its_delivery_is_what_was_metered(
    played: Played,
) -> None:
    sold_kwh: defaultdict[datetime, Decimal] = defaultdict(Decimal)
    for kind, _, start, energy_mwh, _ in played.report["bookings"]:
        sold_kwh[start] += Decimal(energy_mwh) * (0 if kind == "imbalance" else 1000)
    ours = played.ours
    net_wh = np.sum([ours.export_wh[p] - ours.import_wh[p] for p in ours.import_wh], axis=0)

    for interval, metered_wh in zip(played.intervals, net_wh, strict=True):
        delivery = played.plant.deliveries[interval]
        assert delivery.owed_kwh == pytest.approx(float(sold_kwh[interval.start]))
        assert delivery.delivered_kwh == pytest.approx(metered_wh / 1000)


def test_the_statements_are_the_ledger_plus_the_tariff_to_the_cent(played: Played) -> None:
    """Recomputed from the venue's bookings and the true registers, the slow way."""
    span = played.run.span
    venue = [
        Decimal(amount) for _, _, start, _, amount in played.report["bookings"] if start in span
    ]

    statements = statements_of(played.plant, span)

    assert len(venue) == 3 * len(played.intervals)
    assert sum(s.total for s in statements) == sum(venue) - sum(_tariff(played))
    assert {s.enterprise_id: str(s.total) for s in statements} == played.summary["statements"]
    assert not any(s.provisional for s in statements)


def _tariff(played: Played) -> Iterator[Decimal]:
    """What each connection point owes: its energy by band, and the rise of its peak."""
    whole = played.report["trajectory"]
    starts = [whole["start"] + k * QUARTER for k in range(whole["steps"])]
    for point, peak_kw in PEAK_BEFORE_KW.items():
        by_price: Counter[Decimal] = Counter()
        before_kw = after_kw = peak_kw
        for start, import_wh in zip(starts, whole["import_wh"][point], strict=True):
            if start in played.run.span:
                hour = start.astimezone(played.plant.file.park.timezone).hour
                by_price[Decimal("0.02") if 6 <= hour < 22 else Decimal("0.01")] += import_wh
            else:
                before_kw = max(before_kw, import_wh / 250)
            after_kw = max(after_kw, import_wh / 250)
        for price, wh in by_price.items():
            yield (Decimal(wh) / 1000 * price).quantize(CENT, ROUND_HALF_EVEN)
        rise_kw = Decimal(str(after_kw)) - Decimal(str(before_kw))
        yield (rise_kw * 5).quantize(CENT, ROUND_HALF_EVEN)


def test_no_plan_beats_foresight_and_the_score_is_made_of_the_bills(played: Played) -> None:
    summary = played.summary
    nothing, ours = summary["cost_nothing"], summary["cost_ours"]
    foresight = summary["cost_foresight"]

    assert foresight <= ours + 0.02
    assert foresight <= nothing + 0.02
    assert summary["value_captured"] <= 1
    assert summary["value_captured"] == pytest.approx(
        (nothing - ours) / (nothing - foresight), abs=1e-3
    )
    for name, cost in (("bill_ours", ours), ("bill_nothing", nothing)):
        assert sum(summary[name].values()) == pytest.approx(cost, abs=0.05)


def test_energy_is_neither_made_nor_lost_between_devices_meters_and_stores(played: Played) -> None:
    ours, park = played.ours, played.plant.file.park
    for point in park.connection_points:
        name = point.connection_point_id
        behind = [r.connection_point_id == name for r in park.resources]
        devices_kwh = ours.power_kw[behind].sum(axis=0) * 0.25
        meter_kwh = (ours.export_wh[name] - ours.import_wh[name]) / 1000
        # A register shows whole Wh, so one step may be off by one; the sum may not drift.
        assert np.abs(devices_kwh - meter_kwh).max() < 0.0021
        assert abs(devices_kwh.sum() - meter_kwh.sum()) < 0.0021
    battery = next(r for r in park.resources if isinstance(r, Storage))
    stored_kwh = ours.opening_stored_kwh[battery.resource_id]
    for kw, after_kwh in zip(
        ours.power_kw[ours.resource_ids.index(battery.resource_id)],
        ours.stored_kwh[battery.resource_id],
        strict=True,
    ):
        # Within a quarter it may go both ways; then the losses are higher, never lower.
        assert after_kwh <= battery.stored_kwh_after(stored_kwh, kw, 0.25) + 1e-6
        stored_kwh = after_kwh


def test_the_same_seed_gives_the_same_summary_byte_for_byte(
    played: Played, small_park: MakePark, play: Play
) -> None:
    again = play(small_park(), length=LENGTH)

    assert _machine_free(again.summary) == _machine_free(played.summary)
    assert again.report["bookings"] == played.report["bookings"]


def _machine_free(summary: dict[str, Any]) -> str:
    return json.dumps({k: v for k, v in summary.items() if k not in WALL_CLOCK_FIELDS})


def test_another_seed_gives_other_prices_and_other_ids(
    played: Played, small_park: MakePark, play: Play, eve: Eve
) -> None:
    file = small_park()

    async def operator(run: Run, until: Until) -> None:
        await until(eve(file, 12, 50))

    other = play(file, seed=2, operator=operator, leave=True)

    steps = len(other.report["prices"]["quarter_hour"])
    assert other.report["prices"]["day_ahead"] == played.report["prices"]["day_ahead"][:steps]
    assert other.report["prices"]["quarter_hour"] != played.report["prices"]["quarter_hour"][:steps]
    mine = {request_id(p) for p in played.plant.book.newest_sets(DAY_AHEAD, 1)}
    assert mine.isdisjoint(request_id(p) for p in other.plant.book.newest_sets(DAY_AHEAD, 1))


def request_id(bid_set: BidSet) -> str:
    return bid_set.request_id


def test_a_night_played_again_costs_to_the_cent_what_the_demo_with_broker_and_http_cost(
    played: Played,
) -> None:
    """The same code in lockstep, with function calls in place of messages: no tolerance is needed."""
    demo, run = played.summary, played.run
    asked = BacktestOptions(
        span=run.span,
        every=QUARTER,
        period=timedelta(seconds=run.file.control.period_s),
        device_step=timedelta(minutes=1),
    )

    result = asyncio.run(backtest(run.file, asked, InlineExecutor(), lambda way, plant: None))

    rows = {row.way: row for row in result.rows}

    opening = rows[Way.NOTHING].causes["stores"] - demo["bill_nothing"]["left_in_stores"]
    assert rows[Way.NOTHING].cost - opening == pytest.approx(demo["cost_nothing"], abs=0.01)
    assert rows[Way.POINT].cost - opening == pytest.approx(demo["cost_ours"], abs=0.01)
    assert rows[Way.FORESIGHT].cost - opening == pytest.approx(demo["cost_foresight"], abs=0.01)
    assert rows[Way.POINT].value_captured == pytest.approx(demo["value_captured"], abs=1e-4)
