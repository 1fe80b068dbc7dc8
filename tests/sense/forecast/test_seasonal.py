"""The seasonal baseline against sums done by hand, on ordinary days and on days of a clock change."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vpp.errors import DataError, PlanError
from vpp.model.calendar import Calendar
from vpp.model.horizon import Horizon, Profile
from vpp.model.time import QUARTER, local_day, local_moment
from vpp.sense.forecast.seasonal import SeasonalBaseline, with_known
from vpp.sense.series import SeriesStore

STOCKHOLM = ZoneInfo("Europe/Stockholm")
SHANGHAI = ZoneInfo("Asia/Shanghai")


def a_store(
    series_id: str,
    value: Callable[[datetime], float],
    *,
    first: date,
    last: date,
    zone: ZoneInfo = STOCKHOLM,
    until: datetime | None = None,
) -> SeriesStore:
    """A series with `value(local time)` in each quarter-hour of the local days first … last."""
    start = local_day(first, zone).start
    end = until or local_day(last, zone).end
    horizon = Horizon(start, QUARTER, (end - start) // QUARTER)
    values = np.array([value(moment.astimezone(zone)) for moment in horizon.starts()])
    store = SeriesStore()
    store.put_profile(
        series_id,
        unit="kW",
        profile=Profile(horizon, values),
        known_at="interval_end",
        source="test",
    )
    return store


def a_day(day: date, zone: ZoneInfo = STOCKHOLM) -> Horizon:
    return Horizon.over(local_day(day, zone), QUARTER)


def expected(
    store: SeriesStore,
    series_id: str,
    horizon: Horizon,
    now: datetime,
    *,
    zone: ZoneInfo = STOCKHOLM,
    holidays: frozenset[date] = frozenset(),
    days: int = 4,
) -> list[float]:
    (forecast,) = SeasonalBaseline(Calendar(zone=zone, rest_days=holidays), days=days).issue(
        store, [series_id], horizon, now
    )
    return [float(value) for value in forecast.expected.values]


def test_two_calendars_on_one_horizon_are_two_forecasts() -> None:
    """What is kept of a horizon is kept for one calendar: on a holiday plants rest, elsewhere they work."""
    store = a_store(
        "power.load",
        lambda local: -10.0 if local.weekday() == 6 else -100.0,
        first=date(2025, 11, 3),
        last=date(2025, 11, 27),
    )
    friday = a_day(date(2025, 11, 28))

    here = expected(store, "power.load", friday, friday.start)
    there = expected(
        store, "power.load", friday, friday.start, holidays=frozenset([date(2025, 11, 28)])
    )

    assert (set(here), set(there)) == ({-100.0}, {-10.0})
    assert expected(store, "power.load", friday, friday.start) == here


def test_each_day_type_repeats_itself() -> None:
    def load(local: datetime) -> float:
        return -{5: 50.0, 6: 10.0}.get(local.weekday(), 100.0)

    store = a_store("power.load", load, first=date(2025, 11, 3), last=date(2025, 11, 27))
    now = local_moment(date(2025, 11, 28), time(0), STOCKHOLM)

    days = [
        expected(store, "power.load", a_day(date(2025, 11, d)), now)[40] for d in range(28, 33 - 2)
    ]
    holiday = expected(
        store,
        "power.load",
        a_day(date(2025, 11, 28)),
        now,
        holidays=frozenset({date(2025, 11, 28)}),
    )

    assert days == pytest.approx([-100, -50, -10])
    # The level of Thursday night (a workday) is carried into the holiday for a few hours.
    assert holiday[95] == pytest.approx(-10, abs=0.01)


def test_the_mean_is_of_the_last_known_days_only() -> None:
    store = a_store(
        "price.x", lambda local: float(local.day), first=date(2025, 11, 1), last=date(2025, 11, 20)
    )
    now = local_moment(date(2025, 11, 21), time(0), STOCKHOLM)

    assert expected(store, "price.x", a_day(date(2025, 11, 21)), now) == [18.5] * 96
    assert expected(store, "price.x", a_day(date(2025, 11, 22)), now, days=1) == [20.0] * 96


def test_nothing_known_later_than_now_is_used() -> None:
    whole = a_store(
        "power.load",
        lambda local: -float(local.day * 100 + local.hour),
        first=date(2025, 11, 1),
        last=date(2025, 11, 28),
    )
    now = local_moment(date(2025, 11, 20), time(11, 5), STOCKHOLM)
    known = a_store(
        "power.load",
        lambda local: -float(local.day * 100 + local.hour),
        first=date(2025, 11, 1),
        last=date(2025, 11, 28),
        until=local_moment(date(2025, 11, 20), time(11), STOCKHOLM),
    )
    horizon = Horizon(local_moment(date(2025, 11, 20), time(11), STOCKHOLM), QUARTER, 150)

    assert expected(whole, "power.load", horizon, now) == expected(
        known, "power.load", horizon, now
    )


def test_the_error_of_the_newest_hour_fades() -> None:
    now = local_moment(date(2025, 11, 20), time(12), STOCKHOLM)

    def load(local: datetime) -> float:
        return -130.0 if local.date() == date(2025, 11, 20) else -100.0

    store = a_store("power.load", load, first=date(2025, 11, 10), last=date(2025, 11, 20))
    values = expected(store, "power.load", Horizon(now, QUARTER, 32), now)

    lead_h = np.arange(1, 33) / 4
    assert values == pytest.approx(-100 - 30 * np.exp(-lead_h / 2))


def test_a_load_never_feeds_however_the_level_moves() -> None:
    now = local_moment(date(2025, 11, 20), time(12), STOCKHOLM)

    def load(local: datetime) -> float:
        if local.date() == date(2025, 11, 20):
            return 0.0
        return -100.0 if local.hour < 12 else -10.0

    store = a_store("power.load", load, first=date(2025, 11, 10), last=date(2025, 11, 20))

    assert max(expected(store, "power.load", Horizon(now, QUARTER, 8), now)) == 0.0


@pytest.mark.parametrize(
    ("today", "factor"),
    [
        pytest.param(0.6, 0.6, id="a duller day"),
        pytest.param(0.01, 0.3, id="clipped below"),
        pytest.param(9.0, 2.5, id="clipped above"),
    ],
)
def test_the_sun_of_the_last_hour_scales_the_next(today: float, factor: float) -> None:
    now = local_moment(date(2025, 11, 20), time(12), STOCKHOLM)

    def sun(local: datetime) -> float:
        return 100.0 * (today if local.date() == date(2025, 11, 20) else 1.0)

    store = a_store("available.pv", sun, first=date(2025, 11, 10), last=date(2025, 11, 20))
    values = expected(store, "available.pv", Horizon(now, QUARTER, 8), now)

    assert values == pytest.approx(100 * (1 + (factor - 1) * np.exp(-np.arange(1, 9) / 8)))


def test_at_night_the_sun_is_not_scaled_by_zero_over_zero() -> None:
    now = local_moment(date(2025, 11, 20), time(5), STOCKHOLM)
    store = a_store(
        "available.pv",
        lambda local: 80.0 if 9 <= local.hour < 15 else 0.0,
        first=date(2025, 11, 10),
        last=date(2025, 11, 20),
    )
    values = expected(store, "available.pv", Horizon(now, QUARTER, 40), now)

    assert values[:16] == [0.0] * 16
    assert values[16:] == [80.0] * 24


def clock(local: datetime) -> float:
    """A value that says what the clock showed."""
    return local.hour * 100.0 + local.minute


@pytest.mark.parametrize(
    ("day", "zone", "quarters"),
    [
        pytest.param(date(2025, 10, 26), STOCKHOLM, 100, id="autumn change, 100 quarters"),
        pytest.param(date(2026, 3, 29), STOCKHOLM, 92, id="spring change, 92 quarters"),
        pytest.param(date(2025, 10, 27), STOCKHOLM, 96, id="the day after the autumn change"),
        pytest.param(date(2026, 3, 30), STOCKHOLM, 96, id="the day after the spring change"),
        pytest.param(date(2025, 10, 26), SHANGHAI, 96, id="Shanghai changes nothing"),
    ],
)
def test_a_step_is_forecast_from_the_same_clock_time(
    day: date, zone: ZoneInfo, quarters: int
) -> None:
    store = a_store("price.x", clock, first=day - timedelta(days=7), last=day, zone=zone)
    horizon = a_day(day, zone)

    values = expected(store, "price.x", horizon, horizon.start, zone=zone)

    assert len(values) == quarters
    assert values == [clock(start.astimezone(zone)) for start in horizon.starts()]


def test_of_a_past_double_hour_the_first_occurrence_counts() -> None:
    store = a_store(
        "price.x",
        lambda local: float(local.fold),
        first=date(2025, 10, 26),
        last=date(2025, 10, 26),
    )
    horizon = a_day(date(2025, 10, 27))

    assert expected(store, "price.x", horizon, horizon.start) == [0.0] * 96


def test_a_clock_time_that_a_past_day_skipped_is_passed_over() -> None:
    store = a_store(
        "price.x",
        lambda local: float(local.day),
        first=date(2026, 3, 28),
        last=date(2026, 3, 29),
    )
    horizon = a_day(date(2026, 3, 30))

    values = expected(store, "price.x", horizon, horizon.start)

    assert values[7:13] == [28.5, 28.0, 28.0, 28.0, 28.0, 28.5]


def test_a_step_without_any_history_is_named() -> None:
    store = a_store("power.load", lambda _: -1.0, first=date(2025, 11, 24), last=date(2025, 11, 28))
    saturday = a_day(date(2025, 11, 29))

    with pytest.raises(PlanError, match=r"power\.load.*2025-11-28T23:00:00Z \(96 of 96"):
        expected(store, "power.load", saturday, saturday.start)


def test_a_series_without_a_rule_is_refused() -> None:
    store = a_store("tide.x", lambda _: 1.0, first=date(2025, 11, 24), last=date(2025, 11, 28))
    horizon = a_day(date(2025, 11, 29))

    with pytest.raises(DataError, match="no rule"):
        expected(store, "tide.x", horizon, horizon.start)


def test_published_prices_take_precedence() -> None:
    store = a_store("price.x", lambda _: 10.0, first=date(2025, 11, 24), last=date(2025, 11, 28))
    tomorrow = a_day(date(2025, 11, 29))
    two_days = Horizon(tomorrow.start, QUARTER, 192)
    now = tomorrow.start
    (forecast,) = SeasonalBaseline(Calendar(zone=STOCKHOLM)).issue(
        store, ["price.x"], two_days, now
    )
    assert with_known(store, forecast, now) is forecast

    store.put_profile(
        "price.x", unit="kW", profile=Profile.constant(tomorrow, 33.0), known_at=now, source="test"
    )
    merged = with_known(store, forecast, now)

    assert merged.expected.values.tolist() == [33.0] * 96 + [10.0] * 96
    assert merged.model == "seasonal-baseline/1+known"


@settings(max_examples=25)
@given(
    now_quarter=st.integers(0, 95),
    secret=st.floats(-1e6, 1e6),
    start_offset=st.integers(-4, 8),
)
def test_no_value_after_now_can_change_a_forecast(
    now_quarter: int, secret: float, start_offset: int
) -> None:
    now = datetime(2025, 11, 20, tzinfo=UTC) + now_quarter * QUARTER

    def load(local: datetime) -> float:
        return -clock(local) if local < now else secret

    def other(local: datetime) -> float:
        return -clock(local) if local < now else -1.0

    first, last = date(2025, 11, 10), date(2025, 11, 22)
    horizon = Horizon(now + start_offset * QUARTER, QUARTER, 8)

    assert expected(
        a_store("power.l", load, first=first, last=last), "power.l", horizon, now
    ) == expected(a_store("power.l", other, first=first, last=last), "power.l", horizon, now)


def test_many_series_of_all_kinds_are_issued_in_the_order_asked_for() -> None:
    store = SeriesStore()
    horizon = Horizon(datetime(2025, 11, 1, tzinfo=UTC), QUARTER, 96 * 20)
    asked = ["price.a", "power.b", "outdoor.c", "available.d", "power.a"]
    for number, series_id in enumerate(asked):
        store.put_profile(
            series_id,
            unit="x",
            profile=Profile.constant(horizon, float(number)),
            known_at="interval_end",
            source="test",
        )
    now = datetime(2025, 11, 20, 10, tzinfo=UTC)

    forecasts = SeasonalBaseline(Calendar(zone=STOCKHOLM)).issue(
        store, asked, Horizon(now, QUARTER, 150), now
    )

    assert [one.series_id for one in forecasts] == asked
    for number, one in enumerate(forecasts):
        assert one.expected.values == pytest.approx(np.full(150, float(number)))
        assert (one.issued_at, one.model) == (now, "seasonal-baseline/1")
