"""The venue's books outlive the venue: a kill, a torn line, a revision after settlement."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.simulate.venuekit import CENT, QUARTER, START, entries, quarter
from vpp.errors import DataError
from vpp.simulate.ledger import Ledger, Slot, Trade

WRITER = """
import sys
from decimal import Decimal
from pathlib import Path
from vpp.simulate.ledger import Ledger
ledger = Ledger(Decimal("0.01"), Path(sys.argv[1]))
for number in range(1_000_000):
    ledger.received(f"set-{number}", "abc")
    print(number, flush=True)
"""


def sold(mw: str, price: str, slot: Slot, kind: str = "day_ahead") -> Trade:
    return Trade(kind, "unit-1", slot, Decimal(mw), Decimal(price))


def test_what_was_written_before_a_kill_is_there_after_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        said = [int(writer.stdout.readline()) for _ in range(40)]
        writer.kill()
        said += [int(line) for line in writer.stdout.read().split()]

    ledger = Ledger(CENT, path)
    assert {ledger.status(f"set-{number}") for number in said} == {"received"}
    ledger.close()


def test_a_line_that_was_cut_off_is_dropped_wherever_it_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    whole = Ledger(CENT, path)
    whole.received("set-1", "abc")
    kept = path.read_bytes()
    whole.received("set-2", "def")
    whole.close()
    content = path.read_bytes()
    for cut in range(len(kept) + 1, len(content)):
        path.write_bytes(content[:cut])
        again = Ledger(CENT, path)
        assert (again.status("set-1"), again.status("set-2")) == ("received", "unknown")
        assert again.received("set-2", "def") == "new"
        again.close()
        assert [e["kind"] for e in entries(path)] == ["received", "torn", "received"]


def test_books_that_are_damaged_in_the_middle_are_refused_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"kind": "received"\n{"kind": "torn"}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"ledger\.jsonl:1"):
        Ledger(CENT, path)


def test_the_same_bytes_are_one_bid_set_also_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    first = Ledger(CENT, path)
    assert first.received("set-1", "abc") == "new"
    assert first.received("set-1", "abc") == "known"
    first.close()
    again = Ledger(CENT, path)
    assert again.received("set-1", "abc") == "known"
    assert again.received("set-1", "other") == "conflict"
    assert again.digest("set-1") == "abc"
    assert again.counts == {"received": 1, "conflict": 1}
    again.close()


def test_position_and_amounts_are_the_same_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    first = Ledger(CENT, path)
    first.cleared("set-1", "award-1", [sold("1", "50", quarter(0)), sold("-2", "40", quarter(1))])
    first.settle("unit-1", quarter(0), 300_000, Decimal(70), Decimal(30))
    first.earned("r-1", "capacity", "unit-1", quarter(0), Decimal(1), Decimal("3.005"))
    first.close()
    again = Ledger(CENT, path)
    assert again.position_mwh() == {
        ("unit-1", quarter(0)[0]): Decimal("0.25"),
        ("unit-1", quarter(1)[0]): Decimal("-0.5"),
    }
    assert again.totals() == first.totals()
    assert again.totals()["day_ahead"] == Decimal("12.50")
    assert again.totals()["imbalance"] == Decimal("1.50")  # 0.05 MWh too much at 30
    assert again.services["r-1"].amount == Decimal("3.00")  # half to even
    again.close()


@pytest.mark.parametrize("lines", range(1, 5))
def test_a_kill_between_a_settlement_and_its_bookings_is_made_up_for(
    tmp_path: Path, lines: int
) -> None:
    path = tmp_path / "ledger.jsonl"
    first = Ledger(CENT, path)
    first.cleared("set-1", "award-1", [sold("1", "50", quarter(0))])
    first.settle("unit-1", quarter(0), 300_000, Decimal(70), Decimal(30))
    first.close()
    written = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(written[: 1 + lines]))  # cleared, settled, and some bookings

    again = Ledger(CENT, path)
    assert again.totals() == first.totals()
    again.close()


def test_a_higher_revision_takes_the_place_of_a_lower_one_and_a_lower_one_moves_nothing() -> None:
    ledger = Ledger(CENT)
    ledger.cleared("set-1", "award-1", [sold("1", "50", quarter(0))], revision=2)
    ledger.cleared("set-1", "award-1", [sold("9", "50", quarter(0))], revision=1)
    assert ledger.position_mwh() == {("unit-1", quarter(0)[0]): Decimal("0.25")}
    ledger.cleared("set-1", "award-1", [sold("2", "50", quarter(1))], revision=3)
    assert ledger.position_mwh() == {("unit-1", quarter(1)[0]): Decimal("0.5")}
    assert ledger.counts["cleared"] == 2


def test_what_is_settled_is_corrected_by_a_revision() -> None:
    ledger = Ledger(CENT)
    ledger.cleared("set-1", "award-1", [sold("1", "50", quarter(0))])
    ledger.settle("unit-1", quarter(0), 250_000, Decimal(70), Decimal(30))
    assert ledger.totals() == {
        "day_ahead": Decimal("12.50"), "quarter_hour": 0, "imbalance": 0,
    }  # fmt: skip
    ledger.cleared("set-1", "award-1", [sold("2", "50", quarter(0))], revision=2)
    # 0.5 MWh sold, 0.25 delivered: 0.25 missing at 70.
    assert ledger.totals() == {
        "day_ahead": Decimal("25.00"), "quarter_hour": 0, "imbalance": Decimal("-17.50"),
    }  # fmt: skip
    assert [b.amount for b in ledger.bookings if b.amount] == [
        Decimal("12.50"), Decimal("12.50"), Decimal("-17.50"),
    ]  # fmt: skip


@pytest.mark.parametrize("minutes", [5, 15, 60])
def test_trades_of_any_length_are_settled_by_quarter_hours(minutes: int) -> None:
    ledger = Ledger(CENT)
    length = timedelta(minutes=minutes)
    count = timedelta(hours=1) // length
    slots = [(START + n * length, START + (n + 1) * length) for n in range(count)]
    ledger.cleared("set-1", "award-1", [sold("1.2", "50", slot) for slot in slots])
    for number in range(4):
        slot = (START + number * QUARTER, START + (number + 1) * QUARTER)
        ledger.settle("unit-1", slot, 300_000, Decimal(70), Decimal(30))
    assert ledger.totals() == {"day_ahead": Decimal(60), "quarter_hour": 0, "imbalance": 0}
