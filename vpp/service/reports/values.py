"""What the plant shows of itself to the outside at one moment, each value with its quality and its own time.

    readings ─┬─▶ a resource ─▶ their sum          plan, calls ─▶ planned, owed, baseline
              └─▶ room up and down                 main meters ─▶ the park

    never heard, marked bad by its device, or not believed      invalid: there is no value
    older than it may be                                        not topical, with the time it was measured;
                                                                after `reporting.carried_minutes` invalid
    uncertain, as its device says; or estimated by us           substituted

Never a value that only looks new. Reports (`making.py`) and points of a dispatch centre (`iec104/points.py`)
are made from these alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal

import numpy as np

from vpp.act.ladder import SafeState
from vpp.model.horizon import Floats, Horizon
from vpp.model.ids import ResourceId
from vpp.model.measurement import ParkState, Quality, Reading, Unknown
from vpp.model.park import BiddingUnit
from vpp.model.reporting import is_known, known, total, unknown
from vpp.model.resource import FixedLoad, Resource
from vpp.model.telecontrol import Flaw, Shown
from vpp.model.time import QUARTER
from vpp.sense.state import freeze
from vpp.service.planning import flexibility
from vpp.service.plant import Plant

PERIODS = 3
"""What the act cycle found is not topical after so many of its periods."""

AHEAD = timedelta(seconds=5)
"""A device's clock may run a little ahead of ours."""

Told = Literal["power_kw", "reactive_kvar", "soc", "available_kw"]


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look at a unit, or at the whole park: what is dear is worked out once, and only if it is asked for."""

    plant: Plant
    now: datetime
    unit: BiddingUnit | None = None
    """None: the whole park."""

    rooms: dict[float, tuple[Shown, Shown]] = field(default_factory=dict)
    """By hours, what was worked out already."""

    @cached_property
    def members(self) -> tuple[Resource, ...]:
        """Its electric resources, in park order."""
        whole, unit = self.plant.file.park.electric, self.unit
        return (
            whole if unit is None else tuple(r for r in whole if r.resource_id in unit.resource_ids)
        )

    @cached_property
    def is_whole(self) -> bool:
        """Whether every electric resource of the park is one of its members."""
        return len(self.members) == len(self.plant.file.park.electric)

    @cached_property
    def state(self) -> ParkState:
        return freeze(self.plant.file.park, self.plant.intake.newest, self.now)

    @cached_property
    def names(self) -> frozenset[ResourceId]:
        return frozenset(r.resource_id for r in self.members)

    @cached_property
    def reactive_names(self) -> frozenset[ResourceId]:
        """Members whose device tells its reactive power, if only now and then: most small ones do not."""
        return self.names & self.plant.intake.newest_reactive.keys()

    @cached_property
    def heard(self) -> int:
        """How many members are heard and believed."""
        states = self.state.resources
        return sum(isinstance(s, Reading) and s.resource_id in self.names for s in states)

    @cached_property
    def plan_rows(self) -> list[int]:
        """The rows of the standing plan that are its members'."""
        schedule = self.plant.schedule
        if schedule is None:
            return []
        return [row for row, name in enumerate(schedule.resource_ids) if name in self.names]


# ---------------------------------------------------------------- what is measured


def told_by(look: Look, name: ResourceId, what: Told) -> Shown:
    """One value of a resource's newest reading; reactive power of the newest that told it, as old as that."""
    intake = look.plant.intake
    newest = intake.newest.get(name)
    reading = intake.newest_reactive.get(name) if what == "reactive_kvar" else newest
    if reading is None or newest is None:
        return unknown(look.plant.started_at)
    flaw = flaw_of(look, reading) | flaw_of(
        look, newest
    )  # bad by now: what it told before is no better
    return known(getattr(reading, what), reading.measured_at, flaw)


def flaw_of(look: Look, reading: Reading) -> Flaw:
    """What is wrong with a reading now."""
    plant, age = look.plant, look.now - reading.measured_at
    most_s = plant.file.park.resource_by_id[reading.resource_id].max_age_s
    flaw = _of_age(look, age, timedelta(seconds=most_s))
    if reading.quality is Quality.BAD or reading.doubt is not None:
        flaw |= Flaw.INVALID
    elif reading.quality is Quality.UNCERTAIN or reading.raw_power_kw is not None:
        flaw |= Flaw.SUBSTITUTED
    return flaw


