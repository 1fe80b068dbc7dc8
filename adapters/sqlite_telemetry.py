"""The historian: every reading and meter reading, in one SQLite file, written in groups.

A group is what came within a second, or a thousand rows; the disk may lose the last one in a power
cut, which the journal must not and telemetry may. `add` never waits: when the disk is slower than
the devices for longer than the queue can hold, readings are dropped and counted.

    add ─▶ deque, bounded ─▶ [writer: a transaction a group] ─▶ file ◀─ query, meter_registers

Rows lie in the order (device, time), so that one device's day is one stretch of the file. The same
device, time and sequence number twice is one row, whichever came first.

Old rows can be *set aside*, into compressed tables beside the file: a page of one device at a time, in the
archive before they leave. `power_kw` and the other columns of a table are named as in telemetry, so that it
can be told again as a recording.
"""

from __future__ import annotations

import asyncio
import csv
import io
import sqlite3
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Self

import msgspec
import structlog

from adapters.archive_file import ARCHIVE, ARCHIVE_TABLE, Stored, add_all, month_file, note
from adapters.sqlite_file import connect, connect_to_read, unavailable
from vpp.errors import ConfigError, UnavailableError
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.measurement import EvSession, Measurement, MeterReading, Quality, Reading, RunPhase
from vpp.model.time import EPOCH, Interval, isoformat

log = structlog.get_logger(__name__)

VERSION = 4
SCHEMA = f"""
{ARCHIVE_TABLE};
CREATE TABLE reading (
    device TEXT NOT NULL, ts_ms INTEGER NOT NULL, seq INTEGER NOT NULL,
    enterprise TEXT NOT NULL, received_ms INTEGER NOT NULL, quality TEXT NOT NULL,
    power_kw REAL NOT NULL, energy_kwh REAL, soc REAL, temperature_degc REAL, available_kw REAL,
    phase TEXT, phase_since_ms INTEGER, calls_today INTEGER, sessions BLOB, setpoint_seq INTEGER,
    hours_on_today REAL, done_kwh REAL, discharged_today_kwh REAL, reactive_kvar REAL,
    PRIMARY KEY (device, ts_ms, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE meter_reading (
    device TEXT NOT NULL, ts_ms INTEGER NOT NULL, seq INTEGER NOT NULL,
    enterprise TEXT NOT NULL, received_ms INTEGER NOT NULL,
    import_wh INTEGER NOT NULL, export_wh INTEGER NOT NULL, power_kw REAL NOT NULL,
    PRIMARY KEY (device, ts_ms, seq)
) STRICT, WITHOUT ROWID
"""
UPGRADES = {
    1: """
ALTER TABLE reading ADD COLUMN hours_on_today REAL;
ALTER TABLE reading ADD COLUMN done_kwh REAL;
ALTER TABLE reading ADD COLUMN discharged_today_kwh REAL
""",
    2: "ALTER TABLE reading ADD COLUMN reactive_kvar REAL",
    3: ARCHIVE_TABLE,
}
ONCE = "ON CONFLICT (device, ts_ms, seq) DO NOTHING"
READING_COLUMNS, METER_COLUMNS = 20, 8
ASIDE_ROWS = 2000
"""Set aside at a time: what waits to be written waits for no more than that."""

ROWS_A_STATEMENT = 100
"""Python takes its lock back after each statement, up to 5 ms later while the event loop is busy: a row a
statement would be 2 000 rows a second then."""

MILLISECOND = timedelta(milliseconds=1)

_sessions = msgspec.json.Decoder(tuple[EvSession, ...])


