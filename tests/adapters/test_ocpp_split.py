"""What a car park may draw, split among its cars."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from adapters.ocpp_split import Seeker, split

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)


def a_car(
    name: str, hours: float, left_kwh: float = 10, *, most: float = 10, least: float = 4
) -> Seeker:
    return Seeker(
        name=name,
        least_kw=least,
        most_kw=most,
        left_kwh=left_kwh,
        leaves_at=NOON + timedelta(hours=hours),
    )


def test_who_can_wait_the_least_comes_first() -> None:
    cars = [a_car("late", 8), a_car("soon", 2), a_car("later", 9)]
    assert split(14, cars, NOON) == {"soon": 10, "late": 4, "later": 0}


def test_a_car_that_needs_more_can_wait_less() -> None:
    assert split(10, [a_car("a", 8, 10), a_car("b", 8, 60)], NOON) == {"a": 0, "b": 10}


def test_who_charges_goes_on_until_another_can_wait_less_by_a_turn() -> None:
    charging = replace(a_car("b", 8), charges=True)
    assert split(10, [a_car("a", 8), charging], NOON) == {"a": 0, "b": 10}
    assert split(10, [a_car("a", 7.8), charging], NOON) == {"a": 0, "b": 10}
    assert split(10, [a_car("a", 7.7), charging], NOON) == {"a": 10, "b": 0}


def test_a_car_gives_up_what_the_next_one_lacks_to_begin_with() -> None:
    assert split(12, [a_car("a", 1), a_car("b", 2)], NOON) == {"a": 8, "b": 4}


def test_too_little_to_begin_with_is_given_to_nobody() -> None:
    assert split(3, [a_car("a", 1)], NOON) == {"a": 0}
    assert split(5, [a_car("a", 1, most=5), a_car("b", 2)], NOON) == {"a": 5, "b": 0}


def test_who_wants_nothing_comes_last() -> None:
    assert split(14, [a_car("full", 1, 0), a_car("a", 9)], NOON) == {"full": 4, "a": 10}


def test_nothing_allowed_is_nothing_for_everybody() -> None:
    assert split(-7, [a_car("a", 1)], NOON) == {"a": 0}


cars = st.builds(
    a_car,
    name=st.uuids().map(str),
    hours=st.floats(0.1, 24),
    left_kwh=st.floats(0, 80),
    most=st.floats(4, 22),
    least=st.floats(0, 4),
)


@given(st.floats(0, 200), st.lists(cars, max_size=12))
def test_no_more_than_allowed_is_given_and_each_car_takes_what_it_can(
    allowed: float, seekers: list[Seeker]
) -> None:
    given_kw = split(allowed, seekers, NOON)
    assert sum(given_kw.values()) <= allowed + 1e-6
    for one in seekers:
        kw = given_kw[one.name]
        assert kw == 0 or one.least_kw - 1e-6 <= kw <= one.most_kw + 1e-6


@given(st.floats(0, 200), st.lists(cars, min_size=1, max_size=12))
def test_little_is_left_over_while_somebody_could_take_it(
    allowed: float, seekers: list[Seeker]
) -> None:
    given_kw = split(allowed, seekers, NOON)
    left = allowed - sum(given_kw.values())
    could = [one for one in seekers if given_kw[one.name] == 0]
    assert left <= 4 + 1e-6 or not could
