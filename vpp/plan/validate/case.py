"""What is checked: a schedule, the view and the terms it was made for, and the days of the horizon."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.model.ids import ConnectionPointId, ResourceId
from vpp.model.measurement import Reading, RunPhase
from vpp.model.park import Place
from vpp.model.resource import Converter, Resource
from vpp.model.schedule import Schedule
from vpp.model.time import local_date
from vpp.plan.terms import ReserveHeadroom, Term
from vpp.plan.view import Margin, PlanningView

if TYPE_CHECKING:
    from vpp.plan.validate.flexible import Span

AT_ONCE = 500
"""Things that are looked at together: their numbers stay in the processor's cache."""

OneKind = TypeVar("OneKind")

ON_KW = 1e-3
"""A machine that draws or feeds more than this is on, where it does not say its phase."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A schedule that has the right names and shapes; whether it is right is still to be seen."""

    schedule: Schedule
    view: PlanningView
    terms: Sequence[Term]
    limit_excess_price_per_kwh: float

    @property
    def steps(self) -> int:
        return self.view.horizon.steps

    @property
    def hours(self) -> float:
        return self.view.horizon.step_hours

    @cached_property
    def row_of(self) -> dict[ResourceId, int]:
        return {r.resource_id: row for row, r in enumerate(self.view.park.resources)}

    @cached_property
    def reserves(self) -> tuple[ReserveHeadroom, ...]:
        """The products of reserve among the terms."""
        return tuple(term for term in self.terms if isinstance(term, ReserveHeadroom))

    @cached_property
    def points_below(self) -> dict[Place, list[ConnectionPointId]]:
        """The connection points that stand below each node of the tree, in park order."""
        found: dict[Place, list[ConnectionPointId]] = {}
        for point in self.view.park.connection_points:
            places: list[Place] = [self.view.park.park_id, point.enterprise_id]
            places += [] if point.feeder_id is None else [point.feeder_id]
            for place in dict.fromkeys([*places, point.connection_point_id]):
                found.setdefault(place, []).append(point.connection_point_id)
        return found

    @cached_property
    def margin_of(self) -> dict[Place, Margin]:
        """What is kept free below the limits of each place."""
        return {margin.place: margin for margin in self.view.margins}

    @cached_property
    def spans(self) -> dict[tuple[time, time, tuple[int, ...]], list[Span]]:
        """When windows are open, by their times and days: what `flexible.py` has found out already."""
        return {}

    def powers(self, names: Iterable[ResourceId]) -> Floats:
        """Net injection of several resources, shape (K, T)."""
        rows: Floats = self.schedule.power_kw[[self.row_of[name] for name in names]]
        return rows

    def power(self, name: ResourceId) -> Floats:
        """Net injection of a resource, shape (T,)."""
        row: Floats = self.schedule.power_kw[self.row_of[name]]
        return row

    def reading(self, name: ResourceId) -> Reading | None:
        return self._readings.get(name)

    @cached_property
    def _readings(self) -> Mapping[ResourceId, Reading]:
        return self.view.state.readings

    def was_on(self, name: ResourceId) -> bool:
        """Whether a machine runs as the horizon begins; one that is not heard rests."""
        reading, machine = self.reading(name), self.view.park.resource_by_id[name]
        if reading is None:
            return False
        if reading.phase is not None:
            return reading.phase in (RunPhase.RUNNING, RunPhase.CALLED)
        idle_kw = 0.0
        if isinstance(machine, Converter) and measured(machine)[0] == 0:
            idle_kw = machine.standby_kw
        return abs(reading.power_kw) > idle_kw + ON_KW

    @cached_property
    def undone(self) -> dict[str, list[str]]:
        """The windows of which the schedule says what they lack, by the id of their load."""
        return _by_head(self.schedule.undone_units)

    @cached_property
    def sessions(self) -> dict[str, list[str]]:
        """The cars of which the schedule says how they charge, or what they lack, by their car park."""
        return _by_head({**self.schedule.unserved_kwh, **self.schedule.cars_kw})

    @cached_property
    def starts(self) -> tuple[datetime, ...]:
        """When each step starts."""
        return self.view.horizon.starts()

    @cached_property
    def days(self) -> dict[date, NDArray[np.bool_]]:
        """Which steps start on each local day of the horizon, shape (T,) each."""
        dates = [local_date(moment, self.view.park.timezone) for moment in self.starts]
        return {day: np.array([d == day for d in dates]) for day in dict.fromkeys(dates)}

    def told_on(self, reading: Reading | None, day: date) -> bool:
        """Whether a reading's counts "of today" are about `day`."""
        if reading is None:
            return False
        return local_date(reading.measured_at, self.view.park.timezone) == day

    def steps_of(self, length: timedelta) -> int:
        """A length in whole steps, rounded up."""
        return ceil(length / self.view.horizon.step)

    def steps_until(self, moment: datetime) -> int:
        """How many steps of the horizon start before `moment`; below 0 where it lies before it."""
        return ceil((moment - self.view.horizon.start) / self.view.horizon.step)

    def zeros(self) -> Floats:
        return np.zeros(self.steps)

    def of(self, profiles: Mapping[ResourceId, Floats], name: ResourceId) -> Floats:
        """One profile of the schedule; nothing where it does not speak of the resource."""
        return profiles.get(name, self.zeros())


def parts(things: Sequence[OneKind], *, at_once: int = AT_ONCE) -> Iterator[Sequence[OneKind]]:
    """Some at a time, `at_once` at most."""
    for first in range(0, len(things), at_once):
        yield things[first : first + at_once]


def _by_head(keys: Iterable[str]) -> dict[str, list[str]]:
    """Keys of the form `resource id/…` by their resource, in order."""
    found: dict[str, list[str]] = {}
    for key in keys:
        found.setdefault(key.partition("/")[0], []).append(key)
    return found


def electric(resource: Resource) -> bool:
    """Whether its power is electricity at its connection point."""
    return resource.node_id is None


def measured(machine: Converter) -> list[int]:
    """The ports of which a machine's reading speaks: electricity, else the first."""
    return [p for p, port in enumerate(machine.ports) if port.node_id is None] or [0]
