from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId
from vpp.model.resource import EVERY_DAY, InterruptibleLoad, Rebound, ShiftableRun
from vpp.model.time import QUARTER, Interval, isoformat, local_day, local_moment
from vpp.simulate.processes import SimulatedProcess, SimulatedRun
from vpp.wire import CommandMessage

STOCKHOLM, SHANGHAI = ZoneInfo("Europe/Stockholm"), ZoneInfo("Asia/Shanghai")
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
MONDAY = date(2025, 12, 1)
SPRING, AUTUMN = date(2025, 3, 30), date(2025, 10, 26)
"""Sundays of 92 and 100 quarter-hours in Stockholm."""

FURNACE = InterruptibleLoad(
    resource_id=ResourceId("furnace"),
    enterprise_id=EnterpriseId("acme"),
    connection_point_id=ConnectionPointId("gate-1"),
    rated_draw_kw=100,
    operating_from=time(6),
    operating_to=time(18),
    call_length=HOUR,
    callable_hours=(8, 9, 10),
    max_calls_per_day=1,
    call_cost_per_kwh=0.2,
)
BAKE = ShiftableRun(
    resource_id=ResourceId("bake"),
    enterprise_id=EnterpriseId("acme"),
    connection_point_id=ConnectionPointId("gate-1"),
    profile_kw=(40, 20, 10),
    earliest_start=time(8),
    latest_end=time(16),
    default_start=time(10),
)


def command(seq: int, power_kw: float, at: datetime, *, lives: timedelta) -> CommandMessage:
    return CommandMessage(f"c-{seq}", seq, isoformat(at), isoformat(at + lives), power_kw)


def at(day: date, hour: int, minute: int = 0, zone: ZoneInfo = STOCKHOLM) -> datetime:
    return local_moment(day, time(hour, minute), zone)


def quarters(
    device: SimulatedRun | SimulatedProcess, span: Interval, *, dt: timedelta = 5 * MINUTE
) -> list[float]:
    """Mean draw of each quarter-hour of `span`."""
    out = []
    for quarter in span.split(QUARTER):
        before_kwh = device.energy_kwh
        for step in quarter.split(dt):
            device.step(step.end, dt)
        out.append(round((before_kwh - device.energy_kwh) * 4, 6) + 0.0)
    return out


def started(device: SimulatedRun, day: date, zone: ZoneInfo = STOCKHOLM) -> list[datetime]:
    """The quarter-hours of `day` in which the run draws."""
    span = local_day(day, zone)
    return [
        quarter.start
        for quarter, draw_kw in zip(span.split(QUARTER), quarters(device, span), strict=True)
        if draw_kw
    ]


# ---------------------------------------------------------------- shiftable runs


def a_run(day: date = MONDAY, zone: ZoneInfo = STOCKHOLM, **changes: object) -> SimulatedRun:
    resource = replace(BAKE, run_days=EVERY_DAY, **changes)  # type: ignore[arg-type]
    return SimulatedRun(resource, zone, local_day(day, zone).start)


def test_without_a_setpoint_the_run_starts_at_its_default() -> None:
    device = a_run()
    day = quarters(device, local_day(MONDAY, STOCKHOLM))

    assert day[40:43] == [40, 20, 10]
    assert sum(day) == 70
    assert device.telemetry().phase == "waiting"


@pytest.mark.parametrize(
    ("say_kw", "at_hour", "starts"),
    [
        pytest.param(-40, 12, (10, 0), id="told to start after its default: it runs already"),
        pytest.param(-40, 9, (9, 0), id="told to start early"),
        pytest.param(-40, 6, (8, 0), id="told to start before its window"),
        pytest.param(0, 8, (15, 15), id="held all day, it starts while it still fits"),
    ],
)
def test_the_start_follows_the_setpoint_inside_the_window(
    say_kw: float, at_hour: int, starts: tuple[int, int]
) -> None:
    device = a_run()
    quarters(device, Interval(at(MONDAY, 0), at(MONDAY, at_hour)))
    now = at(MONDAY, at_hour)
    device.receive(command(1, say_kw, now, lives=24 * HOUR), now)
    drawn = quarters(device, Interval(now, local_day(MONDAY, STOCKHOLM).end))

    if say_kw == -40 and at_hour == 12:
        assert sum(drawn) == 0
    else:
        first = (at(MONDAY, *starts) - now) // QUARTER
        assert drawn[first : first + 3] == [40, 20, 10]
        assert sum(drawn) == 70


