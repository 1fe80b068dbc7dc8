"""What a service that begins again takes from its record, so that it goes on as if it had not ended.

    journal     series ▸ what was measured ▸ bids, withdrawals, awards ▸ what was sent ▸ what quotas counted
                ▸ numbers of plans and commands
    historian   registers of the main meters ▸ peaks of the demand charge ▸ calls that are paid for

What is settled is not on record: it is made again from these, to the same cent.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec

from vpp.model.ids import ResourceId
from vpp.model.measurement import MeterReading
from vpp.model.resource import InterruptibleLoad
from vpp.model.time import QUARTER, Interval, latest_boundary, parse_utc
from vpp.ports import Journal
from vpp.service import accounting, cycle, finality, inputs
from vpp.service.alarms import alarms
from vpp.service.calls import limits, reserves
from vpp.service.feeds import door as series_door
from vpp.service.instructions import instructing
from vpp.service.members import asking
from vpp.service.openadr import openadr
from vpp.service.people import people
from vpp.service.plant import Plant
from vpp.service.quotas import quotas
from vpp.service.record import PLAN
from vpp.service.reports import reporting
from vpp.service.shift import shift
from vpp.service.steering import agc, overrides, setpoints
from vpp.service.trading import log as tradelog
from vpp.service.trading import nominating, outside
from vpp.service.venues import log as venuelog


class Past(Protocol):
    """What the historian can tell of the time before."""

    def meter_registers(self, meter_id: ResourceId, since: datetime) -> list[MeterReading]:
        """A meter's readings, oldest first."""
        ...

    def calls_since(
        self, device_id: ResourceId, since: datetime
    ) -> list[tuple[datetime, datetime]]:
        """When each interruption of a device began and was last told of, oldest first."""
        ...


def recover(plant: Plant) -> None:
    """Take up what the journal holds: series, bids and awards, the number of the last plan."""
    for entry in plant.journal.entries(series_door.KIND):
        series_door.replay(plant.series, entry)
    for kind in (cycle.OBSERVED, cycle.OBSERVED_LATE):
        for entry in plant.journal.entries(kind):
            start = parse_utc(entry.key, where="journal")
            seen = msgspec.json.decode(entry.body, type=dict[str, float])
            span = Interval(start, start + QUARTER)
            inputs.put_observed(plant.series, span, seen, late=kind == cycle.OBSERVED_LATE)
    tradelog.recover(plant)
    outside.follow(plant, plant.clock.now())
    venuelog.recover(plant)
    finality.recover(plant)
    nominating.recover(plant)
    for entry in plant.journal.entries(reserves.KIND):
        reserves.replay(plant, entry)
    agc.recover(plant, plant.clock.now())
    limits.recover(plant)
    overrides.recover(plant)
    instructing.recover(plant)
    openadr.recover(plant)
    people.recover(plant)
    alarms.recover(plant)
    shift.recover(plant)
    asking.recover(plant)
    reporting.recover(plant)
    quotas.recover(plant)
    newest = plant.journal.greatest_key(PLAN)
    plant.plan_count = 0 if newest is None else cycle.plan_number(newest)


def first_command_seq(journal: Journal, now: datetime) -> int:
    """A number above every command's that was ever sent.

    The epoch second alone is above them only while no device gets more than one command a second
    and no clock runs backwards. It is used where it can be, for the day on which a record is lost.
    """
    newest = setpoints.newest_number(journal)
    return max(int(now.timestamp()), 0 if newest is None else newest + 1)


def began_at(journal: Journal, now: datetime) -> datetime:
    """When the service began to look at this park for the first time: what the park file speaks of."""
    first = next(journal.entries(PLAN), None)
    return now if first is None else first.recorded_at


def read_back(plant: Plant, past: Past, now: datetime) -> None:
    """Take up what the historian holds: meters, the peaks they show, and calls."""
    since = now - accounting.METERS_KEPT
    points = plant.file.park.connection_points
    for point in points:
        for reading in past.meter_registers(point.meter_id, since):
            plant.meters.add(reading)
    read = [at for p in points if (at := plant.meters.first_read_at(p.meter_id)) is not None]
    first, newest = latest_boundary(min(read, default=now), QUARTER), latest_boundary(now, QUARTER)
    if first < newest:
        for interval in Interval(first, newest).split(QUARTER):
            accounting.note_peaks(plant, interval)
    _read_calls(plant, past, since)


def _read_calls(plant: Plant, past: Past, since: datetime) -> None:
    for resource in plant.file.park.resources:
        if isinstance(resource, InterruptibleLoad):
            for began, seen_at in past.calls_since(resource.resource_id, since):
                call = accounting.call_of(resource, began, seen_at)
                plant.calls[resource.resource_id, began] = call
