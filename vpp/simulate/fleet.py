"""All devices and main meters of a park, in step with each other.

    receive(command) ─▶ devices ──energy──▶ main meters ──▶ registers
                           │                    │
                           └── messages() ──────┘  at most once a step

A `Snapshot` is kept at the opening and at every local midnight, so that "doing nothing" can be
played from the very state in which the scored span began.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, assert_never

import msgspec

from vpp.errors import DataError
from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId
from vpp.model.park import Park
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
from vpp.model.time import QUARTER, Interval, isoformat, latest_boundary, local_date, local_day
from vpp.simulate.device import Course, Device, DeviceState
from vpp.simulate.devicefaults import NO_FAULTS, FaultPlan
from vpp.simulate.devices import (
    SimulatedEvFleet,
    SimulatedGenerator,
    SimulatedLoad,
    SimulatedStorage,
    SimulatedZone,
)
from vpp.simulate.faultydevice import FaultyDevice
from vpp.simulate.machines import SimulatedCurtailable, SimulatedFlexible, SimulatedMachine
from vpp.simulate.meter import MainMeter
from vpp.simulate.networks import Networks
from vpp.simulate.processes import SimulatedProcess, SimulatedRun, next_quarter
from vpp.simulate.spec import Scenario
from vpp.simulate.trajectory import Recorder, Trajectory
from vpp.wire import AckMessage, CommandMessage, topic

STEP = timedelta(seconds=60)


class DeviceMessage(NamedTuple):
    """One telemetry message, ready to be published."""

    enterprise_id: EnterpriseId
    device_id: ResourceId
    topic: str
    seq: int
    payload: bytes
    sound: bool = True
    """Whether a receiver must take it: what a faulty device tells may be refused, and is not waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The whole state of a fleet at one moment, as plain data."""

    taken_at: datetime
    devices: dict[str, DeviceState]
    meters: dict[str, DeviceState]
    faults: dict[str, DeviceState] = field(default_factory=dict)
    """Of the devices and meters that something ever goes wrong with."""

    def plain(self) -> dict[str, Any]:
        return {
            "taken_at": self.taken_at,
            "devices": self.devices,
            "meters": self.meters,
            "faults": self.faults,
        }


class Fleet:
    """A park of simulated devices. Synchronous; moves when it is told to."""

    def __init__(
        self,
        park: Park,
        scenario: Scenario,
        *,
        opened_at: datetime,
        step: timedelta = STEP,
        faults: FaultPlan = NO_FAULTS,
    ) -> None:
        """Open the park at `opened_at` in the scenario's opening states; `faults` go on from then.

        Raises:
            DataError: `step` does not divide the quarter-hour, `opened_at` is no multiple of it,
                the scenario lacks something that a resource needs, or a fault names no device.
        """
        off_grid = (
            step <= timedelta(0) or QUARTER % step or latest_boundary(opened_at, step) != opened_at
        )
        if off_grid:
            raise DataError(
                f"opens {opened_at}, steps of {step}",
                where="Fleet",
                fix="Open at a whole step, with steps that divide the quarter-hour",
            )
        self.now = opened_at
        self._park = park
        self._scenario = scenario
        self._step = step
        self._devices: list[Device] = [
            build_device(resource, park, scenario, opened_at) for resource in park.resources
        ]
        self._by_id = {device.resource_id: device for device in self._devices}
        outdoor = {name: Course(p, name) for name, p in scenario.outdoor_degc.items()}
        self._networks = Networks(park, self._by_id, outdoor)
        late = self._networks.followers
        self._first = [d for d in self._devices if d.resource_id not in late]
        self._then = [d for d in self._devices if d.resource_id in late]
        self._meters = [
            MainMeter(point, self._behind(point.connection_point_id), opened_at)
            for point in park.connection_points
        ]
        self._faulty = self._with_faults(faults)
        # Faulty ones speak first: whoever has heard a sound one after them has heard all there was.
        self._senders: list[Device | MainMeter | FaultyDevice] = [
            *self._faulty.values(),
            *(d for d in self._devices if d.resource_id not in self._faulty),
            *(m for m in self._meters if m.resource_id not in self._faulty),
        ]
        self._topics = {
            device_id: (enterprise_id, topic(enterprise_id, site_id, device_id, "telemetry"))
            for device_id, (enterprise_id, site_id) in park.device_owner.items()
        }
        self._encode = msgspec.json.Encoder().encode
        self._midnight = opened_at
        self._record_from(self.snapshot())

    def step(self, now: datetime) -> None:
        """Live until `now`, in as many steps as that takes.

        Raises:
            DataError: `now` is not a whole number of steps ahead, or beyond the scenario.
        """
        if now < self.now or (now - self.now) % self._step:
            raise DataError(
                f"from {self.now} to {now}",
                where="Fleet.step",
                fix=f"Go forward in whole steps of {self._step}",
            )
        while self.now < now:
            end = self.now + self._step
            for faulty in self._faulty.values():
                faulty.prepare(self.now)
            for device in self._first:
                device.step(end, self._step)
            self._networks.balance(end, self._step)
            for device in self._then:
                device.step(end, self._step)
            for meter in self._meters:
                meter.step(end, self._step)
            self.now = end
            self._record()
            if end >= self._midnight:
                self._snapshots[end] = self.snapshot()
                zone = self._park.timezone
                self._midnight = local_day(local_date(end, zone), zone).end

    def receive(
        self, device_id: ResourceId, command: CommandMessage, now: datetime
    ) -> AckMessage | None:
        """Hand a command to a device.

        Returns:
            The device's answer; a refusal where the park has no such device or it is a meter.
        """
        device = self._by_id.get(device_id)
        if device is None:
            return AckMessage(
                command_id=command.command_id,
                seq=command.seq,
                ts=isoformat(now),
                accepted=False,
                reason="no such device, or a meter",
            )
        return self._faulty.get(device_id, device).receive(command, now)

    def received_seq(self, device_id: ResourceId) -> int:
        """The highest command number that has arrived at a device; 0 before the first.

        Raises:
            DataError: No such device.
        """
        if device_id not in self._by_id:
            raise DataError(
                f"no device {device_id}", where="Fleet", fix="Name a resource of the park"
            )
        return self._faulty.get(device_id, self._by_id[device_id]).received_seq

    def messages(self) -> list[DeviceMessage]:
        """Telemetry of every device and meter about the last step. Each call counts `seq` up."""
        messages = []
        for device in self._senders:
            telemetry = device.telemetry()
            if telemetry is None:
                continue
            enterprise_id, telemetry_topic = self._topics[device.resource_id]
            payload = self._encode(telemetry)
            messages.append(
                DeviceMessage(
                    enterprise_id,
                    device.resource_id,
                    telemetry_topic,
                    telemetry.seq,
                    payload,
                    device.resource_id not in self._faulty,
                )
            )
        return messages

    def metered_wh(self, point_ids: Sequence[ConnectionPointId], interval: Interval) -> int:
        """Net injection of some connection points in `interval`, from their registers, in Wh.

        Raises:
            DataError: `interval` is not whole quarter-hours, or not over yet.
        """
        lived = self._recorder.trajectory(interval)
        return sum(
            int(lived.export_wh[point_id].sum() - lived.import_wh[point_id].sum())
            for point_id in point_ids
        )

    @property
    def recorded(self) -> Interval | None:
        """What a trajectory can be asked for."""
        return self._recorder.span

    def trajectory(self, span: Interval) -> Trajectory:
        """What happened over `span`. Raises `DataError` where that is not recorded."""
        return self._recorder.trajectory(span)

    def snapshot(self) -> Snapshot:
        """The state now."""
        return Snapshot(
            taken_at=self.now,
            devices={device.resource_id: device.snapshot() for device in self._devices},
            meters={meter.resource_id: meter.snapshot() for meter in self._meters},
            faults={name: faulty.snapshot() for name, faulty in self._faulty.items()},
        )

    def snapshot_at(self, moment: datetime) -> Snapshot:
        """The state as it was at the opening or at a local midnight.

        Raises:
            DataError: No state was kept at `moment`.
        """
        if moment not in self._snapshots:
            raise DataError(
                f"no state was kept at {moment}",
                where="Fleet",
                fix=f"Ask for one of {[isoformat(kept) for kept in self._snapshots]}",
            )
        return self._snapshots[moment]

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from `snapshot`; what was recorded before is forgotten."""
        self.now = snapshot.taken_at
        for device in self._devices:
            device.restore(snapshot.devices[device.resource_id])
        for meter in self._meters:
            meter.restore(snapshot.meters[meter.resource_id])
        for name, faulty in self._faulty.items():
            faulty.restore(snapshot.faults[name])
        self._record_from(snapshot)

    def rollout_defaults(self, span: Interval) -> Trajectory:
        """Doing nothing: a copy from the state kept at `span.start`, without any command.

        Raises:
            DataError: No state was kept there, or the scenario ends before the span.
        """
        return rollout_defaults(
            self._park, self._scenario, self.snapshot_at(span.start), span, step=self._step
        )

    def release(self) -> None:
        """Let every device forget its set-points."""
        for device in self._devices:
            device.release()

    def _record_from(self, snapshot: Snapshot) -> None:
        """Begin new records with the state now."""
        self._networks.begin()
        zone = self._park.timezone
        networks, first = self._networks.all, next_quarter(self.now)
        self._recorder = Recorder(self._devices, self._meters, networks, first)
        self._snapshots = {self.now: snapshot}
        self._midnight = local_day(local_date(self.now, zone), zone).end
        self._record()

    def _record(self) -> None:
        if latest_boundary(self.now, QUARTER) == self.now:
            self._recorder.read()

    def in_local_mode(self, device_id: ResourceId) -> bool:
        """Whether somebody holds a device at its own panel now."""
        faulty = self._faulty.get(device_id)
        return faulty is not None and faulty.in_local_mode(self.now)

    @property
    def fired(self) -> Counter[str]:
        """How often each kind of fault changed something, since the beginning."""
        return sum((faulty.fired for faulty in self._faulty.values()), Counter[str]())

    def _with_faults(self, plan: FaultPlan) -> dict[ResourceId, FaultyDevice]:
        if unknown := plan.unknown(self._park.device_owner):
            raise DataError(
                f"no devices {list(unknown)}", where="faults", fix="Name resources or main meters"
            )
        sizes = {r.resource_id: max(r.feed_kw, r.draw_kw) for r in self._park.resources}
        found: dict[ResourceId, FaultyDevice] = {}
        for device in self._devices:
            name = device.resource_id
            if plan.touches(name, meter=False):
                size_kw = sizes[name]
                found[name] = FaultyDevice(device, plan, size_kw=size_kw, opened_at=self.now)
        for meter in self._meters:
            name = meter.resource_id
            if plan.touches(name, meter=True):
                behind = self._park.behind_point[meter.connection_point_id]
                size_kw = sum(sizes[one] for one in behind)
                found[name] = FaultyDevice(meter, plan, size_kw=size_kw, opened_at=self.now)
        return found

    def _behind(self, point_id: ConnectionPointId) -> list[Device]:
        return [self._by_id[resource_id] for resource_id in self._park.behind_point[point_id]]


