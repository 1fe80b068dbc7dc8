"""A venue that bids are sent to: one bid set once, awards with numbers, each fault by itself."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.simulate.venuekit import CENT, START, bid_set, hall, quarter
from vpp.simulate.clearingrules import AtPrice
from vpp.simulate.hall import Hall, Page, Refused, Taken
from vpp.simulate.ledger import Ledger
from vpp.simulate.venuefaults import Fault

MINUTE = timedelta(minutes=1)
GATE = quarter(0)[0] - timedelta(minutes=30)
LATER = GATE + timedelta(hours=3)


def some(one: Hall, count: int = 3) -> None:
    """So many quarter-hours bid for, and cleared one after the other."""
    for number in range(count):
        assert one.put(*bid_set(quarter(number)), START) == Taken(new=True)
    while (due := one.next_due()) is not None and due <= LATER:
        one.act(due)


def numbers(page: Page) -> list[int]:
    return [told.sequence for told in page.told]


# ---------------------------------------------------------------- bids in


def test_a_bid_set_is_taken_once_and_the_same_bytes_change_nothing() -> None:
    ledger = Ledger(CENT)
    one, _ = hall(ledger)
    name, body = bid_set(quarter(0))
    assert one.put(name, body, START) == Taken(new=True)
    assert one.put(name, body, START) == Taken(new=False)
    assert one.put(name, body, GATE + MINUTE) == Taken(new=False)
    assert one.status(name) == "received"
    one.act(GATE + MINUTE)
    assert one.status(name) == "cleared"
    assert ledger.position_mwh() == {("unit-1", quarter(0)[0]): Decimal("0.2")}


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(bid_set(quarter(0), product="elsewhere"), "unknown_product", id="a product"),
        pytest.param(bid_set(quarter(0), unit="stranger"), "unknown_unit", id="a unit"),
        pytest.param(
            bid_set((quarter(0)[0], quarter(1)[1])), "off_grid", id="no delivery of the product"
        ),
        pytest.param(("qh.unit-1.x.1", b"no json"), "invalid_body", id="no JSON"),
        pytest.param(("other", bid_set(quarter(0))[1]), "invalid_body", id="the body of another"),
        pytest.param(bid_set(quarter(-1)), None, id="in time"),
        pytest.param(bid_set(quarter(-2)), "gate_closed", id="at the gate"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_a_code(
    sent: tuple[str, bytes], code: str | None
) -> None:
    one, _ = hall(Ledger(CENT))
    put = one.put(*sent, START)
    assert (put.code if isinstance(put, Refused) else None) == code
    assert one.status(sent[0]) == ("unknown" if code else "received")


def test_other_bytes_under_a_known_id_are_a_conflict_and_leave_the_first() -> None:
    ledger = Ledger(CENT)
    one, _ = hall(ledger)
    name, body = bid_set(quarter(0))
    _, other = bid_set(quarter(0), mw="0.4")
    one.put(name, body, START)
    put = one.put(name, other, START)
    assert isinstance(put, Refused)
    assert put.code == "conflict"
    one.act(GATE + MINUTE)
    assert ledger.position_mwh() == {("unit-1", quarter(0)[0]): Decimal("0.2")}


def test_the_newest_revision_counts_in_whatever_order_they_come() -> None:
    ledger = Ledger(CENT)
    one, _ = hall(ledger)
    one.put(*bid_set(quarter(0), revision=2, mw="0.4"), START)
    one.put(*bid_set(quarter(0), revision=1, mw="0.8"), START)
    one.act(GATE + MINUTE)
    assert ledger.position_mwh() == {("unit-1", quarter(0)[0]): Decimal("0.1")}
    assert len(one.page(0, 10, LATER).told) == 1


def test_a_venue_that_does_not_know_its_ids_clears_a_bid_set_twice() -> None:
    ledger = Ledger(CENT)
    one, _ = hall(ledger)
    name, body = bid_set(quarter(0))
    one.put(name, body, START)
    one.put(name, body, START, again=True)
    one.act(GATE + MINUTE)
    assert ledger.position_mwh() == {("unit-1", quarter(0)[0]): Decimal("0.4")}
    assert [told.award["award_id"] for told in one.page(0, 10, LATER).told] == [
        f"award:{name}",
        f"award:{name}#2",
    ]


# ---------------------------------------------------------------- awards out


def test_awards_are_numbered_and_come_page_by_page() -> None:
    one, _ = hall(Ledger(CENT))
    some(one, 5)
    first = one.page(0, 2, LATER)
    assert (numbers(first), first.last_sequence, first.more) == ([1, 2], 5, True)
    rest = one.page(2, 10, LATER)
    assert (numbers(rest), rest.more) == ([3, 4, 5], False)
    assert one.page(5, 10, LATER).told == ()


def test_awards_are_listed_by_time_of_issue() -> None:
    one, _ = hall(Ledger(CENT))
    some(one, 5)  # issued a quarter-hour apart, from GATE + 1 min on
    page = one.page(0, 10, LATER, (GATE + 16 * MINUTE, GATE + 46 * MINUTE))
    assert numbers(page) == [2, 3]


def test_an_award_says_what_was_taken_and_what_was_not() -> None:
    one, _ = hall(Ledger(CENT))
    one.put(*bid_set(quarter(0), price="60"), START)
    one.put(*bid_set(quarter(1), price="40"), START)
    one.act(LATER)
    refused, taken = (told.award for told in one.page(0, 10, LATER).told)
    assert refused["cleared"] == []
    assert refused["rejected"] == ["qh/unit-1/20251201T1100Z/sell/1"]
    assert taken["cleared"] == [
        {
            "bid_id": "qh/unit-1/20251201T1115Z/sell/1",
            "start": "2025-12-01T11:15:00Z",
            "end": "2025-12-01T11:30:00Z",
            "quantity_mw": "0.8",
            "price_per_mwh": "50.00",
        }
    ]


def test_a_service_earns_by_being_held_and_is_no_energy() -> None:
    ledger = Ledger(CENT)
    one, _ = hall(ledger, {"reserve": AtPrice(price=Decimal(5))})
    hour = (quarter(4)[0], quarter(7)[1])
    offer = {"form": "single", "quantity_mw": "2", "capacity_price_per_mw_h": "3"}
    one.put(*bid_set(hour, product="reserve", offer=offer), START)
    one.act(LATER)
    assert [booking.amount for booking in ledger.services.values()] == [Decimal(10)]
    assert ledger.position_mwh() == {}


def test_a_service_without_a_price_is_not_cleared() -> None:
    ledger = Ledger(CENT)
    one, _ = hall(ledger)
    hour = (quarter(4)[0], quarter(7)[1])
    offer = {"form": "single", "quantity_mw": "2", "capacity_price_per_mw_h": "3"}
    one.put(*bid_set(hour, product="reserve", offer=offer), START)
    one.act(LATER)
    [told] = one.page(0, 10, LATER).told
    assert told.award["cleared"] == []
    assert ledger.counts["no_price"] == 1


def test_after_a_restart_numbers_go_on_and_nothing_is_cleared_twice(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(CENT, path)
    first, _ = hall(ledger)
    some(first, 2)
    first.put(*bid_set(quarter(12)), START)
    ledger.close()

    again_ledger = Ledger(CENT, path)
    again, _ = hall(again_ledger)
    assert again.page(0, 10, LATER).told == first.page(0, 10, LATER).told
    assert again.put(*bid_set(quarter(12)), START) == Taken(new=False)
    again.act(quarter(12)[0])
    assert numbers(again.page(0, 10, LATER + timedelta(hours=3))) == [1, 2, 3]
    again.act(quarter(12)[0] + timedelta(hours=1))
    assert again_ledger.counts["cleared"] == 3
    again_ledger.close()


# ---------------------------------------------------------------- faults


def faulty(fault: Fault, rate: float = 1.0, **more: Any) -> tuple[Hall, Ledger, Any]:
    ledger = Ledger(CENT)
    one, faults = hall(ledger, rates={fault: rate}, **more)
    some(one, 5)
    return one, ledger, faults


def test_an_award_that_is_dropped_is_missing_from_that_page_alone() -> None:
    one, _, faults = faulty(Fault.AWARD_DROPPED, 0.5, seed=3)
    pages = [numbers(one.page(0, 10, LATER)) for _ in range(20)]
    assert all(set(page) <= {1, 2, 3, 4, 5} for page in pages)
    assert {number for page in pages for number in page} == {1, 2, 3, 4, 5}
    assert faults.counts[Fault.AWARD_DROPPED] == sum(5 - len(page) for page in pages)
    assert one.page(0, 10, LATER).last_sequence == 5


def test_an_award_that_is_hidden_stands_in_no_page_by_sequence_and_in_that_by_time() -> None:
    one, _, faults = faulty(Fault.AWARD_HIDDEN)
    page = one.page(0, 10, LATER)
    assert (page.told, page.last_sequence) == ((), 5)
    assert numbers(one.page(0, 10, LATER, (START, LATER))) == [1, 2, 3, 4, 5]
    assert faults.counts[Fault.AWARD_HIDDEN] == 5


def test_an_award_is_repeated_on_its_page_or_on_a_later_one() -> None:
    one, _, faults = faulty(Fault.AWARD_REPEATED)
    page = one.page(2, 10, LATER)
    assert len(page.told) == 6
    assert {3, 4, 5} <= set(numbers(page))
    assert faults.counts[Fault.AWARD_REPEATED] == 3


def test_an_award_is_repeated_on_a_page_by_time_where_all_are_hidden() -> None:
    one, _ = hall(Ledger(CENT), rates={Fault.AWARD_HIDDEN: 1.0, Fault.AWARD_REPEATED: 1.0})
    some(one, 2)
    page = one.page(0, 10, LATER, (START, LATER))
    assert len(page.told) == 4
    assert set(numbers(page)) == {1, 2}


def test_a_page_is_shuffled() -> None:
    one, _, _ = faulty(Fault.AWARD_REORDERED)
    pages = [numbers(one.page(0, 10, LATER)) for _ in range(5)]
    assert all(sorted(page) == [1, 2, 3, 4, 5] for page in pages)
    assert any(page != [1, 2, 3, 4, 5] for page in pages)


def test_a_page_is_shorter_than_was_asked_for_and_says_that_there_is_more() -> None:
    one, _, _ = faulty(Fault.AWARD_PAGED)
    seen, after = [], 0
    for _ in range(9):
        page = one.page(after, 4, LATER)
        seen += numbers(page)
        if not page.more:
            break
        after = seen[-1]
    assert seen == [1, 2, 3, 4, 5]


def test_a_revision_tells_half_first_and_all_of_it_later() -> None:
    ledger = Ledger(CENT)
    one, _ = hall(ledger, rates={Fault.AWARD_REVISED: 1.0})
    one.put(*bid_set(quarter(0)), START)
    one.act(GATE + MINUTE)
    assert ledger.position_mwh() == {("unit-1", quarter(0)[0]): Decimal("0.1")}
    one.act(LATER)
    assert ledger.position_mwh() == {("unit-1", quarter(0)[0]): Decimal("0.2")}
    half, whole = (told.award for told in one.page(0, 10, LATER).told)
    assert (half["award_id"], half["revision"]) == (whole["award_id"], 1)
    assert whole["revision"] == 2
    assert [award["cleared"][0]["quantity_mw"] for award in (half, whole)] == ["0.400", "0.8"]


def test_a_revision_that_is_owed_is_told_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(CENT, path)
    one, _ = hall(ledger, rates={Fault.AWARD_REVISED: 1.0})
    one.put(*bid_set(quarter(0)), START)
    one.act(GATE + MINUTE)
    ledger.close()

    again_ledger = Ledger(CENT, path)
    again, _ = hall(again_ledger)
    again.act(LATER)
    assert again_ledger.position_mwh() == {("unit-1", quarter(0)[0]): Decimal("0.2")}
    assert [told.award["revision"] for told in again.page(0, 10, LATER).told] == [1, 2]
    again_ledger.close()


def test_a_late_award_leaves_a_gap_that_is_filled_later() -> None:
    one, _ = hall(Ledger(CENT), rates={Fault.AWARD_LATE: 1.0})
    one.put(*bid_set(quarter(0)), START)
    one.act(GATE + MINUTE)
    at_once = one.page(0, 10, GATE + MINUTE)
    assert (at_once.told, at_once.last_sequence) == ((), 1)
    assert numbers(one.page(0, 10, GATE + 12 * MINUTE)) == [1]


def test_an_award_of_nobody_is_told_and_owed_by_nobody() -> None:
    one, ledger, faults = faulty(Fault.AWARD_OF_NOBODY)
    told = [award.award["bid_set_id"] for award in one.page(0, 20, LATER).told]
    assert len(told) == 10
    assert sum(name.startswith("nobody") for name in told) == 5
    assert sum(ledger.position_mwh().values()) == 1  # five bids of 0.2 MWh
    assert faults.counts[Fault.AWARD_OF_NOBODY] == 5


def test_after_a_recovery_nothing_goes_wrong_any_more() -> None:
    one, _, faults = faulty(Fault.AWARD_DROPPED)
    assert one.page(0, 10, LATER).told == ()
    faults.become({})
    assert numbers(one.page(0, 10, LATER)) == [1, 2, 3, 4, 5]


def test_the_same_seed_gives_the_same_faults() -> None:
    pages = [
        [numbers(faulty(Fault.AWARD_DROPPED, 0.5, seed=seed)[0].page(0, 10, LATER)) for _ in "ab"]
        for seed in range(6)
    ]
    assert all(first == second for first, second in pages)
    assert len({tuple(first) for first, _ in pages}) > 1
