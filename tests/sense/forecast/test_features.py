"""The table of clock times and the rows of models, cell by cell."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from tests.sense.forecast.pasts import BERLIN, HOUR, a_day, a_past
from vpp.errors import DataError
from vpp.model.calendar import Calendar
from vpp.model.horizon import Horizon, Profile
from vpp.model.time import QUARTER, local_day
from vpp.sense.forecast.features import Table, training_rows
from vpp.sense.forecast.rows import describe
from vpp.sense.forecast.wallclock import clock

MON, TUE = date(2025, 6, 23), date(2025, 6, 24)
JUNE = date(2025, 6, 1)


def day_of_month(local: datetime) -> float:
    return float(local.day)


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        pytest.param("Europe/Berlin", date(2025, 3, 30), id="a day of 23 hours"),
        pytest.param("Europe/Berlin", date(2025, 10, 26), id="a day of 25 hours"),
        pytest.param("Asia/Kolkata", date(2025, 6, 23), id="half an hour off"),
        pytest.param("Australia/Lord_Howe", date(2025, 4, 6), id="a change by half an hour"),
        pytest.param("America/New_York", date(2025, 11, 2), id="behind UTC"),
    ],
)
def test_the_clock_is_that_of_the_zone(zone: str, day: date) -> None:
    there = ZoneInfo(zone)
    around = Horizon(local_day(day, there).start - timedelta(days=2), QUARTER, 5 * 96)

    days, slots = clock(around, there)

    shown = [at.astimezone(there) for at in around.starts()]
    assert days.tolist() == [at.toordinal() for at in shown]
    assert slots.tolist() == [at.hour * 4 + at.minute // 15 for at in shown]


def test_the_newest_days_come_first_and_none_from_the_origin_on() -> None:
    past = a_past(day_of_month, first=JUNE, until=MON, at=time(12), step=HOUR)
    table = Table(past, local_day(TUE, BERLIN).end)
    targets = table.targets(a_day(TUE, step=HOUR))
    origins = np.full(24, table.origin)

    newest = table.values[table.newest(targets, origins, most=2)]
    typed = table.values[table.newest(targets, origins, most=3, same_type=True)]
    weekly = table.values[table.newest(targets, origins, most=4, every_days=7)]

    assert newest[11].tolist() == [23, 22]
    assert newest[12].tolist() == [22, 21]
    assert typed[12].tolist() == [20, 19, 18]
    assert weekly[0, :3].tolist() == [17, 10, 3]
    assert np.isnan(weekly[0, 3])


def test_what_the_calendar_says_of_the_day_and_its_neighbours() -> None:
    calendar = Calendar(zone=BERLIN, rest_days=frozenset({MON}))
    past = a_past(day_of_month, first=JUNE, until=MON, step=HOUR, calendar=calendar)
    table = Table(past, local_day(TUE, BERLIN).end)

    rows = describe(table, table.targets(a_day(TUE, step=HOUR)), np.full(24, table.origin))

    assert {name: rows[name][0] for name in ("kind", "kind_before", "kind_after", "special")} == {
        "kind": 0,
        "kind_before": 2,
        "kind_after": 0,
        "special": 0,
    }
    assert (rows["weekday"][0], rows["rested"][0], rows["resting"][0]) == (1, 3, 0)
    assert rows["hour"].tolist() == list(range(24))
    assert rows["lead_h"].tolist() == list(range(24, 48))


def test_rest_days_beyond_the_table_count() -> None:
    past = a_past(day_of_month, first=date(2025, 6, 9), until=date(2025, 6, 27), step=HOUR)
    saturday = date(2025, 6, 28)
    table = Table(past, local_day(saturday, BERLIN).end)

    rows = describe(table, table.targets(a_day(saturday, step=HOUR)), np.full(24, table.origin))

    assert (rows["kind_after"][0], rows["resting"][0]) == (2, 1)
    assert Table(past, local_day(saturday, BERLIN).end).days.rested[0] == 2, (
        "Monday, after a weekend"
    )


def test_the_base_and_the_level_are_means_that_can_be_done_by_hand() -> None:
    # 100 kW on each workday; since Monday 8 o'clock it is 30 more.
    raised = datetime(2025, 6, 23, 8, tzinfo=BERLIN)
    past = a_past(
        lambda local: 130.0 if local >= raised else 100.0,
        first=JUNE,
        until=MON,
        at=time(12),
        step=HOUR,
    )
    table = Table(past, local_day(TUE, BERLIN).end)
    rows = describe(table, table.targets(a_day(TUE, step=HOUR)), np.full(24, table.origin))

    assert rows.base[7] == 100
    assert rows.base[8] == (130 + 3 * 100) / 4
    assert rows["newest_1"][8] == 130 - rows.base[8]
    assert rows["newest_1_off"][8] == 30
    assert rows["level_1h"][0] == 30
    assert rows["level_24h"][0] == 30 * 4 / 24
    assert rows["type_median"][8] == 100 - rows.base[8]


def test_training_rows_are_as_if_issued_then() -> None:
    past = a_past(
        lambda local: float(local.toordinal() * 24 + local.hour), first=JUNE, until=MON, step=HOUR
    )
    table = Table(past, past.values.horizon.end)
    targets, origins = training_rows(table, longest=timedelta(hours=48), warm_up_days=14)
    rows = describe(table, targets, origins)

    assert len(rows) > 5 * 24
    assert (targets - origins).min() >= 0
    assert (targets - origins).max() > 40
    row = 100
    seen = a_past(
        lambda local: float(local.toordinal() * 24 + local.hour), first=JUNE, until=MON, step=HOUR
    )
    steps = int(origins[row])
    then = Table(
        replace(
            seen,
            values=Profile(
                Horizon(seen.values.horizon.start, HOUR, steps), seen.values.values[:steps]
            ),
        ),
        past.values.horizon.end,
    )
    alone = describe(then, targets[[row]], np.array([then.origin]))
    assert then.origin == steps
    assert alone.matrix[0] == pytest.approx(rows.matrix[row])


def test_a_regressor_is_told_by_how_far_it_is_off_the_usual() -> None:
    past = a_past(day_of_month, first=JUNE, until=MON, step=HOUR)
    axis = Horizon(past.values.horizon.start, HOUR, past.values.horizon.steps + 24)
    degc = np.full(axis.steps, 10.0)
    degc[-24:-12] = 25.0
    degc[-12:] = np.nan
    table = Table(replace(past, regressors={"outdoor": Profile(axis, degc)}), axis.end)

    rows = describe(table, table.targets(a_day(MON, step=HOUR)), np.full(24, table.origin))

    assert rows["outdoor"].tolist() == [25.0] * 12 + [10.0] * 12
    assert rows["outdoor_off_usual"].tolist() == [15.0] * 12 + [0.0] * 12


def test_steps_that_do_not_divide_a_day_are_refused() -> None:
    past = a_past(day_of_month, first=JUNE, until=MON, step=timedelta(hours=5))

    with pytest.raises(DataError, match="Forecast in steps that divide a day"):
        Table(past, past.values.horizon.end)
