"""A table of series: CSV with a header, one quarter-hour a row, nothing missing.

The first column is `interval_start` (UTC); rows stand on the grid without a hole. A missing value
is a fault, never a guess.
"""

from __future__ import annotations

import csv
import io
from datetime import datetime
from math import isfinite
from pathlib import Path

import numpy as np

from vpp.errors import DataError
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.time import QUARTER, parse_utc
from vpp.service.config import ConfigErrors, Fault, read_bytes


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
    if header[0] != "interval_start" or len(set(header)) != len(header) or len(header) < 2:
        what = "the header is not interval_start and further names, each once"
        return None, [Fault(str(file), 1, 1, "", what)]
    faults: list[Fault] = []
    values: Floats = np.full((len(rows) - 1, len(header) - 1), np.nan)
    start = due = _moment(rows[1][0] if rows[1] else "")
    for place, row in enumerate(rows[1:]):
        if (wrong := _broken(row, header, due, values[place])) is not None:
            faults.append(Fault(str(file), place + 2, 1, "", wrong))
        due = due + QUARTER if due is not None else None
    if faults or start is None:
        return None, faults[:20]
    horizon = Horizon(start, QUARTER, len(rows) - 1)
    return {name: Profile(horizon, values[:, i]) for i, name in enumerate(header[1:])}, []


def _broken(row: list[str], header: list[str], due: datetime | None, into: Floats) -> str | None:
    """Read one row into `into`, or say what is wrong with it."""
    if len(row) != len(header):
        return f"{len(row)} cells under a header of {len(header)}"
    moment = _moment(row[0])
    if moment is None or due is None:
        return f"{row[0]!r} is no time such as 2025-12-03T00:00:00Z"
    if moment != due:
        return f"{row[0]} does not follow after a quarter-hour; {due:%Y-%m-%dT%H:%MZ} is due"
    for place, cell in enumerate(row[1:]):
        number = read_number(cell)
        if number is None:
            return f"{header[place + 1]} is {cell!r}, no finite number"
        into[place] = number
    return None


def read_number(cell: str) -> float | None:
    """A finite number, or None."""
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if isfinite(number) else None


def _moment(text: str) -> datetime | None:
    try:
        return parse_utc(text, where="interval_start")
    except DataError:
        return None
