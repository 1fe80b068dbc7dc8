"""Stamps as their publishers wrote them: mixed lengths, doubled hours, a wrong offset."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from tests.sense.cuts import moment, number, regular, rows, table
from vpp.errors import DataError
from vpp.model.horizon import Horizon, Profile
from vpp.model.time import QUARTER, Interval
from vpp.sense.cleaning import Action, Defect
from vpp.sense.labels import Row, by_the_sun, on_grid, utc_starts

HOUR = timedelta(hours=1)
NOON = datetime(2025, 12, 1, 12, tzinfo=UTC)
BERLIN, DENVER = ZoneInfo("Europe/Berlin"), ZoneInfo("America/Denver")


# ---------------------------------------------------------------- mixed lengths


def test_rows_of_60_and_of_15_minutes_stand_on_one_grid() -> None:
    """SE3 wind changes from hours to quarter-hours on 1 December 2025 at 23:00Z."""
    gathered = on_grid(rows("se3_wind_2025_dec", "generation_mw"), QUARTER)

    (found,) = gathered.findings
    changed = datetime(2025, 12, 1, 23, tzinfo=UTC)
    assert found.defect is Defect.MIXED_STEPS
    assert found.spans == (Interval(datetime(2025, 12, 1, tzinfo=UTC), changed),)
    values, at = gathered.profile.values, gathered.profile.horizon.index(changed)
    assert (values[:at].reshape(-1, 4) == values[:at:4, None]).all()
    assert len(set(values[at : at + 4])) == 4
    assert gathered.profile.complete


def test_of_a_coarse_and_a_fine_row_of_one_time_the_fine_one_counts() -> None:
    coarse = Row(start=NOON, lasts=HOUR, value=10.0)
    fine = Row(start=NOON + QUARTER, lasts=QUARTER, value=20.0)

    assert on_grid([fine, coarse], QUARTER).profile.values.tolist() == [10, 20, 10, 10]


def test_an_interval_given_twice_with_different_numbers_stays_unknown() -> None:
    given = [Row(start=NOON, lasts=HOUR, value=v) for v in (1.0, 2.0)]
    given += [Row(start=NOON + HOUR, lasts=HOUR, value=3.0)] * 2

    gathered = on_grid(given, HOUR)

    assert np.isnan(gathered.profile.values[0])
    assert gathered.profile.values[1] == 3
    (found,) = gathered.findings
    assert (found.defect, found.action, found.steps) == (Defect.DOUBLED, Action.TAKEN_OUT, 1)


def test_rows_that_are_all_coarse_are_no_mixture() -> None:
    given = [Row(start=NOON + k * HOUR, lasts=HOUR, value=1.0) for k in (0, 1)]

    gathered = on_grid(given, QUARTER)

    assert gathered.findings == ()
    assert gathered.profile.values.tolist() == [1.0] * 8


def test_a_missing_row_is_unknown_and_not_the_one_before() -> None:
    given = [Row(start=NOON + k * HOUR, lasts=HOUR, value=1.0) for k in (0, 2)]

    assert np.isnan(on_grid(given, HOUR).profile.values[1])


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(Row(start=NOON, lasts=timedelta(minutes=20), value=1.0), id="length"),
        pytest.param(
            Row(start=NOON + timedelta(minutes=5), lasts=QUARTER, value=1.0), id="off the grid"
        ),
    ],
)
def test_a_row_that_no_grid_holds_is_refused(row: Row) -> None:
    with pytest.raises(DataError, match="grid of 0:15"):
        on_grid([row], QUARTER)


def test_no_rows_are_refused() -> None:
    with pytest.raises(DataError, match="no rows"):
        on_grid([], QUARTER)


# ---------------------------------------------------------------- clock changes


def test_the_hour_that_german_labels_carry_twice_is_told_apart_by_order() -> None:
    """SMARD, 25 October 2015: 25 hours, two of them labelled 02:00."""
    true = [moment(row["interval_start_utc"]) for row in table("smard_germany_2015_oct")]
    labels = [start.astimezone(BERLIN).replace(tzinfo=None, fold=0) for start in true]
    assert len(set(labels)) == 24

    starts, (found,) = utc_starts(labels, BERLIN, HOUR)

    assert list(starts) == true
    assert (found.defect, found.steps) == (Defect.CLOCK_CHANGE, 1)
    assert found.spans[0].start == datetime(2015, 10, 25, 1, tzinfo=UTC)


def test_labels_of_the_hour_that_spring_skips_are_no_time() -> None:
    """PVDAQ system 50, 11 March 2012: labels 02:00 to 02:45 are in the file and never were."""
    day = table("pvdaq_system50_2012_mar")
    labels = [moment(row["label_utc"]) - 7 * HOUR for row in day]

    starts, (found,) = utc_starts([label.replace(tzinfo=None) for label in labels], DENVER, QUARTER)

    published = [row["dst_corrected_start_utc"] for row in day]
    assert [s for s in starts if s is None] == [None] * 4
    assert list(starts) == [moment(text) if text else None for text in published]
    assert found.defect is Defect.CLOCK_CHANGE


def test_a_label_written_twice_on_an_ordinary_day_is_refused() -> None:
    label = datetime(2025, 12, 1, 8)  # noqa: DTZ001 (a wall clock's label)

    with pytest.raises(DataError, match="comes again"):
        utc_starts([label, label], BERLIN, HOUR)


def test_a_label_that_comes_a_third_time_in_autumn_is_refused() -> None:
    label = datetime(2015, 10, 25, 2)  # noqa: DTZ001

    with pytest.raises(DataError, match="comes again"):
        utc_starts([label] * 3, BERLIN, HOUR)


def test_a_label_with_an_offset_is_refused() -> None:
    with pytest.raises(DataError, match="names a zone"):
        utc_starts([NOON], BERLIN, HOUR)


# ---------------------------------------------------------------- a wrong offset


def literal() -> Profile:
    return regular("pvdaq_system50_2012_mar", "label_utc", "ac_power_w", QUARTER)


def test_pv_stamps_that_follow_the_wall_clock_are_found_by_the_sun_and_put_right() -> None:
    """PVDAQ system 50: the file claims UTC-07:00 all year; from 11 March on it is UTC-06:00."""
    mended = by_the_sun(literal(), DENVER)

    (found,) = mended.findings
    assert (found.defect, found.action) == (Defect.WALL_CLOCK, Action.MOVED)
    for row in table("pvdaq_system50_2012_mar"):
        if row["dst_corrected_start_utc"] and row["ac_power_w"]:
            corrected = mended.profile.at(moment(row["dst_corrected_start_utc"]))
            assert corrected == number(row["ac_power_w"])
    assert by_the_sun(mended.profile, DENVER).findings == ()


def test_true_pv_stamps_are_left_alone() -> None:
    """The same days in a zone that puts its clocks forward on another day."""
    unmoved = by_the_sun(literal(), ZoneInfo("America/Phoenix"))

    assert unmoved.findings == ()
    assert np.array_equal(unmoved.profile.values, literal().values, equal_nan=True)


def test_a_plant_whose_noon_drifts_by_less_than_half_the_change_is_left_alone() -> None:
    """A tree that shades the morning from one day on is no clock."""
    mended = by_the_sun(literal(), DENVER).profile
    change = mended.horizon.index(datetime(2012, 3, 11, 7, tzinfo=UTC))
    values = mended.values.copy()
    for day in range(change, values.size - 96, 96):
        values[day + 28 : day + 32] = 0.0  # 07:00 to 08:00
        values[day + 32 : day + 36] *= 0.5

    shaded = by_the_sun(Profile(mended.horizon, values), DENVER)

    assert shaded.findings == ()


def test_a_week_across_a_clock_change_is_too_little_to_judge_by_the_sun() -> None:
    whole = literal()
    span = slice(12 * 96, 19 * 96)
    week = Profile(Horizon(whole.horizon.starts()[span.start], QUARTER, 7 * 96), whole.values[span])

    assert by_the_sun(week, DENVER).findings == ()
