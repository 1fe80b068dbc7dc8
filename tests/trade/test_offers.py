from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpp.model.horizon import Horizon
from vpp.model.ids import ProductId, ResourceId, UnitId
from vpp.model.market import Bid, BidSet, MarketProduct, Side
from vpp.model.offer import most_mw, offered_mw
from vpp.model.park import Limits, Park
from vpp.model.resource import Storage
from vpp.model.schedule import Schedule, Uncertainty
from vpp.model.time import QUARTER, Interval
from vpp.trade.calendar import TradeRefusal
from vpp.trade.limits import check_bid_set
from vpp.trade.offers import build_bids, supply_curves
from vpp.trade.position import Position, Trade

MIDNIGHT = datetime(2025, 12, 3, 23, tzinfo=UTC)
DAY = Interval(MIDNIGHT, MIDNIGHT + timedelta(days=1))
SECOND = Interval(MIDNIGHT + QUARTER, MIDNIGHT + 2 * QUARTER)
Builder = Callable[..., Any]


@dataclass(frozen=True)
class Make:
    """The builders of conftest, in one argument."""

    product: Callable[..., MarketProduct]
    battery: Callable[..., Storage]
    park: Callable[..., Park]
    schedule: Callable[..., Schedule]


@pytest.fixture(scope="session")
def make(a_product: Builder, a_battery: Builder, a_park: Builder, a_schedule: Builder) -> Make:
    return Make(a_product, a_battery, a_park, a_schedule)


def sold(mw: float, interval: Interval = SECOND, product: str = "da") -> Position:
    """A position of one trade; below 0 bought."""
    return Position(
        [
            Trade(
                award_id="a",
                bid_id="b",
                product_id=ProductId(product),
                unit_id=UnitId("unit"),
                interval=interval,
                side=Side.SELL if mw > 0 else Side.BUY,
                quantity_mw=abs(Decimal(str(mw))),
                price_per_mwh=Decimal(0),
                quarantined=False,
            )
        ]
    )


def told(bids: Sequence[Bid]) -> dict[str, list[tuple[str, str]]]:
    """Steps of a single interval's bids by side, as text."""
    return {
        bid.side.value: [(str(mw), str(price)) for mw, price in bid.offer.priced_mw] for bid in bids
    }


def bids_for_second(
    make: Make, park: Park, schedule: Schedule, position: Position | None = None, **product: Any
) -> dict[str, list[tuple[str, str]]]:
    product = {"kind": "energy_id"} | product
    (unit,) = park.bidding_units
    bids = build_bids(
        make.product(**product), unit, SECOND, schedule, position or Position(), park, revision=1
    )
    return told(bids)


# ---------------------------------------------------------------- an interval by itself


HOUR = Horizon(MIDNIGHT, QUARTER, 4)


def test_a_store_offers_all_it_can_around_the_value_of_its_energy(make: Make) -> None:
    park = make.park([make.battery()])
    schedule = make.schedule(park, HOUR, base_kw=-300, stored_value=0.05)

    # Below 50 the store charges 1 MW beside the 0.3 of load; above it feeds them and sells 0.7.
    assert bids_for_second(make, park, schedule) == {
        "buy": [("1.3", "50.00")],
        "sell": [("0.7", "50.00")],
    }


def test_losses_and_wear_widen_the_gap_between_buying_and_selling(make: Make) -> None:
    park = make.park(
        [make.battery(charge_efficiency=0.9, discharge_efficiency=0.8, wear_cost_per_kwh=0.003)]
    )
    schedule = make.schedule(park, HOUR, stored_value=0.05)
    assert bids_for_second(make, park, schedule) == {
        "buy": [("1.0", "42.00")],
        "sell": [("1.0", "65.50")],
    }


