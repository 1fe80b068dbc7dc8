"""Budgets of a period as a price for today, on models small enough to sort by hand."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import pytest

from vpp.errors import DataError
from vpp.model.ids import ResourceId
from vpp.plan.quota import (
    DaysOfPeak,
    GreenEnergy,
    GreenRules,
    Priced,
    Quota,
    RestOfPeriod,
    Unreachable,
    activity_price,
    carbon_price,
    green_quotas,
    peak_steps,
    peak_worth,
    price_of,
)
from vpp.plan.terms import Activity

WORTH = [[9.0, 4.0, 1.0], [8.0, 5.0, 2.0], [9.0, 3.0, 1.0]]
"""Three days of three blocks, 10 units each."""


def rest(
    worth: list[list[float]] = WORTH, *, must: float = 0.0, could: float = 10.0
) -> RestOfPeriod:
    return RestOfPeriod(
        must=np.full(len(worth), must),
        could=np.full((len(worth), len(worth[0])), could),
        worth_per_unit=np.array(worth),
    )


def priced(quota: Quota, days: RestOfPeriod) -> Priced:
    outcome = price_of(quota, days)
    assert isinstance(outcome, Priced), outcome
    return outcome


# ---------------------------------------------------------------- budgets


@pytest.mark.parametrize(
    ("used", "most", "price", "planned"),
    [
        pytest.param(0, 35, 5, [10, 15, 10], id="35 units: three at 8 and more, half of one at 5"),
        pytest.param(15, 40, 8, [10, 5, 10], id="25 are left of 40"),
        pytest.param(0, 300, 0, [30, 30, 30], id="more than anybody wants is worth nothing"),
    ],
)
def test_a_budgets_price_is_what_its_last_unit_is_worth(
    used: float, most: float, price: float, planned: list[float]
) -> None:
    found = priced(Quota(reason="calls", used=used, most=most), rest())

    assert found.price_per_unit == pytest.approx(price)
    assert found.planned.tolist() == pytest.approx(planned)


def test_what_is_used_anyhow_comes_out_of_the_budget_first() -> None:
    found = priced(Quota(reason="imports", used=0, most=47), rest(must=4.0))

    # 12 of 47 are gone whatever is done; the 35 that are left end in the block at 5.
    assert found.price_per_unit == pytest.approx(5)
    assert found.planned.sum() == pytest.approx(47)


@pytest.mark.parametrize(
    ("used", "least", "price"),
    [
        pytest.param(0, 75, -3, id="75 of 90 units: the last ones cost 3"),
        pytest.param(40, 75, 0, id="35 more come by themselves"),
    ],
)
def test_a_least_quantity_is_rewarded_by_what_its_last_unit_costs(
    used: float, least: float, price: float
) -> None:
    costs = rest([[1.0, 0.5, -3], [1, 0.5, -2], [1, 0.5, -4]])

    found = priced(Quota(reason="self-use", used=used, least=least), costs)

    assert found.price_per_unit == pytest.approx(price)


def test_a_quota_with_both_sides_is_priced_by_the_one_that_binds() -> None:
    one = Quota(reason="hours", used=0, least=10, most=25)

    assert priced(one, rest()).price_per_unit == pytest.approx(8)


def test_no_quota_at_all_costs_nothing() -> None:
    found = priced(Quota(reason="nothing", used=7), rest())

    assert found.price_per_unit == 0
    assert found.planned.tolist() == [30, 30, 30]


@pytest.mark.parametrize(
    ("quota", "by"),
    [
        pytest.param(Quota(reason="x", used=50, most=40), 22, id="used up, and 12 more must come"),
        pytest.param(Quota(reason="x", used=30, most=40), 2, id="what must come is too much"),
        pytest.param(Quota(reason="x", used=0, least=120), 18, id="102 are all that can come"),
    ],
)
def test_a_quota_out_of_reach_is_said_and_by_how_much(quota: Quota, by: float) -> None:
    outcome = price_of(quota, rest(must=4.0))

    assert isinstance(outcome, Unreachable)
    assert outcome.by == pytest.approx(by)


def test_a_quota_out_of_reach_is_missed_by_as_little_as_can_be() -> None:
    above = price_of(Quota(reason="calls", used=50, most=40), rest())
    below = price_of(Quota(reason="self-use", used=0, least=99), rest([[1.0, -2], [1, -5]]))

    # No block is worth more than 9, and none costs more than 5: all is left undone, or done.
    assert (above.price_per_unit, below.price_per_unit) == (9, -5)


def test_a_quota_just_in_reach_is_priced() -> None:
    assert priced(Quota(reason="x", used=28, most=40), rest(must=4.0)).planned.tolist() == [4, 4, 4]
    assert priced(Quota(reason="x", used=0, least=102), rest(must=4.0)).planned.sum() == 102


def test_renewed_every_day_the_price_spends_a_budget_to_its_end() -> None:
    """Each day's plan uses what is worth more than the price; the price of the next day knows it."""
    budget, used, prices = 35.0, 0.0, []
    for day in range(3):
        found = priced(Quota(reason="calls", used=used, most=budget), rest(WORTH[day:]))
        prices.append(found.price_per_unit)
        used += found.planned[0]

    assert used == pytest.approx(budget)
    assert prices[:2] == pytest.approx([5, 5])


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: Quota(reason="x", used=0, least=3, most=2), "from 3 to 2"),
        (lambda: Quota(reason="x", used=inf), "used inf"),
        (lambda: rest([[1.0, 2.0]]), "worth more than an earlier one"),
        (lambda: rest(could=-1.0), "a quantity below 0"),
        (
            lambda: RestOfPeriod(
                must=np.zeros(2), could=np.zeros((1, 1)), worth_per_unit=np.zeros((1, 1))
            ),
            "one row a day",
        ),
    ],
    ids=[
        "sides that cross",
        "unknown use",
        "a rising curve",
        "a negative block",
        "days that differ",
    ],
)
def test_models_that_make_no_sense_are_refused(make: Any, what: str) -> None:
    with pytest.raises(DataError) as caught:
        make()

    assert what in str(caught.value)


