"""Files of a portal: whole or not there, read when they are finished, told with their line when they are odd."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.file_venue import FileVenue
from tests.contracts.test_venue import GATE, NAME, a_bid_set
from tests.simulate.venuekit import START
from vpp.errors import ForeignError, RejectedError
from vpp.model.time import Interval
from vpp.model.venue import Later, Unknown
from vpp.ports import AwardPage

HEADER = "award_id,revision,final,bid_set_id,product,bid_id,start,end,quantity_mw,price_per_mwh\n"
ROW = "a-1,1,yes,b-1,da,b-1/sell,2025-12-01T23:00Z,2025-12-01T23:15Z,1.5,41\n"


@pytest.fixture
def venue(tmp_path: Path) -> FileVenue:
    for name in ("out", "in"):
        (tmp_path / name).mkdir()
    return FileVenue(tmp_path / "out", tmp_path / "in", max_bytes=10_000, now=lambda: START)


def put(venue: FileVenue, body: bytes) -> Any:
    return asyncio.run(venue.submit(NAME, body, until=GATE))


def look(venue: FileVenue) -> AwardPage:
    return asyncio.run(venue.awards(0))


def test_a_bid_set_is_a_table_that_people_can_read(venue: FileVenue, tmp_path: Path) -> None:
    outcome = put(venue, a_bid_set())

    assert isinstance(outcome, Unknown)
    assert "no receipt" in outcome.what
    (file,) = (tmp_path / "out").iterdir()
    assert file.name == f"{NAME}.csv"
    header, row = file.read_text(encoding="utf-8").splitlines()
    assert header.startswith("bid_set_id,product,unit,bid_id,start,end,side,form,quantity_mw,")
    assert row.startswith(
        f"{NAME},qh,unit-1,qh/unit-1/20251201T1100Z/sell/1,2025-12-01T11:00:00Z,"
        "2025-12-01T11:15:00Z,sell,curve_step,1.5,40,"
    )


def test_a_file_that_could_not_be_written_whole_is_not_there(
    venue: FileVenue, tmp_path: Path
) -> None:
    (tmp_path / "out" / f"{NAME}.tmp").mkdir()  # in the way of what is written first

    outcome = put(venue, a_bid_set())

    assert isinstance(outcome, Later)
    assert not (tmp_path / "out" / f"{NAME}.csv").exists()


@pytest.mark.parametrize("word", ["received", "cleared", "unknown"])
def test_the_newest_receipt_speaks(venue: FileVenue, tmp_path: Path, word: str) -> None:
    text = f"bid_set_id,status\nother,received\n{NAME},{word}\n"
    (tmp_path / "in" / "receipts.csv").write_text(text, encoding="utf-8")

    assert asyncio.run(venue.bid_set_status(NAME)) == word


@pytest.mark.parametrize(
    ("text", "what"),
    [
        pytest.param(f"bid_set_id,status\n{NAME},maybe\n", "'maybe'", id="another word"),
        pytest.param(f"bid_set_id,state\n{NAME},received\n", "None", id="another column"),
        pytest.param("bid_set_id,status\na,b,c\n", "3 cells", id="a row too long"),
    ],
)
def test_a_receipt_that_is_none_is_foreign_with_its_line(
    venue: FileVenue, tmp_path: Path, text: str, what: str
) -> None:
    (tmp_path / "in" / "receipts.csv").write_text(text, encoding="utf-8")

    with pytest.raises(ForeignError, match=r"receipts\.csv:2") as raised:
        asyncio.run(venue.bid_set_status(NAME))
    assert what in raised.value.what
    assert raised.value.raw == text.encode()


def test_a_receipt_that_is_still_written_says_nothing_yet(venue: FileVenue, tmp_path: Path) -> None:
    (tmp_path / "in" / "receipts.csv").write_text(
        f"bid_set_id,status\n{NAME},rec", encoding="utf-8"
    )
    with pytest.raises(RejectedError, match="no receipt"):
        asyncio.run(venue.bid_set_status(NAME))


def test_an_award_of_several_rows_is_one_and_a_bid_without_a_quantity_got_nothing(
    venue: FileVenue, tmp_path: Path
) -> None:
    second = ROW.replace("b-1/sell", "b-2/sell").replace("23:00Z", "23:05Z")
    nothing = ROW.replace("b-1/sell", "b-3/sell").replace(",1.5,41", ",,")
    (tmp_path / "in" / "awards.csv").write_text(HEADER + ROW + second + nothing, encoding="utf-8")

    (published,) = look(venue).awards

    assert [line.bid_id for line in published.award.cleared] == ["b-1/sell", "b-2/sell"]
    assert published.award.rejected == ["b-3/sell"]
    assert published.sequence is None


@pytest.mark.parametrize(
    ("text", "what"),
    [
        pytest.param(HEADER.replace("revision", "version") + ROW, "revision, version", id="column"),
        pytest.param(HEADER + ROW.replace("yes", "true"), "final is 'true'", id="yes or no"),
        pytest.param(HEADER + ROW.replace("1.5", "much"), "quantity_mw", id="no number"),
        pytest.param(HEADER + ROW.replace("23:15Z", "23:15"), "end", id="a time without a zone"),
        pytest.param(HEADER + ROW.replace("a-1,1", "a-1,0"), "revision", id="out of bounds"),
        pytest.param(HEADER + ROW.replace("1.5", "NaN"), "quantity_mw", id="not a number"),
    ],
)
def test_a_file_of_awards_is_taken_whole_or_told(
    venue: FileVenue, tmp_path: Path, text: str, what: str
) -> None:
    (tmp_path / "in" / "awards-1.csv").write_text(text + ROW, encoding="utf-8")

    page = look(venue)

    assert page.awards == ()
    (stranger,) = page.foreign
    assert what in stranger.what
    assert "awards-1.csv:2" in stranger.where


def test_a_file_that_was_confirmed_comes_again_when_it_has_changed_or_all_are_wanted(
    venue: FileVenue, tmp_path: Path
) -> None:
    file = tmp_path / "in" / "awards.csv"
    file.write_text(HEADER + ROW, encoding="utf-8")
    venue.confirm(look(venue))
    assert look(venue).awards == ()
    span = Interval(START, START + timedelta(days=1))
    assert len(asyncio.run(venue.awards(0, issued_in=span)).awards) == 1

    file.write_text(HEADER + ROW + ROW.replace("a-1", "a-22"), encoding="utf-8")
    assert len(look(venue).awards) == 2
