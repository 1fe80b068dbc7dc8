"""The record of stays in the journal: who began to charge, and when it ended.

    StartTransaction ─▶ journal ─▶ its number goes to the station          a station tells it once
    restart ─▶ begun and not ended ─▶ cars that are taken to be here still

A station sends a start again, under another message id, when it had no answer: the same point at the same
moment is the same stay, unless it is of another card or begins at another register.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

import msgspec

from vpp.clock import Watch
from vpp.errors import ConflictError
from vpp.model.charging import StayBegun
from vpp.model.time import isoformat, parse_utc
from vpp.ports import Journal

BEGAN, ENDED = "charging_began", "charging_ended"
"""Kinds of journal entries."""


class _Began(msgspec.Struct):
    station: str
    point: int
    transaction: str
    tag: str
    at: str
    energy_wh: float | None


class _Ended(msgspec.Struct):
    station: str
    transaction: str
    at: str
    energy_wh: float | None


_began = msgspec.json.Decoder(_Began)
_ended = msgspec.json.Decoder(_Ended)


class JournalLedger:
    """A `StayLedger` in a journal."""

    def __init__(self, journal: Journal, clock: Watch) -> None:
        """Take up what the journal holds."""
        self._journal, self._clock = journal, clock

    def going_on(self) -> Iterable[StayBegun]:
        """See `StayLedger.going_on`."""
        open_: dict[tuple[str, str], StayBegun] = {}
        for entry in self._journal.entries(BEGAN, ENDED):
            if entry.kind == BEGAN:
                stay = _stay(_began.decode(entry.body))
                open_[stay.station_id, stay.transaction] = stay
            else:
                over = _ended.decode(entry.body)
                open_.pop((over.station, over.transaction), None)
        return open_.values()

    def last_number(self, most: int) -> int:
        """See `StayLedger.last_number`."""
        told = (_began.decode(entry.body).transaction for entry in self._journal.entries(BEGAN))
        numbers = (int(one) for one in told if one.isascii() and one.isdecimal() and len(one) < 16)
        return max((number for number in numbers if number <= most), default=0)

    async def began(self, stay: StayBegun) -> StayBegun:
        """See `StayLedger.began`."""
        key = f"{stay.station_id}/{stay.point}/{isoformat(stay.at)}"
        if (known := self._known(key)) is not None:
            if _is_told_again(stay, known):
                return known
            key = f"{key}/{stay.tag}/{stay.energy_wh}"  # another in the same second
            if (known := self._known(key)) is not None:
                return known
        body = _Began(
            station=stay.station_id,
            point=stay.point,
            transaction=stay.transaction,
            tag=stay.tag,
            at=isoformat(stay.at),
            energy_wh=stay.energy_wh,
        )
        await self._journal.append(BEGAN, key, msgspec.json.encode(body), now=self._clock.now())
        return stay

    def _known(self, key: str) -> StayBegun | None:
        entry = self._journal.find(BEGAN, key)
        return None if entry is None else _stay(_began.decode(entry.body))

    async def ended(
        self, station_id: str, transaction: str, at: datetime, energy_wh: float | None
    ) -> None:
        """See `StayLedger.ended`."""
        body = _Ended(
            station=station_id, transaction=transaction, at=isoformat(at), energy_wh=energy_wh
        )
        key = f"{station_id}/{transaction}"
        try:
            await self._journal.append(ENDED, key, msgspec.json.encode(body), now=self._clock.now())
        except ConflictError:  # told again with another end, or it went on after that one
            with suppress(ConflictError):  # only its register is another
                later = f"{key}/{isoformat(at)}"
                await self._journal.append(
                    ENDED, later, msgspec.json.encode(body), now=self._clock.now()
                )

    def ended_at(self, station_id: str, transaction: str) -> datetime | None:
        """See `StayLedger.ended_at`."""
        entry = self._journal.find(ENDED, f"{station_id}/{transaction}")
        return None if entry is None else parse_utc(_ended.decode(entry.body).at, where="journal")


def _is_told_again(stay: StayBegun, known: StayBegun) -> bool:
    """Whether it is the one on record: by its name, or, where the name was ours to give, by what it says."""
    told, before = (stay.tag, stay.energy_wh), (known.tag, known.energy_wh)
    return stay.transaction == known.transaction or told == before


def _stay(said: _Began) -> StayBegun:
    return StayBegun(
        station_id=said.station,
        point=said.point,
        transaction=said.transaction,
        tag=said.tag,
        at=parse_utc(said.at, where="journal"),
        energy_wh=said.energy_wh,
    )