# ---------------------------------------------------------------- as terms


def test_a_price_becomes_a_term_of_todays_plan() -> None:
    quota = Quota(reason="backup hours 2026", used=0, most=35)
    found = priced(quota, rest())

    term = activity_price(quota, found, Activity.HOURS_ON, ResourceId("engine"))
    carbon = carbon_price(found, np.array([0.5]))

    assert (term.activity, term.resource_id) == (Activity.HOURS_ON, "engine")
    assert term.price_per_unit == pytest.approx(5)
    assert term.reason == "backup hours 2026"
    assert carbon.price_per_kgco2 == pytest.approx(5)


def test_green_use_alone_may_be_rewarded() -> None:
    quota = Quota(reason="self-use", used=0, least=15)
    found = priced(quota, rest([[1.0, -3.0]]))

    assert activity_price(quota, found, Activity.GREEN_USE).price_per_unit == pytest.approx(-3)
    with pytest.raises(DataError):
        activity_price(quota, found, Activity.EXPORT)


# ---------------------------------------------------------------- the billing peak


@pytest.mark.parametrize(
    ("expected_kw", "paid_kw", "worth"),
    [
        pytest.param([100, 150], 0, (0, 120), id="tomorrow sets the peak anyway"),
        pytest.param([150, 100], 0, (40, 120), id="only today can: all of the charge"),
        pytest.param([150, 100], 140, (10, 140), id="what is paid already need not be lowered"),
        pytest.param([150, 100], 200, (0, 200), id="far below what is paid"),
    ],
)
def test_the_demand_charge_falls_to_the_day_that_sets_the_peak(
    expected_kw: list[float], paid_kw: float, worth: tuple[float, float]
) -> None:
    """A kW of peak costs 40; each day can lower its own by 30 kW at 10, and by 10 more at 50."""
    days = DaysOfPeak(
        expected_kw=np.array(expected_kw, dtype=float),
        shave_kw=np.full((2, 2), [30.0, 10.0]),
        cost_per_kw=np.full((2, 2), [10.0, 50.0]),
    )

    found = peak_worth(days, price_per_kw=40, paid_kw=paid_kw)

    assert (found.price_per_kw, found.expected_kw) == pytest.approx(worth)


@pytest.mark.parametrize(
    ("expected_kw", "blocks", "paid_kw", "steps"),
    [
        pytest.param([], [], 100, [(100, 40)], id="the last days: all of the charge"),
        pytest.param([90], [], 100, [(100, 40)], id="later days stay below what is paid"),
        pytest.param([150, 120], [], 100, [(150, 40)], id="free up to the peak of a later day"),
        pytest.param(
            [150, 150],
            [(30, 10)],
            100,
            [(120, 20), (150, 20)],
            id="a kW more spares two later days their shaving",
        ),
        pytest.param([150], [(30, 50)], 100, [(150, 40)], id="shaving that is dearer is not done"),
    ],
)
def test_a_peak_that_the_plan_sees_costs_what_the_rest_of_the_month_leaves_of_the_charge(
    expected_kw: list[float],
    blocks: list[tuple[float, float]],
    paid_kw: float,
    steps: list[tuple[float, float]],
) -> None:
    days, count = len(expected_kw), len(blocks)
    rest = DaysOfPeak(
        expected_kw=np.array(expected_kw, dtype=float),
        shave_kw=np.array([[kw for kw, _ in blocks]] * days, dtype=float).reshape(days, count),
        cost_per_kw=np.array([[cost for _, cost in blocks]] * days, dtype=float).reshape(
            days, count
        ),
    )

    found = peak_steps(rest, price_per_kw=40, paid_kw=paid_kw)

    assert [(step.free_kw, step.price_per_kw) for step in found] == [
        pytest.approx(step) for step in steps
    ]


# ---------------------------------------------------------------- green direct connection


def green(fed: float, curtailed: float, exported: float, lost: float, load: float) -> GreenEnergy:
    return GreenEnergy(
        fed_kwh=fed,
        curtailed_kwh=curtailed,
        exported_kwh=exported,
        storage_loss_kwh=lost,
        load_kwh=load,
    )


RULES = GreenRules(least_self_use_share=0.6, least_green_share=0.3, most_export_share=0.2)


def test_golden_11_the_ratios_of_a_direct_connection() -> None:
    year = green(94, 6, 12, 2, 200)

    assert year.self_used_kwh == 80
    assert (year.self_use_share, year.green_share, year.export_share) == (0.8, 0.4, 0.12)


def test_the_ratios_become_quantities_of_green_use_and_exports() -> None:
    """Half of golden 11 is over, the other half expected alike."""
    half = green(47, 3, 6, 1, 100)

    use, exports = green_quotas(half, half, RULES)

    # 60 kWh of the 100 available (and of the 200 drawn), 2 kWh of losses beside; 41 are used.
    assert (use.used, use.least) == pytest.approx((41, 62))
    assert (exports.used, exports.most) == pytest.approx((6, 20))


def test_a_year_that_exported_too_much_already_is_said() -> None:
    _, exports = green_quotas(green(80, 0, 30, 0, 100), green(20, 0, 0, 0, 100), RULES)

    outcome = price_of(exports, rest())

    assert isinstance(outcome, Unreachable)
    assert outcome.reason == exports.reason
    assert outcome.by == pytest.approx(10)