def _of_age(look: Look, age: timedelta, most: timedelta) -> Flaw:
    if -AHEAD <= age <= most:
        return Flaw.NONE
    carried = timedelta(minutes=look.plant.file.reporting.carried_minutes)
    return Flaw.NOT_TOPICAL if -AHEAD <= age <= max(most, carried) else Flaw.INVALID


def power(look: Look) -> Shown:
    """The sum of all members, kW."""
    return total((told_by(look, r.resource_id, "power_kw") for r in look.members), look.now)


def reactive(look: Look) -> Shown:
    """The sum of those members whose device tells it, kvar."""
    return total(
        (told_by(look, name, "reactive_kvar") for name in sorted(look.reactive_names)), look.now
    )


def metered(look: Look, max_age: timedelta) -> Shown:
    """The main meters of the whole park together, kW."""
    parts = []
    for place in look.plant.file.park.connection_points:
        reading = look.plant.intake.newest_meter.get(place.meter_id)
        if reading is None or reading.doubt is not None:
            return unknown(look.plant.started_at)
        flaw = _of_age(look, look.now - reading.measured_at, max_age)
        parts.append(known(reading.power_kw, reading.measured_at, flaw))
    if not all(map(is_known, parts)):
        return unknown(look.plant.started_at)
    return total(parts, look.now)


# ---------------------------------------------------------------- how far it could move


def room(look: Look, hours: float = flexibility.HOURS) -> tuple[Shown, Shown]:
    """Up and down, kW: none where nobody may be commanded; not topical where one who could move is not heard."""
    if hours not in look.rooms:
        if look.plant.safe_state in (SafeState.RELEASE, SafeState.KILLED):
            look.rooms[hours] = known(0.0, look.now), known(0.0, look.now)
        else:
            look.rooms[hours] = room_in(look, look.state, hours)
    return look.rooms[hours]


def room_in(
    look: Look, state: ParkState, hours: float, flaw: Flaw = Flaw.NONE
) -> tuple[Shown, Shown]:
    """The same in a given state of the park."""
    movers = {r.resource_id for r in look.members if not isinstance(r, FixedLoad)}
    if any(isinstance(s, Unknown) and s.resource_id in movers for s in state.resources):
        flaw |= Flaw.NOT_TOPICAL
    plant = look.plant
    among = None if look.is_whole else look.names
    found = flexibility.room(plant.file.park, plant.units, state, hours=hours, among=among)
    return (
        known(found.available_up_kw, look.now, flaw),
        known(found.available_down_kw, look.now, flaw),
    )


# ---------------------------------------------------------------- what is planned and owed


def planned(look: Look) -> Shown:
    """The standing plan at this moment, kW."""
    return course(look, Horizon(look.now, QUARTER, 1), planned_kw(look))[0]


def planned_kw(look: Look) -> tuple[Horizon, Floats] | None:
    """Its members' sum in the standing plan; None where there is no plan."""
    schedule = look.plant.schedule
    if schedule is None:
        return None
    return schedule.horizon, schedule.power_kw[look.plan_rows].sum(axis=0)


def course(
    look: Look, horizon: Horizon, values: tuple[Horizon, Floats] | None, flaw: Flaw = Flaw.NONE
) -> tuple[Shown, ...]:
    """Values on one horizon as means over the steps of another; unknown where not all of a step is known."""
    if values is None:
        return (unknown(look.now),) * horizon.steps
    of, kw = values
    found = []
    for start in horizon.starts():
        first, last = of.index(start), of.next_index(start + horizon.step)
        # A step that begins within one of the plan's is no longer than what is left of that one.
        last = max(first + 1, last if horizon.step > of.step else first + 1)
        inside = first >= 0 and last <= of.steps
        found.append(known(float(np.mean(kw[first:last])) if inside else None, look.now, flaw))
    return tuple(found)


def owed(look: Look) -> Shown:
    """What the newest act cycle found, kW; unknown where nothing is owed yet, and of another unit than the first."""
    trace, units = look.plant.trace, look.plant.file.park.bidding_units
    other = look.unit is not None and look.unit != units[0]
    if not trace or trace[-1].owed_kw is None or other:
        return unknown(look.now)
    late = look.now - trace[-1].at > PERIODS * look.plant.file.control.period
    return known(trace[-1].owed_kw, trace[-1].at, Flaw.NOT_TOPICAL if late else Flaw.NONE)