@pytest.mark.parametrize(
    ("stored_kwh", "buy_mw", "sell_mw"),
    [
        pytest.param(0, "1.0", None, id="empty: only buys"),
        pytest.param(2000, None, "1.0", id="full: only sells"),
        pytest.param(150, "1.0", "0.2", id="150 kWh above 20 % last a quarter at 0.2 MW"),
        pytest.param(1900, "0.4", "1.0", id="100 kWh of room take a quarter at 0.4 MW"),
    ],
)
def test_a_store_offers_only_what_it_can_do_in_one_interval(
    make: Make, stored_kwh: float, buy_mw: str | None, sell_mw: str | None
) -> None:
    min_soc = 0.05 if stored_kwh == 150 else 0.0  # 100 kWh stay
    park = make.park([make.battery(min_soc=min_soc)])
    bids = bids_for_second(make, park, make.schedule(park, HOUR, stored_kwh=stored_kwh))
    assert bids == {
        side: [(mw, "50.00")] for side, mw in (("buy", buy_mw), ("sell", sell_mw)) if mw is not None
    }


def test_what_is_sold_already_is_not_offered_again(make: Make) -> None:
    park = make.park([make.battery()])
    schedule = make.schedule(park, HOUR)
    assert bids_for_second(make, park, schedule, sold(0.6)) == {
        "buy": [("1.6", "50.00")],
        "sell": [("0.4", "50.00")],
    }


def test_what_was_sold_and_cannot_be_delivered_is_bought_back_at_any_price(make: Make) -> None:
    park = make.park([make.battery()])
    schedule = make.schedule(park, HOUR)
    assert bids_for_second(make, park, schedule, sold(1.5)) == {
        "buy": [("0.5", "4000.00"), ("2.0", "50.00")]
    }


def test_surplus_that_cannot_wait_is_sold_at_any_price(make: Make) -> None:
    park = make.park([make.battery(max_charge_kw=0, max_discharge_kw=0)])
    schedule = make.schedule(park, HOUR, base_kw=2345)
    assert bids_for_second(make, park, schedule) == {"sell": [("2.3", "-500.00")]}


def test_merit_decides_between_stores_of_different_value(make: Make) -> None:
    park = make.park(
        [make.battery("dear"), make.battery("cheap")], park_limits=Limits(export_kw=1500)
    )
    schedule = make.schedule(park, HOUR, stored_value={"dear": 0.09, "cheap": 0.03})
    # Between 30 and 90 the cheap one feeds what the dear one stores.
    assert bids_for_second(make, park, schedule) == {
        "buy": [("2.0", "30.00")],
        "sell": [("1.5", "90.00")],
    }


def test_a_price_that_can_never_come_is_not_offered(make: Make) -> None:
    park = make.park([make.battery()])
    assert bids_for_second(make, park, make.schedule(park, HOUR, stored_value=5.0)) == {
        "buy": [("1.0", "4000.00")]
    }


@pytest.mark.parametrize("base_kw", [99.9, -99.9])
def test_below_one_lot_there_is_no_bid(make: Make, base_kw: float) -> None:
    park = make.park([make.battery(max_charge_kw=0, max_discharge_kw=0)])
    assert bids_for_second(make, park, make.schedule(park, HOUR, base_kw=base_kw)) == {}


def test_solver_noise_costs_no_lot_and_no_tick(make: Make) -> None:
    park = make.park([make.battery(max_charge_kw=0, max_discharge_kw=0)])
    schedule = make.schedule(park, HOUR, base_kw=499.9999999)
    assert bids_for_second(make, park, schedule) == {"sell": [("0.5", "-500.00")]}
    park = make.park([make.battery()])
    schedule = make.schedule(park, HOUR, stored_value=0.04999999999)
    assert bids_for_second(make, park, schedule)["buy"] == [("1.0", "50.00")]


@pytest.mark.parametrize("value", [0.050001, 0.050005, 0.050009])
def test_a_limit_between_two_ticks_is_rounded_against_us(make: Make, value: float) -> None:
    park = make.park([make.battery()])
    assert bids_for_second(make, park, make.schedule(park, HOUR, stored_value=value)) == {
        "buy": [("1.0", "50.00")],
        "sell": [("1.0", "50.01")],
    }


def test_no_more_than_product_and_registration_allow(make: Make) -> None:
    park = make.park([make.battery()], declared_kw=750)
    schedule = make.schedule(park, HOUR, base_kw=-300)
    assert bids_for_second(make, park, schedule)["buy"] == [("0.7", "50.00")]
    park = make.park([make.battery()])
    bids = bids_for_second(make, park, schedule, max_quantity_mw="0.4")
    assert bids == {"buy": [("0.4", "50.00")], "sell": [("0.4", "50.00")]}


