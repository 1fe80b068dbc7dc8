"""Nominations and confirmations as bytes in the record."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec

from vpp.model.ids import UnitId
from vpp.model.nomination import ConfirmedSchedule, Nomination
from vpp.model.time import Interval, isoformat, parse_utc


class _NominationRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    unit: str
    day: str
    version: int
    digest: str
    """SHA-256 of the file."""
    lines: list[tuple[str, str, str]]
    """Start, end, MW."""


class _ConfirmationRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    nomination_id: str
    version: int
    where: str
    lines: list[tuple[str, str, str]]


def nomination_to_record(nomination: Nomination, digest: str) -> bytes:
    """What the journal keeps of a nomination."""
    return msgspec.json.encode(
        _NominationRecord(
            unit=nomination.unit_id,
            day=nomination.day.isoformat(),
            version=nomination.version,
            digest=digest,
            lines=_lines(dict(nomination.nominated_mw)),
        )
    )


def nomination_from_record(body: bytes) -> tuple[Nomination, str]:
    """The nomination and the digest of its file."""
    record = msgspec.json.decode(body, type=_NominationRecord)
    nomination = Nomination(
        unit_id=UnitId(record.unit),
        day=date.fromisoformat(record.day),
        version=record.version,
        nominated_mw=_read(record.lines),
    )
    return nomination, record.digest


def confirmation_to_record(confirmed: ConfirmedSchedule) -> bytes:
    """What the journal keeps of a confirmation."""
    return msgspec.json.encode(
        _ConfirmationRecord(
            nomination_id=confirmed.nomination_id,
            version=confirmed.version,
            where=confirmed.where,
            lines=_lines(dict(confirmed.confirmed_mw)),
        )
    )


def confirmation_from_record(body: bytes) -> ConfirmedSchedule:
    """The confirmation."""
    record = msgspec.json.decode(body, type=_ConfirmationRecord)
    return ConfirmedSchedule(
        nomination_id=record.nomination_id,
        version=record.version,
        where=record.where,
        confirmed_mw=_read(record.lines),
    )


def _lines(by_interval: dict[Interval, Decimal]) -> list[tuple[str, str, str]]:
    return [
        (isoformat(i.start), isoformat(i.end), format(mw, "f")) for i, mw in by_interval.items()
    ]


def _read(lines: list[tuple[str, str, str]]) -> dict[Interval, Decimal]:
    where = "nomination record"
    return {
        Interval(parse_utc(start, where=where), parse_utc(end, where=where)): Decimal(mw)
        for start, end, mw in lines
    }
