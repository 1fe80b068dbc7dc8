"""Histories as others wrote them: stamps of a wall clock, holes, rows of two lengths, odd offsets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from tests.sense.cuts import table
from vpp.errors import ConfigError
from vpp.model.time import QUARTER, isoformat
from vpp.sense.cleaning import Defect
from vpp.service.park.config import ConfigErrors
from vpp.service.park.rawtable import RawTable, Stamps, read_raw, stamps_named

START = datetime(2025, 12, 1, tzinfo=UTC)
BERLIN, DENVER = ZoneInfo("Europe/Berlin"), ZoneInfo("America/Denver")


def read(folder: Path, *rows: str, stamps: Stamps = "zoned", zone: ZoneInfo = BERLIN) -> RawTable:
    file = folder / "raw.csv"
    file.write_text("\n".join(["interval_start,load [kW]", *rows]) + "\n", encoding="utf-8")
    return read_raw(file, zone, stamps)


def test_the_hour_that_a_local_clock_shows_twice_is_read_in_order(tmp_path: Path) -> None:
    hours = ["2025-10-26 01:00,1", "2025-10-26 02:00,2", "2025-10-26 02:00,3", "2025-10-26 03:00,4"]

    series = read(tmp_path, *hours, stamps="local").series("load")

    assert series.profile.horizon.start == datetime(2025, 10, 25, 23, tzinfo=UTC)
    assert series.profile.values.tolist() == [1, 2, 3, 4]
    assert [one.defect for one in series.findings] == [Defect.CLOCK_CHANGE]


def test_a_label_that_a_local_clock_never_showed_is_left_out_and_told(tmp_path: Path) -> None:
    hours = ["2026-03-29 01:00,1", "2026-03-29 02:00,2", "2026-03-29 03:00,3"]

    series = read(tmp_path, *hours, stamps="local").series("load")

    assert series.profile.values.tolist() == [1, 3]
    assert [one.defect for one in series.findings] == [Defect.CLOCK_CHANGE]


def test_a_label_written_twice_on_an_ordinary_day_is_a_fault_at_its_line(tmp_path: Path) -> None:
    hours = ["2025-12-01 08:00,1", "2025-12-01 09:00,2", "2025-12-01 08:00,3"]

    with pytest.raises(ConfigErrors, match=r"raw\.csv:4:1: interval_start: .* comes again"):
        read(tmp_path, *hours, stamps="local")


def test_rows_may_change_from_hours_to_quarters(tmp_path: Path) -> None:
    rows = ["2025-12-01T00:00Z,8", "2025-12-01T01:00Z,9"]
    rows += [f"2025-12-01T02:{minute:02}Z,{minute}" for minute in (0, 15, 30)]

    series = read(tmp_path, *rows).series("load")

    assert series.profile.values.tolist() == [8, 8, 8, 8, 9, 9, 9, 9, 0, 15, 30]
    assert [one.defect for one in series.findings] == [Defect.MIXED_STEPS]


@pytest.mark.parametrize("missing", [1, 3, 20], ids=["a half hour", "an hour", "hours"])
def test_missing_rows_are_unknown_and_not_a_longer_row(tmp_path: Path, missing: int) -> None:
    places = [0, 1, 2 + missing, 3 + missing]
    rows = [f"{isoformat(START + place * QUARTER)},{place}" for place in places]

    values = read(tmp_path, *rows).series("load").profile.values

    assert np.flatnonzero(~np.isnan(values)).tolist() == places


def test_an_offset_that_summer_belies_is_found_by_the_sun(tmp_path: Path) -> None:
    """PVDAQ system 50: the file claims UTC-07:00 all year; from 11 March 2012 on it is UTC-06:00."""
    rows = [f"{row['label_utc']},{row['ac_power_w']}" for row in table("pvdaq_system50_2012_mar")]

    trusted = read(tmp_path, *rows, zone=DENVER).series("load")
    by_sun = read(tmp_path, *rows, stamps="sun", zone=DENVER).series("load")

    noon = datetime(2012, 3, 20, 19, tzinfo=UTC)
    assert by_sun.profile.at(noon) == trusted.profile.at(noon + timedelta(hours=1))
    assert Defect.WALL_CLOCK in [one.defect for one in by_sun.findings]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        pytest.param(["2025-12-01T00:00Z,1"], "2:1: interval_start: one row", id="one row"),
        pytest.param(
            ["2025-12-01T00:00Z,1", "2025-12-01T00:07Z,1"], "3:1: .*7 minutes", id="odd distance"
        ),
        pytest.param(
            ["2025-12-01T00:00Z,1", "2025-12-01T01:00Z,1", "2025-12-01T02:30Z,1"],
            "4:1: .*no multiple",
            id="off the grid",
        ),
        pytest.param(
            ["2025-12-01T00:00Z,1", "2025-12-01T01:00Z"], "3:1: .*1 cells under", id="short row"
        ),
        pytest.param(["2025-12-01T00:00Z,1", "noon,1"], "3:1: .*no time such as", id="no time"),
    ],
)
def test_what_cannot_be_read_is_told_by_its_line(
    tmp_path: Path, rows: list[str], says: str
) -> None:
    with pytest.raises(ConfigErrors, match=rf"raw\.csv:{says}"):
        read(tmp_path, *rows)


def test_a_file_without_any_offset_is_told_once_with_what_could_be_said_instead(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigErrors) as error:
        read(tmp_path, *(f"2025-12-01 {hour:02}:00,1" for hour in range(24)))

    (told,) = error.value.faults
    assert (told.line, told.what) == (
        2,
        "'2025-12-01 00:00' has no time zone: add Z, or its offset from UTC, or say --stamps local",
    )


def test_a_stamp_with_an_offset_is_no_reading_of_a_wall_clock(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match="no reading of the clock of Europe/Berlin"):
        read(tmp_path, "2025-12-01T00:00Z,1", "2025-12-01T01:00Z,1", stamps="local")


def test_stamps_of_an_unknown_meaning_are_refused() -> None:
    with pytest.raises(ConfigError, match="--stamps"):
        stamps_named("maybe")
