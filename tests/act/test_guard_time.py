"""What the guard knows of time: ramps, dwell, what a store holds until the next command, age at use."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import inf, nan
from typing import Any

import numpy as np
import pytest

from vpp.act.guard import Before, guard
from vpp.act.units import Seen, Units
from vpp.model.ids import ResourceId
from vpp.model.measurement import RunPhase
from vpp.model.park import Limits
from vpp.model.resource import OnOffRules

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
MINUTES = timedelta(minutes=1)
Builder = Callable[..., Any]
DWELL = OnOffRules(min_power_kw=300, min_up=30 * MINUTES, min_down=15 * MINUTES)


def before(
    power_kw: float = nan, *, age_s: float = 60.0, switched_s: float = nan, period_s: float = 60.0
) -> Before:
    """Of one unit; nothing in force unless told otherwise."""
    return Before(
        period_s=period_s,
        power_kw=np.array([power_kw]),
        age_s=np.array([age_s]),
        switched_s=np.array([switched_s]),
        lingers_kw=np.array([nan]),
    )


@pytest.fixture(scope="session")
def one(a_park: Builder, a_state: Builder, a_reading: Builder, guard_of: Builder) -> Builder:
    """What one resource is allowed, and why not what was wished; None: it is released."""

    def run(
        resource: Any, wish_kw: float, *, now_kw: float = 0.0, fields: Any = None, **more: Any
    ) -> tuple[float | None, str]:
        park = a_park(resource, **more.pop("limits", {}))
        state = a_state(park, a_reading(resource, now_kw, **(fields or {})))
        result = guard_of(park, state, {resource.resource_id: wish_kw}, **more)
        kw = result.power_kw.get(resource.resource_id)
        return kw, result.clipped[0].why if result.clipped else ""

    return run


@pytest.mark.parametrize(
    ("wish_kw", "now_kw", "was", "allowed_kw"),
    [
        pytest.param(1000, 0, before(), 100, id="from where it is, what it reaches in a period"),
        pytest.param(1000, 0, before(300), 400, id="from what it is told, wherever it is"),
        pytest.param(-1000, 0, before(50), -50, id="through zero"),
        pytest.param(350, 0, before(300), 350, id="within its ramp"),
        pytest.param(1000, 0, before(300, age_s=6), 310, id="a tenth of a period, a tenth of it"),
        pytest.param(1000, 0, before(300, age_s=7200), 400, id="however long it has held"),
        pytest.param(1000, 0, before(990), 1000, id="never beyond its rating"),
    ],
)
def test_nobody_is_asked_for_more_than_his_ramp_reaches_by_the_next_command(
    a_resource: Builder,
    one: Builder,
    wish_kw: float,
    now_kw: float,
    was: Before,
    allowed_kw: float,
) -> None:
    bess = a_resource("bess", ramp_kw_per_min=100.0)

    kw, why = one(bess, wish_kw, now_kw=now_kw, before=was)

    assert kw == pytest.approx(allowed_kw)
    assert why == ("" if kw == wish_kw else "faster than its ramp")


@pytest.mark.parametrize(
    ("wish_kw", "was_kw", "allowed_kw"),
    [
        pytest.param(900, 0, 300, id="a start is free of it, up to the least"),
        pytest.param(0, 900, 0, id="and a stop"),
        pytest.param(900, 300, 310, id="in between it is not"),
    ],
)
def test_starting_and_stopping_are_free_of_the_ramp(
    a_resource: Builder, one: Builder, wish_kw: float, was_kw: float, allowed_kw: float
) -> None:
    engine = a_resource("engine", on_off=OnOffRules(min_power_kw=300), ramp_kw_per_min=10.0)

    assert one(engine, wish_kw, before=before(was_kw))[0] == pytest.approx(allowed_kw)


def test_a_limit_of_the_tree_goes_before_a_ramp(a_resource: Builder, one: Builder) -> None:
    """It is told to stop at once, for that is the best that it can do; it will need its time."""
    bess = a_resource("bess", ramp_kw_per_min=100.0)

    kw, why = one(
        bess, 500, now_kw=500, before=before(500), limits={"park_limits": Limits(export_kw=0)}
    )

    assert (kw, why) == (0, "export of park park")


def test_a_slow_device_counts_at_what_it_still_does(
    a_resource: Builder, a_park: Builder, a_state: Builder, a_reading: Builder, guard_of: Builder
) -> None:
    """It feeds 500 kW and cannot be below 400 in a minute: of 600, 200 are left for the other."""
    slow = a_resource("bess", "slow", ramp_kw_per_min=100.0)
    other = a_resource("bess", "other")
    park = a_park(slow, other, park_limits=Limits(export_kw=600))
    was = Before(
        period_s=60.0,
        power_kw=np.array([500.0, nan]),
        age_s=np.full(2, 60.0),
        switched_s=np.full(2, nan),
        lingers_kw=np.full(2, nan),
    )

    result = guard_of(
        park,
        a_state(park, a_reading(slow, 500), a_reading(other)),
        {ResourceId("slow"): 400.0, ResourceId("other"): 300.0},
        before=was,
    )

    assert result.power_kw["other"] + 400 == pytest.approx(600, abs=1e-3)


@pytest.mark.parametrize(
    ("wish_kw", "fields", "was", "allowed_kw", "why"),
    [
        pytest.param(
            0, {"phase": RunPhase.RUNNING, "phase_since": NOON - 10 * MINUTES}, before(500), 300,
            "it was started too short a time ago to stop", id="it stays on, at its least",
        ),
        pytest.param(
            0, {"phase": RunPhase.RUNNING, "phase_since": NOON - 30 * MINUTES}, before(500), 0, "",
            id="after its time it may stop",
        ),
        pytest.param(
            500, {"phase": RunPhase.WAITING, "phase_since": NOON - 10 * MINUTES}, before(0), 0,
            "it was stopped too short a time ago to start", id="it stays off",
        ),
        pytest.param(
            500, {"phase": RunPhase.WAITING, "phase_since": NOON - 15 * MINUTES}, before(0), 500,
            "", id="after its time it may start",
        ),
        pytest.param(
            0, {}, before(500, switched_s=600), 300, "it was started too short a time ago to stop",
            id="one that does not tell is judged by its commands",
        ),
        pytest.param(0, {}, before(500), 0, "", id="where nobody knows it is free"),
    ],
)  # fmt: skip
def test_a_machine_that_was_switched_lately_stays_so(
    a_resource: Builder,
    one: Builder,
    wish_kw: float,
    fields: dict[str, Any],
    was: Before,
    allowed_kw: float,
    why: str,
) -> None:
    engine = a_resource("engine", on_off=DWELL)

    assert one(engine, wish_kw, now_kw=500, fields=fields, before=was) == (allowed_kw, why)


def test_a_cut_leaves_a_machine_that_may_not_stop_at_its_least(
    a_resource: Builder, one: Builder
) -> None:
    engine = a_resource("engine", on_off=DWELL)
    young = {"phase": RunPhase.RUNNING, "phase_since": NOON - MINUTES}

    kw, why = one(
        engine, 900, now_kw=900, fields=young, before=before(900),
        limits={"park_limits": Limits(export_kw=100)},
    )  # fmt: skip

    assert (kw, why) == (300, "export of park park")


@pytest.mark.parametrize(
    ("wish_kw", "soc", "more", "allowed_kw"),
    [
        pytest.param(900, 0.21, {}, 600, id="10 kWh above the least are 600 kW for a minute"),
        pytest.param(-900, 0.99, {}, -600, id="10 kWh of room too"),
        pytest.param(500, 0.21, {}, 500, id="what lasts until the next command passes"),
        pytest.param(500, 0.5, {"reserved_kwh": np.array([300.0])}, 0, id="what is sold stays"),
        pytest.param(500, 0.505, {"reserved_kwh": np.array([300.0])}, 300, id="what is above may go"),
        pytest.param(-500, 0.3, {"reserved_kwh": np.array([300.0])}, -500, id="charging is free"),
        pytest.param(500, 0.9, {"reserved_kwh": np.array([-1e9])}, 500, id="less than none is none"),
    ],
)  # fmt: skip
def test_no_store_is_emptied_below_what_must_stay_before_the_next_command(
    a_resource: Builder,
    one: Builder,
    wish_kw: float,
    soc: float,
    more: dict[str, Any],
    allowed_kw: float,
) -> None:
    """1000 kWh, of which 200 always stay; a command every minute."""
    bess = a_resource("bess", min_soc=0.2)

    kw, _ = one(bess, wish_kw, fields={"soc": soc}, before=before(), **more)

    assert kw == pytest.approx(allowed_kw)


@pytest.mark.parametrize(
    ("late", "allowed_kw", "why"),
    [
        pytest.param(timedelta(seconds=180), 100, "", id="as old as it may be"),
        pytest.param(timedelta(seconds=181), None, "its reading is too old", id="a second more"),
        pytest.param(timedelta(seconds=-6), None, "its reading is too old", id="from the future"),
    ],
)
def test_the_age_of_a_reading_is_judged_when_the_command_leaves(
    a_resource: Builder, one: Builder, late: timedelta, allowed_kw: float | None, why: str
) -> None:
    assert one(a_resource("bess"), 100, now=NOON + late) == (allowed_kw, why)


def test_who_is_too_old_counts_at_his_worst(
    a_resource: Builder, a_park: Builder, a_state: Builder, a_reading: Builder, guard_of: Builder
) -> None:
    """A12: it fed 100 kW when it was last heard, and may feed 1000 by now."""
    gone, here = a_resource("bess", "gone"), a_resource("bess", "here")
    park = a_park(gone, here, park_limits=Limits(export_kw=1200))
    old = a_reading(gone, 100, measured_at=NOON - 5 * MINUTES)

    result = guard_of(park, a_state(park, old, a_reading(here)), {ResourceId("here"): 900.0})

    assert result.power_kw == {"here": pytest.approx(200)}


def test_who_is_stopped_is_released_and_counts_as_measured(
    a_resource: Builder, a_park: Builder, a_state: Builder, a_reading: Builder, guard_of: Builder
) -> None:
    stopped, free = a_resource("bess", "stopped"), a_resource("bess", "free")
    park = a_park(stopped, free, park_limits=Limits(export_kw=1000))

    result = guard_of(
        park,
        a_state(park, a_reading(stopped, 700), a_reading(free)),
        {ResourceId("stopped"): 0.0, ResourceId("free"): 500.0},
        stopped=np.array([True, False]),
    )

    assert result.power_kw == {"free": pytest.approx(300)}
    assert [clip.why for clip in result.clipped] == ["it is stopped", "export of park park"]


def test_who_is_released_counts_at_what_his_last_command_still_says(
    a_resource: Builder, a_park: Builder, a_state: Builder, a_reading: Builder, guard_of: Builder
) -> None:
    """It was told 800 kW a moment ago and has not moved yet; then its owner's set-points were stopped."""
    stopped, free = a_resource("bess", "stopped"), a_resource("bess", "free")
    park = a_park(stopped, free, park_limits=Limits(export_kw=1000))
    was = Before(
        period_s=60.0,
        power_kw=np.full(2, nan),
        age_s=np.full(2, 60.0),
        switched_s=np.full(2, nan),
        lingers_kw=np.array([800.0, nan]),
    )

    result = guard_of(
        park,
        a_state(park, a_reading(stopped), a_reading(free)),
        {ResourceId("stopped"): 0.0, ResourceId("free"): 500.0},
        stopped=np.array([True, False]),
        before=was,
    )

    assert result.power_kw == {"free": pytest.approx(200)}


@pytest.mark.parametrize("wish_kw", [5e-324, -2e-308])
def test_a_number_too_small_to_be_meant_is_refused(
    a_resource: Builder, one: Builder, wish_kw: float
) -> None:
    kw, why = one(a_resource("bess"), wish_kw)

    assert kw is None
    assert "not within" in why


def test_nothing_that_was_let_through_can_be_written(
    a_resource: Builder, a_park: Builder, a_state: Builder, a_reading: Builder
) -> None:
    bess = a_resource("bess")
    park = a_park(bess)
    units = Units.of(park)
    seen = Seen.of(units, a_state(park, a_reading(bess)))
    wishes = np.array([100.0])
    guarded = guard(units, seen, wishes, now=NOON, stopped=np.array([False]))
    wishes[0] = inf  # ours, not the guard's

    assert guarded.wanted_kw[0] == 100
    with pytest.raises(ValueError, match="read-only"):
        guarded.power_kw[0] = 1e9
