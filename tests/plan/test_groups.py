"""What resources share: power through one transformer, a crane, a crew."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vpp.errors import DataError
from vpp.model.ids import ResourceId
from vpp.model.measurement import RunPhase
from vpp.model.park import PowerGroup
from vpp.model.resource import OnOffRules
from vpp.model.schedule import Schedule, Unsolved
from vpp.model.time import QUARTER


def grouped(view: Any, *names: str, **shared: Any) -> Any:
    """The view with one group of these resources."""
    group = PowerGroup(group_id="shared", resource_ids=names, **shared)  # type: ignore[arg-type]
    return replace(view, park=replace(view.park, groups=(group,)))


def planned(
    lab: Any,
    *resources: Any,
    price: list[float],
    said: dict[str, dict[str, Any]] | None = None,
    mute: tuple[str, ...] = (),
    shared: dict[str, Any],
    **more: Any,
) -> Schedule:
    """A plan of resources that share something; each is heard but the `mute` ones."""
    readings = [
        lab.reading(r.resource_id, **(said or {}).get(r.resource_id, {}))
        for r in resources
        if r.resource_id not in mute
    ]
    view = lab.view(*resources, price=price, readings=readings, **more)
    names = [r.resource_id for r in resources]
    schedule: Schedule = lab.plan(grouped(view, *names, **shared))
    return schedule


def pump(lab: Any, name: str, kwh: float, **said: Any) -> Any:
    """Up to 10 kW between noon and 16:00."""
    return lab.flexible(name, lab.window("12:00", "16:00", kwh), **said)


def test_two_loads_share_a_transformer(lab: Any) -> None:
    schedule = planned(
        lab,
        pump(lab, "a", 10),
        pump(lab, "b", 10, unserved_cost_per_unit=1.0),
        price=[0.1, 0.2, 0.3, 0.3],
        shared={"max_draw_kw": 10.0},
    )

    assert (lab.power(schedule, "a") + lab.power(schedule, "b")).tolist() == [-10, -10, 0, 0]
    price = next(p for p in schedule.limit_prices if p.limit == "group shared: max_draw_kw")
    assert price.per_unit.tolist() == pytest.approx([-0.1, 0, 0, 0])


def test_what_one_draws_is_not_left_for_charging(lab: Any) -> None:
    schedule = planned(
        lab,
        lab.battery("bat"),
        lab.load(),
        price=[0.1, 0.9],
        said={"bat": {"soc": 0.0}},
        base_kw={"load": [-40.0, -40.0]},
        shared={"max_draw_kw": 100.0},
    )

    assert lab.power(schedule, "bat").tolist() == [-60, 60]


def test_feeding_gives_the_others_of_a_group_no_room(lab: Any) -> None:
    schedule = planned(
        lab,
        lab.battery("bat"),
        pump(lab, "a", 0, value_per_unit=9.0, max_draw_kw=100.0),
        price=[0.9, 0.1],
        said={"bat": {"soc": 1.0}},
        shared={"max_draw_kw": 50.0},
    )

    assert lab.power(schedule, "bat").tolist() == [100, 0]
    assert lab.power(schedule, "a").tolist() == [-50, -50]


def test_a_call_makes_room(lab: Any) -> None:
    # Mill and pump may draw 100 kW together; only while the mill is called may the pump run.
    # It is called in the dearest hour.
    schedule = planned(
        lab,
        lab.process("mill"),
        pump(lab, "a", 0, value_per_unit=9.0),
        price=[0.1, 0.2, 0.1],
        shared={"max_draw_kw": 100.0},
    )

    assert lab.power(schedule, "mill").tolist() == [-100, 0, -100]
    assert lab.power(schedule, "a").tolist() == [0, -10, 0]


def test_what_nobody_decides_may_exceed_a_group_and_leaves_nothing_for_the_others(lab: Any) -> None:
    schedule = planned(
        lab,
        lab.load(),
        pump(lab, "a", 10),
        price=[0.1, 0.1],
        base_kw={"load": [-80.0, -40.0]},
        shared={"max_draw_kw": 50.0},
    )

    assert lab.power(schedule, "a").tolist() == [0, -5]  # half of its window is seen: 5 of 10
    assert lab.power(schedule, "load").tolist() == [-80, -40]


def test_a_group_that_leaves_no_plan_is_named(lab: Any) -> None:
    view = lab.view(
        lab.run(profile_kw=(80.0,)), price=[0.1] * 8, step=QUARTER, readings=[lab.reading("oven")]
    )

    outcome = lab.outcome(grouped(view, "oven", max_draw_kw=5.0))

    assert isinstance(outcome, Unsolved)
    assert outcome.conflict is not None
    assert [limit.limit for limit in outcome.conflict.limits] == ["group shared: max_draw_kw"]


# ---------------------------------------------------------------- running


def machine(lab: Any, name: str, kwh: float) -> Any:
    return pump(lab, name, kwh, on_off=OnOffRules(min_power_kw=10.0))


def test_machines_that_exclude_each_other_run_one_after_the_other(lab: Any) -> None:
    schedule = planned(
        lab,
        machine(lab, "a", 20),
        machine(lab, "b", 10),
        price=[0.1, 0.2, 0.3, 0.9],
        shared={"max_running": 1},
    )

    running = [schedule.on[ResourceId(name)].astype(int) for name in ("a", "b")]
    assert (running[0] + running[1]).tolist() == [1, 1, 1, 0]


def test_no_more_run_than_there_are_hands(lab: Any) -> None:
    schedule = planned(
        lab,
        *(machine(lab, name, 10) for name in "abc"),
        price=[0.1, 0.2, 0.9, 0.9],
        shared={"max_running": 2},
    )

    running = np.sum([schedule.on[ResourceId(name)] for name in "abc"], axis=0)
    assert running.tolist() == [2, 1, 0, 0]


@pytest.mark.parametrize(
    ("said", "mute", "starts"),
    [
        pytest.param({}, (), {"oven": (0,), "kiln": (4,)}, id="both are chosen"),
        pytest.param(
            {"oven": {"phase": RunPhase.RUNNING, "phase_since": -QUARTER}},
            (),
            {"kiln": (1,)},
            id="one goes on for a quarter",
        ),
        pytest.param({}, ("oven",), {"kiln": (4,)}, id="one is not heard: it runs at 12:00"),
    ],
)
def test_runs_exclude_each_other(
    lab: Any, said: dict[str, Any], mute: tuple[str, ...], starts: dict[str, tuple[int, ...]]
) -> None:
    usual = {"profile_kw": (100.0, 100.0), "default_start": lab.clock("12:00")}
    if "oven" in said:
        said = {"oven": said["oven"] | {"phase_since": lab.noon - QUARTER}}

    schedule = planned(
        lab,
        lab.run("oven", **usual),
        lab.run("kiln", **(usual | {"profile_kw": (99.0, 99.0)})),
        price=[0.0, 0.0, 0.1, 0.3, 0.1, 0.1, 0.3, 0.3],
        step=QUARTER,
        said=said,
        mute=mute,
        shared={"max_running": 1},
    )

    assert schedule.starts == starts


def test_a_process_is_called_so_that_another_may_run(lab: Any) -> None:
    schedule = planned(
        lab,
        lab.process("mill"),
        machine(lab, "a", 10),
        price=[0.1, 0.3, 0.1, 0.1],
        shared={"max_running": 1},
    )

    assert schedule.starts == {"mill": (1,)}
    assert schedule.on[ResourceId("a")].nonzero()[0].tolist() == [1]


def test_two_that_run_by_themselves_are_not_the_plans_fault(lab: Any) -> None:
    schedule = planned(
        lab,
        lab.process("mill"),
        lab.process("saw"),
        machine(lab, "a", 10),
        price=[0.1] * 2,
        mute=("mill", "saw"),
        shared={"max_running": 1},
    )

    assert not schedule.on[ResourceId("a")].any()


def test_a_member_that_is_neither_on_nor_off_is_refused(lab: Any) -> None:
    view = lab.view(lab.battery("bat"), price=[0.1], readings=[lab.reading("bat", soc=0.5)])

    with pytest.raises(DataError, match="bat is neither on nor off"):
        lab.outcome(grouped(view, "bat", max_running=1))
