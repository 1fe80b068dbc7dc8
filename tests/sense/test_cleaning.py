"""Defects of real series (`data/SOURCE.md`), and by hand what counts as one and what does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tests.sense.cuts import regular, rows
from vpp.errors import DataError
from vpp.model.horizon import Horizon, Profile
from vpp.model.time import QUARTER, Interval
from vpp.sense.cleaning import (
    PRICES,
    Action,
    Cleaned,
    CleaningRules,
    Defect,
    Finding,
    clean,
    rules_for,
)
from vpp.sense.labels import on_grid

HOUR = timedelta(hours=1)
MONDAY = datetime(2025, 12, 1, tzinfo=UTC)
LOADS = CleaningRules()


def hourly(*values: float) -> Profile:
    return Profile(Horizon(MONDAY, HOUR, len(values)), np.array(values, dtype=float))


def of(cleaned: Cleaned, defect: Defect) -> Finding:
    (found,) = (finding for finding in cleaned.findings if finding.defect is defect)
    return found


# ---------------------------------------------------------------- real defects


def test_spikes_at_many_times_the_mean_are_taken_out_and_listed() -> None:
    """Cambridge building b91: mean about 1,000 kWh, single hours of 6,000 and one of 10,351."""
    raw = regular("cambridge_b91_2018_feb_mar", "interval_start_utc", "b91_elec_kwh", HOUR)
    assert np.nanmax(raw.values) == 10350.9

    cleaned = clean(raw, LOADS)

    spikes = of(cleaned, Defect.SPIKE)
    assert spikes.action is Action.TAKEN_OUT
    assert spikes.steps == int((raw.values > 4000).sum()) > 10
    assert np.nanmax(cleaned.profile.values) < 2600


def test_zeros_that_say_missing_are_pointed_out_and_taken_out_where_the_rules_say_so() -> None:
    """Cambridge building b27 never falls below 150 kWh, but for a day of zeros."""
    raw = regular("cambridge_b27_2018_apr", "interval_start_utc", "b27_elec_kwh", HOUR)

    kept = clean(raw, LOADS)
    assert of(kept, Defect.ZERO).action is Action.KEPT
    assert of(kept, Defect.ZERO).steps == 23
    assert np.array_equal(kept.profile.values, raw.values)

    cleaned = clean(raw, CleaningRules(zero_is_missing=True))
    assert of(cleaned, Defect.ZERO).action is Action.TAKEN_OUT
    assert int(np.isnan(cleaned.profile.values).sum()) == 23
    assert of(cleaned, Defect.GAP).spans == of(cleaned, Defect.ZERO).spans


def test_a_temperature_that_is_zero_for_whole_nights_is_missing_where_the_rules_say_so() -> None:
    """NSRDB, Golden, November: never below 0 °C, and exactly 0 for hours on end."""
    raw = regular("nsrdb_golden_2012_nov", "time_utc", "temp_air_degc", timedelta(minutes=30))

    cleaned = clean(raw, CleaningRules(zero_is_missing=True))

    zero = of(cleaned, Defect.ZERO)
    assert zero.steps == int((raw.values == 0).sum()) > 30
    assert np.nanmin(cleaned.profile.values) > 0


def test_a_meter_that_stands_still_far_longer_than_is_its_habit_is_taken_out() -> None:
    """Kelmarsh turbine 2: 23 hours of exactly 0.0417 kWh on 3 January."""
    raw = regular("kelmarsh2_2019_jan", "interval_start_utc", "energy_export_kwh", HOUR)

    cleaned = clean(raw, LOADS)

    stuck = of(cleaned, Defect.STUCK)
    assert stuck.action is Action.TAKEN_OUT
    begins = datetime(2019, 1, 3, 1, tzinfo=UTC)
    assert stuck.spans[0] == Interval(begins, begins + 23 * HOUR)
    assert int((cleaned.profile.values == 0).sum()) == int((raw.values == 0).sum())  # calm is calm


def test_hours_repeated_four_times_are_told_up_to_the_change_of_resolution() -> None:
    """SE3 day-ahead: hours until 30 September 2025 22:00Z, quarter-hours after."""
    raw = regular(
        "se3_day_ahead_2025_sep_oct", "interval_start_utc", "day_ahead_price_eur_per_mwh", QUARTER
    )

    cleaned = clean(raw, PRICES)

    held = of(cleaned, Defect.HELD)
    changed = datetime(2025, 9, 30, 22, tzinfo=UTC)
    assert held.spans == (Interval(raw.horizon.start, changed),)
    assert held.action is Action.KEPT
    assert np.array_equal(cleaned.profile.values, raw.values)


def test_a_price_of_minus_ten_thousand_is_real_and_stays() -> None:
    """SE3 imbalance price in the night of 23 March 2025."""
    given = rows("se3_imbalance_2025_mar", "imbalance_sales_price_eur_per_mwh", QUARTER)
    raw = on_grid(given, QUARTER).profile

    cleaned = clean(raw, rules_for("price.imbalance.se3"))

    assert cleaned.profile.values.min(where=~np.isnan(raw.values), initial=0.0) == -10_000
    assert of(cleaned, Defect.SPIKE).action is Action.KEPT


def test_missing_quarter_hours_of_the_imbalance_price_stay_unknown() -> None:
    """The stamps of each month end at 23:30Z."""
    given = rows("se3_imbalance_2025_mar", "imbalance_sales_price_eur_per_mwh", QUARTER)
    raw = on_grid(given, QUARTER).profile

    gap = of(clean(raw, PRICES), Defect.GAP)

    missing = datetime(2025, 3, 31, 23, 45, tzinfo=UTC)
    assert gap.spans == (Interval(missing, missing + QUARTER),)
    assert (gap.action, gap.steps) == (Action.KEPT, 1)


def test_solar_rows_that_are_missing_at_night_are_zero_where_the_rules_say_so() -> None:
    """SE3 solar, a week around the change from hours to quarter-hours."""
    raw = on_grid(rows("se3_solar_2025_nov_dec", "generation_mw"), QUARTER).profile
    unknown = int(np.isnan(raw.values).sum())
    assert unknown == 41

    as_gaps = clean(raw, LOADS)
    assert of(as_gaps, Defect.GAP).steps == unknown

    cleaned = clean(raw, CleaningRules(night_is_zero=True))
    night = of(cleaned, Defect.NIGHT)
    assert night.action is Action.FILLED
    assert night.steps == unknown
    assert cleaned.profile.complete


def test_a_works_with_two_regimes_has_no_spikes_and_no_stuck_meter() -> None:
    """Steel works over the Korean new year: base load for days, then 150 kWh a quarter-hour."""
    raw = regular("steel_2018_feb", "interval_start_utc", "active_energy_kwh", QUARTER)

    cleaned = clean(raw, LOADS)

    assert cleaned.findings == ()
    assert np.array_equal(cleaned.profile.values, raw.values)


# ---------------------------------------------------------------- by hand


def test_a_gap_is_bridged_up_to_the_length_that_the_rules_say_and_not_beyond() -> None:
    raw = hourly(1, np.nan, 3, 2, np.nan, np.nan, np.nan, 6)

    assert np.isnan(clean(raw, LOADS).profile.values[1])
    cleaned = clean(raw, CleaningRules(bridge=HOUR))

    assert cleaned.profile.values[1] == 2
    assert np.isnan(cleaned.profile.values[4:7]).all()
    filled, left = cleaned.findings
    assert (filled.action, filled.steps) == (Action.FILLED, 1)
    assert (left.action, left.steps) == (Action.KEPT, 3)


@pytest.mark.parametrize("values", [(np.nan, 1, 2), (1, 2, np.nan)], ids=["beginning", "end"])
def test_a_gap_at_the_edge_is_not_bridged(values: tuple[float, ...]) -> None:
    cleaned = clean(hourly(*values), CleaningRules(bridge=HOUR))

    assert np.isnan(cleaned.profile.values).sum() == 1


def test_a_gap_by_day_is_not_dark() -> None:
    raw = hourly(0, np.nan, 0, 50, np.nan, 60, 0)

    cleaned = clean(raw, CleaningRules(night_is_zero=True))

    assert cleaned.profile.values[1] == 0
    assert np.isnan(cleaned.profile.values[4])


def test_a_high_load_that_lasts_is_no_spike() -> None:
    quiet = [10.0, 11.0, 12.0, 11.0] * 30
    furnace = [*quiet, 90.0, 90.0, 90.0, *quiet]
    spike = [*quiet, 90.0, *quiet]

    assert clean(hourly(*furnace), LOADS).findings == ()
    assert of(clean(hourly(*spike), LOADS), Defect.SPIKE).steps == 1


def test_a_value_that_repeats_every_night_is_habit_and_no_stuck_meter() -> None:
    day = [5.0] * 8 + [float(20 + hour) for hour in range(16)]
    habit = hourly(*(day * 14))
    stuck = hourly(*(day * 7), *([23.0] * 30), *(day * 6))

    assert clean(habit, LOADS).findings == ()
    assert of(clean(stuck, LOADS), Defect.STUCK).steps == 30


@pytest.mark.parametrize("moves", [[], [6.0, 9.0, 8.0]], ids=["always", "mostly"])
def test_a_series_that_stands_still_most_of_the_time_is_left_as_it_is(moves: list[float]) -> None:
    cleaned = clean(hourly(*[7.0] * 48, *moves), LOADS)

    assert cleaned.findings == ()
    assert cleaned.profile.complete


def test_a_meter_that_stands_for_days_is_no_change_of_resolution() -> None:
    moving = 1.0 + np.arange(4 * 24)
    values = np.concatenate([moving, np.full(3 * 96, 7.0), moving, moving])

    cleaned = clean(Profile(Horizon(MONDAY, QUARTER, values.size), values), PRICES)

    assert [finding.defect for finding in cleaned.findings] == [Defect.STUCK]


def test_a_machine_at_its_rating_is_not_stuck() -> None:
    calm = [float(k % 7) for k in range(60)]

    assert clean(hourly(*calm, *[100.0] * 12, *calm), LOADS).findings == ()


def test_nothing_known_at_all_is_a_gap_and_no_crash() -> None:
    rules = CleaningRules(zero_is_missing=True, night_is_zero=True, bridge=HOUR)

    (found,) = clean(hourly(np.nan, np.nan), rules).findings

    assert (found.defect, found.steps) == (Defect.GAP, 2)


@pytest.mark.parametrize("minute", [0, 15, 30, 45])
def test_a_series_that_has_just_begun_is_no_crash(minute: int) -> None:
    for steps in range(1, 9):
        horizon = Horizon(MONDAY.replace(minute=minute), QUARTER, steps)
        assert not clean(Profile(horizon, np.arange(1.0, steps + 1)), LOADS).findings


def test_the_raw_series_is_not_touched() -> None:
    raw = hourly(0, 5, 5, 6)

    clean(raw, CleaningRules(zero_is_missing=True))

    assert raw.values[0] == 0


def test_a_finding_says_what_where_and_how_many() -> None:
    raw = hourly(5, 0, 6, 5, 0, 7)

    cleaned = clean(raw, CleaningRules(zero_is_missing=True))

    assert str(cleaned.findings[0]) == (
        "0 says that the reading is missing: 2 steps taken out"
        " (2025-12-01T01:00:00Z … 2025-12-01T05:00:00Z, 2 places)"
    )


def test_an_infinite_value_is_refused() -> None:
    with pytest.raises(DataError, match="infinite"):
        clean(hourly(1, np.inf), LOADS)


@pytest.mark.parametrize("name", ["spike_ratio", "spike_hours", "stuck_hours", "stuck_ratio"])
def test_rules_that_would_find_everything_are_refused(name: str) -> None:
    with pytest.raises(DataError, match=name):
        CleaningRules(**{name: 0.0})  # type: ignore[arg-type]
