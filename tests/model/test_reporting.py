"""Sums of what units show: exact to the watt, as old as the oldest part, and never better than the worst."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpp.errors import DataError
from vpp.model.ids import ProductId, UnitId
from vpp.model.reporting import (
    Duty,
    ReportHead,
    ReportKind,
    is_known,
    known,
    total,
    unknown,
)
from vpp.model.telecontrol import Flaw, Shown

NOW = datetime(2025, 12, 2, 10, tzinfo=UTC)
OLD = NOW - timedelta(minutes=10)

_POWERS = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False)


def duty(**changes: object) -> Duty:
    given: dict[str, object] = {
        "product_id": ProductId("cn.dr"),
        "unit_id": UnitId("unit"),
        "telemetry": timedelta(minutes=1),
        "forecast_step": None,
        "forecast_steps": 0,
        "plan_points": None,
        "holds": (),
        "members": None,
    }
    return Duty(**(given | changes))  # type: ignore[arg-type]


def test_a_sum_is_as_old_as_its_oldest_part_and_has_all_their_flaws() -> None:
    parts = [known(100.0, NOW), Shown(20.5, Flaw.NOT_TOPICAL, OLD), known(-0.001, NOW)]
    assert total(parts, NOW) == Shown(120.499, Flaw.NOT_TOPICAL, OLD)


def test_a_sum_without_one_of_its_parts_says_so() -> None:
    assert total([known(100.0, NOW), unknown(OLD)], NOW) == Shown(100.0, Flaw.NOT_TOPICAL, NOW)


def test_a_sum_of_which_nothing_is_known_has_no_value() -> None:
    for parts in ([], [unknown(OLD), unknown(OLD)]):
        assert not is_known(total(parts, NOW))


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_what_is_no_number_is_no_value(value: float | None) -> None:
    assert known(value, NOW) == Shown(0.0, Flaw.INVALID, NOW)


@given(st.lists(_POWERS, min_size=1, max_size=200))
def test_a_sum_equals_the_sum_of_what_its_parts_show_to_the_watt(powers: list[float]) -> None:
    parts = [known(kw, NOW) for kw in powers]
    watts = sum(round(part.value * 1000) for part in parts)
    assert round(total(parts, NOW).value * 1000) == watts


def test_a_report_of_the_same_moment_has_the_same_id_whenever_it_is_made() -> None:
    first, second = (
        ReportHead(
            product_id=ProductId("cn.dr"),
            unit_id=UnitId("unit"),
            kind=ReportKind.POINT,
            due_at=NOW,
            made_at=made_at,
        )
        for made_at in (NOW, NOW + timedelta(seconds=3))
    )
    assert first.report_id == second.report_id == "cn.dr/unit/point/2025-12-02T10:00:00Z"


@pytest.mark.parametrize("step", [timedelta(0), timedelta(seconds=7)])
def test_points_that_do_not_divide_a_day_are_refused(step: timedelta) -> None:
    with pytest.raises(DataError, match="telemetry of"):
        duty(telemetry=step)
