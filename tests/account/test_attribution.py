"""A day's result as planned plus five effects: each by its counterfactual, all of them to the cent."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpp.account.attribution import NO_PEAK, Attribution, Courses, PointTerms, attribute, worth
from vpp.errors import DataError
from vpp.model.ids import ConnectionPointId

GATE = ConnectionPointId("gate")
CENT = Decimal("0.01")
PAYS = PointTerms(
    network_per_kwh=[Decimal("0.02")], peak_of=[0], rise_per_kw=Decimal(0), paid_kw=Decimal(0)
)


def drawn(kwh: int) -> dict[ConnectionPointId, list[int]]:
    return {GATE: [-kwh * 1000]}


BY_HAND = Courses(
    planned=drawn(1000),
    came=drawn(1100),
    replanned=drawn(900),
    held=drawn(1000),
    metered=drawn(1050),
)


def split(
    courses: Courses = BY_HAND,
    pays: PointTerms = PAYS,
    total: str = "-84.00",
    imbalance_beyond: str = "0",
) -> Attribution:
    return attribute(
        courses,
        {GATE: pays},
        expected_per_mwh=[Decimal(50)],
        came_per_mwh=[Decimal(60)],
        imbalance_beyond=Decimal(imbalance_beyond),
        total=Decimal(total),
        minor_unit=CENT,
    )


def test_the_table_of_the_docstring_comes_out_as_it_says() -> None:
    found = split()

    assert found.planned == Decimal("-70.00")
    assert found.effects == {
        "forecast": Decimal("-8.00"),
        "price": Decimal("-10.00"),
        "delivery": Decimal("-4.00"),
        "override": Decimal("-8.00"),
        "model": Decimal("16.00"),
    }
    assert found.total == Decimal("-84.00")


def test_what_imbalance_cost_beyond_the_day_ahead_price_is_delivery() -> None:
    found = split(total="-87.50", imbalance_beyond="-3.50")

    assert found.delivery == Decimal("-7.50")
    assert found.model == split().model


def test_a_peak_that_rises_is_worth_what_the_month_pays_for_it() -> None:
    """1100 kWh in a quarter-hour are 4400 kW: 400 above what is paid, at 5.00 a kW."""
    pays = replace(PAYS, rise_per_kw=Decimal(5), paid_kw=Decimal(4000))

    assert split(pays=pays).forecast == Decimal("-2008.00")


def test_a_measuring_interval_of_two_quarters_counts_their_mean_and_what_makes_no_peak_does_not() -> (
    None
):
    course = {GATE: [-1_000_000, -500_000, -2_000_000]}
    pays = PointTerms(
        network_per_kwh=[Decimal(0)] * 3,
        peak_of=[0, 0, NO_PEAK],
        rise_per_kw=Decimal(1),
        paid_kw=Decimal(2000),
    )

    assert worth(course, {GATE: pays}, [Decimal(0)] * 3) == Decimal(-1000)  # 3000 kW less 2000


def test_what_is_fed_pays_no_network() -> None:
    assert worth({GATE: [1_000_000]}, {GATE: PAYS}, [Decimal(60)]) == Decimal(60)


def test_a_course_that_is_shorter_or_of_other_points_is_refused() -> None:
    with pytest.raises(DataError, match="quarter-hours"):
        split(replace(BY_HAND, held={GATE: [0, 0]}))
    with pytest.raises(DataError, match="other"):
        split(replace(BY_HAND, held={ConnectionPointId("other"): [0]}))


wh = st.integers(-5_000_000, 5_000_000)
price = st.decimals(-500, 4000, places=2)


@st.composite
def anything(
    draw: st.DrawFn,
) -> tuple[Courses, dict[ConnectionPointId, PointTerms], list[list[Decimal]]]:
    steps = draw(st.integers(1, 6))
    names = [ConnectionPointId(f"point-{k}") for k in range(draw(st.integers(1, 3)))]

    def course() -> dict[ConnectionPointId, list[int]]:
        return {name: draw(st.lists(wh, min_size=steps, max_size=steps)) for name in names}

    points = {
        name: PointTerms(
            network_per_kwh=draw(
                st.lists(st.decimals(0, 1, places=5), min_size=steps, max_size=steps)
            ),
            peak_of=[k // 2 for k in range(steps)],
            rise_per_kw=draw(st.decimals(0, 40, places=3)),
            paid_kw=draw(st.decimals(0, 9000, places=1)),
        )
        for name in names
    }
    made = Courses(
        planned=course(), came=course(), replanned=course(), held=course(), metered=course()
    )
    prices = [draw(st.lists(price, min_size=steps, max_size=steps)) for _ in range(2)]
    return made, points, prices


@given(anything(), st.decimals(-(10**7), 10**7, places=2), st.decimals(-1000, 1000, places=3))
def test_whatever_happened_the_parts_add_up_to_the_total_to_the_cent(
    what: tuple[Courses, dict[ConnectionPointId, PointTerms], list[list[Decimal]]],
    total: Decimal,
    beyond: Decimal,
) -> None:
    courses, points, (expected, came) = what

    found = attribute(
        courses,
        points,
        expected_per_mwh=expected,
        came_per_mwh=came,
        imbalance_beyond=beyond,
        total=total,
        minor_unit=CENT,
    )

    assert found.total == total
    for amount in (found.planned, *found.effects.values()):
        assert amount == amount.quantize(CENT)
    assert (found + found).total == 2 * total


@given(anything())
def test_where_nothing_went_otherwise_all_effects_are_nothing(
    what: tuple[Courses, dict[ConnectionPointId, PointTerms], list[list[Decimal]]],
) -> None:
    courses, points, (expected, _) = what
    same = Courses(
        planned=courses.planned,
        came=courses.planned,
        replanned=courses.planned,
        held=courses.planned,
        metered=courses.planned,
    )
    total = round(worth(courses.planned, points, expected), 2)

    found = attribute(
        same,
        points,
        expected_per_mwh=expected,
        came_per_mwh=expected,
        imbalance_beyond=Decimal(0),
        total=total,
        minor_unit=CENT,
    )

    assert set(found.effects.values()) == {Decimal(0)}