# ---------------------------------------------------------------- a day ahead


def test_a_day_ahead_only_what_is_planned_is_offered_and_the_plan_clears(make: Make) -> None:
    park = make.park([make.battery()])
    horizon = Horizon.over(DAY, QUARTER)
    plan = np.zeros(96)
    plan[:3] = -800, 0, 600
    schedule = make.schedule(
        park, horizon, base_kw=-200, storage_kw={"bess": plan}, stored_value=0.05, net_value=0.06
    )
    (unit,) = park.bidding_units
    bids = build_bids(make.product(), unit, DAY, schedule, Position(), park, revision=2)
    by_start = {
        start: told([b for b in bids if b.interval.start == start])
        for start in (MIDNIGHT + i * QUARTER for i in range(4))
    }
    assert list(by_start.values()) == [
        # worth 50 in store, but the plan charges at 60, so 60 is the limit
        {"buy": [("0.2", "4000.00"), ("0.8", "60.00")]},
        {"buy": [("0.2", "4000.00")]},
        # without the discharge the load must be bought; with it 0.4 are left to sell
        {"buy": [("0.2", "50.00")], "sell": [("0.4", "50.00")]},
        {"buy": [("0.2", "4000.00")]},
    ]
    assert bids[0].bid_id == "da/unit/20251203T2300Z/buy/2"


def hedged(
    bid_kw: float, value: float, product: str = "da", stored_value: float | None = None
) -> Uncertainty:
    """One quantity for all futures in the second quarter of an hour, none in the others."""
    return Uncertainty(
        status="hedged",
        futures=10,
        cvar_weight=0.0,
        cvar_level=0.9,
        bid_kw={ProductId(product): np.array([np.nan, bid_kw, np.nan, np.nan])},
        net_value_per_kwh=np.full(4, value),
        stored_value_per_kwh={}
        if stored_value is None
        else {ResourceId("bess"): np.full(4, stored_value)},
    )


def test_a_store_is_offered_for_what_it_is_worth_on_the_mean_of_the_futures(make: Make) -> None:
    """What is sold is held in the plan: a kWh kept there saves 0.20 of imbalance, one in the futures 0.05."""
    park = make.park([make.battery()])
    schedule = make.schedule(park, HOUR, base_kw=-500, stored_value=0.20)
    in_futures = replace(schedule, uncertainty=hedged(-500, 0.05, product="qh", stored_value=0.05))

    bids = bids_for_second(make, park, in_futures)

    assert bids == bids_for_second(
        make, park, make.schedule(park, HOUR, base_kw=-500, stored_value=0.05)
    )
    assert bids != bids_for_second(make, park, schedule)


@pytest.mark.parametrize(
    ("already_kw", "bid_kw", "whatever_mw"),
    [
        pytest.param(0, -700, "0.3", id="beside nothing"),
        pytest.param(-200, -500, "0.1", id="beside what is bought already"),
    ],
)
def test_what_was_chosen_for_all_futures_is_bid_not_what_is_expected(
    make: Make, already_kw: float, bid_kw: float, whatever_mw: str
) -> None:
    """500 kW of load and 400 kW of charging are expected; for all futures 700 kW are bought.

    Of them 400 kW of charging, up to what a kWh is worth on the mean of the futures.
    """
    park = make.park([make.battery()])
    schedule = make.schedule(
        park, HOUR, base_kw=-500, storage_kw={"bess": -400}, stored_value=0.05, net_value=0.09
    )
    schedule = replace(
        schedule, committed_kw=np.full(4, float(already_kw)), uncertainty=hedged(bid_kw, 0.06)
    )

    position = sold(already_kw / 1000) if already_kw else None
    bids = bids_for_second(make, park, schedule, position, kind="energy_da")

    assert bids == {"buy": [(whatever_mw, "4000.00"), ("0.4", "60.00")]}


def test_a_quantity_chosen_for_another_product_changes_no_bid(make: Make) -> None:
    park = make.park([make.battery()])
    plain = make.schedule(park, HOUR, base_kw=-500, storage_kw={"bess": -400})

    other = replace(plain, uncertainty=hedged(-700, 0.06, product="other"))

    assert bids_for_second(make, park, other, kind="energy_da") == bids_for_second(
        make, park, plain, kind="energy_da"
    )


