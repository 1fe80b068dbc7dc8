"""The book of activations: what stands in a span is found without a walk over all that ever was called."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from vpp.model.activation import Activation
from vpp.model.horizon import Horizon
from vpp.model.ids import ProductId, UnitId
from vpp.model.market import Side
from vpp.model.time import QUARTER, Interval
from vpp.trade.book import BidBook
from vpp.trade.calls import CallBook
from vpp.trade.position import Position

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
UNIT = UnitId("unit")


def a_call(
    name: str,
    quarter: int,
    *,
    revision: int = 1,
    quarters: int = 1,
    mw: str = "1",
    signal: bool = False,
    received_s: float = 0.0,
) -> Activation:
    start = NOON + quarter * QUARTER
    return Activation(
        activation_id=name,
        revision=revision,
        product_id=ProductId("reg"),
        unit_id=UNIT,
        interval=Interval(start, start + quarters * QUARTER),
        side=Side.SELL if Decimal(mw) >= 0 else Side.BUY,
        quantity_mw=abs(Decimal(mw)),
        source="dispatch",
        received_at=start + timedelta(seconds=received_s),
        signal=signal,
        baseline_kw=None,
    )


revisions = st.builds(
    a_call,
    st.sampled_from("abcdef"),
    st.integers(0, 12),
    revision=st.integers(1, 4),
    quarters=st.integers(1, 5),
    mw=st.sampled_from(["0", "1", "-2"]),
)


def distinct(calls: list[Activation]) -> list[Activation]:
    seen: dict[tuple[str, int], Activation] = {}
    for call in calls:
        seen.setdefault((call.activation_id, call.revision), call)
    return [*seen.values()]


@given(calls=st.lists(revisions, max_size=20), start=st.integers(0, 15), length=st.integers(1, 6))
def test_what_stands_in_a_span_is_what_stands_and_overlaps_it(
    calls: list[Activation], start: int, length: int
) -> None:
    book = CallBook()
    for call in distinct(calls):
        book.add(call)
    span = Interval(NOON + start * QUARTER, NOON + (start + length) * QUARTER)

    assert list(book.standing_in(span)) == [
        one for one in book.standing() if one.interval.overlaps(span)
    ]


@given(calls=st.lists(revisions, max_size=20))
def test_a_position_that_followed_every_call_is_the_one_made_anew(calls: list[Activation]) -> None:
    book = BidBook(frozenset({ProductId("reg")}))
    book.position()
    for call in distinct(calls):
        book.activate(call)
        book.position()
    grid = Horizon(NOON, QUARTER, 20)
    anew = Position(calls=book.calls.standing())

    assert book.position().activated_kw(grid).tolist() == anew.activated_kw(grid).tolist()


def test_a_signal_is_asked_for_by_the_second_and_left_out_where_it_is_followed_apart() -> None:
    """1 MW for 300 s, −2 MW for 600 s: a twelfth less a third of a MWh in all, −2 MW now."""
    book = BidBook(frozenset({ProductId("reg")}))
    book.activate(a_call("agc", 0, mw="1", signal=True))
    book.activate(a_call("agc", 0, revision=2, mw="-2", signal=True, received_s=300))
    (call,) = book.calls.standing()
    quarter = Interval(NOON, NOON + QUARTER)

    assert call.asked_mw(NOON + timedelta(seconds=299)) == 1
    assert call.asked_mw(NOON + timedelta(seconds=300)) == -2
    assert call.asked_mw(NOON + QUARTER) == 0
    assert round(call.asked_mwh(quarter), 9) == Decimal("-0.25")
    assert round(call.asked_mwh(Interval(NOON, NOON + timedelta(seconds=360))), 9) == Decimal(
        "0.05"
    )
    grid = Horizon(NOON, QUARTER, 1)
    assert book.position().activated_kw(grid)[0] == -1000
    assert book.position().activated_kw(grid, signals=False)[0] == 0
