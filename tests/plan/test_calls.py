"""Calls of processes: how long, how far apart, how far ahead, and what is made up for afterwards."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from vpp.model.ids import ResourceId
from vpp.model.measurement import RunPhase
from vpp.model.resource import Rebound
from vpp.model.schedule import Schedule
from vpp.model.time import QUARTER

HOUR = timedelta(hours=1)
ELEVEN = datetime(2025, 12, 3, 10, tzinfo=UTC)  # 11:00 in Stockholm, an hour before the plan
UNDER_WAY = {"phase": RunPhase.CALLED, "phase_since": ELEVEN, "calls_today": 1}
ANY_HOUR = tuple(range(24))


def planned(
    lab: Any, price: list[float], *, said: dict[str, Any] | None = None, **process: Any
) -> Schedule:
    """A plan from noon on of a mill of 100 kW that may be called at any hour, for 0.50 a kWh."""
    schedule: Schedule = lab.plan(_view(lab, price, said=said, **process))
    return schedule


def _view(
    lab: Any, price: list[float], *, said: dict[str, Any] | None = None, **process: Any
) -> Any:
    return lab.view(
        lab.process(**({"callable_hours": ANY_HOUR} | process)),
        price=price,
        readings=[lab.reading("mill", **(said or {}))],
    )


@pytest.mark.parametrize(
    ("price", "starts", "lengths"),
    [
        pytest.param([0.1, 0.9, 0.9, 0.9, 0.1], (1,), (3,), id="as long as it pays"),
        pytest.param([0.9, 0.9, 0.9, 0.8, 0.1], (0,), (3,), id="no longer than the longest"),
        pytest.param([0.1, 0.9, 0.3, 0.9, 0.1], (1,), (3,), id="on over an hour that does not pay"),
        pytest.param([0.1, 0.7, 0.2, 0.2, 0.1], (), (), id="not at all where the shortest loses"),
        pytest.param([0.1, 0.1, 0.1, 0.9, 0.9], (3,), (2,), id="not beyond what the plan shows"),
    ],
)
def test_a_call_has_any_length_between_its_bounds(
    lab: Any, price: list[float], starts: tuple[int, ...], lengths: tuple[int, ...]
) -> None:
    schedule = planned(lab, price, call_length=2 * HOUR, longest_call=3 * HOUR)

    assert schedule.starts.get(ResourceId("mill"), ()) == starts
    assert schedule.start_lengths.get(ResourceId("mill"), ()) == lengths
    called = [s <= k < s + n for k in range(5) for s, n in zip(starts, lengths, strict=True)]
    expected = [0.0 if c else -100.0 for c in called] if called else [-100.0] * 5
    assert lab.power(schedule, "mill").tolist() == expected
    assert schedule.cost_by_cause["calls"] == pytest.approx(50 * sum(lengths))


@pytest.mark.parametrize(
    ("rest", "starts"),
    [
        pytest.param(timedelta(0), (0, 2, 4), id="a step of running at least"),
        pytest.param(HOUR, (0, 2, 4), id="an hour"),
        pytest.param(2 * HOUR, (0, 4), id="two hours"),
    ],
)
def test_between_two_calls_a_process_rests(
    lab: Any, rest: timedelta, starts: tuple[int, ...]
) -> None:
    schedule = planned(lab, [0.9, 0.7, 0.8, 0.7, 0.9], rest=rest, max_calls_per_day=5)

    assert schedule.starts == {"mill": starts}


@pytest.mark.parametrize(
    ("said", "starts"),
    [
        pytest.param(
            {"phase": RunPhase.WAITING, "phase_since": ELEVEN},
            (1,),
            id="the last call ended at 11:00",
        ),
        pytest.param(UNDER_WAY, (2,), id="the call under way ends at 12:00"),
        pytest.param({}, (0,), id="nothing is known of another call"),
    ],
)
def test_a_process_rests_from_what_was_called_before(
    lab: Any, said: dict[str, Any], starts: tuple[int, ...]
) -> None:
    schedule = planned(lab, [0.9, 0.8, 0.7], said=said, rest=2 * HOUR, max_calls_per_day=2)

    assert schedule.starts == {"mill": starts}


def test_a_call_is_announced_in_time(lab: Any) -> None:
    schedule = planned(lab, [0.9, 0.8, 0.7], notice=90 * timedelta(minutes=1))

    assert schedule.starts == {"mill": (2,)}


def test_a_call_that_was_announced_in_time_is_made_when_its_time_has_come(lab: Any) -> None:
    view = _view(lab, [0.9, 0.8, 0.7], notice=3 * HOUR)
    assert lab.plan(view).starts == {}
    told = replace(view, announced={ResourceId("mill"): (view.horizon.starts()[0],)})
    schedule = lab.plan(told)
    assert schedule.starts == {"mill": (0,)}
    assert any("notice" in fault for fault in lab.violations(schedule, view, lab.terms(view)))


@pytest.mark.parametrize(
    ("share", "delay", "length", "power"),
    [
        pytest.param(0.5, 0 * HOUR, HOUR, [0, -150, -100, -100], id="half of it, at once"),
        pytest.param(1.2, HOUR, 2 * HOUR, [0, -100, -160, -160], id="more than all, later"),
        pytest.param(1.0, HOUR, 4 * HOUR, [0, -100, -125, -125], id="the end of the plan cuts it"),
        pytest.param(0.5, 0.5 * HOUR, HOUR, [0, -125, -125, -100], id="halves of two hours"),
    ],
)
def test_what_was_not_drawn_is_made_up_for(
    lab: Any, share: float, delay: timedelta, length: timedelta, power: list[float]
) -> None:
    rebound = Rebound(share=share, delay=delay, length=length)

    schedule = planned(lab, [2.0, 0.1, 0.1, 0.1], rebound=rebound)

    assert lab.power(schedule, "mill").tolist() == power
    assert schedule.cost_by_cause["calls"] == pytest.approx(50)  # what is drawn later is not paid


def test_a_rebound_that_is_dearer_than_the_call_saves_keeps_it_away(lab: Any) -> None:
    rebound = Rebound(share=1.0, delay=HOUR, length=HOUR)

    # From noon: 100 kWh at 0.90, less 50 for the owner, would come back at 0.49 (or at 0.30).
    dear = planned(lab, [0.9, 0.1, 0.49], rebound=rebound)
    cheap = planned(lab, [0.9, 0.1, 0.3], rebound=rebound)

    assert dear.starts == {}
    assert cheap.starts == {"mill": (0,)}


@pytest.mark.parametrize(
    ("price", "power", "until"),
    [
        pytest.param([0.4, 0.4, 0.4], [0, -200, -100], {}, id="it ends when it may"),
        pytest.param([0.4, 0.9, 0.1], [0, 0, -250], {"mill": 2}, id="it lasts longer"),
    ],
)
def test_a_call_under_way_lasts_as_long_as_it_pays(
    lab: Any, price: list[float], power: list[float], until: dict[str, int]
) -> None:
    # Called at 11:00 for two to three hours; half of it comes back in the hour after.
    schedule = planned(
        lab,
        price,
        said=UNDER_WAY,
        call_length=2 * HOUR,
        longest_call=3 * HOUR,
        rebound=Rebound(share=0.5, delay=0 * HOUR, length=HOUR),
    )

    assert schedule.starts == {}
    assert schedule.longer_until == until
    assert lab.power(schedule, "mill").tolist() == power
    assert schedule.cost_by_cause["calls"] == pytest.approx(50 if until else 0)


def test_a_call_that_went_on_for_longer_than_it_must_has_lasted_until_now(lab: Any) -> None:
    schedule = planned(
        lab,
        [0.1, 0.1],
        said=UNDER_WAY | {"phase_since": ELEVEN - HOUR},
        longest_call=3 * HOUR,
        rebound=Rebound(share=0.5, delay=0 * HOUR, length=HOUR),
    )

    # Called from 10:00 to noon, though an hour would have done: half of 200 kWh comes back.
    assert lab.power(schedule, "mill").tolist() == [-200, -100]


def test_the_call_after_a_longer_one_waits_for_its_rest(lab: Any) -> None:
    schedule = planned(
        lab,
        [0.9, 0.4, 0.8, 0.9],
        said=UNDER_WAY,
        longest_call=2 * HOUR,
        rest=2 * HOUR,
        max_calls_per_day=2,
    )

    # Over at noon it could start again at 14:00; an hour longer, not before 15:00.
    assert schedule.longer_until == {"mill": 1}
    assert schedule.starts == {"mill": (3,)}


def test_an_announced_call_is_kept_where_another_is_as_good(lab: Any) -> None:
    view = lab.view(
        lab.process(callable_hours=ANY_HOUR, longest_call=2 * HOUR),
        price=[0.9, 0.9, 0.9, 0.9],
        readings=[lab.reading("mill")],
    )

    for start in range(3):
        at = lab.noon + start * HOUR
        schedule = lab.plan(view, preferred={"mill": (at,)}, lengths={"mill": (2 * HOUR,)})

        assert schedule.starts == {"mill": (start,)}
        assert schedule.start_lengths == {"mill": (2,)}


def test_calls_of_quarters_are_whole_steps(lab: Any) -> None:
    view = lab.view(
        lab.process(
            callable_hours=(12,), call_length=QUARTER, longest_call=55 * timedelta(minutes=1)
        ),
        price=[0.9] * 6,
        step=QUARTER,
        readings=[lab.reading("mill")],
    )

    assert lab.plan(view).start_lengths == {"mill": (3,)}


def test_a_limit_holds_where_a_call_falls_into_a_rebound_that_a_longer_call_puts_off(
    lab: Any,
) -> None:
    """At 14:00 the mill would draw 200 kW, half of it its rebound, and draws nothing instead.

    Then, as in the first hour, 50 kW of sun that must run go out, of which 20 kW may.
    """
    view = lab.view(
        lab.process(
            callable_hours=(14,),
            call_length=HOUR,
            longest_call=2 * HOUR,
            max_calls_per_day=2,
            rebound=Rebound(share=1.0, delay=2 * HOUR, length=HOUR),
        ),
        lab.pv(must_run_share=1.0),
        price=[2.0, 0.1, 9.0, 0.1],
        available_kw={"pv": [50.0] * 4},
        readings=[lab.reading("mill", **UNDER_WAY)],
        point_limits=lab.limits(export_kw=20.0),
    )

    schedule = lab.plan(view)

    assert schedule.longer_until == {"mill": 1}
    assert schedule.starts == {"mill": (2,)}
    assert schedule.cost_by_cause["limit excess"] == pytest.approx(2 * 30 * lab.excess_per_kwh)
