"""A simulated charging station: what holds when, what is drawn, what the meter counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vpp.errors import DataError
from vpp.model.time import Interval
from vpp.simulate.charger import (
    MOST_PROFILES,
    Car,
    Charger,
    ChargerSpec,
    ChargingProfile,
    Period,
    Purpose,
    Unit,
)
from vpp.simulate.chargerfaults import TROUBLES, Away, active, drawn

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
CAR = Car(wanted_kwh=20.0, most_kw=10.0, holds_kwh=40.0, soc=0.25)


def a_charger(*, connectors: int = 1, least_kw: float = 0.0) -> Charger:
    """One that gives 20 kW at most and 4 kW by itself."""
    spec = ChargerSpec(
        charger_id="cp-1", connectors=connectors, max_kw=20.0, default_kw=4.0, least_kw=least_kw
    )
    return Charger(spec, NOON)


def a_profile(
    limit_kw: float = 7.0,
    *,
    profile_id: int = 1,
    purpose: Purpose = Purpose.TRANSACTION,
    level: int = 0,
    connector: int = 1,
    minutes: float | None = None,
) -> ChargingProfile:
    return ChargingProfile(
        profile_id=profile_id,
        purpose=purpose,
        stack_level=level,
        connector=connector,
        starts_at=NOON,
        unit=Unit.WATT,
        periods=(Period(starts_s=0, limit=1000 * limit_kw),),
        valid_to=None if minutes is None else NOON + timedelta(minutes=minutes),
    )


def after(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def test_a_car_draws_what_the_profile_allows_and_after_its_end_what_the_station_gives_by_itself() -> (
    None
):
    charger = a_charger()
    stay = charger.plug_in(1, CAR)
    assert charger.install(a_profile(7.0, minutes=30)) is None
    charger.live(after(30))
    assert (charger.connectors[1].draw_kw, stay.drawn_kwh) == (7.0, 3.5)
    charger.live(after(60))
    assert (charger.connectors[1].draw_kw, charger.connectors[1].register_kwh) == (4.0, 5.5)
    assert stay.soc == 0.25 + 5.5 / 40


def test_a_car_draws_no_more_than_it_can_and_stops_when_it_has_what_it_wants() -> None:
    charger = a_charger()
    charger.plug_in(1, CAR)
    charger.install(a_profile(15.0))
    charger.live(after(90))
    assert charger.connectors[1].register_kwh == 15.0
    charger.live(after(150))
    assert charger.connectors[1].register_kwh == 20.0
    charger.live(after(151))
    assert charger.connectors[1].draw_kw == 0.0


@pytest.mark.parametrize(
    ("profiles", "limit_kw"),
    [
        pytest.param([], 4.0, id="none"),
        pytest.param([a_profile(30.0)], 20.0, id="more than the outlet gives"),
        pytest.param(
            [a_profile(7.0, level=0), a_profile(6.0, profile_id=2, level=1)], 6.0, id="stacked"
        ),
        pytest.param(
            [a_profile(7.0), a_profile(3.0, profile_id=2, purpose=Purpose.DEFAULT, level=9)],
            7.0,
            id="the car's own before the default",
        ),
        pytest.param(
            [a_profile(3.0, purpose=Purpose.DEFAULT, connector=0)], 3.0, id="default of all outlets"
        ),
        pytest.param(
            [a_profile(7.0), a_profile(5.0, profile_id=2, purpose=Purpose.STATION, connector=0)],
            5.0,
            id="the station bounds all",
        ),
        pytest.param(
            [a_profile(7.0, minutes=0)], 4.0, id="one that has ended before it began to hold"
        ),
    ],
)
def test_which_of_several_profiles_holds(profiles: list[ChargingProfile], limit_kw: float) -> None:
    charger = a_charger()
    charger.plug_in(1, CAR)
    assert [charger.install(profile) for profile in profiles] == [None] * len(profiles)
    assert charger.limit_kw(1, NOON) == limit_kw


def test_amperes_count_on_each_phase() -> None:
    charger = a_charger()
    charger.plug_in(1, CAR)
    amperes = replace(a_profile(), unit=Unit.AMPERE, periods=(Period(starts_s=0, limit=10.0),))
    charger.install(amperes)
    assert charger.limit_kw(1, NOON) == 6.9
    charger.install(replace(amperes, periods=(Period(starts_s=0, limit=10.0, phases=1),)))
    assert charger.limit_kw(1, NOON) == 2.3


def test_two_cars_share_what_the_station_may_draw() -> None:
    charger = a_charger(connectors=2)
    charger.plug_in(1, CAR)
    charger.plug_in(2, CAR)
    charger.install(a_profile(6.0, purpose=Purpose.STATION, connector=0))
    charger.live(after(60))
    assert [outlet.draw_kw for outlet in charger.connectors.values()] == [4.0, 2.0]


def test_a_car_pauses_below_what_the_standard_can_tell_it() -> None:
    charger = a_charger(least_kw=4.14)
    charger.plug_in(1, CAR)
    charger.install(a_profile(4.0))
    charger.live(after(60))
    assert charger.connectors[1].draw_kw == 0.0


def test_profiles_of_a_car_that_is_not_there_are_refused_and_leave_with_it() -> None:
    charger = a_charger()
    assert charger.install(a_profile()) == "no such transaction"
    stay = charger.plug_in(1, CAR)
    stay.transaction = "42"
    assert charger.install(replace(a_profile(), transaction="41")) == "no such transaction"
    assert charger.install(replace(a_profile(), transaction="42")) is None
    charger.unplug(1)
    assert charger.profiles == []


@pytest.mark.parametrize(
    ("profile", "why_not"),
    [
        (a_profile(level=21), "stack level 21"),
        (a_profile(connector=2), "no connector 2"),
        (replace(a_profile(), periods=()), "0 periods"),
        (
            replace(a_profile(), periods=(Period(starts_s=1, limit=1),)),
            "the first period does not start at 0",
        ),
    ],
)
def test_profiles_that_cannot_be_meant_are_refused(profile: ChargingProfile, why_not: str) -> None:
    charger = a_charger()
    charger.plug_in(1, CAR)
    assert charger.install(profile) == why_not


def test_a_station_holds_only_so_many_profiles() -> None:
    charger = a_charger(connectors=2)
    levels = range(MOST_PROFILES // 2)
    for number in (1, 2):
        for level in levels:
            one = a_profile(
                purpose=Purpose.DEFAULT,
                profile_id=100 * number + level,
                level=level,
                connector=number,
            )
            assert charger.install(one) is None
    one_more = a_profile(purpose=Purpose.DEFAULT, profile_id=7, level=20)
    assert charger.install(one_more) == "24 profiles are installed"
    assert charger.clear(connector=1) == 12
    assert charger.clear(purpose=Purpose.DEFAULT, stack_level=3) == 1
    assert charger.clear(profile_id=204) == 1
    assert charger.clear() == 10


def test_what_somebody_else_sets_bounds_all_and_cannot_be_cleared() -> None:
    charger = a_charger()
    charger.plug_in(1, CAR)
    charger.install(a_profile(7.0))
    charger.meddle(2.0)
    assert (charger.clear(), charger.limit_kw(1, NOON)) == (1, 2.0)
    charger.meddle(None)
    assert charger.limit_kw(1, NOON) == 4.0


def test_one_that_does_not_obey_takes_profiles_and_draws_as_before() -> None:
    charger = a_charger()
    charger.obeys = False
    charger.plug_in(1, CAR)
    assert charger.install(a_profile(1.0)) is None
    charger.live(after(60))
    assert charger.connectors[1].draw_kw == 4.0


def test_an_outlet_that_is_taken_or_free_says_so() -> None:
    charger = a_charger()
    with pytest.raises(DataError, match="cp-1/1: is free"):
        charger.unplug(1)
    charger.plug_in(1, CAR)
    with pytest.raises(DataError, match="cp-1/1: is taken"):
        charger.plug_in(1, CAR)


PROFILES = st.lists(
    st.builds(
        lambda level, limit, starts, lasts, purpose: replace(
            a_profile(limit, level=level, profile_id=level, purpose=purpose),
            starts_at=NOON + timedelta(seconds=starts),
            duration_s=lasts,
        ),
        st.integers(0, 5),
        st.integers(0, 20).map(float),
        st.integers(-600, 600),
        st.none() | st.integers(1, 1200),
        st.sampled_from([Purpose.STATION, Purpose.DEFAULT, Purpose.TRANSACTION]),
    ),
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(PROFILES, st.lists(st.integers(0, 899), min_size=1, max_size=20))
def test_the_composite_schedule_says_what_holds_at_every_second(
    profiles: list[ChargingProfile], seconds: list[int]
) -> None:
    charger = a_charger()
    charger.plug_in(1, CAR)
    for profile in profiles:
        charger.install(profile)
    periods = charger.composite(1, 900, Unit.WATT, NOON)
    for second in seconds:
        holds = [period for period in periods if period.starts_s <= second][-1]
        assert holds.limit == 1000 * charger.limit_kw(1, NOON + timedelta(seconds=second))


def test_faults_follow_from_their_seed() -> None:
    within = Interval(NOON, NOON + timedelta(hours=1))
    names = [f"cp-{n}" for n in range(500)]

    def plan(seed: int) -> object:
        return drawn(names, Random(seed), share=0.2, within=within)

    assert plan(1) == plan(1) != plan(2)
    faults = drawn(names, Random(1), share=0.2, within=within)
    assert 70 < len(faults) < 130
    assert {type(fault.what) for fault in faults} == {type(what) for what in TROUBLES}
    one = next(fault for fault in faults if isinstance(fault.what, Away))
    assert one.what in active(faults, one.charger_id, one.during.start)
    assert active(faults, one.charger_id, one.during.end) == frozenset()
