"""What a power becomes in S2: an operation mode and its factor, or an envelope; whatever a device offers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.s2_frbc import drawn_kwh_per_level, mode_for
from adapters.s2_pebc import Limits, envelopes_for
from adapters.s2_wire import (
    Actuator,
    AllowedRange,
    LimitType,
    NumberRange,
    OperationMode,
    OperationModeElement,
    PebcPowerConstraints,
    PowerRange,
    Transition,
)
from vpp.errors import DataError

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
L1, L2 = "ELECTRIC.POWER.L1", "ELECTRIC.POWER.L2"
WATTS = st.integers(-20_000, 20_000).map(float)


def an_element(
    first_w: float, last_w: float, low: float = 0, high: float = 100
) -> OperationModeElement:
    return OperationModeElement(
        fill_level_range=NumberRange(start_of_range=low, end_of_range=high),
        fill_rate=NumberRange(start_of_range=0, end_of_range=0.01),
        power_ranges=(
            PowerRange(start_of_range=first_w, end_of_range=last_w, commodity_quantity=L1),
        ),
    )


def a_mode(name: str, *elements: OperationModeElement) -> OperationMode:
    return OperationMode(id=name, elements=elements, abnormal_condition_only=False)


def an_actuator(*modes: OperationMode, ways: tuple[Transition, ...] = ()) -> Actuator:
    return Actuator(id="inverter", operation_modes=modes, transitions=ways)


def power_kw(actuator: Actuator, mode_id: str, factor: float) -> float:
    """What a mode does at a factor, as the standard has it: net injection."""
    (mode,) = [one for one in actuator.operation_modes if one.id == mode_id]
    power = mode.elements[0].power_ranges[0]
    return -(power.start_of_range + factor * (power.end_of_range - power.start_of_range)) / 1000


def chosen(
    actuator: Actuator,
    kw: float,
    *,
    fill_level: float | None = None,
    active_mode_id: str | None = None,
) -> tuple[str, float]:
    found = mode_for(
        actuator,
        kw,
        fill_level=fill_level,
        active_mode_id=active_mode_id,
        timers={},
        now=NOON,
        tolerance_kw=0.1,
    )
    return found.mode_id, found.factor


@given(st.lists(st.tuples(WATTS, WATTS), min_size=1, max_size=5), st.floats(-25, 25))
def test_whatever_modes_there_are_the_chosen_one_does_the_power_or_none_is(
    ranges: list[tuple[float, float]], wanted_kw: float
) -> None:
    actuator = an_actuator(*(a_mode(f"mode-{i}", an_element(*r)) for i, r in enumerate(ranges)))
    held = any(min(r) / 1000 - 0.1 <= -wanted_kw <= max(r) / 1000 + 0.1 for r in ranges)
    try:
        mode_id, factor = chosen(actuator, wanted_kw)
    except DataError:
        assert not any(min(r) / 1000 - 0.09 <= -wanted_kw <= max(r) / 1000 + 0.09 for r in ranges)
        return
    assert held
    assert 0 <= factor <= 1
    assert power_kw(actuator, mode_id, factor) == pytest.approx(wanted_kw, abs=0.1001)


def test_the_mode_that_is_active_is_kept_where_it_holds_the_power() -> None:
    both = an_actuator(a_mode("slow", an_element(0, 5000)), a_mode("fast", an_element(0, 10_000)))
    assert chosen(both, -4.0) == ("slow", 0.8)
    assert chosen(both, -4.0, active_mode_id="fast") == ("fast", 0.4)


def test_what_a_mode_can_do_follows_the_fill_level() -> None:
    tapering = an_actuator(
        a_mode("charge", an_element(0, 10_000, 0, 80), an_element(0, 2000, 80, 100))
    )
    assert chosen(tapering, -2.0, fill_level=50.0) == ("charge", 0.2)
    assert chosen(tapering, -2.0, fill_level=90.0) == ("charge", 1.0)
    with pytest.raises(DataError, match="depends on how full it is"):
        chosen(tapering, -2.0)


def test_a_mode_that_no_transition_leads_to_is_not_begun() -> None:
    way = Transition(
        id="a-way",
        from_id="idle",
        to_id="charge",
        start_timers=(),
        blocking_timers=(),
        abnormal_condition_only=False,
    )
    modes = a_mode("idle", an_element(0, 0)), a_mode("charge", an_element(1000, 5000))
    assert chosen(an_actuator(*modes, ways=(way,)), -3.0, active_mode_id="idle") == ("charge", 0.5)
    with pytest.raises(DataError, match="nothing leads from idle to charge"):
        chosen(an_actuator(*modes), -3.0, active_mode_id="idle")


def test_energy_of_a_level_is_that_of_the_strongest_mode() -> None:
    slow = a_mode("slow", an_element(0, 3600))
    assert drawn_kwh_per_level(an_actuator(slow)) == pytest.approx(0.1)  # 3.6 kW for 100 s
    assert drawn_kwh_per_level(an_actuator(a_mode("idle", an_element(0, 0)))) is None


# ---------------------------------------------------------------- envelopes


def allowed(quantity: str, end: LimitType, first: float, last: float) -> AllowedRange:
    return AllowedRange(
        commodity_quantity=quantity,
        limit_type=end,
        range_boundary=NumberRange(start_of_range=first, end_of_range=last),
        abnormal_condition_only=False,
    )


def constraints(*ranges: AllowedRange) -> PebcPowerConstraints:
    return PebcPowerConstraints(
        message_id="ab", id="roof", valid_from=NOON, allowed_limit_ranges=ranges
    )


def limits_of(
    told: PebcPowerConstraints,
    kw: float,
    limits: Limits,
    *,
    lives: timedelta = timedelta(minutes=15),
) -> list[tuple[float, float]]:
    found = envelopes_for(
        told,
        kw,
        limits=limits,
        now=NOON,
        until=NOON + lives,
        tolerance_kw=0.1,
        new_id=lambda: "an-id",
    )
    elements = [one.power_envelope_elements[0] for one in found]
    return [(one.lower_limit, one.upper_limit) for one in elements]


@given(WATTS, WATTS, WATTS, WATTS, st.floats(0, 25))
def test_no_envelope_lets_more_be_fed_than_the_set_point_says(
    low_from: float, low_to: float, up_from: float, up_to: float, kw: float
) -> None:
    told = constraints(
        allowed(L1, LimitType.LOWER, low_from, low_to), allowed(L1, LimitType.UPPER, up_from, up_to)
    )
    try:
        ((lower_w, upper_w),) = limits_of(told, kw, "feed")
    except DataError:
        return
    assert lower_w >= -1000 * kw - 100
    assert lower_w <= upper_w
    assert min(low_from, low_to) <= lower_w <= max(low_from, low_to)


def test_phases_that_are_counted_one_by_one_get_the_same_part() -> None:
    told = constraints(
        *(allowed(q, LimitType.LOWER, -5000, 0) for q in (L1, L2)),
        *(allowed(q, LimitType.UPPER, 0, 0) for q in (L1, L2)),
    )
    assert limits_of(told, 6.0, "feed") == [(-3000.0, 0.0), (-3000.0, 0.0)]


def test_a_load_is_limited_by_what_it_may_draw() -> None:
    told = constraints(allowed(L1, LimitType.LOWER, 0, 0), allowed(L1, LimitType.UPPER, 2000, 8000))
    assert limits_of(told, -5.0, "draw") == [(0.0, 5000.0)]
    assert limits_of(told, -20.0, "draw") == [(0.0, 8000.0)]
    with pytest.raises(DataError, match="1000 W drawn is no limit that it allows: 2000 to 8000"):
        limits_of(told, -1.0, "draw")


def test_constraints_that_end_before_the_set_point_hold_no_envelope() -> None:
    told = PebcPowerConstraints(
        message_id="ab",
        id="roof",
        valid_from=NOON,
        valid_until=NOON + timedelta(minutes=10),
        allowed_limit_ranges=(
            allowed(L1, LimitType.LOWER, -5000, 0),
            allowed(L1, LimitType.UPPER, 0, 0),
        ),
    )
    assert limits_of(told, 3.0, "feed", lives=timedelta(minutes=10)) == [(-3000.0, 0.0)]
    with pytest.raises(DataError, match="its constraints hold from"):
        limits_of(told, 3.0, "feed")
