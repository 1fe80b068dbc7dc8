"""What devices were tested at: an entry of the journal each, read at the start of the service.

    vpp device test --write ─▶ journal ─▶ at the next start: /v1/resources, and the units the device is in

How a device's tested power enters its bidding unit: what a unit may bid into a product that asks for a test is
the least of what its own test proved (`tested_kw` of the park file) and of what its members add up to, each that
was tested by its tested power (the least of the directions tested), each other by its size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import msgspec

from vpp.account.qualification import TestedPower
from vpp.model.ids import ResourceId
from vpp.model.park import BiddingUnit, Park
from vpp.model.time import isoformat, parse_utc
from vpp.ports import Journal
from vpp.service.park.parkfile import ParkFile

KIND = "device_test"


class _Entry(msgspec.Struct):
    resource_id: str
    at: str
    up_kw: float | None
    down_kw: float | None
    runs: int


async def keep(journal: Journal, name: ResourceId, tested: TestedPower, *, now: datetime) -> None:
    """Put what was proved on record. Raises as `Journal.append`."""
    entry = _Entry(name, isoformat(tested.at), tested.up_kw, tested.down_kw, tested.runs)
    await journal.append(KIND, f"{isoformat(now)}/{name}", msgspec.json.encode(entry), now=now)


def on_record(journal: Journal) -> dict[ResourceId, TestedPower]:
    """The newest test of each device."""
    found: dict[ResourceId, TestedPower] = {}
    for line in journal.entries(KIND):
        entry = msgspec.json.decode(line.body, type=_Entry)
        found[ResourceId(entry.resource_id)] = TestedPower(
            up_kw=entry.up_kw,
            down_kw=entry.down_kw,
            at=parse_utc(entry.at, where=KIND),
            runs=entry.runs,
        )
    return found


def as_tested(file: ParkFile, tested: Mapping[ResourceId, TestedPower]) -> ParkFile:
    """The park file with no unit tested at more than its members are."""
    units = tuple(_as_tested(unit, file.park, tested) for unit in file.park.bidding_units)
    if units == file.park.bidding_units:
        return file
    return replace(file, park=replace(file.park, bidding_units=units))


def _as_tested(
    unit: BiddingUnit, park: Park, tested: Mapping[ResourceId, TestedPower]
) -> BiddingUnit:
    members_kw = 0.0
    for resource in park.resources:
        if resource.resource_id in unit.resource_ids:
            proved = tested.get(resource.resource_id)
            proved_kw = None if proved is None else proved.tested_kw
            size_kw = max(resource.feed_kw, resource.draw_kw)
            members_kw += size_kw if proved_kw is None else min(proved_kw, size_kw)
    known = any(name in tested for name in unit.resource_ids)
    return replace(unit, tested_kw=min(unit.tested_kw, members_kw)) if known else unit
