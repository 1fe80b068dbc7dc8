"""What a fleet did, by quarter-hour: the same record for ours and for doing nothing.

Everything that costs or earns is taken from running totals of the devices, read at the
quarter-hours; so a trajectory holds what really happened within them, not samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError
from vpp.model.horizon import Floats, Horizon
from vpp.model.ids import ConnectionPointId, NodeId, ResourceId
from vpp.model.time import QUARTER, Interval
from vpp.simulate.device import Device
from vpp.simulate.devices import SimulatedEvFleet, SimulatedStorage, SimulatedZone
from vpp.simulate.meter import MainMeter
from vpp.simulate.networks import Network
from vpp.simulate.processes import SimulatedProcess

Integers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """A car that has gone, and what it left without."""

    resource_id: ResourceId
    session_id: str
    departed_at: datetime
    unserved_kwh: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trajectory:
    """The course of a park on quarter-hours. T steps, R resources in park order."""

    horizon: Horizon
    resource_ids: tuple[ResourceId, ...]

    power_kw: Floats
    """Mean net injection, shape (R, T)."""

    opening_stored_kwh: Mapping[ResourceId, float]
    opening_degc: Mapping[ResourceId, float]

    stored_kwh: Mapping[ResourceId, Floats]
    """At the end of each step, shape (T,)."""

    temperature_degc: Mapping[ResourceId, Floats]
    """At the end of each step, shape (T,)."""

    throughput_kwh: Mapping[ResourceId, Floats]
    """Through a storage's terminals, in and out, shape (T,)."""

    discomfort_degc_h: Mapping[ResourceId, Floats]
    """Outside a zone's comfort band, shape (T,)."""

    called_kwh: Mapping[ResourceId, Floats]
    """Not drawn by an interruptible load during calls, shape (T,)."""

    lacked_kwh: Mapping[NodeId, Floats]
    """What the network of a node was short of, shape (T,)."""

    spilled_kwh: Mapping[NodeId, Floats]
    """What it threw away, shape (T,)."""

    import_wh: Mapping[ConnectionPointId, Integers]
    export_wh: Mapping[ConnectionPointId, Integers]
    """Registers of the main meters, shape (T,)."""

    departures: tuple[Departure, ...]
    """Cars that left in the span, in park order, then by time."""

    def part(self, span: Interval) -> Trajectory:
        """The course over a part of what this one covers.

        Raises:
            DataError: `span` is not whole quarter-hours of it.
        """
        horizon = Horizon.over(span, QUARTER)
        first, off_grid = divmod(span.start - self.horizon.start, QUARTER)
        last = first + horizon.steps
        if off_grid or first < 0 or last > self.horizon.steps:
            raise DataError(
                f"{span.start} … {span.end} is no part of {self.horizon}",
                where="Trajectory",
                fix="Ask for quarter-hours of the course",
            )
        stood: dict[str, Any] = {
            name: before
            if first == 0
            else {key: float(values[first - 1]) for key, values in course.items()}
            for name, before, course in (
                ("opening_stored_kwh", self.opening_stored_kwh, self.stored_kwh),
                ("opening_degc", self.opening_degc, self.temperature_degc),
            )
        }
        maps: dict[str, Any] = {
            name: {key: values[first:last] for key, values in getattr(self, name).items()}
            for name in _FLOAT_MAPS + _INT_MAPS
        }
        return replace(
            self,
            horizon=horizon,
            power_kw=self.power_kw[:, first:last],
            departures=tuple(d for d in self.departures if span.start < d.departed_at <= span.end),
            **stood,
            **maps,
        )

    def plain(self) -> dict[str, Any]:
        """As numbers, texts, times and lists, for a pipe or a file."""
        out: dict[str, Any] = {
            "start": self.horizon.start,
            "step_s": self.horizon.step.total_seconds(),
            "steps": self.horizon.steps,
            "resource_ids": list(self.resource_ids),
            "power_kw": self.power_kw.tolist(),
            "opening_stored_kwh": dict(self.opening_stored_kwh),
            "opening_degc": dict(self.opening_degc),
            "departures": [
                [d.resource_id, d.session_id, d.departed_at, d.unserved_kwh]
                for d in self.departures
            ],
        }
        for name in _FLOAT_MAPS + _INT_MAPS:
            out[name] = {key: values.tolist() for key, values in getattr(self, name).items()}
        return out

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Trajectory:
        """What `plain` was made from."""
        maps: dict[str, Any] = {
            name: {key: np.array(values, dtype) for key, values in plain[name].items()}
            for names, dtype in ((_FLOAT_MAPS, np.float64), (_INT_MAPS, np.int64))
            for name in names
        }
        return cls(
            horizon=Horizon(plain["start"], QUARTER, plain["steps"]),
            resource_ids=tuple(plain["resource_ids"]),
            power_kw=np.array(plain["power_kw"], np.float64),
            opening_stored_kwh=plain["opening_stored_kwh"],
            opening_degc=plain["opening_degc"],
            departures=tuple(
                Departure(resource_id=of, session_id=who, departed_at=at, unserved_kwh=kwh)
                for of, who, at, kwh in plain["departures"]
            ),
            **maps,
        )