@pytest.mark.parametrize(
    ("horizon", "code"),
    [
        (Horizon(MIDNIGHT, QUARTER, 95), "plan_too_short"),
        (Horizon(MIDNIGHT, timedelta(minutes=10), 144), "off_grid"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused(make: Make, horizon: Horizon, code: str) -> None:
    park = make.park([make.battery()])
    (unit,) = park.bidding_units
    with pytest.raises(TradeRefusal) as refused:
        build_bids(
            make.product(), unit, DAY, make.schedule(park, horizon), Position(), park, revision=1
        )
    assert refused.value.code == code


@pytest.mark.parametrize("where", ["base_kw", "stored_kwh", "net_value"])
def test_no_bid_is_made_of_numbers_that_are_not_finite(make: Make, where: str) -> None:
    park = make.park([make.battery()])
    with pytest.raises(TradeRefusal) as refused:
        bids_for_second(make, park, make.schedule(park, HOUR, **{where: float("nan")}))
    assert refused.value.code == "no_plan"


def test_a_unit_bids_from_its_first_trading_day_on(make: Make) -> None:
    later = SECOND.end
    park = make.park([make.battery()], trades_from=later)
    assert bids_for_second(make, park, make.schedule(park, HOUR)) == {}


def test_an_hour_is_offered_from_the_mean_of_its_quarters(make: Make) -> None:
    park = make.park([make.battery(max_charge_kw=0, max_discharge_kw=0)])
    product = replace(make.product("energy_id"), delivery_interval=timedelta(hours=1))
    schedule = make.schedule(park, HOUR, base_kw=np.array([1000.0, 0.0, 500.0, 500.0]))
    (unit,) = park.bidding_units
    (bid,) = build_bids(product, unit, HOUR.span, schedule, Position(), park, revision=1)
    assert (most_mw(bid.offer), bid.interval) == (Decimal("0.5"), HOUR.span)


# ---------------------------------------------------------------- rules without exception


@dataclass(frozen=True)
class Case:
    park: Park
    schedule: Schedule
    product: MarketProduct
    position: Position
    committed_kw: float
    low_kw: float
    high_kw: float
    """What the unit can physically do in the interval, its tree of limits included."""


@st.composite
def cases(draw: st.DrawFn, make: Make) -> Case:
    """A plan that keeps random limits, with a random position and product."""
    size = st.floats(0, 3000)
    stores, plan, values, up, down = [], {}, {}, {}, {}
    stored = draw(st.floats(0, 2000))
    for i in range(draw(st.integers(1, 3))):
        store = make.battery(
            f"s{i}",
            f"cp{i % 2}",
            max_charge_kw=draw(size),
            max_discharge_kw=draw(size),
            charge_efficiency=draw(st.floats(0.8, 1)),
            discharge_efficiency=draw(st.floats(0.8, 1)),
            wear_cost_per_kwh=draw(st.floats(0, 0.01)),
            min_soc=draw(st.floats(0, 0.2)),
        )
        name = store.resource_id
        above = max(stored - store.min_soc * 2000, 0)
        most = min(store.max_discharge_kw, above * store.discharge_efficiency * 4)
        least = -min(store.max_charge_kw, (2000 - stored) / store.charge_efficiency * 4)
        planned = draw(st.floats(least, most))
        stores.append(store)
        plan[name], values[name] = planned, draw(st.floats(-0.1, 0.5))
        up[name], down[name] = most - planned, planned - least
    kind = draw(st.sampled_from(["energy_da", "energy_id"]))
    if kind == "energy_da":
        up = {n: max(-kw, 0.0) for n, kw in plan.items()}
        down = {n: max(kw, 0.0) for n, kw in plan.items()}
    base = draw(st.floats(-5000, 5000))
    slack = {node: (draw(size), draw(size)) for node in ("park", "feeder", "cp0", "cp1")}
    of_point = {f"cp{k}": sum(kw for n, kw in plan.items() if int(n[1:]) % 2 == k) for k in (0, 1)}
    net = base + sum(plan.values())

    def limits(node: str, planned: float) -> Limits:
        return Limits(
            export_kw=max(planned + slack[node][0], 0), import_kw=max(-planned + slack[node][1], 0)
        )

    def room(node: str, planned: float, way: int) -> float:
        bound = limits(node, planned)
        return max(bound.export_kw - planned if way == 0 else bound.import_kw + planned, 0)

    park = make.park(stores, park_limits=limits("park", net), feeder=limits("feeder", net))
    points = tuple(
        replace(p, limits=limits(p.connection_point_id, of_point[p.connection_point_id]))
        if p.connection_point_id in of_point
        else p
        for p in park.connection_points
    )
    park = replace(park, connection_points=points)
    used = {store.connection_point_id for store in stores}

    def reach(moves: dict[Any, float], way: int) -> float:
        """On a tree the most that can move is the tightest of nested sums."""
        behind = sum(
            min(
                sum(kw for n, kw in moves.items() if f"cp{int(n[1:]) % 2}" == p),
                room(p, of_point[p], way),
            )
            for p in used
        )
        return min(behind, room("park", net, way), room("feeder", net, way))

    position = sold(mw) if (mw := draw(st.integers(-50, 50)) / 10) else Position()
    return Case(
        park=park,
        schedule=make.schedule(
            park,
            HOUR,
            base_kw=base,
            storage_kw=plan,
            stored_kwh=stored,
            stored_value=values,
            net_value=draw(st.floats(-0.1, 0.5)),
        ),
        product=replace(make.product("energy_id"), kind=kind),
        position=position,
        committed_kw=mw * 1000,
        low_kw=net - reach(down, 1),
        high_kw=net + reach(up, 0),
    )


@given(data=st.data(), price=st.floats(-600, 4100))
def test_whatever_the_price_what_is_accepted_can_be_delivered(
    make: Make, data: st.DataObject, price: float
) -> None:
    case = data.draw(cases(make))
    (unit,) = case.park.bidding_units
    (curve,) = supply_curves(case.product, unit, SECOND, case.schedule, case.park)
    bids = build_bids(
        case.product, unit, SECOND, case.schedule, case.position, case.park, revision=1
    )

    nets = [curve.net_kw, *(curve.at(p) for p, _ in curve.steps)]
    assert nets == sorted(nets)
    assert nets[0] == pytest.approx(case.low_kw, abs=1e-6)
    assert nets[-1] == pytest.approx(case.high_kw, abs=1e-6)

    clearing = Decimal(str(round(price, 2))) + Decimal("0.005")  # between two ticks: no ties
    clearing = min(max(clearing, Decimal("-499.995")), Decimal("3999.995"))
    taken = {bid.side: float(offered_mw(bid.offer, clearing, bid.side.sign)) * 1000 for bid in bids}
    # The curve at the tick below or above: rounding a limit against us may keep a step out.
    wanted = [curve.at(float(clearing) / 1000 + d) - case.committed_kw for d in (-1e-5, 1e-5)]
    sell, buy = taken.get(Side.SELL, 0.0), taken.get(Side.BUY, 0.0)
    assert sell == 0 or buy == 0
    assert max(min(wanted), 0) - 100 < sell + 1e-6
    assert sell <= max(*wanted, 0) + 1e-6
    assert max(-max(wanted), 0) - 100 < buy + 1e-6
    assert buy <= max(-wanted[0], -wanted[1], 0) + 1e-6
    # Rounding only ever leaves the position nearer to where it was.
    net = case.committed_kw + sell - buy
    low, high = min(case.low_kw, case.committed_kw), max(case.high_kw, case.committed_kw)
    assert low - 1e-6 <= net <= high + 1e-6


@given(data=st.data())
def test_every_bid_set_passes_the_last_look(make: Make, data: st.DataObject) -> None:
    case = data.draw(cases(make))
    (unit,) = case.park.bidding_units
    bids = build_bids(
        case.product, unit, SECOND, case.schedule, case.position, case.park, revision=3
    )
    bid_set = BidSet(
        bid_set_id="bs",
        request_id="r",
        product_id=case.product.product_id,
        unit_id=unit.unit_id,
        delivery=SECOND,
        revision=3,
        issued_at=MIDNIGHT - QUARTER,
        valid_until=MIDNIGHT,
        plan_id="p",
        strategy_version="s",
        pack_digest="d",
        bids=bids,
    )
    assert check_bid_set(bid_set, case.product, unit, case.park) == ()
