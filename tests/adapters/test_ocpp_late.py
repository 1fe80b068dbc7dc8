"""What a car park drew while stations were away, told when they have brought it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from adapters.ocpp_late import MOST_TICKS, Gap, Late, Mended

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
HOLDS = timedelta(seconds=30)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def a_gap(seconds: int, kw: float = 4.0, *, told: bool = True, **away: float | None) -> Gap:
    """A tick at which stations of one point each were away, with what they drew last."""
    held = {name: {1: drawn} for name, drawn in away.items()}
    return Gap(at=at(seconds), seq=seconds, kw=kw, told=told, away=dict(held))


def test_a_tick_is_told_anew_with_what_was_really_drawn() -> None:
    late = Late(HOLDS)
    late.begins("a", {1: (at(0), 4.0)})
    late.gap(a_gap(10, a=4.0))
    late.gap(a_gap(20, a=4.0))
    late.sample("a", 1, at(9), 10.0)
    late.sample("a", 1, at(19), 7.0)
    assert late.through("a") == [Mended(at(10), 10, 10.0, True), Mended(at(20), 20, 7.0, True)]
    assert not late.is_waiting("a")


def test_what_never_came_stays_as_it_was_told() -> None:
    late = Late(HOLDS)
    late.begins("a", {1: (at(0), 4.0)})
    late.gap(a_gap(100, a=4.0))
    assert late.through("a") == []


def test_a_tick_that_was_not_told_stays_missing_where_nobody_knows_it() -> None:
    late = Late(HOLDS)
    late.begins("a", {1: (at(0), 4.0)})
    late.gap(a_gap(20, told=False, a=4.0))
    late.gap(a_gap(100, told=False, a=4.0))
    assert late.through("a") == [Mended(at(20), 20, 4.0, True)]


def test_where_no_car_was_nothing_was_drawn() -> None:
    late = Late(HOLDS)
    late.begins("a", {})
    late.gap(a_gap(100, 0.0, told=False, a=None))
    assert late.through("a") == [Mended(at(100), 100, 0.0, True)]


def test_a_tick_at_which_two_were_away_is_told_once_both_have_brought_it() -> None:
    late = Late(HOLDS)
    for name in ("a", "b"):
        late.begins(name, {1: (at(0), 2.0)})
    late.gap(a_gap(10, 4.0, a=2.0, b=2.0))
    late.sample("a", 1, at(9), 5.0)
    late.sample("b", 1, at(9), 6.0)
    assert late.through("a") == []
    assert late.through("b") == [Mended(at(10), 10, 11.0, True)]


def test_a_car_that_came_and_went_is_seen_only_while_it_was_there() -> None:
    late = Late(HOLDS)
    late.begins("a", {})
    for tick in (10, 20, 30):
        late.gap(a_gap(tick, 0.0, a=None))
    late.sample("a", 1, at(15), 8.0)
    late.sample("a", 1, at(25), 0.0)
    assert late.through("a") == [Mended(at(20), 20, 8.0, True), Mended(at(30), 30, 0.0, True)]


def test_what_comes_when_nobody_waits_for_it_is_kept_nowhere() -> None:
    late = Late(HOLDS)
    late.sample("a", 1, at(9), 10.0)
    assert not late.is_waiting("a")


def test_of_a_long_absence_the_beginning_is_given_up() -> None:
    late = Late(HOLDS)
    late.begins("a", {})
    for tick in range(MOST_TICKS + 5):
        assert late.gap(a_gap(tick, 0.0, told=False, a=None)) is None
    assert len(late.through("a")) == MOST_TICKS


@given(
    st.lists(st.tuples(st.integers(0, 600), st.floats(0, 22)), min_size=1, max_size=40),
    st.permutations(range(0, 600, 10)),
)
def test_samples_in_any_order_mend_the_same(
    samples: list[tuple[int, float]], order: list[int]
) -> None:
    first = dict(samples)

    def mended(seconds: list[int]) -> list[Mended]:
        late = Late(HOLDS)
        late.begins("a", {})
        for tick in range(0, 600, 10):
            late.gap(a_gap(tick, 0.0, a=None))
        for second in seconds:
            late.sample("a", 1, at(second), first[second])
        return late.through("a")

    assert mended(sorted(first)) == mended(sorted(first, key=lambda s: order[s // 10 % 60]))