_FLOAT_MAPS = (
    "stored_kwh",
    "temperature_degc",
    "throughput_kwh",
    "discomfort_degc_h",
    "called_kwh",
    "lacked_kwh",
    "spilled_kwh",
)
_INT_MAPS = ("import_wh", "export_wh")


@dataclass(frozen=True, slots=True)
class _Gauge:
    """One number read at every quarter-hour."""

    name: str
    key: str
    read: Callable[[], float]
    total: bool
    """Whether it is a running total, of which the difference counts."""


class Recorder:
    """Reads the gauges of a fleet at its quarter-hours."""

    def __init__(
        self,
        devices: Sequence[Device],
        meters: Sequence[MainMeter],
        networks: Sequence[Network],
        first: datetime,
    ) -> None:
        """Prepare to read at `first`, a quarter-hour, and at every one after it."""
        self._devices = tuple(devices)
        self._first = first
        self._gauges = [gauge for device in devices for gauge in _device_gauges(device)]
        self._gauges += [gauge for network in networks for gauge in _network_gauges(network)]
        self._gauges += [gauge for meter in meters for gauge in _meter_gauges(meter)]
        self._rows: list[list[float]] = []

    def read(self) -> None:
        """Add a row; call it at every quarter-hour, in order."""
        self._rows.append([gauge.read() for gauge in self._gauges])

    @property
    def span(self) -> Interval | None:
        """What is recorded so far; None before the first whole quarter-hour."""
        if len(self._rows) < 2:
            return None
        return Interval(self._first, self._first + (len(self._rows) - 1) * QUARTER)

    def trajectory(self, span: Interval) -> Trajectory:
        """The course over `span`.

        Raises:
            DataError: `span` is not whole quarter-hours, or not recorded (yet).
        """
        horizon = Horizon.over(span, QUARTER)
        first, off_grid = divmod(span.start - self._first, QUARTER)
        last = first + horizon.steps
        if off_grid or first < 0 or last >= len(self._rows):
            raise DataError(
                f"{span.start} … {span.end} is not recorded",
                where="Trajectory",
                fix="Ask for quarter-hours between the opening and now",
            )
        found: dict[str, Any] = {name: {} for name in _GAUGE_NAMES}
        opening: dict[str, dict[str, float]] = {"stored_kwh": {}, "temperature_degc": {}}
        for column, gauge in enumerate(self._gauges):
            values = [row[column] for row in self._rows[first : last + 1]]
            # The registers are integers and stay so.
            array = np.array(values, np.int64 if gauge.name in _INT_MAPS else np.float64)
            found[gauge.name][gauge.key] = np.diff(array) if gauge.total else array[1:]
            if not gauge.total:
                opening[gauge.name][gauge.key] = values[0]
        energy_kwh = found.pop("energy_kwh")
        return Trajectory(
            horizon=horizon,
            resource_ids=tuple(device.resource_id for device in self._devices),
            power_kw=np.array(list(energy_kwh.values())) / horizon.step_hours,
            opening_stored_kwh={ResourceId(k): v for k, v in opening["stored_kwh"].items()},
            opening_degc={ResourceId(k): v for k, v in opening["temperature_degc"].items()},
            departures=tuple(self._departures(span)),
            **found,
        )

    def _departures(self, span: Interval) -> list[Departure]:
        return [
            Departure(
                resource_id=device.resource_id,
                session_id=session_id,
                departed_at=departed_at,
                unserved_kwh=unserved_kwh,
            )
            for device in self._devices
            if isinstance(device, SimulatedEvFleet)
            for session_id, departed_at, unserved_kwh in device.departed
            if span.start < departed_at <= span.end
        ]


_GAUGE_NAMES = ("energy_kwh", *_FLOAT_MAPS, *_INT_MAPS)


def _device_gauges(device: Device) -> list[_Gauge]:
    key = device.resource_id
    gauges = [_Gauge("energy_kwh", key, lambda: device.energy_kwh, True)]
    match device:
        case SimulatedStorage():
            gauges += [
                _Gauge("stored_kwh", key, lambda: device.stored_kwh, False),
                _Gauge("throughput_kwh", key, lambda: device.throughput_kwh, True),
            ]
        case SimulatedZone():
            gauges += [
                _Gauge("temperature_degc", key, lambda: device.temperature_degc, False),
                _Gauge("discomfort_degc_h", key, lambda: device.discomfort_degc_h, True),
            ]
        case SimulatedProcess():
            gauges.append(_Gauge("called_kwh", key, lambda: device.called_kwh, True))
    return gauges


def _network_gauges(network: Network) -> list[_Gauge]:
    key = network.node_id
    return [
        _Gauge("lacked_kwh", key, lambda: network.lacked_kwh, True),
        _Gauge("spilled_kwh", key, lambda: network.spilled_kwh, True),
    ]


def _meter_gauges(meter: MainMeter) -> list[_Gauge]:
    key = meter.connection_point_id
    return [
        _Gauge("import_wh", key, lambda: meter.import_wh, True),
        _Gauge("export_wh", key, lambda: meter.export_wh, True),
    ]
