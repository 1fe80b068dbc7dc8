"""What a park file says of OCPP, with its adapter: a part of the wiring."""

from __future__ import annotations

from functools import partial

from adapters.ocpp_link import OcppLink
from vpp.clock import Watch
from vpp.model.charging import CarParkSpec, CentralSpec, StationSpec
from vpp.model.ids import ResourceId
from vpp.ports import StayLedger
from vpp.service.ocpp.schema import CarParkSection, OcppSection
from vpp.service.park.parkfile import ParkFile
from vpp.service.secretfiles import read_secret


def charger_link(
    section: OcppSection, file: ParkFile, *, clock: Watch, ledger: StayLedger
) -> OcppLink:
    """The link to charging stations as its section says; not started, and nobody listens yet."""
    spec = CentralSpec(
        heartbeat_s=section.heartbeat_s,
        sample_s=section.sample_s,
        report_s=section.report_s,
        answer_s=section.answer_s,
        boots_per_hour=section.boots_per_hour,
        read_back_s=section.read_back_s,
        settle_s=section.settle_s,
        messages_per_s=section.messages_per_s,
    )
    parks = [_car_park(park, file) for park in section.car_parks]
    return OcppLink(spec, parks, now=clock.now, ledger=ledger)


def _car_park(section: CarParkSection, file: ParkFile) -> CarParkSpec:
    resource_id = ResourceId(section.resource)
    enterprise_id, site_id = file.park.device_owner[resource_id]
    return CarParkSpec(
        resource_id=resource_id,
        enterprise_id=enterprise_id,
        site_id=site_id,
        stations=tuple(
            StationSpec(
                station_id=station.id,
                kind=file.station_kinds[station.kind or section.kind],
                password=None
                if station.password is None
                else partial(read_secret, station.password, file.folder),
            )
            for station in section.stations
        ),
        zone=file.park.timezone,
        wish=section.cars.noun(exact=False),
        drivers={driver.card: driver.noun(exact=True) for driver in section.drivers},
        only_drivers=section.only_drivers,
        read_only=section.read_only,
    )
