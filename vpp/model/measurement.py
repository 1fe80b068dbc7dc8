"""What was measured, by whom and when, and the picture of the park frozen from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from math import isfinite
from operator import attrgetter
from typing import Any, TypeAlias

from vpp.errors import DataError
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.time import require_utc


class Quality(StrEnum):
    GOOD = "good"
    UNCERTAIN = "uncertain"
    BAD = "bad"


class RunPhase(StrEnum):
    """Where a run, a call or a machine that is on or off stands."""

    WAITING = "waiting"
    RUNNING = "running"
    CALLED = "called"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvSession:
    """A car that is plugged in, with what its driver asked for."""

    session_id: str
    departs_at: datetime
    wanted_kwh: float
    """Still to be charged, counted in the car."""

    arrives_at: datetime | None = None
    """When it will come; None where the car is here."""

    lends_kwh: float = 0.0
    """How much may be taken out of it on the way, counted in the car; it wants that back too."""


_NUMBERS = (
    *("power_kw", "energy_kwh", "soc", "temperature_degc", "available_kw"),
    *("hours_on_today", "done_kwh", "discharged_today_kwh", "reactive_kvar"),
)
_numbers = attrgetter(*_NUMBERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One telemetry message of a resource, checked, in our units. Power is net injection."""

    resource_id: ResourceId
    enterprise_id: EnterpriseId
    measured_at: datetime
    received_at: datetime
    seq: int
    quality: Quality
    power_kw: float
    energy_kwh: float | None = None
    """Net injection register, counted since the device began."""

    soc: float | None = None
    """Share of a storage's capacity, in [0, 1]."""

    temperature_degc: float | None = None
    available_kw: float | None = None
    """What a generator could feed now if nothing curtailed it."""

    phase: RunPhase | None = None
    phase_since: datetime | None = None
    calls_today: int | None = None
    """Calls, starts or runs since local midnight, those that go on included."""

    hours_on_today: float | None = None
    done_kwh: float | None = None
    """Energy drawn so far in the window of work that is open now."""

    discharged_today_kwh: float | None = None
    """Taken out of a store since local midnight."""

    reactive_kvar: float | None = None
    """Reactive power fed: above 0 as a capacitor does; None where the device does not tell it."""

    sessions: tuple[EvSession, ...] | None = None
    setpoint_seq: int | None = None
    """The newest command the device has taken."""

    raw_power_kw: float | None = None
    """What the device said, where `power_kw` is another value because that was not believed."""

    doubt: str | None = None
    """Why nobody may go by this reading; None where it is believed."""

    def __post_init__(self) -> None:
        # Asked for every message, so the good case is one pass without names or loops in Python.
        if self.measured_at.tzinfo is not UTC or self.received_at.tzinfo is not UTC:
            require_utc(self.measured_at, where=f"{self.resource_id}.measured_at")
            require_utc(self.received_at, where=f"{self.resource_id}.received_at")
        for value in _numbers(self):
            if value is not None and not isfinite(value):
                raise self._not_finite()
        if self.soc is not None and not 0 <= self.soc <= 1:
            raise DataError(
                f"soc is {self.soc}", where=self.resource_id, fix="Send a share of 1, not per cent"
            )

    def _not_finite(self) -> DataError:
        name, value = next(
            (name, value)
            for name, value in zip(_NUMBERS, _numbers(self), strict=True)
            if value is not None and not isfinite(value)
        )
        return DataError(
            f"{name} is {value}", where=self.resource_id, fix="Send finite numbers only"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterReading:
    """The registers of a main meter, in whole Wh so that nothing rounds on the way to money."""

    meter_id: ResourceId
    enterprise_id: EnterpriseId
    measured_at: datetime
    received_at: datetime
    seq: int
    import_wh: int
    export_wh: int
    power_kw: float
    """Net injection now; for people and the guard, never for money."""

    raw_power_kw: float | None = None
    """What the meter said, where `power_kw` is another value because that was not believed."""

    doubt: str | None = None
    """Why nobody may go by this reading; None where it is believed."""


Measurement: TypeAlias = Reading | MeterReading


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A resource nobody can speak for now: never heard, too old, or marked bad."""

    resource_id: ResourceId
    reason: str


ResourceState: TypeAlias = Reading | Unknown


@dataclass(frozen=True, kw_only=True)
class ParkState:
    """The park as frozen at `taken_at`, in resource order. Nothing changes under a cycle's feet."""

    taken_at: datetime
    resources: tuple[ResourceState, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        """Column by column: a park of a hundred thousand goes to another process at every plan."""
        readings = [one for one in self.resources if isinstance(one, Reading)]
        others = [(at, o) for at, o in enumerate(self.resources) if not isinstance(o, Reading)]
        columns = list(zip(*map(_FIELDS, readings), strict=True))
        told = [None if not any(v is not None for v in column) else column for column in columns]
        return _from_columns, (self.taken_at, len(readings), told, others)

    @cached_property
    def _by_id(self) -> dict[ResourceId, ResourceState]:
        return {state.resource_id: state for state in self.resources}

    @cached_property
    def readings(self) -> dict[ResourceId, Reading]:
        """Readings of the resources that are known."""
        return {one.resource_id: one for one in self.resources if isinstance(one, Reading)}

    def reading(self, resource_id: ResourceId) -> Reading | None:
        """The reading of a resource, None where it is unknown.

        Raises:
            DataError: The park has no such resource.
        """
        state = self._by_id.get(resource_id)
        if state is None:
            raise DataError(
                f"no resource {resource_id}",
                where="ParkState",
                fix="Ask for a resource of the park",
            )
        return state if isinstance(state, Reading) else None


_NAMES = tuple(one.name for one in fields(Reading))
_FIELDS = attrgetter(*_NAMES)


def _from_columns(
    taken_at: datetime,
    count: int,
    columns: Sequence[Sequence[Any] | None],
    others: Sequence[tuple[int, ResourceState]],
) -> ParkState:
    """The state that `ParkState.__reduce__` took apart; a column that is None is None in each reading."""
    told = {name: c for name, c in zip(_NAMES, columns, strict=False) if c is not None}
    rows = zip(*told.values(), strict=True)
    resources: list[ResourceState] = [Reading(**dict(zip(told, row, strict=True))) for row in rows]
    assert len(resources) == count
    for at, other in others:
        resources.insert(at, other)
    return ParkState(taken_at=taken_at, resources=tuple(resources))
