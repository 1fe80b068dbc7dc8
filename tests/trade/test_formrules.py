"""Offers into any product against its rules: each rule is broken once, by its name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from vpp.model.ids import ProductId
from vpp.model.time import QUARTER, Interval
from vpp.service.markets.pack import Pack, shipped_packs
from vpp.trade.calendar import next_delivery
from vpp.trade.formrules import Segment, budget_faults, offer_faults

PACKS = {str(pack.product_id): pack for pack in shipped_packs()}
NOW = datetime(2026, 1, 5, 0, 30, tzinfo=UTC)
D = Decimal


def a_curve(pack: Pack) -> list[Segment]:
    """As few segments as may be, of the least size, from the least price on in the sense of the product."""
    rules = pack.form_rules()
    mw = max(rules.least_mw, rules.step_mw)
    if rules.tick is None or rules.min_price is None:
        return [(mw, None)]
    prices = [rules.min_price + n * rules.tick for n in range(rules.least_segments)]
    if rules.sense == "demand":
        prices.reverse()
    return [(mw, price) for price in prices]


@pytest.mark.parametrize("name", PACKS)
def test_a_least_offer_into_each_shipped_product_keeps_its_rules(name: str) -> None:
    pack = PACKS[name]
    calendar = pack.calendar()
    delivery = next_delivery(calendar, NOW)
    now = max(NOW, calendar.gate_opens_at(delivery))
    offered = dict.fromkeys(calendar.intervals(delivery), a_curve(pack))
    assert not offer_faults(
        pack.form_rules(), calendar, delivery, offered, certified_mw=D(100), now=now
    )


@pytest.mark.parametrize(
    ("curve", "rule"),
    [
        pytest.param([(D(1), D(30)), (D(1), D(20))], "segments_in_bounds", id="two of three"),
        pytest.param(
            [(D("0.15"), D(30)), (D(1), D(20)), (D(1), D(10))], "quantity_on_the_grid", id="0.15"
        ),
        pytest.param(
            [(D("NaN"), D(30)), (D(1), D(20)), (D(1), D(10))], "quantity_on_the_grid", id="NaN"
        ),
        pytest.param(
            [(D(1), D("30.5")), (D(1), D(20)), (D(1), D(10))], "price_on_the_grid", id="30.5"
        ),
        pytest.param([(D(1), D(1301)), (D(1), D(20)), (D(1), D(10))], "price_in_bounds", id="1301"),
        pytest.param(
            [(D(1), None), (D(1), D(20)), (D(1), D(10))], "price_in_bounds", id="no price"
        ),
        pytest.param(
            [(D(1), D(10)), (D(1), D(20)), (D(1), D(30))], "monotone", id="a buyer's prices rise"
        ),
        pytest.param(
            [(D(4), D(30)), (D(4), D(20)), (D(4), D(10))], "within_capability", id="12 of 10 MW"
        ),
    ],
)
def test_a_curve_that_breaks_a_rule_is_told_its_name(curve: list[Segment], rule: str) -> None:
    pack = PACKS["cn.sd.spot.da.load_vpp"]
    calendar = pack.calendar()
    delivery = next_delivery(calendar, NOW)
    offered = dict.fromkeys(calendar.intervals(delivery), curve)
    faults = offer_faults(
        pack.form_rules(), calendar, delivery, offered, certified_mw=D(10), now=NOW
    )
    assert {fault.split(":")[0] for fault in faults} == {rule}
    assert len(faults) == 96


def test_an_offer_has_the_intervals_of_its_delivery_and_comes_before_the_gate() -> None:
    pack = PACKS["eu.sdac.de.da15"]
    calendar = pack.calendar()
    delivery = calendar.delivery_at(datetime(2026, 3, 29, 12, tzinfo=UTC))  # 92 quarters
    spring = dict.fromkeys(calendar.intervals(delivery), a_curve(pack))
    assert len(spring) == 92
    before, after = datetime(2026, 3, 28, 10, tzinfo=UTC), datetime(2026, 3, 28, 11, tzinfo=UTC)
    rules = pack.form_rules()
    assert not offer_faults(rules, calendar, delivery, spring, certified_mw=D(1), now=before)
    (late,) = offer_faults(rules, calendar, delivery, spring, certified_mw=D(1), now=after)
    assert late.startswith("gate_open")
    four_more = {delivery.end + n * QUARTER for n in range(4)}
    ordinary = spring | {Interval(at, at + QUARTER): a_curve(pack) for at in four_more}
    (odd,) = offer_faults(rules, calendar, delivery, ordinary, certified_mw=D(1), now=before)
    assert odd == "intervals_of_the_delivery: 96 curves for 92 intervals"


def test_a_megawatt_is_sold_once_within_a_group() -> None:
    start = datetime(2026, 1, 6, tzinfo=UTC)
    block = Interval(start, start + timedelta(hours=4))
    quarter = Interval(start + timedelta(hours=1), start + timedelta(hours=1) + QUARTER)
    fcr, energy, spot = ProductId("fcr"), ProductId("afrr"), ProductId("spot")
    group = {fcr: "reserve", energy: "reserve", spot: "energy"}
    sold = {
        (fcr, "up"): {block: D(3)},
        (energy, "up"): {quarter: D(2)},
        (energy, "down"): {quarter: D(5)},
        (spot, "up"): {quarter: D(5)},
    }
    assert not budget_faults(sold, group, {"up": D(5), "down": D(5)})  # type: ignore[arg-type]
    assert budget_faults(sold, group, {"up": D("4.9"), "down": D(5)}) == (  # type: ignore[arg-type]
        "exclusivity_budget: reserve holds 5 MW up of 4.9 MW from 2026-01-06T01:00:00Z",
        "exclusivity_budget: energy holds 5 MW up of 4.9 MW from 2026-01-06T01:00:00Z",
    )
