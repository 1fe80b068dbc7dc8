"""The link that tells a recording anew: rows of a CSV file, each when its time has come again.

    time,device,power_kw,…  ─▶ moved by whole weeks ─▶ waits until it is due ─▶ PayloadTranslator ─▶ messages()

The columns mean what the map says, as the keys of a JSON object would; an empty cell is no value. Rows that
are older than the start are left out, and when the recording ends the link is down. It takes no command:
what was recorded happened already.
"""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec

from adapters.mapped_link import MappedLink
from adapters.payload_mapping import ForeignDevice
from adapters.payload_values import NonsenseError, time_of
from vpp.errors import DataError
from vpp.model.command import Setpoint
from vpp.model.payloads import PayloadMap, TimeAt
from vpp.model.time import isoformat, parse_utc
from vpp.ports import Message, Unsent
from vpp.wire import TelemetryMessage

LOOK_S = 1.0
"""How often at least it is looked whether a row is due, for clocks that run faster."""

BREATH = 500
"""Rows that are passed over in a row before others get their turn."""

YEARS = range(1970, 2201)
"""Others are no times of a recording, and moved they would leave the calendar."""

Moved = Literal["weeks", "days", "start"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A file of recorded telemetry."""

    file: Path
    delimiter: str = ","
    moved: Moved = "weeks"
    """By what recorded times come to the present: by whole weeks, by whole days (each 24 h, so that a
    clock change between then and now shifts local times), or so that the first row is told at the start."""

    def rows(self) -> Iterator[dict[str, str]]:
        """The rows in their order, without empty cells.

        Raises:
            DataError: The file cannot be read, or is no CSV.
        """
        try:
            with self.file.open(encoding="utf-8-sig", newline="") as opened:
                for row in csv.DictReader(opened, delimiter=self.delimiter, strict=True):
                    yield {
                        name: cell
                        for name, cell in row.items()
                        if isinstance(name, str) and isinstance(cell, str) and cell != ""
                    }
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(
                f"cannot be read: {error}", where=str(self.file), fix="Give CSV in UTF-8"
            ) from error


def shift_of(first: datetime, last: datetime, now: datetime, moved: Moved) -> timedelta:
    """What is added to recorded times.

    By weeks and days the present lies in the first of them if the recording is that long; else it begins
    when its time of the week or day comes next.
    """
    if moved == "start":
        return now - first
    step = timedelta(weeks=1) if moved == "weeks" else timedelta(days=1)
    shift = (now - first) // step * step
    return shift if last + shift > now else shift + step


class ReplayLink(MappedLink):
    """A `MessageSource` over a recording; as a `SetpointSink` it sends nothing."""

    def __init__(
        self,
        recording: Recording,
        payload_map: PayloadMap,
        devices: Sequence[ForeignDevice],
        *,
        now: Callable[[], datetime],
    ) -> None:
        """Raises DataError where the map does not say when a row was measured."""
        super().__init__(recording.file.name, payload_map, devices, now=now)
        self._recording = recording
        time = payload_map.incoming[0].time
        if time is None or len(payload_map.incoming) != 1:
            raise DataError(
                "must have one kind of row, with a time",
                where=payload_map.name,
                fix="Give the map one entry under incoming, with a time",
            )
        self._time: TimeAt = time
        self._encode = msgspec.json.Encoder().encode
        self.untimed = 0
        """Rows without a time that can be read."""

    async def _live(self, stop: asyncio.Event) -> None:
        try:
            await self._play(stop)
        except DataError as error:
            self._standing.went_down(str(error))
        await stop.wait()

    async def _play(self, stop: asyncio.Event) -> None:
        """Tell the rows as their times come; returns at the end, or at `stop`. Raises DataError."""
        first, last = await asyncio.to_thread(self._span)
        began = self._now()
        shift = shift_of(first, last, began, self._recording.moved)
        self._standing.went_up()
        for number, row in enumerate(self._recording.rows()):
            if number % BREATH == 0:
                await asyncio.sleep(0)
            measured_at = self._measured_at(row)
            if measured_at is None:
                self.untimed += 1
            elif measured_at + shift >= began:
                if not await self._until(measured_at + shift, stop):
                    return
                found = self._read(self._where, self._encode(row), measured_at)
                self._tell([self._moved(message, shift) for message in found])
        self._standing.went_down(f"the recording has ended at {isoformat(last + shift)}")

    def _span(self) -> tuple[datetime, datetime]:
        """The earliest and the latest time. Raises DataError where there is none."""
        first = last = None
        for row in self._recording.rows():  # a year of seconds is long: no list of it
            if (at := self._measured_at(row)) is not None:
                first = at if first is None else min(first, at)
                last = at if last is None else max(last, at)
        if first is None or last is None:
            raise DataError(
                "has no row with a time that can be read",
                where=str(self._recording.file),
                fix="Compare its columns with the map",
            )
        return first, last

    def _measured_at(self, row: dict[str, str]) -> datetime | None:
        """When a row was measured; None where it does not say, or speaks of no year that was recorded in."""
        try:
            at = time_of(self._time, row, row, self.since)
        except NonsenseError:
            return None
        return at if at.year in YEARS else None

    async def _until(self, due: datetime, stop: asyncio.Event) -> bool:
        """Wait for a moment; False where the link is stopped before."""
        while (left_s := (due - self._now()).total_seconds()) > 0:
            try:
                await asyncio.wait_for(stop.wait(), min(left_s, LOOK_S))
            except TimeoutError:
                continue
            return False
        return not stop.is_set()

    def _moved(self, message: Message, shift: timedelta) -> Message:
        told = msgspec.json.decode(message.payload, type=TelemetryMessage)
        moved = isoformat(parse_utc(told.ts, where="ts") + shift)
        body = self._encode(msgspec.structs.replace(told, ts=moved))
        return Message(topic=message.topic, payload=body)

    async def send(self, setpoints: Sequence[Setpoint]) -> tuple[Unsent, ...]:
        """Send nothing; every command is returned.

        Raises:
            DataError: A device is not of this recording, or another enterprise's.
        """
        return tuple(
            self._deaf(setpoint)
            or Unsent(setpoint=setpoint, reason=f"{self._where}: a recording takes no commands")
            for setpoint in setpoints
        )
