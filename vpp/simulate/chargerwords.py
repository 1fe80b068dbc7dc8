"""What a charging station says and is asked, in the words of one OCPP or another.

    chargerwords16.py     OCPP 1.6J    StartTransaction, MeterValues, StopTransaction; connectors
    chargerwords201.py    OCPP 2.0.1   TransactionEvent, MeterValues; each EVSE with its one connector

Both are written from the published messages and share nothing with the library that the central system reads
with: a mistake of one is not repeated by the other. What is asked comes as plain JSON that nobody has checked:
a field that is missing or odd is a `WordsError`, which is told in a CALLERROR.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any, Protocol

from vpp.errors import DataError
from vpp.model.time import parse_utc
from vpp.simulate.charger import (
    ChargerSpec,
    ChargingProfile,
    Connector,
    Period,
    Purpose,
    Stay,
    Unit,
)

Payload = Mapping[str, Any]


class WordsError(Exception):
    """A question that cannot be read. `code` is that of a CALLERROR."""

    def __init__(self, code: str, what: str) -> None:
        super().__init__(what)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearing:
    """Which profiles are to be dropped; None stands for any."""

    profile_id: int | None = None
    connector: int | None = None
    purpose: Purpose | None = None
    stack_level: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a connector's meter shows at a moment."""

    at: datetime
    draw_kw: float
    register_kwh: float
    soc: float | None


def reading_of(outlet: Connector, at: datetime) -> Reading:
    """What the meter of `outlet` shows."""
    return Reading(
        at=at,
        draw_kw=outlet.draw_kw,
        register_kwh=outlet.register_kwh,
        soc=None if outlet.stay is None else outlet.stay.soc,
    )


class Words(Protocol):
    """One version of OCPP, from the station's side. Each that is said is an action and its payload."""

    def boot(self, spec: ChargerSpec, why: str) -> tuple[str, Payload]: ...

    def status(self, connector: int, outlet: Connector, at: datetime) -> tuple[str, Payload]: ...

    def began(self, stay: Stay, at: Reading, *, offline: bool) -> tuple[str, Payload]: ...

    def metered(
        self, connector: int, stay: Stay | None, at: Reading, *, offline: bool
    ) -> tuple[str, Payload]: ...

    def ended(self, stay: Stay, at: Reading, *, offline: bool) -> tuple[str, Payload]: ...

    def named(self, stay: Stay, answer: Payload) -> str:
        """What the transaction is called once its beginning was answered."""
        ...

    def addressed(self, action: str, said: Payload, stay: Stay | None) -> Payload:
        """What leaves in the end: with the name of the transaction, where that was not known before."""
        ...

    def profile(self, asked: Payload, now: datetime) -> ChargingProfile: ...

    def clearing(self, asked: Payload) -> Clearing: ...

    def composite_asked(self, asked: Payload) -> tuple[int, int, Unit]:
        """Connector, seconds, unit."""
        ...

    def composite(
        self,
        connector: int,
        duration_s: int,
        unit: Unit,
        starts_at: datetime,
        periods: Sequence[Period],
    ) -> Payload: ...


# ---------------------------------------------------------------- reading what nobody has checked

UNITS = {unit.value: unit for unit in Unit}


def read_profile(
    said: Payload,
    schedule: Payload,
    now: datetime,
    *,
    profile_id: int,
    connector: int,
    purpose: Purpose,
    transaction: str | None,
) -> ChargingProfile:
    """What both versions call by the same names."""
    kind = said.get("chargingProfileKind")
    if kind not in ("Absolute", "Relative"):
        raise WordsError("NotSupported", f"chargingProfileKind {kind}")
    # A relative schedule begins with the charging; here that is the moment at which it is taken.
    starts_at = _moment(schedule, "startSchedule") if kind == "Absolute" else None
    periods = schedule.get("chargingSchedulePeriod")
    if not isinstance(periods, list):
        raise WordsError("OccurrenceConstraintViolation", "chargingSchedulePeriod")
    return ChargingProfile(
        profile_id=profile_id,
        purpose=purpose,
        stack_level=read_whole(said, "stackLevel"),
        connector=connector,
        starts_at=starts_at or now,
        unit=read_one_of(schedule, "chargingRateUnit", UNITS),
        periods=tuple(_period(period) for period in periods),
        duration_s=read_whole(schedule, "duration") if "duration" in schedule else None,
        valid_from=_moment(said, "validFrom"),
        valid_to=_moment(said, "validTo"),
        transaction=transaction,
    )


def _period(said: object) -> Period:
    if not isinstance(said, dict):
        raise WordsError("TypeConstraintViolation", "chargingSchedulePeriod")
    limit = said.get("limit")
    if not isinstance(limit, int | float) or not isfinite(limit) or limit < 0:
        raise WordsError("PropertyConstraintViolation", f"limit {limit}")
    if abs(10 * limit - round(10 * limit)) > 1e-6:  # one digit after the point: 1.6, 7.14
        raise WordsError("PropertyConstraintViolation", f"limit {limit} has more than one digit")
    return Period(
        starts_s=read_whole(said, "startPeriod"),
        limit=float(limit),
        phases=read_whole(said, "numberPhases") if "numberPhases" in said else None,
    )


def read_object(said: Payload, name: str) -> Payload:
    found = said.get(name)
    if not isinstance(found, dict):
        raise WordsError("OccurrenceConstraintViolation", name)
    return found


def read_whole(said: Payload, name: str) -> int:
    found = said.get(name)
    if not isinstance(found, int) or isinstance(found, bool):
        raise WordsError("TypeConstraintViolation", f"{name} is {found}")
    return found


def read_one_of(said: Payload, name: str, known: Mapping[str, Any]) -> Any:
    found = said.get(name)
    if not isinstance(found, str) or found not in known:
        raise WordsError("PropertyConstraintViolation", f"{name} is {found}")
    return known[found]


def _moment(said: Payload, name: str) -> datetime | None:
    found = said.get(name)
    if found is None:
        return None
    if not isinstance(found, str):
        raise WordsError("TypeConstraintViolation", f"{name} is {found}")
    try:
        return parse_utc(found, where=name)
    except DataError as error:
        raise WordsError("FormationViolation", str(error)) from error


# ---------------------------------------------------------------- saying


def said_periods(periods: Sequence[Period]) -> list[Payload]:
    return [{"startPeriod": period.starts_s, "limit": period.limit} for period in periods]


def watt_hours(at: Reading) -> int:
    return round(1000 * at.register_kwh)
