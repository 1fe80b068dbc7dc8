"""Runs that happen several times a day, and runs that wait for others."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from vpp.errors import DataError
from vpp.model.ids import ResourceId
from vpp.model.measurement import RunPhase
from vpp.model.schedule import Schedule
from vpp.model.time import QUARTER

CHEAP = {0: 0.0, 1: 0.0, 4: 0.0, 5: 0.0}
"""Noon and 13:00 cost nothing for half an hour."""


def planned(
    lab: Any,
    *runs: Any,
    price: list[float] | None = None,
    said: dict[str, dict[str, Any]] | None = None,
    mute: tuple[str, ...] = (),
    **more: Any,
) -> Schedule:
    """A plan of two hours of quarters from noon on; each run is heard but the `mute` ones."""
    view = lab.view(
        *runs,
        price=price or [CHEAP.get(step, 0.3) for step in range(8)],
        step=QUARTER,
        readings=[
            lab.reading(run.resource_id, **(said or {}).get(run.resource_id, {}))
            for run in runs
            if run.resource_id not in mute
        ],
    )
    schedule: Schedule = lab.plan(view, **more)
    return schedule


def oven(lab: Any, name: str = "oven", **said: Any) -> Any:
    """Half an hour of 100 kW between 12:00 and 14:00, by itself at 12:00."""
    usual = {"profile_kw": (100.0, 100.0), "default_start": lab.clock("12:00")}
    return lab.run(name, **(usual | said))


@pytest.mark.parametrize(
    ("price", "starts"),
    [
        pytest.param(None, (0, 4), id="in both cheap half hours"),
        pytest.param([0.3, 0.3, 0.0, 0.0, 0.0, 0.3, 0.3, 0.1], (1, 3), id="not at once"),
    ],
)
def test_a_run_is_done_as_often_as_its_day_asks(
    lab: Any, price: list[float] | None, starts: tuple[int, ...]
) -> None:
    schedule = planned(lab, oven(lab, runs_per_day=2), price=price)

    assert len(schedule.starts[ResourceId("oven")]) == 2
    drawn = -lab.power(schedule, "oven")
    assert drawn.sum() == 400  # each its own profile
    assert drawn.max() == 100  # never two at once
    if price is None:
        assert schedule.starts[ResourceId("oven")] == starts


@pytest.mark.parametrize(
    ("said", "starts"),
    [
        pytest.param({"calls_today": 0, "phase": RunPhase.WAITING}, (0, 4), id="none begun"),
        pytest.param({"calls_today": 1, "phase": RunPhase.WAITING}, (0,), id="one begun, and over"),
        pytest.param({"calls_today": 1, "phase": RunPhase.DONE}, (0,), id="one done"),
        pytest.param({"calls_today": 2, "phase": RunPhase.DONE}, (), id="both done"),
        pytest.param({"phase": RunPhase.DONE}, (), id="done, and it does not count"),
        pytest.param(
            {"calls_today": 1, "phase": RunPhase.RUNNING, "phase_since": -QUARTER},
            (4,),
            id="one runs",
        ),
    ],
)
def test_what_has_begun_today_counts(
    lab: Any, said: dict[str, Any], starts: tuple[int, ...]
) -> None:
    if "phase_since" in said:
        said = said | {"phase_since": lab.noon + said["phase_since"]}
    price = [CHEAP.get(step, 0.3) for step in range(8)]
    price[4] = price[5] = 0.01  # the first one is taken where one is left

    schedule = planned(lab, oven(lab, runs_per_day=2), price=price, said={"oven": said})

    assert schedule.starts.get(ResourceId("oven"), ()) == starts


def test_a_run_that_is_late_is_done_as_often_as_still_fits(lab: Any) -> None:
    late = oven(lab, runs_per_day=3, earliest_start=lab.clock("09:00"))
    late = oven(lab, runs_per_day=3, earliest_start=lab.clock("09:00"), default_start=lab.clock("09:00"),
                latest_end=lab.clock("13:15"))  # fmt: skip

    schedule = planned(lab, late)

    assert len(schedule.starts[ResourceId("oven")]) == 2  # an hour and a quarter is left


def test_a_run_that_is_not_heard_does_its_work_in_a_row(lab: Any) -> None:
    schedule = planned(lab, oven(lab, runs_per_day=2), mute=("oven",))

    assert lab.power(schedule, "oven").tolist() == [-100] * 4 + [0] * 4


# ---------------------------------------------------------------- order


def test_a_run_waits_for_the_one_before_it(lab: Any) -> None:
    mixer, bake = oven(lab, "mixer"), oven(lab, "bake", after="mixer")

    schedule = planned(lab, bake, mixer)

    assert schedule.starts == {"mixer": (0,), "bake": (4,)}


def test_without_an_order_both_take_the_cheapest_time(lab: Any) -> None:
    price = [0.2, 0.2, 0.2, 0.2, 0.0, 0.0, 0.3, 0.3]

    free = planned(lab, oven(lab, "mixer"), oven(lab, "bake"), price=price)
    tied = planned(lab, oven(lab, "mixer"), oven(lab, "bake", after="mixer"), price=price)

    assert free.starts == {"mixer": (4,), "bake": (4,)}
    # Either the mixer early and the bake cheap, or the mixer cheap and the bake dear.
    assert tied.starts[ResourceId("bake")] == (4,)
    assert tied.starts[ResourceId("mixer")][0] <= 2
    assert tied.cost == pytest.approx(100 * 0.2 * 2 * 0.25)


@pytest.mark.parametrize(
    ("mixes", "bakes"),
    [
        pytest.param(2, 2, id="the second after the second"),
        pytest.param(1, 2, id="both after the only one"),
        pytest.param(2, 1, id="one after the first of two"),
    ],
)
def test_runs_wait_one_by_one(lab: Any, mixes: int, bakes: int) -> None:
    mixer = oven(lab, "mixer", runs_per_day=mixes)
    bake = oven(lab, "bake", runs_per_day=bakes, after="mixer")

    schedule = planned(lab, mixer, bake)

    begins, ends = (
        schedule.starts[ResourceId("bake")],
        [step + 2 for step in schedule.starts[ResourceId("mixer")]],
    )
    assert len(begins) == bakes
    for number, step in enumerate(begins):
        assert step >= ends[min(number, mixes - 1)]


@pytest.mark.parametrize(
    ("said", "starts"),
    [
        pytest.param({"phase": RunPhase.DONE}, (0,), id="it is done: nothing to wait for"),
        pytest.param({"phase": RunPhase.RUNNING, "phase_since": -QUARTER}, (4,), id="it runs on"),
        pytest.param(None, (4,), id="nobody hears it: it will run at 12:00"),
    ],
)
def test_a_run_waits_for_what_nobody_chooses(
    lab: Any, said: dict[str, Any] | None, starts: tuple[int, ...]
) -> None:
    if said and "phase_since" in said:
        said = said | {"phase_since": lab.noon + said["phase_since"]}
    price = [0.0, 0.1, 0.3, 0.3, 0.1, 0.1, 0.3, 0.3]

    schedule = planned(
        lab,
        oven(lab, "mixer"),
        oven(lab, "bake", after="mixer"),
        price=price,
        said={"mixer": said or {}},
        mute=() if said else ("mixer",),
    )

    assert schedule.starts[ResourceId("bake")] == starts


def test_a_run_does_not_wait_for_what_comes_too_late(lab: Any) -> None:
    mixer = oven(lab, "mixer", default_start=lab.clock("13:30"))
    bake = oven(lab, "bake", after="mixer")

    schedule = planned(lab, mixer, bake, mute=("mixer",))

    assert schedule.starts[ResourceId("bake")][0] in (
        0,
        4,
    )  # the mixer ends at 14:00, with the bake's window


def test_waiting_for_what_is_no_run_is_refused(lab: Any) -> None:
    for bake in (
        oven(lab, "bake", after="elsewhere"),
        oven(lab, "bake", after="mixer", runs_per_day=3),
    ):
        view = lab.view(oven(lab, "mixer", runs_per_day=2), bake, price=[0.1] * 8, step=QUARTER)
        with pytest.raises(DataError, match="Let it wait for a shiftable run"):
            lab.outcome(view)


def test_announced_runs_are_kept_where_others_are_as_good(lab: Any) -> None:
    at = tuple(lab.noon + step * QUARTER for step in (1, 5))

    schedule = planned(lab, oven(lab, runs_per_day=2), price=[0.1] * 8, preferred={"oven": at})

    assert schedule.starts == {"oven": (1, 5)}


def test_a_day_too_short_for_its_runs_is_refused(lab: Any) -> None:
    with pytest.raises(DataError, match="a row of 5 runs of 10 quarter-hours"):
        oven(lab, runs_per_day=5)


def test_the_length_of_a_run_is_said(lab: Any) -> None:
    assert planned(lab, oven(lab)).start_lengths == {"oven": (2,)}
    assert oven(lab).length == timedelta(minutes=30)
