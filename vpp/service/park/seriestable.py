"""Tables of series: CSV with a header, one interval a row, nothing missing, nothing filled.

The first column is `interval_start`; rows stand on the grid without a hole. A missing value is a
fault, never a guess. Two kinds of table are read:

    read_profiles   quarter-hours in UTC; units are said by whoever names the file (park files)
    read_table      any step from 5 minutes to an hour; each header names its unit (cases):

        interval_start,        power.base [kW],  price.day-ahead [EUR/MWh]
        2025-12-03T00:00:00Z,  -120.5,           43.10

Times carry `Z` or their offset from UTC. Wall-clock times are refused: twice a year one of them is
missing and one stands twice.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from vpp.errors import DataError
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.time import QUARTER, isoformat, latest_boundary, parse_utc
from vpp.service.park.config import ConfigErrors, Fault, read_bytes
from vpp.service.park.units import KNOWN, Unit, unit_of

STEPS = tuple(timedelta(minutes=m) for m in (5, 10, 15, 20, 30, 60))
"""Lengths of a step that a case may have; each divides the hour."""

MOST_FAULTS = 20
"""A column that is wrong throughout is told so often and no more."""

HOUR = timedelta(hours=1)


def read_rows(file: Path, named_at: Fault, faults: list[Fault]) -> list[list[str]] | None:
    """Header and rows of a CSV file; what hinders reading it is told where the file is named."""
    try:
        rows = list(csv.reader(io.StringIO(read_bytes(file).decode("utf-8-sig"), newline="")))
    except ConfigErrors as error:
        reason = f"{file} {error.faults[0].what}"
    except (UnicodeDecodeError, csv.Error) as error:
        reason = f"{file} is no CSV in UTF-8: {error}"
    else:
        if len(rows) > 1:
            return rows
        reason = f"{file} has no rows"
    faults.append(Fault(named_at.file, named_at.line, named_at.column, named_at.path, reason))
    return None


def read_profiles(
    file: Path, rows: list[list[str]]
) -> tuple[dict[str, Profile] | None, list[Fault]]:
    """Columns by name; every row that breaks the grid or lacks a number is a fault."""
    header = rows[0]
    if (wrong := _broken_header(header)) is not None:
        return None, [Fault(str(file), 1, 1, "", wrong)]
    horizon, values, faults = _read_grid(file, rows, header[1:], QUARTER, None)
    if faults or horizon is None:
        return None, faults[:MOST_FAULTS]
    return {name: Profile(horizon, values[:, i]) for i, name in enumerate(header[1:])}, []


# ---------------------------------------------------------------- cases


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Column:
    """One series in its own unit, and where it stands."""

    unit: Unit
    values: Floats
    """As they were written, shape (T,)."""

    place: Fault
    """Its header; `what` is empty."""

    lines: bool = True
    """Whether each value stands in a line of its own, below the header."""

    def fault(self, what: str, step: int | None = None) -> Fault:
        """A mistake of the column, or of its value in one step."""
        at = self.place
        line = at.line if step is None or not self.lines else at.line + 1 + step
        return Fault(at.file, line, at.column, at.path, what)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeriesTable:
    """Series on one horizon, by name."""

    horizon: Horizon
    columns: Mapping[str, Column]


_HEADER = re.compile(r"^\s*([^\[\]]+?)\s*\[\s*([^\[\]]+?)\s*\]\s*$")


def read_table(
    file: Path, rows: list[list[str]], zone: ZoneInfo
) -> tuple[SeriesTable | None, list[Fault]]:
    """Columns with their units; `zone` is the park's, where a clock change is looked for."""
    units, faults = read_header(file, rows[0])
    if not units and faults:
        return None, faults
    step = _step_of(rows)
    if step not in STEPS or step is None:
        return None, [*faults, _no_step(file, rows, step, zone)]
    names = [split_header(cell)[0] for cell in rows[0][1:]]
    horizon, values, found = _read_grid(file, rows, names, step, zone)
    faults += found
    if faults or horizon is None:
        return None, faults[:MOST_FAULTS]
    columns = {
        name: Column(unit=units[name][0], values=values[:, i], place=units[name][1])
        for i, name in enumerate(names)
    }
    return SeriesTable(horizon=horizon, columns=columns), []


