"""What a charging station says and is told, whatever version of OCPP it speaks.

    CALL ─▶ dialect (`ocpp16.py`, `ocpp201.py`) ─▶ one of these words ─▶ `ocpp_station.py`

Powers are draw here, as OCPP counts: the one sign is turned where a car park tells inward
(`ocpp_carpark.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal, Protocol, TypeAlias

import msgspec


class WordError(Exception):
    """A payload that is no message of its action; `code` as OCPP-J names it."""

    def __init__(self, code: str, what: str) -> None:
        super().__init__(what)
        self.code = code


class Plug(StrEnum):
    """What stands at a charging point."""

    FREE = "free"
    OCCUPIED = "occupied"
    CHARGING = "charging"
    SUSPENDED_EV = "suspended_ev"
    """The car takes nothing, though it may."""
    SUSPENDED_EVSE = "suspended_evse"
    OUT_OF_ORDER = "out_of_order"


@dataclass(frozen=True, slots=True)
class Sample:
    """What a meter showed at one moment; draw in kW, register of draw in Wh."""

    at: datetime
    power_kw: float | None
    energy_wh: float | None
    soc: float | None = None


@dataclass(frozen=True, slots=True)
class Booted:
    vendor: str
    model: str
    serial: str
    firmware: str


@dataclass(frozen=True, slots=True)
class Beat:
    """It lives."""


@dataclass(frozen=True, slots=True)
class Status:
    point: int
    """0 is the whole station."""
    plug: Plug
    at: datetime | None
    error: str


@dataclass(frozen=True, slots=True)
class Metered:
    point: int
    transaction: str | None
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Began:
    point: int
    transaction: str | None
    """None: we give it a number (1.6)."""
    tag: str
    at: datetime
    energy_wh: float | None
    samples: tuple[Sample, ...] = ()
    plug: Plug | None = None


@dataclass(frozen=True, slots=True)
class Went:
    """News of a transaction that goes on (2.0.1)."""

    point: int
    transaction: str
    at: datetime
    samples: tuple[Sample, ...]
    plug: Plug | None
    tag: str | None


@dataclass(frozen=True, slots=True)
class Ended:
    point: int | None
    transaction: str
    at: datetime
    energy_wh: float | None
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """Whether a card may charge."""

    tag: str


@dataclass(frozen=True, slots=True)
class Needs:
    """What a car itself asks for (2.0.1, ISO 15118)."""

    point: int
    departs_at: datetime | None
    energy_kwh: float | None


@dataclass(frozen=True, slots=True)
class Noted:
    """Something that is answered and not used."""

    answer: Any


Word: TypeAlias = Booted | Beat | Status | Metered | Began | Went | Ended | Asked | Needs | Noted


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The most that a point may draw, for a while."""

    point: int
    transaction: str
    most: float
    """In the unit of the station: whole W, or halves of an A."""
    unit: Literal["W", "A"]
    begins_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Shown:
    """The limit that a station says is in force at a point now; None where none is."""

    most: float | None
    unit: Literal["W", "A"]


class Dialect(Protocol):
    """One version of OCPP: its payloads to words and back."""

    subprotocol: str
    """As it stands in the handshake."""

    def read(self, action: str, payload: msgspec.Raw) -> Word:
        """One call. Raises WordError."""
        ...

    def answer(
        self, word: Word, *, now: datetime, status: str, interval_s: int, transaction: str
    ) -> Any:
        """The payload of an answer; `status` is of a boot or a card, `transaction` what was given it."""
        ...

    def limit(self, limit: Limit) -> tuple[str, Any]:
        """Action and payload that set a limit."""
        ...

    def safe(self, most: float, unit: Literal["W", "A"], phases: int) -> tuple[str, Any]:
        """Action and payload that set what holds where no limit does."""
        ...

    def clear(self, point: int) -> tuple[str, Any]:
        """Action and payload that take the limit of a point back."""
        ...

    def ask_limit(self, point: int, unit: Literal["W", "A"]) -> tuple[str, Any]:
        """Action and payload that ask what is in force."""
        ...

    def shown_limit(self, payload: msgspec.Raw) -> Shown | None:
        """What is in force; None where the station does not say. Raises WordError."""
        ...

    def settings(self, sample_s: int) -> tuple[tuple[str, Any], ...]:
        """Calls that make a station tell its meter every `sample_s`."""
        ...

    def ask_status(self) -> tuple[str, Any]:
        """Action and payload that make a station tell how its points stand."""
        ...

    def accepted(self, payload: msgspec.Raw) -> str | None:
        """Why the station did not do what was asked; None where it did. Raises WordError."""
        ...


class _Outcome(msgspec.Struct):
    status: str


_outcome = msgspec.json.Decoder(_Outcome)


def status_of(payload: msgspec.Raw) -> str:
    """The status of an answer. Raises WordError."""
    try:
        return _outcome.decode(payload).status
    except (ValueError, RecursionError) as error:
        raise WordError("FormationViolation", f"an answer without its status: {error}") from error


def moment(text: str) -> datetime:
    """A time that names its zone, as UTC.

    Raises:
        WordError: It is none, or names no zone: OCPP asks for UTC, and a guess books energy at a wrong hour.
    """
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise ValueError("names no zone")
        return at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise WordError(
            "PropertyConstraintViolation", f"{text[:40]!r} is no time: {error}"
        ) from error


def told(at: datetime) -> str:
    """A time as it is sent: whole seconds, which every station reads."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
