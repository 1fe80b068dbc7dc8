"""What a park file says of IEC 104, with its adapters: a part of the wiring.

Links to remote terminal units are opened with all others, in `links/wiring.py`.
"""

from __future__ import annotations

from random import Random
from zoneinfo import ZoneInfo

from adapters.iec104_client import RemoteLink, RemoteUnit
from adapters.iec104_device import ReadPoint, RemoteDevice, WritePoint
from adapters.iec104_station import Station
from vpp.clock import Watch
from vpp.model.ids import ResourceId
from vpp.model.telecontrol import Master, StationSpec
from vpp.service.iec104.desk import StationDesk
from vpp.service.iec104.orders import order_points
from vpp.service.iec104.points import shown_points
from vpp.service.iec104.schema import ClientSection, Counts, DeviceSection, StationSection
from vpp.service.park.parkfile import ParkFile


def stations_of(file: ParkFile, clock: Watch) -> tuple[StationDesk, ...]:
    """None where the market is simulated with the park: no dispatch centre is shown what is not real."""
    if file.trading.mode == "simulated":
        return ()
    return tuple(
        StationDesk(section=one, port=Station(spec_of(one, file.park.timezone), now=clock.now))
        for one in file.iec104
        if isinstance(one, StationSection)
    )


def spec_of(section: StationSection, zone: ZoneInfo) -> StationSpec:
    """A station as its section says; `zone` is the park's."""
    return StationSpec(
        name=section.id,
        host=section.host,
        port=section.port,
        common_address=section.common_address,
        zone=zone if section.timezone is None else ZoneInfo(section.timezone),
        masters=tuple(Master(host=one.host, may_order=one.may_order) for one in section.masters),
        points=shown_points(section.points),
        orders=order_points(section.orders),
        timing=section.timing.noun(),
        select_s=section.select_s,
        clock_tolerance_s=section.clock_tolerance_s,
        orders_per_minute=section.orders_per_minute,
        cyclic_time=section.cyclic_time,
    )


def remote_link(
    section: ClientSection, file: ParkFile, *, clock: Watch, jitter: Random
) -> RemoteLink:
    """The link to a remote terminal unit as its section says; not started."""
    unit = RemoteUnit(
        host=section.host,
        port=section.port,
        common_address=section.common_address,
        zone=file.park.timezone if section.timezone is None else ZoneInfo(section.timezone),
        originator=section.originator,
        timing=section.timing.noun(),
        interrogate_s=section.interrogate_s,
        report_s=section.report_s,
        answer_s=section.answer_s,
    )
    devices = [_device(device, file) for device in section.devices]
    return RemoteLink(unit, devices, now=clock.now, jitter=jitter)


def _device(section: DeviceSection, file: ParkFile) -> RemoteDevice:
    device_id = ResourceId(section.resource)
    enterprise_id, site_id = file.park.device_owner[device_id]
    written = section.setpoint
    return RemoteDevice(
        device_id=device_id,
        enterprise_id=enterprise_id,
        site_id=site_id,
        points={
            name: ReadPoint(address=point.ioa, factor=_signed(point.scale, point.counts))
            for name, point in section.points.items()
        },
        setpoint=None
        if written is None
        else WritePoint(
            address=written.ioa,
            factor=_signed(written.scale, written.counts),
            selects=written.pace == "select",
            enable_address=written.enable_ioa,
            released=written.released,
            reads_at=written.reads_at,
            tolerance=written.tolerance,
        ),
    )


def _signed(scale: float, counts: Counts) -> float:
    return scale if counts == "feed" else -scale