def read_header(
    file: Path, header: Sequence[str]
) -> tuple[dict[str, tuple[Unit, Fault]], list[Fault]]:
    """Unit and place of each column behind `interval_start`, in order; and what is wrong with others."""
    if (wrong := _broken_header([cell.strip() for cell in header])) is not None:
        return {}, [Fault(str(file), 1, 1, "", wrong)]
    units: dict[str, tuple[Unit, Fault]] = {}
    faults, column = [], len(header[0]) + 2
    for cell in header[1:]:
        name, unit, wrong = split_header(cell)
        place = Fault(str(file), 1, column, name, "")
        column += len(cell) + 1
        if wrong is None and name in units:
            wrong = "the column stands twice"
        if wrong is not None or unit is None:
            faults.append(Fault(place.file, 1, place.column, name, wrong or ""))
            continue
        units[name] = (unit, place)
    return units, faults


def split_header(cell: str) -> tuple[str, Unit | None, str | None]:
    """Name and unit of a header such as `power.base [kW]`, or what is wrong with it."""
    match = _HEADER.match(cell)
    if match is None:
        name = cell.strip()
        return name, None, f"it has no unit: write {name} [kW] or another unit of {KNOWN}"
    unit = unit_of(match[2])
    if unit is None:
        return match[1], None, f"the unit {match[2]!r} is not known; use {KNOWN}"
    return match[1], unit, None


def _step_of(rows: list[list[str]]) -> timedelta | None:
    """The commonest distance of two rows near the beginning, of several the shortest.

    A hole or a time out of step there is told as what it is.
    """
    moments = [moment_of(row[0]) for row in rows[1:6] if row]
    known = [moment for moment in moments if moment is not None]
    apart = [b - a for a, b in itertools.pairwise(known) if b > a]
    return min(apart, key=lambda length: (-apart.count(length), length), default=None)


def _no_step(file: Path, rows: list[list[str]], step: timedelta | None, zone: ZoneInfo) -> Fault:
    """Why the first rows give no step: times that are none, too few rows, an odd distance."""
    for place, row in enumerate(rows[1:6]):
        if not row or moment_of(row[0]) is None:
            what = no_time(row[0] if row else "", zone)
            return Fault(str(file), place + 2, 1, "interval_start", what)
    lengths = ", ".join(f"{length // timedelta(minutes=1)}" for length in STEPS)
    alone = "one row" if len(rows) == 2 else "the rows do not go forward in time"
    told = alone if step is None else f"steps of {_minutes(step)} minutes"
    what = f"{told}; a plan needs at least two rows, {lengths} minutes apart"
    return Fault(str(file), min(3, len(rows)), 1, "interval_start", what)


def _minutes(step: timedelta) -> str:
    return f"{step / timedelta(minutes=1):g}"


# ---------------------------------------------------------------- the grid


def _broken_header(header: Sequence[str]) -> str | None:
    if header[0] != "interval_start" or len(set(header)) != len(header) or len(header) < 2:
        what = "the header is not interval_start and further names, each once"
        return f"{what}: put commas between them" if len(header) < 2 else what
    return None


