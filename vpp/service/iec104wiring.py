"""The controlled stations of a park file, each with its adapter: a part of the wiring.

The links to devices that speak 104 are opened with all others, in `linkwiring.py`.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

from adapters.iec104_station import Station
from vpp.clock import Watch
from vpp.model.telecontrol import Master, StationSpec
from vpp.service.iec104desk import StationDesk
from vpp.service.iec104orders import order_points
from vpp.service.iec104points import shown_points
from vpp.service.iec104schema import StationSection
from vpp.service.parkfile import ParkFile


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
        cyclic_time=section.cyclic_time,
    )