def rollout_defaults(
    park: Park, scenario: Scenario, snapshot: Snapshot, span: Interval, *, step: timedelta = STEP
) -> Trajectory:
    """What the park does over `span` from `snapshot` on when nobody commands anything, and nothing fails.

    Raises:
        DataError: `snapshot` was not taken at the start of `span`.
    """
    if snapshot.taken_at != span.start:
        raise DataError(
            f"state of {snapshot.taken_at} for a span from {span.start}",
            where="rollout_defaults",
            fix="Take the snapshot where the span begins",
        )
    fleet = Fleet(park, scenario, opened_at=span.start, step=step)
    fleet.restore(snapshot)
    fleet.release()
    fleet.step(span.end)
    return fleet.trajectory(span)


def build_device(resource: Resource, park: Park, scenario: Scenario, opened_at: datetime) -> Device:
    """The simulated device of a resource.

    Raises:
        DataError: The scenario has no series or opening state for it.
    """
    key = resource.resource_id
    try:
        match resource:
            case FixedLoad():
                return SimulatedLoad(resource, Course(scenario.base_kw[key], key), opened_at)
            case Storage():
                return SimulatedStorage(
                    resource, scenario.opening_soc[key], park.timezone, opened_at
                )
            case Generator() if not resource.weather_driven:
                return SimulatedMachine(resource, park.timezone, opened_at)
            case Generator():
                course = Course(scenario.available_kw[key], key)
                return SimulatedGenerator(resource, course, opened_at)
            case InterruptibleLoad():
                return SimulatedProcess(resource, park.timezone, opened_at)
            case ShiftableRun():
                return SimulatedRun(resource, park.timezone, opened_at)
            case ThermalZone():
                series_id = resource.outdoor_series_id
                outdoor = Course(scenario.outdoor_degc[series_id], series_id)
                opening_degc = scenario.opening_degc.get(key, resource.target_degc)
                return SimulatedZone(resource, outdoor, opening_degc, opened_at)
            case EvFleet():
                return SimulatedEvFleet(resource, scenario.visits[key], opened_at)
            case CurtailableLoad() | FlexibleLoad() | Converter():
                return _build_machine(resource, park, scenario, opened_at)
            case _:
                assert_never(resource)
    except KeyError as error:
        raise DataError(
            f"the scenario knows no {error}",
            where=f"resource {key}",
            fix="Add its series or opening state to the simulation section",
        ) from error


def _build_machine(
    resource: CurtailableLoad | FlexibleLoad | Converter,
    park: Park,
    scenario: Scenario,
    opened_at: datetime,
) -> Device:
    match resource:
        case CurtailableLoad():
            key = resource.resource_id
            course = Course(scenario.base_kw[key], key)
            return SimulatedCurtailable(resource, course, park.timezone, opened_at)
        case FlexibleLoad():
            return SimulatedFlexible(resource, park.timezone, opened_at)
        case Converter():
            return SimulatedMachine(resource, park.timezone, opened_at)