class SqliteTelemetry:
    """Readings of all devices in the file `path`; one writer thread, an async context manager.

    The data folder is guarded by the journal's lock; this file takes none of its own.
    """

    def __init__(
        self,
        path: Path,
        *,
        capacity: int = 100_000,
        group_rows: int = 1000,
        group_s: float = 1.0,
    ) -> None:
        """Open the file, or make it. `capacity` is how many measurements may wait for the disk.

        Raises:
            ConfigError: The folder is not writable; the file is damaged or too new.
        """
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"cannot be made: {error.strerror}",
                where=f"data folder {path.parent}",
                fix="Give a folder that this user can write to",
            ) from error
        self._writing = connect(
            path, schema=SCHEMA, version=VERSION, synchronous="NORMAL", upgrades=UPGRADES
        )
        self._reading = connect_to_read(path)
        self._waiting: deque[Measurement | _Flush] = deque()
        self._wake = Event()
        self._capacity = capacity
        self._group_rows, self._group_s = group_rows, group_s
        self._closed = False
        self.written = 0
        """Measurements on disk since the start."""
        self.overflowed = 0
        """Measurements that found the queue full."""
        self.refused = 0
        """Measurements that the disk refused, or that no column can hold."""
        self.fault: str | None = None
        """Why the newest group was not written; None when it was."""
        self._thread = Thread(target=self._write, name="telemetry", daemon=True)
        self._thread.start()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def dropped(self) -> int:
        """Measurements that will never be found here."""
        return self.overflowed + self.refused

    def add(self, measurement: Measurement) -> bool:
        """Have it written with the next group; False (and counted) when too much waits already."""
        if len(self._waiting) >= self._capacity:
            self.overflowed += 1
            return False
        self._waiting.append(measurement)
        # Waking a thread costs more than everything else here: once a group, not once a message.
        if len(self._waiting) == self._group_rows:
            self._wake.set()
        return True

    async def flush(self) -> None:
        """Return when everything added so far is written.

        Raises:
            UnavailableError: The disk refuses, or the historian is closed.
        """
        if self._closed:
            raise UnavailableError("is closed", where=str(self._path), fix="Flush before closing")
        await self._pass(_Flush(last=False))

    async def close(self) -> None:
        """Write what waits and close the file. Twice does no harm."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._pass(_Flush(last=True))
        finally:
            await asyncio.to_thread(self._thread.join)
            self._writing.close()
            self._reading.close()

    async def set_aside(
        self, before: datetime, *, after: tuple[str, str] = ("", "")
    ) -> tuple[str, str] | None:
        """As `vpp.ports.SetTelemetryAside`."""
        if self._closed:
            raise UnavailableError("is closed", where=str(self._path), fix="Ask before closing it")
        page = _Page(_ms(before), after)
        await self._pass(page)
        return page.reached

    async def _pass(self, flush: _Flush) -> None:
        """Send a marker through the queue and wait until the writer has met it."""
        self._waiting.append(flush)
        self._wake.set()
        await asyncio.to_thread(flush.met.wait)
        if isinstance(flush.error, sqlite3.Error | OSError):
            raise unavailable(self._path, flush.error) from flush.error
        if flush.error is not None:
            raise flush.error

    # ------------------------------------------------------------ reading

    def query(self, device_id: ResourceId, span: Interval) -> list[Reading]:
        """Readings measured in `span`, oldest first; what was added lately may not be there yet.

        Raises:
            UnavailableError: The disk refuses.
        """
        rows = self._select(
            "SELECT * FROM reading WHERE device=? AND ts_ms>=? AND ts_ms<? ORDER BY ts_ms, seq",
            (device_id, _ms(span.start), _ms(span.end)),
        )
        return [_reading(row) for row in rows]

    def meter_registers(self, meter_id: ResourceId, since: datetime) -> list[MeterReading]:
        """A meter's readings measured at `since` or later, oldest first.

        Raises:
            UnavailableError: The disk refuses.
        """
        rows = self._select(
            "SELECT * FROM meter_reading WHERE device=? AND ts_ms>=? ORDER BY ts_ms, seq",
            (meter_id, _ms(since)),
        )
        return [_meter_reading(row) for row in rows]

    def calls_since(
        self, device_id: ResourceId, since: datetime
    ) -> list[tuple[datetime, datetime]]:
        """When each interruption began that a device reported at `since` or later, and when last told of.

        Oldest first.

        Raises:
            UnavailableError: The disk refuses.
        """
        rows = self._select(
            "SELECT phase_since_ms AS began_ms, MAX(ts_ms) AS newest_ms FROM reading"
            " WHERE device=? AND ts_ms>=? AND phase=? AND phase_since_ms IS NOT NULL"
            " GROUP BY phase_since_ms ORDER BY began_ms",
            (device_id, _ms(since), RunPhase.CALLED.value),
        )
        return [(_moment(row["began_ms"]), _moment(row["newest_ms"])) for row in rows]

    def _select(self, query: str, values: Sequence[object]) -> list[sqlite3.Row]:
        try:
            cursor = self._reading.cursor()
            cursor.row_factory = sqlite3.Row
            return cursor.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise unavailable(self._path, error) from error

    # ------------------------------------------------------------ the writer's thread

    def _write(self) -> None:
        last = False
        while not last:
            group, flush = self._gather()
            error: Exception | None = self._commit(group) if group else None
            if isinstance(flush, _Page):
                error = self._page_aside(flush)
            if flush is not None:
                last, flush.error = flush.last, error
                flush.met.set()

    def _gather(self) -> tuple[list[Measurement], _Flush | None]:
        """What waits when a group is full, old enough, or asked for."""
        if len(self._waiting) < self._group_rows:
            self._wake.wait(self._group_s)
        self._wake.clear()
        group: list[Measurement] = []
        while self._waiting and len(group) < self._group_rows:
            item = self._waiting.popleft()
            if isinstance(item, _Flush):
                if self._waiting:
                    self._wake.set()
                return group, item
            group.append(item)
        return group, None

    def _commit(self, group: list[Measurement]) -> sqlite3.Error | None:
        """Write one group; what is refused is counted and said once."""
        readings = [_reading_row(item) for item in group if isinstance(item, Reading)]
        meters = [_meter_row(item) for item in group if isinstance(item, MeterReading)]
        try:
            with self._writing:  # commits, or rolls back
                self._writing.execute("BEGIN IMMEDIATE")
                self._insert("reading", READING_COLUMNS, readings)
                self._insert("meter_reading", METER_COLUMNS, meters)
        except (OverflowError, sqlite3.IntegrityError) as error:
            # One value that no column can hold (an integer above 64 bits, a NaN) must not cost
            # the readings around it.
            if len(group) > 1:
                return next(filter(None, [self._commit([item]) for item in group]), None)
            self._refuse(group, error)
            return None
        except sqlite3.Error as error:
            self._refuse(group, error)
            return error
        self.written += len(group)
        self.fault = None
        return None

    def _page_aside(self, page: _Page) -> Exception | None:
        """First into the archive, then out of the file."""
        try:
            found = _old_rows(self._writing, page)
            if found is None:
                page.reached = None
                return None
            table, device, rows = found
            if rows:
                files = _into_archive(self._writing, self._path.parent / ARCHIVE, table, rows)
                with self._writing:  # commits, or rolls back
                    self._writing.execute("BEGIN IMMEDIATE")
                    note(self._writing, files)
                    self._writing.executemany(
                        f"DELETE FROM {table} WHERE device=? AND ts_ms=? AND seq=?",
                        [(row["device"], row["ts_ms"], row["seq"]) for row in rows],
                    )
            whole = len(rows) < ASIDE_ROWS
            page.reached = table, f"{device}\0" if whole else device
        except Exception as error:  # noqa: BLE001  also a bug's place is with the caller, and others go on
            return error
        return None

    def _insert(self, table: str, columns: int, rows: Sequence[Sequence[object]]) -> None:
        one = f"({','.join('?' * columns)})"
        for first in range(0, len(rows), ROWS_A_STATEMENT):
            some = rows[first : first + ROWS_A_STATEMENT]
            places = ",".join([one] * len(some))
            values = [value for row in some for value in row]
            self._writing.execute(f"INSERT INTO {table} VALUES {places} {ONCE}", values)

    def _refuse(self, group: list[Measurement], error: Exception) -> None:
        self.refused += len(group)
        if self.fault is None:
            log.error("telemetry is not recorded", where=str(self._path), reason=str(error))
        self.fault = str(error)


class _Flush:
    """A marker in the queue: whoever sent it waits until the writer has met it."""

    def __init__(self, *, last: bool) -> None:
        self.last = last
        self.met = Event()
        self.error: Exception | None = None


class _Page(_Flush):
    """A marker that asks for a page of old rows to be set aside, once what came before it is written."""

    def __init__(self, before_ms: int, after: tuple[str, str]) -> None:
        super().__init__(last=False)
        self.before_ms, self.after = before_ms, after
        self.reached: tuple[str, str] | None = None


TABLES = {"reading": "telemetry", "meter_reading": "meters"}
"""Of the file, in the order in which they are gone through, and what their tables in the archive are called."""


def _old_rows(
    connection: sqlite3.Connection, page: _Page
) -> tuple[str, str, list[sqlite3.Row]] | None:
    """The next device of either table, with its oldest rows that may go; None behind the last device."""
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    names, (begun, after) = list(TABLES), page.after
    for table in names[names.index(begun) if begun else 0 :]:
        found = cursor.execute(
            f"SELECT MIN(device) FROM {table} WHERE device >= ?", (after if table == begun else "",)
        ).fetchone()[0]
        if found is not None:
            rows = cursor.execute(
                f"SELECT * FROM {table} WHERE device=? AND ts_ms<? ORDER BY ts_ms, seq LIMIT ?",
                (found, page.before_ms, ASIDE_ROWS),
            ).fetchall()
            return table, found, rows
    return None


def _into_archive(
    connection: sqlite3.Connection, folder: Path, table: str, rows: Sequence[sqlite3.Row]
) -> list[Stored]:
    months: dict[str, list[bytes]] = {}
    for row in rows:
        cells = [_cell(name, row[name]) for name in row.keys()]  # noqa: SIM118  (a row yields values)
        line = _csv_line(cells)
        name = month_file(TABLES[table], isoformat(_moment(row["ts_ms"])), "csv")
        months.setdefault(name, []).append(line)
    head = _csv_line([name.removesuffix("_ms") for name in rows[0].keys()])  # noqa: SIM118
    return add_all(connection, folder, months, head)


def _cell(name: str, value: object) -> object:
    if isinstance(value, int) and name.endswith("_ms"):
        return isoformat(_moment(value))
    return value.decode() if isinstance(value, bytes) else value


def _csv_line(cells: Sequence[object]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue().encode()


def _ms(moment: datetime) -> int:
    return (moment - EPOCH) // MILLISECOND


def _moment(ms: int) -> datetime:
    return EPOCH + ms * MILLISECOND


def _reading_row(reading: Reading) -> tuple[object, ...]:
    return (
        reading.resource_id,
        _ms(reading.measured_at),
        reading.seq,
        reading.enterprise_id,
        _ms(reading.received_at),
        reading.quality.value,
        reading.power_kw if reading.raw_power_kw is None else reading.raw_power_kw,
        reading.energy_kwh,
        reading.soc,
        reading.temperature_degc,
        reading.available_kw,
        None if reading.phase is None else reading.phase.value,
        None if reading.phase_since is None else _ms(reading.phase_since),
        reading.calls_today,
        None if reading.sessions is None else msgspec.json.encode(reading.sessions),
        reading.setpoint_seq,
        reading.hours_on_today,
        reading.done_kwh,
        reading.discharged_today_kwh,
        reading.reactive_kvar,
    )


def _reading(row: sqlite3.Row) -> Reading:
    return Reading(
        resource_id=ResourceId(row["device"]),
        enterprise_id=EnterpriseId(row["enterprise"]),
        measured_at=_moment(row["ts_ms"]),
        received_at=_moment(row["received_ms"]),
        seq=row["seq"],
        quality=Quality(row["quality"]),
        power_kw=row["power_kw"],
        energy_kwh=row["energy_kwh"],
        soc=row["soc"],
        temperature_degc=row["temperature_degc"],
        available_kw=row["available_kw"],
        phase=None if row["phase"] is None else RunPhase(row["phase"]),
        phase_since=None if row["phase_since_ms"] is None else _moment(row["phase_since_ms"]),
        calls_today=row["calls_today"],
        sessions=None if row["sessions"] is None else _sessions.decode(row["sessions"]),
        setpoint_seq=row["setpoint_seq"],
        hours_on_today=row["hours_on_today"],
        done_kwh=row["done_kwh"],
        discharged_today_kwh=row["discharged_today_kwh"],
        reactive_kvar=row["reactive_kvar"],
    )


def _meter_row(reading: MeterReading) -> tuple[object, ...]:
    return (
        reading.meter_id,
        _ms(reading.measured_at),
        reading.seq,
        reading.enterprise_id,
        _ms(reading.received_at),
        reading.import_wh,
        reading.export_wh,
        reading.power_kw if reading.raw_power_kw is None else reading.raw_power_kw,
    )


def _meter_reading(row: sqlite3.Row) -> MeterReading:
    return MeterReading(
        meter_id=ResourceId(row["device"]),
        enterprise_id=EnterpriseId(row["enterprise"]),
        measured_at=_moment(row["ts_ms"]),
        received_at=_moment(row["received_ms"]),
        seq=row["seq"],
        import_wh=row["import_wh"],
        export_wh=row["export_wh"],
        power_kw=row["power_kw"],
    )
