"""Devices that tell nothing, the same, or nonsense, in a whole service on a simulated clock: who goes by it?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.patience import PATIENCE_S
from vpp.clock import SimulatedClock
from vpp.model.command import Setpoint
from vpp.model.ids import ResourceId
from vpp.model.measurement import Unknown
from vpp.model.time import local_moment
from vpp.service.backtest.replay import open_direct
from vpp.service.demo.simulation import GRACE, OPENING, loops_with_world
from vpp.service.park.parkfile import ParkFile, load_park
from vpp.service.plant import Plant
from vpp.service.run import run
from vpp.service.solving.inline import InlineExecutor
from vpp.simulate.devicefaults import (
    NO_FAULTS,
    ClockSkew,
    Fault,
    FaultPlan,
    Noise,
    Panel,
    Scale,
    Silence,
    Spike,
    Stuck,
    What,
)
from vpp.simulate.market import VenueTimes

if TYPE_CHECKING:
    from tests.scenarios.conftest import MakePark

MINUTE = timedelta(minutes=1)
LOAD, PV, BATTERY = (ResourceId(f"works-{name}") for name in ("load", "pv", "battery"))
MANY = [ResourceId(f"b-{n:02}") for n in range(20)]


@dataclass(kw_only=True)
class Lived:
    """What a service did, minute by minute."""

    start: datetime
    setpoints: list[dict[ResourceId, Setpoint]] = field(default_factory=list)
    unknown: list[dict[ResourceId, str]] = field(default_factory=list)
    raw_kw: list[dict[ResourceId, float]] = field(default_factory=list)
    power_kw: list[dict[ResourceId, float]] = field(default_factory=list)
    events: list[tuple[str, str]] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    planned: list[bool] = field(default_factory=list)

    def at(self, minute: int) -> datetime:
        return self.start + minute * MINUTE

    def note(self, plant: Plant) -> None:
        """Before the cycles of a minute: what those of the minute before have done."""
        self.setpoints.append(dict(plant.setpoints))
        state = plant.state
        self.unknown.append(
            {}
            if state is None
            else {s.resource_id: s.reason for s in state.resources if isinstance(s, Unknown)}
        )
        newest = plant.intake.newest.values()
        self.raw_kw.append(
            {r.resource_id: r.raw_power_kw for r in newest if r.raw_power_kw is not None}
        )
        self.power_kw.append({r.resource_id: r.power_kw for r in newest})
        self.planned.append(plant.schedule is not None)


def of(*whats: What, who: ResourceId, begins: int = 0, ends: int | None = None) -> FaultPlan:
    """Something is wrong with one device from one minute to another."""
    faults = tuple(
        Fault(
            whats=(what,),
            devices=frozenset({who}),
            begins_after=begins * MINUTE,
            ends_after=None if ends is None else ends * MINUTE,
        )
        for what in whats
    )
    return FaultPlan(faults=faults, seed=1)


def live(file: ParkFile, folder: Path, faults: FaultPlan, *, minutes: int) -> Lived:
    """A whole service and its devices, from 11:00 on, for so many minutes."""

    async def played() -> Lived:
        assert file.simulation is not None
        eve = file.simulation.first_delivery_day - timedelta(days=1)
        start = local_moment(eve, OPENING, file.park.timezone)
        clock, stop, lived = SimulatedClock(start), asyncio.Event(), Lived(start=start)
        plant, world = await open_direct(
            file,
            clock,
            folder,
            InlineExecutor(),
            seed=1,
            device_step=MINUTE,
            times=VenueTimes(),
            faults=faults,
        )
        loops = loops_with_world(plant, world, clock, lambda now: lived.note(plant))
        end = clock.seat("end")

        async def ending(stop: asyncio.Event) -> None:
            await end.wait_until(start + minutes * MINUTE, stop)
            stop.set()

        loops["end"] = ending
        async with asyncio.TaskGroup() as group:
            group.create_task(run(loops, stop, grace=GRACE))
            group.create_task(clock.run(stop))
        lived.events = [(event.kind, event.text) for event in plant.events.recent()]
        lived.refused = {reason.value: n for reason, n in plant.intake.refused.items()}
        return lived

    return asyncio.run(asyncio.wait_for(played(), PATIENCE_S))


@pytest.fixture(scope="module")
def small(small_park: MakePark) -> ParkFile:
    return small_park(period_s=60)


@pytest.fixture(scope="module")
def twenty(small: ParkFile) -> ParkFile:
    """The small park with twenty batteries of 50 kW in place of one."""
    text = (Path(small.folder) / "park.yaml").read_text(encoding="utf-8")
    begins = text.index("          - id: works-battery")
    ends = text.index("          - {id: works-pv")
    batteries = "".join(
        f"          - {{id: {name}, kind: storage, capacity_kwh: 100, max_charge_kw: 50,"
        " max_discharge_kw: 50, wear_cost_per_kwh: 0.005, max_age_s: 180}\n"
        for name in MANY
    )
    soc = ", ".join(f"{name}: 0.5" for name in MANY)
    text = (text[:begins] + batteries + text[ends:]).replace("works-battery: 0.5", soc)
    path = Path(small.folder) / "twenty.yaml"
    path.write_text(text, encoding="utf-8")
    return load_park(path)


def test_one_of_twenty_falls_silent_and_the_others_go_on(twenty: ParkFile, tmp_path: Path) -> None:
    """Reliability A1."""
    silent = MANY[7]
    lived = live(twenty, tmp_path, of(Silence(), who=silent, begins=20, ends=30), minutes=50)
    commanded = [s.get(silent) for s in lived.setpoints]
    # Three minutes old a reading is still good: from then on nothing is known of it.
    deaf = [n for n, unknown in enumerate(lived.unknown) if silent in unknown]
    assert deaf
    assert 22 <= deaf[0] <= 25
    assert 29 <= deaf[-1] <= 32
    assert len(deaf) == deaf[-1] - deaf[0] + 1
    for n in deaf:
        newest = commanded[n]
        assert newest is None or newest.issued_at < lived.at(deaf[0])
    others = [name for name in MANY if name != silent]
    for n in deaf:
        assert not lived.unknown[n].keys() & set(others)
        assert lived.planned[n]
        for name in others:
            assert lived.setpoints[n][name].expires_at > lived.at(n)
    assert lived.setpoints[-1][silent].issued_at > lived.at(deaf[-1])


def test_values_that_stand_still_are_found_out_in_three_sample_periods(
    small: ParkFile, tmp_path: Path
) -> None:
    """Reliability A2: the load has shown 120 values without a repetition."""
    # Nothing scatters any more when the value stands still.
    noise = of(Noise(sd_share=0.01), who=LOAD, ends=121).faults
    stuck = FaultPlan(faults=noise + of(Stuck(), who=LOAD, begins=121).faults, seed=1)
    lived = live(small, tmp_path, stuck, minutes=135)
    doubted = [n for n, unknown in enumerate(lived.unknown) if LOAD in unknown]
    assert doubted
    assert 123 <= doubted[0] <= 126
    assert any(
        kind == "telemetry_doubted" and "stands still" in text for kind, text in lived.events
    )


@pytest.mark.parametrize(
    ("who", "whats", "reason"),
    [
        pytest.param(LOAD, [Scale(factor=1000.0)], "wrong_unit", id="W for kW"),
        pytest.param(LOAD, [Scale(factor=-1.0)], "wrong_sign", id="draw as positive"),
        pytest.param(
            BATTERY, [Panel(share=-0.5), Scale(factor=1000.0)], "wrong_unit", id="a battery in W"
        ),
    ],
)
def test_a_mistaken_unit_or_sign_is_named_at_first_contact_and_the_device_is_not_commanded(
    small: ParkFile, tmp_path: Path, who: ResourceId, whats: list[What], reason: str
) -> None:
    """Reliability A4."""
    lived = live(small, tmp_path, of(*whats, who=who), minutes=10)
    assert lived.refused[reason] >= 10
    assert set(lived.refused) == {reason}
    assert all(unknown.get(who, "never heard") == "never heard" for unknown in lived.unknown)
    assert all(who not in setpoints for setpoints in lived.setpoints)
    told = sum(kind == "telemetry_refused" for kind, _ in lived.events)
    assert 1 <= told <= 2  # and again after ten minutes


def test_a_battery_with_the_sign_turned_is_found_out_when_it_moves(
    small: ParkFile, tmp_path: Path
) -> None:
    """Reliability A4: at idle, and within its size, no message alone can show it."""
    lived = live(
        small,
        tmp_path,
        of(Panel(share=-0.5, refuses=False), Scale(factor=-1.0), who=BATTERY),
        minutes=25,
    )
    reasons = {unknown.get(BATTERY, "") for unknown in lived.unknown}
    assert any(reason.startswith("its sign is wrong") for reason in reasons)
    first = next(n for n, unknown in enumerate(lived.unknown) if "sign" in unknown.get(BATTERY, ""))
    assert all(
        setpoints[BATTERY].issued_at < lived.at(first)
        for setpoints in lived.setpoints
        if BATTERY in setpoints
    )


def test_spikes_do_not_move_what_is_asked_of_devices(small: ParkFile, tmp_path: Path) -> None:
    """Reliability A5: every tenth message is a spike by 80 % of the battery's size."""
    minutes, band_kw = 90, small.control.deadband_kw
    clean = live(small, tmp_path / "clean", NO_FAULTS, minutes=minutes)
    spiked = live(
        small, tmp_path / "spiked", of(Spike(chance=0.1, share=0.8), who=BATTERY), minutes=minutes
    )
    assert sum(BATTERY in raw for raw in spiked.raw_kw) >= 4  # what was told can be seen
    for one, other in zip(clean.setpoints, spiked.setpoints, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            assert abs(one[name].power_kw - other[name].power_kw) <= band_kw


@pytest.mark.parametrize(
    ("skew", "reason", "refused"),
    [
        pytest.param(timedelta(seconds=-10), None, None, id="10 s behind"),
        pytest.param(timedelta(seconds=10), "never heard", "from_future", id="10 s ahead"),
        pytest.param(timedelta(minutes=-10), "reading is 600 s old", None, id="10 min behind"),
        pytest.param(timedelta(minutes=10), "never heard", "from_future", id="10 min ahead"),
        pytest.param(timedelta(days=-365), "never heard", "too_old", id="a year behind"),
        pytest.param(timedelta(days=365), "never heard", "from_future", id="a year ahead"),
    ],
)
def test_a_clock_that_is_wrong_is_not_gone_by_and_told(
    small: ParkFile, tmp_path: Path, skew: timedelta, reason: str | None, refused: str | None
) -> None:
    """Reliability A9."""
    lived = live(
        small, tmp_path, of(ClockSkew(seconds=skew.total_seconds()), who=BATTERY), minutes=8
    )
    unknown = lived.unknown[-1].get(BATTERY)
    assert (unknown is None) == (reason is None)
    told = {kind for kind, _ in lived.events}
    if reason is None:
        assert BATTERY in lived.setpoints[-1]
        assert "telemetry_doubted" not in told
        return
    assert all(BATTERY not in setpoints for setpoints in lived.setpoints)
    assert set(lived.refused) == ({refused} if refused else set())
    assert ("telemetry_refused" if refused else "telemetry_doubted") in told


@pytest.mark.parametrize("refuses", [True, False])
def test_somebody_at_a_panel_is_told_of_and_what_is_done_is_what_is_measured(
    small: ParkFile, tmp_path: Path, refuses: bool
) -> None:
    """Reliability C11: the panel takes over for ten minutes, and whether it says so or not it is seen."""
    plan = of(Panel(share=-0.3, refuses=refuses), who=BATTERY, begins=20, ends=30)
    lived = live(small, tmp_path, plan, minutes=60)
    kinds = {kind for kind, text in lived.events if BATTERY in text}
    assert kinds & {"setpoint_refused", "not_following"}
    measured = [kw.get(BATTERY) for kw in lived.power_kw]
    assert measured[22:29] == [-150.0] * 7
    assert -150.0 not in measured[35:]
    assert lived.setpoints[-1][BATTERY].issued_at > lived.at(31)
