"""Runs and calls start at the right local hours on days of 23 and 25 hours, and far from Europe."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from vpp.model.resource import EVERY_DAY
from vpp.model.time import QUARTER, local_day

DAYS = [
    pytest.param("Europe/Stockholm", date(2025, 3, 30), 92, id="Stockholm loses an hour"),
    pytest.param("Europe/Stockholm", date(2025, 10, 26), 100, id="Stockholm gains an hour"),
    pytest.param("Europe/Stockholm", date(2025, 12, 3), 96, id="Stockholm, an ordinary day"),
    pytest.param("Asia/Shanghai", date(2025, 10, 26), 96, id="Shanghai knows no change"),
    pytest.param("Australia/Lord_Howe", date(2025, 4, 6), 98, id="Lord Howe gains half an hour"),
]


def a_day(lab: Any, zone: str, day: date, price: np.ndarray, *resources: Any) -> Any:
    span = local_day(day, ZoneInfo(zone))
    return lab.view(
        *resources,
        price=price.tolist(),
        start=span.start,
        step=QUARTER,
        timezone=zone,
        readings=[lab.reading(r.resource_id, measured_at=span.start) for r in resources],
    )


def steps_of(zone: str, day: date) -> list[datetime]:
    """The local time of each quarter-hour of the day, as its clocks show it."""
    span = local_day(day, ZoneInfo(zone))
    return [i.start.astimezone(ZoneInfo(zone)) for i in span.split(QUARTER)]


@pytest.mark.parametrize(("zone", "day", "quarters"), DAYS)
def test_a_run_lies_in_its_window_on_the_wall_clock(
    lab: Any, zone: str, day: date, quarters: int
) -> None:
    """Cheapest just outside the window on both sides; inside, towards its end."""
    local = steps_of(zone, day)
    assert len(local) == quarters
    price = np.full(quarters, 0.0)
    opens, closes = time(6), time(15)
    for step, moment in enumerate(local):
        if opens <= moment.time() < closes:
            price[step] = 0.3 if moment.time() < time(14, 30) else 0.2
    run = lab.run(earliest_start=opens, latest_end=closes, default_start=opens)
    view = a_day(lab, zone, day, price, run)

    schedule = lab.plan(view)

    (start,) = schedule.starts["oven"]
    assert local[start].time() == time(14, 30)


@pytest.mark.parametrize(("zone", "day", "quarters"), DAYS)
def test_calls_start_at_the_named_local_hours(
    lab: Any, zone: str, day: date, quarters: int
) -> None:
    local = steps_of(zone, day)
    price = np.array([0.9 if moment.hour in (9, 13, 17) else 0.1 for moment in local])
    process = lab.process(
        callable_hours=(9, 17),
        max_calls_per_day=3,
        operating_days=EVERY_DAY,
        operating_from=time(0),
    )
    view = a_day(lab, zone, day, price, process)

    schedule = lab.plan(view)

    assert [local[start].time() for start in schedule.starts["mill"]] == [time(9), time(17)]
    drawing = [local[step].time() for step in np.flatnonzero(lab.power(schedule, "mill"))]
    assert max(drawing) == time(19, 45)
    assert len(drawing) == 80 + quarters - 96 - 8


@pytest.mark.parametrize(
    ("day", "starts"),
    [
        pytest.param(date(2025, 3, 30), [], id="02:00 does not exist"),
        pytest.param(date(2025, 10, 26), [0], id="02:00 comes twice, the first one counts"),
    ],
)
def test_a_call_on_the_hour_of_the_change(lab: Any, day: date, starts: list[int]) -> None:
    zone = "Europe/Stockholm"
    local = steps_of(zone, day)
    process = lab.process(
        callable_hours=(2,), operating_days=EVERY_DAY, operating_from=time(0), call_cost_per_kwh=0.0
    )
    view = a_day(lab, zone, day, np.full(len(local), 0.5), process)

    found = lab.plan(view).starts.get("mill", ())

    assert [local[start].time() for start in found] == [time(2)] * len(starts)
    assert [local[start].fold for start in found] == starts


@pytest.mark.parametrize(
    ("day", "span"),
    [
        pytest.param(date(2025, 3, 30), (time(1, 30), time(3, 30)), id="two hours that are one"),
        pytest.param(date(2025, 3, 30), (time(2), time(3)), id="a window that is skipped"),
    ],
)
def test_a_window_that_a_change_makes_too_short_runs_at_its_beginning(
    lab: Any, day: date, span: tuple[time, time]
) -> None:
    """As the device does by itself: the run happens, though it ends late."""
    zone, (opens, closes) = "Europe/Stockholm", span
    quarters = (closes.hour - opens.hour) * 4 + (closes.minute - opens.minute) // 15
    run = lab.run(
        profile_kw=(40.0,) * quarters, earliest_start=opens, latest_end=closes, default_start=opens
    )
    view = a_day(lab, zone, day, np.full(92, 0.1), run)

    schedule = lab.plan(view)

    first = datetime.combine(day, opens, ZoneInfo(zone)).astimezone(UTC)
    drawing = np.flatnonzero(lab.power(schedule, "oven"))
    assert len(drawing) == quarters
    assert view.horizon.start + int(drawing[0]) * QUARTER == first


def test_a_horizon_over_the_change_has_a_run_on_each_day(lab: Any) -> None:
    """From Saturday noon to Monday midnight, over the 25-hour Sunday."""
    zone = ZoneInfo("Europe/Stockholm")
    start = datetime(2025, 10, 25, 12, tzinfo=zone).astimezone(UTC)
    end = datetime(2025, 10, 28, 0, tzinfo=zone).astimezone(UTC)
    steps = (end - start) // QUARTER
    assert steps == (12 + 25 + 24) * 4
    local = [(start + i * QUARTER).astimezone(zone) for i in range(steps)]
    price = np.array(
        [0.1 if moment.time() in (time(13), time(13, 15)) else 0.3 for moment in local]
    )
    view = lab.view(
        lab.run(),
        price=price.tolist(),
        start=start,
        step=QUARTER,
        readings=[lab.reading("oven", measured_at=start)],
    )

    starts = lab.plan(view).starts["oven"]

    assert [f"{local[step]:%a %H:%M}" for step in starts] == ["Sat 13:00", "Sun 13:00", "Mon 13:00"]


def test_a_store_keeps_its_books_over_the_change(lab: Any) -> None:
    """25 hours of a quarter each: 100 quarters of 1 kW are 25 kWh, not 24."""
    span = local_day(date(2025, 10, 26), ZoneInfo("Europe/Stockholm"))
    view = lab.view(
        lab.battery(max_charge_kw=1.0),
        price=[0.1] * 99 + [9.0],
        start=span.start,
        step=QUARTER,
        readings=[lab.reading("bat", soc=0.0, measured_at=span.start)],
    )

    schedule = lab.plan(view)

    assert span.end - span.start == timedelta(hours=25)
    assert schedule.stored_kwh["bat"][-2] == pytest.approx(24.75)