@pytest.mark.parametrize(
    ("told", "starts"),
    [
        pytest.param([], [40, 43], id="by themselves one after the other from the default on"),
        pytest.param([(9, -40, 2)], [36, 43], id="the first one earlier"),
        pytest.param([(10.5, 0, 8)], [40, 50], id="the second one held till 12:30"),
        pytest.param([(8, 0, 48)], [58, 61], id="held all day: while both still fit"),
    ],
)
def test_a_job_that_runs_twice_a_day_is_started_and_held_each_time(
    told: list[tuple[float, float, float]], starts: list[int]
) -> None:
    """45 minutes each, from 10:00 by default, to be done by 16:00."""
    device = a_run(runs_per_day=2)
    drawn: list[float] = []
    moment = at(MONDAY, 0)
    for seq, (hour, say_kw, lives_quarters) in enumerate(told, start=1):
        now = at(MONDAY, 0) + hour * HOUR
        drawn += quarters(device, Interval(moment, now))
        moment = now
        device.receive(command(seq, say_kw, now, lives=lives_quarters * QUARTER), now)
    drawn += quarters(device, Interval(moment, at(MONDAY, 23)))

    assert [quarter for quarter, kw in enumerate(drawn) if kw == 40] == starts
    assert sum(drawn) == 140
    assert (device.telemetry().phase, device.telemetry().calls_today) == ("done", 2)


def test_a_hold_that_expires_lets_the_run_start() -> None:
    device = a_run()
    quarters(device, Interval(at(MONDAY, 0), at(MONDAY, 9)))
    device.receive(command(1, 0, at(MONDAY, 9), lives=2 * HOUR), at(MONDAY, 9))

    drawn = quarters(device, Interval(at(MONDAY, 9), at(MONDAY, 12)))
    assert drawn == [0] * 8 + [40, 20, 10, 0]


def test_a_run_is_never_stopped_once_it_has_started() -> None:
    device = a_run()
    quarters(device, Interval(at(MONDAY, 0), at(MONDAY, 10, 15)))
    device.receive(command(1, 0, at(MONDAY, 10, 15), lives=24 * HOUR), at(MONDAY, 10, 15))

    assert device.telemetry().phase == "running"
    assert quarters(device, Interval(at(MONDAY, 10, 15), at(MONDAY, 11))) == [20, 10, 0]
    telemetry = device.telemetry()
    assert telemetry.phase == "done"
    assert telemetry.phase_since == isoformat(at(MONDAY, 10, 45))


def test_a_start_waits_for_the_quarter_hour_whatever_the_delay() -> None:
    device = a_run(response_delay_s=30)
    quarters(device, Interval(at(MONDAY, 0), at(MONDAY, 9)))
    device.receive(command(1, -40, at(MONDAY, 9), lives=HOUR), at(MONDAY, 9))
    assert quarters(device, Interval(at(MONDAY, 9), at(MONDAY, 9, 15))) == [40]


def test_a_start_that_arrives_a_moment_after_the_quarter_hour_still_counts() -> None:
    device = a_run()
    quarters(device, Interval(at(MONDAY, 0), at(MONDAY, 9)))
    arrived = at(MONDAY, 9) + timedelta(seconds=2)
    device.receive(command(1, -40, arrived, lives=HOUR), arrived)
    assert quarters(device, Interval(at(MONDAY, 9), at(MONDAY, 9, 15)), dt=MINUTE) == [40]


def test_no_run_on_a_day_off() -> None:
    saturday = date(2025, 12, 6)
    device = SimulatedRun(BAKE, STOCKHOLM, local_day(saturday, STOCKHOLM).start)
    assert device.telemetry().phase == "done"
    assert started(device, saturday) == []


