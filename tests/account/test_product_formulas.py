"""Formulas, indices, bands and baselines of market products by hand-checked sums, numbers from the shipped files."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from vpp.account import formulas, performance, rulebook
from vpp.account.completion import max_load_below_baseline, paid_quantity
from vpp.account.daybaseline import (
    DayRule,
    PastDay,
    like_days,
    mean_mwh,
    ratio_adjusted,
    same_day,
    shift_adjusted,
)
from vpp.errors import DataError
from vpp.service.markets.pack import shipped_packs

D = Decimal
PACKS = {str(pack.product_id): pack for pack in shipped_packs()}
DR = PACKS["cn.generic.dr.peak.day_ahead"]


@pytest.mark.parametrize(
    ("actual_mw", "paid"), [(14, 36_000), (13, 36_000), (D("16.5"), 12_600), (18, 0)]
)
def test_demand_response_is_paid_by_its_completion_band(actual_mw: Decimal, paid: int) -> None:
    response = (20 - D(actual_mw)) * 2
    got = formulas.baseline_energy(
        response_mwh=response, cleared_mwh=D(10), price=D(3000), bands=DR.bands()
    )
    assert got == paid


def test_a_shortfall_below_half_of_the_award_costs_half_its_price() -> None:
    (rule,) = PACKS["cn.gd.dr.peak.day_ahead"].section.settlement.penalties
    assert rule.ratio is not None
    assert rule.multiplier is not None
    owed = formulas.shortfall(
        cleared_mw=D(5),
        response_mw=20 - D(18),
        hours=D(2),
        price=D(3000),
        ratio=rule.ratio,
        multiplier=rule.multiplier,
    )
    assert owed == 1500


def test_regulation_in_hunan_is_paid_by_mileage_and_k() -> None:
    k = performance.cn_hunan_k(
        rate=D(6),
        standard_rate=D("1.5"),
        delay_s=D(6),
        error_mw=D("0.05"),
        capacity_mw=D(10),
        **PACKS["cn.hn.fr.mileage"].section.performance.params,
    )
    assert k == D("1.695")
    assert round(k, 2) == D("1.70")
    fee = formulas.mileage_k(
        mileage_mw=D(120), price_per_mw=D(10), performance=k, m_factor=D("0.8")
    )
    assert fee == D("1627.2")


def five_days(*totals: str) -> list[PastDay]:
    return [
        PastDay(day=date(2026, 1, 20) - timedelta(days=n), kind="workday", energy_mwh=(D(mwh),))
        for n, mwh in enumerate(totals, start=1)
    ]


FIVE = DayRule(n_days=5, window_days=45, exclude=frozenset({"energy_outlier_25pct"}))


def test_a_baseline_of_five_days_drops_the_one_that_stands_out() -> None:
    days = like_days(
        FIVE, date(2026, 1, 20), "workday", five_days("10", "10.5", "9.8", "10.2", "16")
    )
    assert mean_mwh(days) == (D("10.125"),)
    (adjusted,) = ratio_adjusted(
        mean_mwh(days),
        actual_before=D("10.6"),
        baseline_before=D("10.1"),
        least=D("0.8"),
        most=D("1.2"),
    )
    assert round(adjusted, 5) == D("10.62624")


def test_a_baseline_uses_no_day_of_an_event_nor_the_day_itself() -> None:
    past = five_days("10", "20", "30")
    past[1] = PastDay(
        day=past[1].day, kind="workday", energy_mwh=(D(20),), flags=frozenset({"event"})
    )
    own = PastDay(day=date(2026, 1, 20), kind="workday", energy_mwh=(D(99),))
    rule = DayRule(n_days=10, window_days=45, exclude=frozenset())
    assert [d.total_mwh for d in like_days(rule, date(2026, 1, 20), "workday", [own, *past])] == [
        10,
        30,
    ]
    with pytest.raises(DataError, match="0 like days"):
        like_days(rule, date(2026, 1, 20), "rest_day", past)


def test_the_highest_days_are_chosen_where_the_rule_ranks() -> None:
    rule = DayRule(n_days=4, window_days=45, exclude=frozenset(), rank="highest", k=2)
    chosen = like_days(rule, date(2026, 1, 20), "workday", five_days("4", "9", "7", "2", "50"))
    assert [d.total_mwh for d in chosen] == [9, 7]


def test_a_correction_of_the_day_is_clipped_or_added() -> None:
    base = (D(10), D(20))
    bounds = {"least": D("0.8"), "most": D("1.2")}
    assert ratio_adjusted(base, actual_before=D(3), baseline_before=D(1), **bounds) == (
        D(12),
        D(24),
    )
    assert ratio_adjusted(base, actual_before=D(3), baseline_before=D(0), **bounds) == base
    assert shift_adjusted(base, actual_before=D(3), baseline_before=D(1)) == (D(12), D(22))
    assert same_day([D(10), D(12), D(14)], [D(8), D(6)]) == 10


def test_a_buyer_pays_contract_day_ahead_and_real_time() -> None:
    credit = formulas.two_settlement(
        contract_mwh=D(-100),
        contract_price=D(400),
        day_ahead_mwh=D(-110),
        day_ahead_price=D(350),
        actual_mwh=D(-105),
        real_time_price=D(600),
    )
    assert credit == -40_500


def test_a_day_ahead_declaration_beyond_its_band_gives_its_gain_back() -> None:
    deviation = PACKS["cn.gd.spot.da.load_vpp"].section.settlement.deviation
    assert deviation is not None
    assert deviation.band_pct is not None
    owed = formulas.claw_back(
        day_ahead_mwh=D(130),
        actual_mwh=D(100),
        band=deviation.band_pct,
        day_ahead_price=D(300),
        real_time_price=D(500),
    )
    assert owed == 2000


TRAPEZIUM = {
    "enablement_min": D(2),
    "low_breakpoint": D(4),
    "high_breakpoint": D(8),
    "enablement_max": D(10),
    "max_available_mw": D(3),
}


@pytest.mark.parametrize(
    ("power", "available"),
    [(1, 0), (2, 0), (3, D("1.5")), (4, 3), (6, 3), (9, D("1.5")), (10, 0), (11, 0)],
)
def test_a_trapezium_bounds_what_can_be_enabled(power: int, available: Decimal) -> None:
    assert formulas.trapezium_mw(D(power), **TRAPEZIUM) == available


def test_enabled_power_is_paid_by_the_hour() -> None:
    paid = formulas.fcas_enabled(enabled_mw=D(5), price_per_mw_h=D(120), hours=D(5) / 60)
    assert round(paid, 10) == 50


def test_the_other_formulas_by_round_numbers() -> None:
    f = formulas
    assert f.single_spot(actual_mwh=D(2), real_time_price=D(50)) == 100
    traded = f.exchange_imbalance(
        day_ahead_mwh=D(10),
        day_ahead_price=D(50),
        intraday_mwh=D(-2),
        intraday_price=D(60),
        actual_mwh=D(9),
        imbalance_price=D(100),
        activated_mwh=D(1),
    )
    assert traded == 500 - 120 + 0
    assert f.deviation_only(actual_mwh=D(-8), baseline_mwh=D(-10), real_time_price=D(300)) == 600
    held = f.capacity_availability(
        awarded_mw=D(2), price_per_mw_h=D(10), hours=D(4), availability=D("0.5"), forfeited=D(5)
    )
    assert held == 35
    assert f.reserve_energy(activated_mwh=D(3), price=D(70)) == 210
    call = f.baseline_capacity(
        response_mw=D(6), cleared_mw=D(5), price_per_mw=D(100), bands=DR.bands()
    )
    assert call == 600
    month = f.contract_reserve(
        contracted_mw=D(5),
        called_mw=D(2),
        reserve_price_per_mw_month=D(300),
        response_mwh=D(4),
        cleared_mwh=D(4),
        energy_price_per_mwh=D(1000),
        bands=(),
    )
    assert month == 4900
    taken = f.bm_accepted(
        accepted_mwh=D(10), pair_price=D(80), missing_mwh=D(-1), imbalance_price=D(120)
    )
    assert taken == 680
    curtailed = {"baseline_mwh": D(5), "actual_mwh": D(-1), "locational_price": D(40)}
    assert f.pdr(**curtailed, bid_price=D(50), threshold_price=D(45)) == 200
    assert f.pdr(**curtailed, bid_price=D(44), threshold_price=D(45)) == 0
    band = f.penalty_band(actual_mwh=D(7), set_mwh=D(10), band=D("0.1"), price=D(50), k=D(2))
    assert band == 200
    assert f.imbalance_price(actual_mwh=D(7), set_mwh=D(10), price=D(50)) == 150
    fee = {"cleared_mw": D(4), "capacity_fee": D(90), "ratio": D("0.7")}
    assert f.forfeit_capacity_below(response_mw=D("2.7"), **fee) == 90
    assert f.forfeit_capacity_below(response_mw=D("2.8"), **fee) == 0


def test_the_other_indices_by_round_numbers() -> None:
    run = {"standard_rate": D(2), "delay_s": D(30), "error_mw": D("0.1"), "capacity_mw": D(10)}
    assert performance.cn_south_k(rate=D(2), t0_s=D(60), e0_pct=D("0.02"), **run) == D("0.75")
    kp = performance.cn_kp_product(rate=D(4), t0_s=D(60), e0_pct=D("0.02"), floor=D("0.1"), **run)
    assert kp == D("1.5") ** 3
    shanxi = performance.shanxi_k(actual_k=D(3), highest_actual_k=D(4), alpha=D(1), beta=D("0.5"))
    assert shanxi == D("1.5")
    assert performance.pjm_score(accuracy=D(1), delay=D("0.5"), precision=D(0)) == D("0.5")
    inside = performance.tolerance_band(
        set_mw=[D(10), D(10), D(1)],
        actual_mw=[D(11), D(12), D("1.2")],
        pct=D("0.1"),
        abs_mw=D("0.3"),
    )
    assert inside == D(2) / 3


def test_a_response_against_the_call_is_none_and_a_call_for_nothing_refused() -> None:
    assert paid_quantity(D(-3), D(10), DR.bands()) == 0
    assert max_load_below_baseline([D(3), D(4)], [D(5), D(1)])
    with pytest.raises(DataError, match="cleared 0"):
        paid_quantity(D(3), D(0), DR.bands())


def test_a_rule_asks_for_parameters_that_its_function_takes() -> None:
    tables = (rulebook.FORMULAS, rulebook.DEVIATIONS, rulebook.PENALTIES, rulebook.INDEXES)
    renamed = {"band_pct": "band"}
    for table in tables:
        for name, rule in table.items():
            taken = rule.call.__code__.co_varnames[
                : rule.call.__code__.co_argcount + rule.call.__code__.co_kwonlyargcount
            ]
            assert {renamed.get(p, p) if p not in taken else p for p in rule.params} <= set(
                taken
            ), name
