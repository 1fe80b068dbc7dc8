"""Who may say what a resource does, and what is on record of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vpp.act.arbitration import NOBODY, Claim, Settled, Source, arbitrate
from vpp.errors import DataError

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)
INF = float("inf")
NONE = float("nan")


def claim(source: Source, name: str = "", **more: Any) -> Claim:
    if "rows" in more:
        more["rows"] = np.array(more["rows"])
    return Claim(source=source, name=name or source.name, **({"expires_at": LATER} | more))


def settled(*claims: Claim, size: int = 1) -> Settled:
    return arbitrate(claims, size, now=NOON)


def test_each_source_narrows_the_room_for_the_next() -> None:
    found = settled(
        claim(Source.STRATEGY, wish_kw=-50),
        claim(Source.AWARD, wish_kw=60),
        claim(Source.OPERATOR, low_kw=-20),
        claim(Source.GRID, high_kw=40),
        claim(Source.PROTECTION, low_kw=-100, high_kw=100),
    )
    left = [(float(low[0]), float(high[0])) for low, high in found.left.values()]
    assert left == [(-INF, INF), (-100, 100), (-100, 40), (-20, 40), (40, 40)]
    assert list(found.left) == list(Source)
    assert (found.low_kw[0], found.high_kw[0], found.wish_kw[0]) == (40, 40, 40)
    assert found.winner[0] == Source.AWARD


def test_a_wish_beyond_the_room_is_cut_to_the_nearest_bound_and_says_who_holds_it() -> None:
    found = settled(
        claim(Source.GRID, "order 7", high_kw=40), claim(Source.AWARD, "award 3", wish_kw=60)
    )
    (cut,) = found.cuts
    assert found.claims[cut.claim].name == "award 3"
    assert (list(cut.rows), list(cut.asked_kw), list(cut.got_kw)) == ([0], [60], [40])
    assert [found.claims[at].name for at in cut.held_by] == ["order 7"]


def test_bounds_beyond_the_room_become_its_nearest_point() -> None:
    found = settled(
        claim(Source.PROTECTION, "must run", low_kw=60), claim(Source.GRID, "cap", high_kw=50)
    )
    assert (found.low_kw[0], found.high_kw[0]) == (60, 60)
    (cut,) = found.cuts
    assert (list(cut.asked_kw), list(cut.got_kw)) == ([50], [60])
    assert [found.claims[at].name for at in cut.held_by] == ["must run"]


def test_an_operator_wins_over_an_award_and_the_award_is_told() -> None:
    found = settled(claim(Source.AWARD, wish_kw=60), claim(Source.OPERATOR, wish_kw=0))
    assert (found.winner[0], found.wish_kw[0]) == (Source.OPERATOR, 0)
    assert found.claims[found.winning_claim[0]].source is Source.OPERATOR
    assert [(found.claims[c.claim].source, list(c.got_kw)) for c in found.cuts] == [
        (Source.AWARD, [0])
    ]


def test_who_wishes_what_the_winner_wishes_is_not_cut() -> None:
    assert not settled(claim(Source.AWARD, wish_kw=60), claim(Source.STRATEGY, wish_kw=60)).cuts


def test_nobody_wins_where_nobody_wishes_anything() -> None:
    found = settled(claim(Source.GRID, high_kw=40))
    assert (found.winner[0], found.winning_claim[0]) == (NOBODY, NOBODY)
    assert np.isnan(found.wish_kw[0])
    assert (found.low_kw[0], found.high_kw[0]) == (-INF, 40)


def test_a_claim_lapses_at_its_end_unless_it_is_renewed() -> None:
    old = claim(Source.GRID, "old", high_kw=0, expires_at=NOON)
    found = settled(old, claim(Source.STRATEGY, wish_kw=10))
    assert found.wish_kw[0] == 10
    assert found.lapsed == (old,)
    renewed = claim(Source.GRID, "old", high_kw=0, expires_at=LATER)
    assert settled(renewed, claim(Source.STRATEGY, wish_kw=10)).wish_kw[0] == 0


def test_of_equals_the_narrowest_bounds_hold_and_the_wish_nearest_to_nothing() -> None:
    found = settled(
        claim(Source.GRID, "a", low_kw=-10, high_kw=50),
        claim(Source.GRID, "b", low_kw=-30, high_kw=20),
        claim(Source.AWARD, "c", wish_kw=-8),
        claim(Source.AWARD, "d", wish_kw=9),
    )
    assert [float(side[0]) for side in found.left[Source.OPERATOR]] == [-10, 20]
    assert found.wish_kw[0] == -8
    assert found.claims[found.winning_claim[0]].name == "c"


def test_equals_that_leave_nothing_say_nothing_and_are_named() -> None:
    found = settled(
        claim(Source.PROTECTION, low_kw=-100, high_kw=100),
        claim(Source.GRID, "feed", low_kw=10),
        claim(Source.GRID, "draw", high_kw=-5),
        size=2,
    )
    (conflict,) = found.conflicts
    assert (conflict.source, set(conflict.names)) == (Source.GRID, {"feed", "draw"})
    assert list(conflict.rows) == [0, 1]
    assert (list(found.low_kw), list(found.high_kw)) == ([-100, -100], [100, 100])


def test_protection_at_odds_with_itself_holds_the_device_as_near_to_nothing_as_it_asks() -> None:
    found = settled(
        claim(Source.PROTECTION, "a", low_kw=30),
        claim(Source.PROTECTION, "b", high_kw=10),
        claim(Source.AWARD, wish_kw=100),
    )
    assert (found.low_kw[0], found.high_kw[0], found.wish_kw[0]) == (10, 10, 10)
    assert len(found.conflicts) == 1


def test_a_claim_is_about_its_rows_alone() -> None:
    found = settled(
        claim(Source.GRID, rows=[1], high_kw=5),
        claim(Source.AWARD, wish_kw=np.array([10.0, 20.0, NONE])),
        size=3,
    )
    np.testing.assert_array_equal(found.wish_kw, [10, 5, NONE])
    assert list(found.winner) == [Source.AWARD, Source.AWARD, NOBODY]


def test_the_record_of_a_resource_tells_each_source_s_turn() -> None:
    found = settled(
        claim(Source.GRID, "order 7", high_kw=40),
        claim(Source.AWARD, "award 3", wish_kw=60),
        claim(Source.AWARD, "elsewhere", wish_kw=5, rows=[1]),
        claim(Source.STRATEGY, "plan 9", wish_kw=10),
        size=2,
    )
    turns = {turn.source: turn for turn in found.turns(0)}
    assert list(turns) == list(Source)
    award, plan = turns[Source.AWARD], turns[Source.STRATEGY]
    assert (award.low_kw, award.high_kw, award.claims, award.wins) == (-INF, 40, ("award 3",), True)
    assert award.cuts == ("award 3 wished 60 kW and got 40 kW: order 7 (grid) leaves no more",)
    assert (plan.low_kw, plan.high_kw, plan.wins) == (40, 40, False)
    assert plan.cuts == ("plan 9 wished 10 kW and got 40 kW: award 3 (award) leaves no more",)
    assert turns[Source.OPERATOR].claims == turns[Source.OPERATOR].cuts == ()


def test_the_record_names_claims_that_leave_nothing_between_them() -> None:
    found = settled(claim(Source.GRID, "feed", low_kw=10), claim(Source.GRID, "draw", high_kw=-5))
    assert found.turns(0)[Source.GRID].cuts == ("feed and draw leave nothing between them",)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"low_kw": NONE}, "NaN"),
        ({"high_kw": NONE}, "NaN"),
        ({"low_kw": 2.0, "high_kw": 1.0}, "above the high one"),
        ({"low_kw": INF}, "infinite power"),
        ({"high_kw": -INF}, "infinite power"),
        ({"wish_kw": INF}, "wish is infinite"),
        ({"rows": [0, 1], "wish_kw": np.zeros(3)}, "has the shape"),
        ({"expires_at": datetime(2026, 3, 2)}, "not in UTC"),  # noqa: DTZ001
    ],
)
def test_a_claim_that_means_nothing_is_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        claim(Source.GRID, **values)


@pytest.mark.parametrize("rows", [[0, 0], [-1], [3]])
def test_rows_that_are_not_of_the_park_or_come_twice_are_refused(rows: list[int]) -> None:
    with pytest.raises(DataError, match="rows"):
        settled(claim(Source.GRID, rows=rows, high_kw=1.0), size=3)


# ---------------------------------------------------------------- whatever is claimed

kw = st.one_of(st.none(), st.integers(-9, 9).map(float))


@st.composite
def claims(draw: st.DrawFn) -> Claim:
    low, high, wish = draw(kw), draw(kw), draw(kw)
    if low is not None and high is not None and low > high:
        low, high = high, low
    return claim(
        draw(st.sampled_from(Source)),
        low_kw=-INF if low is None else low,
        high_kw=INF if high is None else high,
        wish_kw=NONE if wish is None else wish,
        rows=sorted(draw(st.sets(st.integers(0, 2), min_size=1))),
    )


def slowly(heard: list[Claim], row: int) -> tuple[float, float, float, int]:
    """The same rules, one resource at a time: (low, high, wish, winner)."""
    low, high, wish, winner = -INF, INF, NONE, NOBODY
    for source in Source:
        mine = [c for c in heard if c.source is source and c.rows is not None and row in c.rows]
        asks_low = max((float(c.low_kw) for c in mine), default=-INF)
        asks_high = min((float(c.high_kw) for c in mine), default=INF)
        if asks_low > asks_high:
            held = min(max(0.0, asks_high), asks_low)
            top = source is Source.PROTECTION
            asks_low, asks_high = (held, held) if top else (-INF, INF)
        low, high = (min(max(asked, low), high) for asked in (asks_low, asks_high))
        wishes = [float(c.wish_kw) for c in mine if not np.isnan(c.wish_kw)]
        if wishes and winner == NOBODY:
            wish = min(max(min(wishes, key=abs), low), high)
            low, high, winner = wish, wish, source
    return low, high, wish, winner


@settings(max_examples=150)
@given(st.lists(claims(), max_size=8))
def test_the_arrays_agree_with_one_resource_at_a_time(heard: list[Claim]) -> None:
    found = settled(*heard, size=3)
    for row in range(3):
        got = (found.low_kw[row], found.high_kw[row], found.wish_kw[row], found.winner[row])
        np.testing.assert_array_equal(got, slowly(heard, row))


@settings(max_examples=150)
@given(st.lists(claims(), max_size=8))
def test_no_lower_source_widens_what_a_higher_one_left(heard: list[Claim]) -> None:
    found = settled(*heard, size=3)
    rooms = [*found.left.values(), (found.low_kw, found.high_kw)]
    for (low, high), (lower, higher) in pairwise(rooms):
        assert (low <= lower).all()
        assert (lower <= higher).all()
        assert (higher <= high).all()


@settings(max_examples=150)
@given(st.lists(claims(), max_size=8))
def test_whoever_did_not_get_its_wish_is_on_record(heard: list[Claim]) -> None:
    found = settled(*heard, size=3)
    cut = {(int(c.claim), int(row)) for c in found.cuts for row in c.rows if c.is_wish}
    for at, one in enumerate(found.claims):
        assert one.rows is not None
        for row in one.rows:
            alone = sum(
                c.source is one.source and row in (() if c.rows is None else c.rows)
                for c in found.claims
            )
            if alone == 1 and not np.isnan(one.wish_kw):
                granted = found.wish_kw[row] == one.wish_kw
                assert granted != ((at, int(row)) in cut)