@pytest.mark.parametrize(
    ("opened", "phase"),
    [
        pytest.param(at(MONDAY, 9), "waiting", id="before the default"),
        pytest.param(at(MONDAY, 10, 15), "running", id="in the middle of the run"),
        pytest.param(at(MONDAY, 11), "done", id="after the run"),
    ],
)
def test_a_simulation_that_begins_at_noon_finds_the_run_where_its_default_put_it(
    opened: datetime, phase: str
) -> None:
    device = SimulatedRun(BAKE, STOCKHOLM, opened)
    assert device.telemetry().phase == phase


@pytest.mark.parametrize(
    ("day", "zone", "count"),
    [
        pytest.param(SPRING, STOCKHOLM, 92, id="the day of 23 hours"),
        pytest.param(AUTUMN, STOCKHOLM, 100, id="the day of 25 hours"),
        pytest.param(MONDAY, SHANGHAI, 96, id="Shanghai"),
    ],
)
@pytest.mark.parametrize("hold", [True, False], ids=["held", "by default"])
def test_local_times_hold_on_every_calendar(
    day: date, zone: ZoneInfo, count: int, hold: bool
) -> None:
    device = a_run(
        day, zone, earliest_start=time(1), default_start=time(4), latest_end=time(23, 59)
    )
    midnight = local_day(day, zone).start
    if hold:
        device.receive(command(1, 0, midnight, lives=25 * HOUR), midnight)

    run = started(device, day, zone)

    expected = local_day(day, zone).end - 45 * MINUTE if hold else at(day, 4, zone=zone)
    assert local_day(day, zone).hours * 4 == count
    assert run == [expected, expected + QUARTER, expected + 2 * QUARTER]
    assert device.telemetry().phase == "waiting"


@given(
    says=st.lists(st.sampled_from([None, 0.0, -40.0]), min_size=96, max_size=96),
    zone=st.sampled_from([STOCKHOLM, SHANGHAI]),
    day=st.sampled_from([MONDAY, SPRING, AUTUMN]),
)
def test_the_run_happens_once_whole_and_in_its_window_whatever_is_said(
    says: list[float | None], zone: ZoneInfo, day: date
) -> None:
    device = a_run(day, zone)
    drawn = []
    for seq, quarter in enumerate(local_day(day, zone).split(QUARTER), start=1):
        say_kw = says[seq % 96]
        if say_kw is not None:
            device.receive(command(seq, say_kw, quarter.start, lives=QUARTER), quarter.start)
        drawn += quarters(device, quarter, dt=QUARTER)

    first = next(index for index, draw_kw in enumerate(drawn) if draw_kw)
    begin = local_day(day, zone).start + first * QUARTER
    assert drawn[first : first + 3] == [40, 20, 10]
    assert sum(drawn) == 70
    assert at(day, 8, zone=zone) <= begin <= at(day, 15, 15, zone=zone)


# ---------------------------------------------------------------- interruptible loads


def a_process(**changes: object) -> SimulatedProcess:
    resource = replace(FURNACE, **changes)  # type: ignore[arg-type]
    return SimulatedProcess(resource, STOCKHOLM, at(MONDAY, 0))


def test_a_process_draws_its_rated_power_in_operating_hours() -> None:
    day = quarters(a_process(), local_day(MONDAY, STOCKHOLM))
    assert day == [0] * 24 + [100] * 48 + [0] * 24


def test_a_process_rests_on_days_off() -> None:
    device = a_process(operating_days=(1,))
    assert sum(quarters(device, local_day(MONDAY, STOCKHOLM))) == 0


def called(
    device: SimulatedProcess, power_kw: float, begin: datetime, length: timedelta, seq: int = 1
) -> list[float]:
    """Draw of the quarter-hours under a call, and of one more."""
    device.receive(command(seq, power_kw, begin, lives=length), begin)
    return quarters(device, Interval(begin, begin + length + QUARTER))