def _read_grid(
    file: Path,
    rows: list[list[str]],
    names: list[str],
    step: timedelta,
    zone: ZoneInfo | None,
) -> tuple[Horizon | None, Floats, list[Fault]]:
    """Numbers of all rows, shape (rows, names); every row off the grid or without one is a fault."""
    faults: list[Fault] = []
    values: Floats = np.full((len(rows) - 1, len(names)), np.nan)
    start = due = moment_of(rows[1][0] if rows[1] else "")
    if start is not None and zone is not None and latest_boundary(start, step) != start:
        what = f"{rows[1][0]} does not lie on a multiple of {_minutes(step)} minutes"
        faults.append(Fault(str(file), 2, 1, "interval_start", what))
    for place, row in enumerate(rows[1:]):
        grid = _off_grid(row, len(names) + 1, due, step, zone)
        if grid is not None:
            faults.append(Fault(str(file), place + 2, 1, "interval_start" if zone else "", grid))
        else:
            told = zone is not None
            faults += _numbers(file, place, row, names, values[place], told=told)
        # After a hole the rows go on from where they are: it is one mistake, not as many as rows.
        moment = moment_of(row[0]) if row and zone is not None else due
        due = moment + step if moment is not None else (due + step if due is not None else None)
        if len(faults) > MOST_FAULTS:
            break
    horizon = None if start is None else Horizon(start, step, len(rows) - 1)
    return horizon, values, faults


def _off_grid(
    row: list[str], cells: int, due: datetime | None, step: timedelta, zone: ZoneInfo | None
) -> str | None:
    """What is wrong with a row before its numbers are looked at."""
    if len(row) != cells:
        return f"{len(row)} cells under a header of {cells}"
    moment = moment_of(row[0])
    if moment is None or due is None:
        return no_time(row[0], zone)
    if moment == due:
        return None
    length = "a quarter-hour" if step == QUARTER else f"{_minutes(step)} minutes"
    what = f"{row[0]} does not follow after {length}; {due:%Y-%m-%dT%H:%MZ} is due"
    if zone is not None and abs(moment - due) == HOUR and _clock_changes(due, zone):
        what += f" (the clock of {zone.key} changes here: write UTC, or the offset that holds)"
    return what


def no_time(text: str, zone: ZoneInfo | None) -> str:
    """What is wrong with a stamp that tells no moment; with a zone, what its clock has to do with it."""
    what = f"{text!r} is no time such as 2025-12-03T00:00:00Z"
    if zone is None:
        return what
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return what
    early, late = (moment.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    if early == late:
        return f"{text!r} has no time zone: add Z, or its offset from UTC"
    happens = "twice" if (early or HOUR) > (late or HOUR) else "never"
    return (
        f"{text!r} has no time zone, and on the clock of {zone.key} it happens {happens}:"
        " add Z, or its offset from UTC"
    )


def _clock_changes(moment: datetime, zone: ZoneInfo) -> bool:
    """Whether the local clock is changed within two hours of a moment."""
    offsets = {(moment + k * HOUR).astimezone(zone).utcoffset() for k in (-2, -1, 0, 1, 2)}
    return len(offsets) > 1


def _numbers(
    file: Path,
    place: int,
    row: list[str],
    names: list[str],
    into: Floats,
    *,
    told: bool,
) -> list[Fault]:
    """Read one row into `into`; with its column and time where that is `told`, else in short."""
    faults, column = [], len(row[0]) + 2
    for i, (name, cell) in enumerate(zip(names, row[1:], strict=True)):
        number = read_number(cell)
        if number is not None:
            into[i] = number
        elif told:
            moment = moment_of(row[0])
            at = row[0] if moment is None else isoformat(moment)
            what = f"{cell!r} at {at} is no finite number"
            faults.append(Fault(str(file), place + 2, column, name, what))
        else:
            what = f"{name} is {cell!r}, no finite number"
            return [Fault(str(file), place + 2, 1, "", what)]
        column += len(cell) + 1
    return faults


def read_number(cell: str) -> float | None:
    """A finite number, or None."""
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if isfinite(number) else None


def moment_of(text: str) -> datetime | None:
    """A moment in UTC; None where the text is none, or has no offset."""
    try:
        return parse_utc(text.strip(), where="interval_start")
    except DataError:
        return None
