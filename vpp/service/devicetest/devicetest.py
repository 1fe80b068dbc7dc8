"""A device under supervised steps: what it can do, and how fast, by its own measurements.

    baseline ▸ command ▸ 10 % ▸ 90 % ▸ 95 % ▸ sustained ▸ released         each way, repeated
                  └─ through guard, kill switch and journal, as every set-point; always with an end

A step ends at once where the guard would cut it, the connection's meter stands beyond its limits, the device
goes silent or refuses, or somebody kills. Whatever ends it: nothing more is sent, and it is waited until the
last command has run out, Ctrl-C included. Who waits no longer leaves a command that ends by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import fmean

from vpp.account.qualification import (
    FULL_AT,
    Direction,
    Response,
    Sample,
    Stage,
    Step,
    TestedPower,
    certified,
    judge,
)
from vpp.act.guard import Guarded, guard
from vpp.act.units import Seen
from vpp.clock import Clock
from vpp.errors import UnavailableError
from vpp.model.ids import ResourceId
from vpp.model.measurement import Measurement, Reading
from vpp.model.resource import (
    Converter,
    CurtailableLoad,
    EvFleet,
    FixedLoad,
    FlexibleLoad,
    Generator,
    InterruptibleLoad,
    Resource,
    ShiftableRun,
    Storage,
    ThermalZone,
)
from vpp.sense.state import freeze
from vpp.service import control
from vpp.service.calls import limits
from vpp.service.devicetest.reading import DeviceTestOptions
from vpp.service.plant import Plant
from vpp.service.steering import setpoints
from vpp.service.steering.steered import ByHand

LEAST_STEP_SHARE = 0.02
"""A step below this share of the size tells nothing."""

MOST_PATIENCE_S = 900.0
METER_ERROR = 1.01
"""A meter that stands at its limit may read a little beyond it."""

METER_MAX_AGE = timedelta(minutes=3)


class Stopped(UnavailableError):  # noqa: N818 - it is an outcome: the step is over
    """Why a step ended before its end."""


@dataclass(slots=True, kw_only=True)
class Trial:
    """A device under supervised steps; filled while it goes on."""

    resource: Resource
    clock: Clock
    options: DeviceTestOptions
    say: Callable[[str], None]
    plant: Plant = field(init=False)
    """What commands it; it needs whoever `take`s first."""

    samples: list[Sample] = field(default_factory=list)
    stages: list[tuple[Stage, datetime]] = field(default_factory=list)
    responses: list[Response] = field(default_factory=list)
    skipped: dict[Direction, str] = field(default_factory=dict)
    stopped: str | None = None
    """Why the whole test ended before its end."""

    def take(self, measurement: Measurement) -> bool:
        """Keep a measurement that came, as of then: a device's clock shall not make it quicker.

        Given to the plant in place of its historian.
        """
        if isinstance(measurement, Reading) and measurement.resource_id == self.name:
            self.samples.append(Sample(measurement.received_at, measurement.power_kw))
        return True

    @property
    def name(self) -> ResourceId:
        return self.resource.resource_id

    @property
    def tested(self) -> TestedPower | None:
        """What was proved; None where a run was stopped, or none could be made."""
        if self.stopped is not None or not self.responses:
            return None
        return certified(self.responses, self.responses[-1].step.until)

    def reached(self, stage: Stage) -> None:
        now = self.clock.now()
        self.stages.append((stage, now))
        self.say(f"{now:%H:%M:%S} {stage.value.replace('_', ' ')}")


async def step_through(trial: Trial) -> None:
    """Step a device each way it can go, as often as asked; `trial` holds what came of it."""
    try:
        await _until(trial, lambda: trial.plant.source.connected, "its link does not stand")
        trial.reached(Stage.CONNECTED)
        await _until(trial, lambda: bool(trial.samples), "it tells nothing")
        trial.reached(Stage.READ)
        for _ in range(trial.options.repeat):
            for direction, wanted_kw in extremes(trial.resource).items():
                if direction in trial.skipped or trial.options.only not in (None, direction):
                    continue
                await _one_way(trial, direction, wanted_kw)
    except Stopped as why:
        trial.stopped = why.what
        trial.say(f"stopped: {why.what}")
    except asyncio.CancelledError:
        trial.stopped = "somebody stopped it"
        raise
    finally:
        await _let_go(trial)


def extremes(resource: Resource) -> dict[Direction, float]:
    """Where a device can be sent, net injection in kW: each way by itself; empty where none is meant."""
    match resource:
        case FixedLoad() | ShiftableRun():  # not commanded; a run is begun, and then not stopped
            return {}
        case Storage():
            return {
                Direction.UP: resource.max_discharge_kw,
                Direction.DOWN: -resource.max_charge_kw,
            }
        case Generator() if resource.weather_driven:  # a set-point is the most it may feed
            return {Direction.DOWN: 0.0}
        case Generator():
            return {Direction.UP: resource.feed_kw}
        case CurtailableLoad():
            return {Direction.UP: -resource.max_draw_kw * (1 - resource.curtailable_share)}
        case InterruptibleLoad() | EvFleet():  # a set-point is the most it may draw
            return {Direction.UP: 0.0}
        case ThermalZone() | FlexibleLoad() | Converter():
            return {Direction.UP: 0.0, Direction.DOWN: -resource.draw_kw}


async def _one_way(trial: Trial, direction: Direction, wanted_kw: float) -> None:
    base_kw = await _baseline(trial)
    most_kw = abs(wanted_kw - base_kw)
    change_kw = min(trial.options.step_kw or most_kw, most_kw)
    sign = 1 if direction is Direction.UP else -1
    least_kw = LEAST_STEP_SHARE * max(trial.resource.feed_kw, trial.resource.draw_kw)
    if sign * (wanted_kw - base_kw) < least_kw:
        trial.skipped[direction] = f"it stands at {base_kw:.1f} kW: no room that way"
        return
    target_kw, why = _allowed(trial, base_kw + sign * change_kw)
    if target_kw is None or sign * (target_kw - base_kw) < least_kw:
        trial.skipped[direction] = f"the guard lets it go no farther: {why}"
        return
    asked_at = trial.clock.now()
    await _command(trial, target_kw)
    trial.reached(Stage.STEPPED)
    step = Step(
        direction=direction,
        base_kw=base_kw,
        target_kw=target_kw,
        asked_at=asked_at,
        until=asked_at + timedelta.resolution,
    )
    full_at = await _until_full(trial, step)
    if full_at is not None:
        await _keep(trial, target_kw, full_at + trial.options.hold + trial.options.period)
    until = trial.samples[-1].at if trial.samples else trial.clock.now()
    step = Step(
        direction=direction, base_kw=base_kw, target_kw=target_kw, asked_at=asked_at, until=until
    )
    response = judge(trial.samples, step, sustain=trial.options.hold)
    trial.responses.append(response)
    if response.sustained:
        trial.reached(Stage.SUSTAINED)
    await _let_go(trial)


async def _until(trial: Trial, true: Callable[[], bool], why_not: str) -> None:
    """Wait for something that must be so soon."""
    began = trial.clock.now()
    while not true():
        await _tick(trial)
        if trial.clock.now() - began > trial.options.most_wait:
            raise _stopped(trial, why_not)


async def _baseline(trial: Trial) -> float:
    """The mean power of a while in which nobody commands and it stands, where it ever stands."""
    size_kw = max(trial.resource.feed_kw, trial.resource.draw_kw)
    began, patience_s = trial.clock.now(), _patience_s(trial, size_kw)
    while True:
        count, from_then = len(trial.samples), trial.clock.now()
        while trial.clock.now() - from_then < trial.options.baseline or (
            len(trial.samples) < count + 2
        ):
            await _tick(trial)
            _supervise(trial)
            if trial.clock.now() - from_then > trial.options.most_wait:
                raise _stopped(trial, "it told nothing while the baseline was to be fixed")
        powers_kw = [sample.power_kw for sample in trial.samples[count:]]
        half = len(powers_kw) // 2
        moved_kw = fmean(powers_kw[half:]) - fmean(powers_kw[:half])
        if abs(moved_kw) <= LEAST_STEP_SHARE * size_kw:
            break
        if (trial.clock.now() - began).total_seconds() > patience_s:
            trial.say(f"its baseline does not stand: it moved by {moved_kw:+.1f} kW")
            break
    trial.reached(Stage.BASELINE_FIXED)
    return fmean(powers_kw)


async def _until_full(trial: Trial, step: Step) -> datetime | None:
    """Hold the command until 95 % of the change is seen; None where patience ends before."""
    patience = timedelta(seconds=_patience_s(trial, step.change_kw))
    while trial.clock.now() - step.asked_at < patience:
        await _tick(trial)
        _supervise(trial)
        await _command(trial, step.target_kw)
        for sample in reversed(trial.samples):
            if sample.at <= step.asked_at:
                break
            if (sample.power_kw - step.base_kw) / (step.target_kw - step.base_kw) >= FULL_AT:
                return sample.at
    return None


async def _keep(trial: Trial, target_kw: float, until: datetime) -> None:
    """Hold the command until a sample of `until` has come."""
    give_up = until + trial.options.most_wait
    while trial.samples[-1].at < until and trial.clock.now() < give_up:
        await _tick(trial)
        _supervise(trial)
        await _command(trial, target_kw)


async def _let_go(trial: Trial) -> None:
    """Send nothing more, and wait until the last command has run out: then the device is on its own."""
    last = trial.plant.setpoints.get(trial.name)
    if last is None:
        return
    forever = asyncio.Event()
    await trial.clock.wait_until(last.expires_at + 2 * trial.options.period, forever)
    trial.plant.setpoints = {k: v for k, v in trial.plant.setpoints.items() if k != trial.name}
    trial.reached(Stage.RELEASED)


async def _tick(trial: Trial) -> None:
    never = asyncio.Event()
    await trial.clock.wait_until(trial.clock.now() + trial.options.period, never)


def _patience_s(trial: Trial, change_kw: float) -> float:
    ramp_s = 60 * change_kw / trial.resource.ramp_kw_per_min
    patience_s = trial.options.patience.total_seconds()
    return min(patience_s + 2 * (trial.resource.response_delay_s + ramp_s), MOST_PATIENCE_S)


# ---------------------------------------------------------------- supervision


def _allowed(trial: Trial, wanted_kw: float) -> tuple[float | None, str]:
    """What the guard lets through of a wish now, and why not all of it."""
    guarded = _guarded(trial, wanted_kw)
    at = guarded.units.index[trial.name]
    return guarded.units.by_name(guarded.power_kw).get(trial.name), guarded.why(at)


def _guarded(trial: Trial, wanted_kw: float) -> Guarded:
    plant, now = trial.plant, trial.clock.now()
    park = limits.park_at(plant, now)
    units = plant.units if park is plant.file.park else plant.units.under(park)
    state = freeze(park, plant.intake.newest, now)
    return guard(
        units,
        Seen.of(units, state),
        units.powers_kw({trial.name: wanted_kw}),
        now=now,
        stopped=setpoints.stopped(plant),
    )


async def _command(trial: Trial, target_kw: float) -> None:
    """Send, or refresh, the command; a guard that would cut it ends the step.

    Raises:
        Stopped: It was cut, or did not leave.
    """
    plant, now = trial.plant, trial.clock.now()
    guarded = _guarded(trial, target_kw)
    allowed_kw = guarded.units.by_name(guarded.power_kw).get(trial.name)
    if allowed_kw is None or abs(allowed_kw - target_kw) > 1e-6 * max(abs(target_kw), 1.0):
        at = guarded.units.index[trial.name]
        raise _stopped(trial, f"the guard would not let it go on: {guarded.why(at)}")
    await setpoints.send(plant, guarded, ByHand(by="a test under supervision"), now)
    last = plant.setpoints.get(trial.name)
    if last is None or last.expires_at <= now:
        raise _stopped(trial, "the command did not leave")


def _supervise(trial: Trial) -> None:
    """Look at everything that ends a step.

    Raises:
        Stopped: With the reason.
    """
    plant, now = trial.plant, trial.clock.now()
    control.tell_latches(plant, now)
    if (killed := plant.kill.reason) is not None:
        raise _stopped(trial, f"killed: {killed}")
    if trial.name in plant.refusing:
        raise _stopped(trial, "it refuses its command")
    state = freeze(plant.file.park, plant.intake.newest, now)
    if state.reading(trial.name) is None:
        unknown = next(s for s in state.resources if s.resource_id == trial.name)
        raise _stopped(trial, f"it is unknown: {getattr(unknown, 'reason', '')}")
    point = next(
        p
        for p in limits.park_at(plant, now).connection_points
        if p.connection_point_id == trial.resource.connection_point_id
    )
    meter = plant.intake.newest_meter.get(point.meter_id)
    if meter is None or now - meter.measured_at > METER_MAX_AGE:
        return  # the guard counts what is not heard at its worst
    low_kw, high_kw = -point.limits.import_kw, point.limits.export_kw
    if not low_kw * METER_ERROR <= meter.power_kw <= high_kw * METER_ERROR:
        raise _stopped(trial, f"{point.connection_point_id} stands at {meter.power_kw:.1f} kW")


def _stopped(trial: Trial, why: str) -> Stopped:
    return Stopped(why, where=f"device {trial.name}", fix="Mend this, then test again")