@pytest.mark.parametrize(
    ("power_kw", "draw_kw", "calls"),
    [
        pytest.param(0, 0, 1, id="off"),
        pytest.param(-30, 30, 1, id="partly"),
        pytest.param(-100, 100, 0, id="the rated draw is no call"),
        pytest.param(-500, 100, 0, id="never more than rated"),
    ],
)
def test_a_setpoint_above_the_rated_draw_sheds(power_kw: float, draw_kw: float, calls: int) -> None:
    device = a_process()
    quarters(device, Interval(at(MONDAY, 0), at(MONDAY, 8)))

    assert called(device, power_kw, at(MONDAY, 8), 2 * QUARTER) == [draw_kw, draw_kw, 100]
    assert device.telemetry().calls_today == calls
    assert device.called_kwh == pytest.approx((100 - draw_kw) * 0.5)


def test_calls_beyond_the_limit_are_ignored_until_the_next_local_day() -> None:
    device = a_process()
    quarters(device, Interval(at(MONDAY, 0), at(MONDAY, 8)))

    assert called(device, 0, at(MONDAY, 8), QUARTER) == [0, 100]
    assert called(device, 0, at(MONDAY, 8, 30), QUARTER, seq=2) == [100, 100]
    assert device.telemetry().calls_today == 1
    tuesday = date(2025, 12, 2)
    quarters(device, Interval(at(MONDAY, 9), at(tuesday, 0)))
    assert device.telemetry().calls_today == 0
    quarters(device, Interval(at(tuesday, 0), at(tuesday, 8)))
    assert called(device, 0, at(tuesday, 8), QUARTER, seq=3) == [0, 100]


def test_a_call_lasts_no_longer_than_agreed() -> None:
    device = a_process(max_calls_per_day=3)
    quarters(device, Interval(at(MONDAY, 0), at(MONDAY, 8)))

    assert called(device, 0, at(MONDAY, 8), 6 * QUARTER) == [0] * 4 + [100] * 3
    assert device.telemetry().calls_today == 1


def test_a_call_that_may_be_longer_lasts_as_long_as_it_is_told() -> None:
    device = a_process(longest_call=2 * HOUR)
    quarters(device, Interval(at(MONDAY, 0), at(MONDAY, 8)))

    assert called(device, 0, at(MONDAY, 8), 6 * QUARTER) == [0] * 6 + [100]


def test_what_a_call_took_away_is_drawn_later() -> None:
    """100 kWh are shed from 8 to 9; a half of it comes back within half an hour, from 9:15 on."""
    device = a_process(rebound=Rebound(share=0.5, delay=QUARTER, length=2 * QUARTER))
    quarters(device, Interval(at(MONDAY, 0), at(MONDAY, 8)))

    assert called(device, 0, at(MONDAY, 8), HOUR) == [0] * 4 + [100]
    assert quarters(device, Interval(at(MONDAY, 9, 15), at(MONDAY, 10))) == [200, 200, 100]
    assert device.called_kwh == pytest.approx(100)


def test_outside_its_hours_there_is_nothing_to_call() -> None:
    device = a_process()
    quarters(device, Interval(at(MONDAY, 0), at(MONDAY, 4)))

    assert called(device, 0, at(MONDAY, 4), QUARTER) == [0, 0]
    assert device.telemetry().calls_today == 0


def test_the_phase_tells_where_the_process_stands() -> None:
    device = a_process()
    phases = []
    for begin, end in ((0, 8), (8, 9), (9, 19)):
        if begin == 8:
            device.receive(command(1, 0, at(MONDAY, 8), lives=HOUR), at(MONDAY, 8))
        quarters(device, Interval(at(MONDAY, begin), at(MONDAY, end)))
        telemetry = device.telemetry()
        phases.append((telemetry.phase, telemetry.phase_since))

    assert phases == [
        ("running", isoformat(at(MONDAY, 6))),
        ("called", isoformat(at(MONDAY, 8))),
        ("waiting", isoformat(at(MONDAY, 18))),
    ]
