"""What each strategy asks of the planner, for a view one can read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from strategies.price_arbitrage import PriceArbitrage
from strategies.stored_energy_value import StoredEnergyWorth
from strategies.two_part_tariff import TwoPartTariff
from vpp.errors import DataError
from vpp.model.horizon import Horizon, Profile
from vpp.model.ids import ConnectionPointId, ParkId, ProductId
from vpp.model.measurement import ParkState
from vpp.model.park import Limits, Park
from vpp.plan.part import whole
from vpp.plan.terms import Commitment, EnergyPrice, OpenTrade, PeakCharge, StoredEnergyValue
from vpp.plan.view import OpenProduct, PaidPeak, PlanningView

NOON = datetime(2025, 12, 3, 11, tzinfo=UTC)
HORIZON = Horizon(NOON, timedelta(hours=1), 2)
A, B = ConnectionPointId("cp-a"), ConnectionPointId("cp-b")


def profile(*values: float) -> Profile:
    return Profile(HORIZON, np.array(values))


def a_view(**values: Any) -> PlanningView:
    """Two hours; spot at 40 and 60 EUR/MWh; two products; two connection points; one peak."""
    usual: dict[str, Any] = {
        "now": NOON,
        "park": Park(
            park_id=ParkId("test"),
            name="Test park",
            timezone=ZoneInfo("Europe/Stockholm"),
            currency="EUR",
            minor_unit=Decimal("0.01"),
            limits=Limits(),
            feeders=(),
            enterprises=(),
            connection_points=(),
            resources=(),
            bidding_units=(),
            tariffs=(),
            grid_kgco2_per_kwh=0.0,
        ),
        "horizon": HORIZON,
        "state": ParkState(taken_at=NOON, resources=()),
        "base_kw": {},
        "available_kw": {},
        "outdoor_degc": {},
        "arriving_kw": {},
        "spot_per_kwh": profile(0.04, 0.06),
        "committed_kw": np.array([-500.0, 200.0]),
        "open_products": (
            OpenProduct(
                product_id=ProductId("day-ahead"),
                price_per_kwh=profile(0.04, 0.06),
                max_kw=np.array([0.0, 1000.0]),
                informative=True,
            ),
            OpenProduct(
                product_id=ProductId("quarter-hour"),
                price_per_kwh=profile(0.05, 0.05),
                max_kw=np.array([300.0, 0.0]),
                informative=False,
            ),
        ),
        "import_per_kwh": {A: profile(0.02, 0.03), B: profile(0.04, 0.07)},
        "paid_peaks": (
            PaidPeak(
                connection_point_id=A,
                first_step=0,
                last_step=2,
                price_per_kw=8.0,
                paid_kw=120.0,
                interval_steps=4,
                elapsed_steps=1,
                elapsed_kw=90.0,
                counts=np.array([True, False]),
            ),
        ),
    }
    return PlanningView(**(usual | values))


def test_trading_prices_the_position_around_spot() -> None:
    strategy = PriceArbitrage(quarter_hour_spread_per_mwh=4.0, imbalance_spread_per_mwh=40.0)

    position, *_ = strategy.terms(a_view(), whole(a_view()))

    assert isinstance(position, Commitment)
    assert position.base_kw.tolist() == [-500, 200]
    assert position.short_per_kwh.tolist() == pytest.approx([0.08, 0.10])
    assert position.long_per_kwh.tolist() == pytest.approx([0.0, 0.02])


def test_trading_opens_each_product_the_uncertain_one_with_half_a_spread_each_way() -> None:
    strategy = PriceArbitrage(quarter_hour_spread_per_mwh=4.0, imbalance_spread_per_mwh=40.0)

    _, day_ahead, quarter_hour = strategy.terms(a_view(), whole(a_view()))

    assert isinstance(day_ahead, OpenTrade)
    assert isinstance(quarter_hour, OpenTrade)
    assert day_ahead.product_id == "day-ahead"
    assert day_ahead.sell_per_kwh.tolist() == day_ahead.buy_per_kwh.tolist() == [0.04, 0.06]
    assert day_ahead.max_kw.tolist() == [0, 1000]
    assert quarter_hour.sell_per_kwh.tolist() == pytest.approx([0.048, 0.048])
    assert quarter_hour.buy_per_kwh.tolist() == pytest.approx([0.052, 0.052])


@pytest.mark.parametrize(
    "spreads",
    [
        pytest.param((-4.0, 40.0), id="a negative spread"),
        pytest.param((4.0, -40.0), id="a negative imbalance spread"),
    ],
)
def test_trading_with_a_negative_spread_is_refused(spreads: tuple[float, float]) -> None:
    strategy = PriceArbitrage(
        quarter_hour_spread_per_mwh=spreads[0], imbalance_spread_per_mwh=spreads[1]
    )

    with pytest.raises(DataError):
        strategy.terms(a_view(), whole(a_view()))


def test_the_tariff_prices_imports_of_each_point_and_pays_nothing_for_exports() -> None:
    first, second, peak = TwoPartTariff().terms(a_view())

    for term, point, price in ((first, A, [0.02, 0.03]), (second, B, [0.04, 0.07])):
        assert isinstance(term, EnergyPrice)
        assert term.connection_point_id == point
        assert term.import_per_kwh.tolist() == price
        assert term.export_per_kwh.tolist() == [0, 0]
    assert isinstance(peak, PeakCharge)
    assert (peak.connection_point_id, peak.first_step, peak.last_step) == (A, 0, 2)
    assert (peak.price_per_kw, peak.free_kw) == (8.0, 120.0)
    assert (peak.interval_steps, peak.elapsed_steps, peak.elapsed_kw) == (4, 1, 90.0)
    assert peak.counts is not None
    assert peak.counts.tolist() == [True, False]


@pytest.mark.parametrize(
    ("values", "worth"),
    [
        pytest.param({}, 0.05 + 0.04, id="mean of spot plus mean of the networks"),
        pytest.param({"import_per_kwh": {}}, 0.05, id="no network price"),
        pytest.param(
            {"spot_per_kwh": profile(-0.3, -0.1)}, 0.0, id="never below nothing: one may keep it"
        ),
    ],
)
def test_stored_energy_is_worth_what_buying_it_will_cost(
    values: dict[str, Any], worth: float
) -> None:
    (term,) = StoredEnergyWorth().terms(a_view(**values))

    assert isinstance(term, StoredEnergyValue)
    assert term.price_per_kwh == pytest.approx(worth)


def test_a_strategy_looks_at_the_view_alone() -> None:
    view = a_view()
    strategy = PriceArbitrage(quarter_hour_spread_per_mwh=4.0, imbalance_spread_per_mwh=40.0)

    one = strategy.terms(replace(view, now=NOON + timedelta(hours=5)), whole(view))
    other = strategy.terms(view, whole(view))

    assert [type(term) for term in one] == [type(term) for term in other]
    assert isinstance(one[0], Commitment)
    assert isinstance(other[0], Commitment)
    assert one[0].short_per_kwh.tolist() == other[0].short_per_kwh.tolist()
