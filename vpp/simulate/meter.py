"""The main meter of a connection point: two registers in whole Wh that only ever rise."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from vpp.model.ids import ConnectionPointId, ResourceId
from vpp.model.park import ConnectionPoint
from vpp.model.time import isoformat
from vpp.simulate.device import HOUR, Device, DeviceState
from vpp.wire import TelemetryMessage


class MainMeter:
    """Sums the true energies behind it. Net feed of a step counts as export, net draw as import.

    The fraction of a Wh is carried to the next step, so that registers and energies never drift
    apart by a whole Wh.
    """

    def __init__(
        self, point: ConnectionPoint, devices: Sequence[Device], opened_at: datetime
    ) -> None:
        self._id = point.meter_id
        self._point_id = point.connection_point_id
        self._devices = tuple(devices)
        self._seen_kwh = sum(device.energy_kwh for device in self._devices)
        self._now = opened_at
        self._seq = 0
        self._power_kw = 0.0
        self.import_wh = 0
        self.export_wh = 0
        self._import_rest_wh = 0.0
        self._export_rest_wh = 0.0

    @property
    def resource_id(self) -> ResourceId:
        return self._id

    @property
    def connection_point_id(self) -> ConnectionPointId:
        return self._point_id

    def step(self, now: datetime, dt: timedelta) -> None:
        """Count what the devices did in the step that ends `now`; call it after theirs."""
        total_kwh = sum(device.energy_kwh for device in self._devices)
        net_kwh = total_kwh - self._seen_kwh
        self._seen_kwh = total_kwh
        if net_kwh > 0:
            self._export_rest_wh += net_kwh * 1000
            whole_wh = int(self._export_rest_wh)
            self._export_rest_wh -= whole_wh
            self.export_wh += whole_wh
        else:
            self._import_rest_wh -= net_kwh * 1000
            whole_wh = int(self._import_rest_wh)
            self._import_rest_wh -= whole_wh
            self.import_wh += whole_wh
        self._power_kw = net_kwh / (dt / HOUR)
        self._now = now

    def telemetry(self) -> TelemetryMessage:
        """The registers now, and the mean power of the last step; each call counts `seq` up."""
        self._seq += 1
        return TelemetryMessage(
            ts=isoformat(self._now),
            seq=self._seq,
            power_kw=self._power_kw,
            import_wh=self.import_wh,
            export_wh=self.export_wh,
        )

    def snapshot(self) -> DeviceState:
        return {name: value for name, value in vars(self).items() if name not in _FIXED}

    def restore(self, state: DeviceState) -> None:
        vars(self).update(state)


_FIXED = frozenset({"_id", "_point_id", "_devices"})
