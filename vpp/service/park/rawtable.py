"""A table of series as others wrote it: wall-clock stamps, holes, rows of several lengths; all of it told.

    interval_start    load [kW]      stamps   zoned   2025-10-26T02:30+01:00, or Z
    2025-10-26 02:30  40.0                    local   the clock of a zone: an hour twice, in order
    2025-10-26 02:00  41.0                    sun     zoned, and not to be trusted in summer (PV)

A case or a park file is read without leave (`seriestable.py`); a history that is only learnt from may
have defects, as long as each is found and named. A row lasts as long as the shorter of its distances
to the rows beside it, so that a source may change its resolution; what no row covers is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo

from vpp.errors import ConfigError, DataError
from vpp.model.time import EPOCH, isoformat
from vpp.sense.cleaning import Cleaned, Finding
from vpp.sense.labels import Row, by_the_sun, on_grid, utc_starts
from vpp.service.park.config import ConfigErrors, Fault
from vpp.service.park.seriestable import (
    MOST_FAULTS,
    STEPS,
    moment_of,
    no_time,
    read_header,
    read_number,
    read_rows,
)
from vpp.service.park.units import Unit

Stamps: TypeAlias = Literal["zoned", "local", "sun"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RawTable:
    """Rows of several series, in UTC, nothing put right yet but their stamps."""

    units: Mapping[str, Unit]
    step: timedelta
    """The shortest distance of two rows."""

    rows: Mapping[str, tuple[Row, ...]]
    """By the name of the column."""

    findings: tuple[Finding, ...]
    """What is odd about the stamps."""

    stamps: Stamps
    zone: ZoneInfo

    def series(self, name: str) -> Cleaned:
        """One column on the grid of its step, unknown where no row covers it.

        Raises:
            KeyError: There is no such column.
        """
        gathered = on_grid(self.rows[name], self.step)
        findings = (*self.findings, *gathered.findings)
        if self.stamps == "sun":
            gathered = by_the_sun(gathered.profile, self.zone)
            findings = (*findings, *gathered.findings)
        return Cleaned(profile=gathered.profile, findings=findings)


def stamps_named(text: str) -> Stamps:
    """What the stamps of a file mean, by its name.

    Raises:
        ConfigError: There is no such meaning.
    """
    for known in get_args(Stamps):
        if text == known:
            named: Stamps = known
            return named
    raise ConfigError(
        f"{text!r} does not say what stamps mean",
        where="--stamps",
        fix="Say zoned, local or sun",
    )


def read_raw(file: Path, zone: ZoneInfo, stamps: Stamps) -> RawTable:
    """Read a CSV file whose headers name units.

    Raises:
        ConfigErrors: Every place where it cannot be read: a header, a stamp, a number.
    """
    faults: list[Fault] = []
    lines = read_rows(file, Fault("vpp forecast", 1, 1, "SERIES.csv", ""), faults)
    if lines is None:
        raise ConfigErrors(faults)
    header, faults = read_header(file, lines[0])
    cells = len(lines[0])
    for place, line in enumerate(lines[1:]):
        if len(line) != cells:
            what = f"{len(line)} cells under a header of {cells}"
            faults.append(Fault(str(file), place + 2, 1, "interval_start", what))
    if faults:
        raise ConfigErrors(faults[:MOST_FAULTS])
    starts, findings = _starts(file, lines, zone, stamps)
    step, lasts = _lengths(file, starts)
    rows: dict[str, list[Row]] = {name: [] for name in header}
    for place, (line, start) in enumerate(zip(lines[1:], starts, strict=True)):
        if start is None:
            continue
        column = len(line[0]) + 2
        for name, cell in zip(header, line[1:], strict=True):
            value = read_number(cell) if cell.strip() else float("nan")
            if value is None:
                what = f"{cell!r} at {isoformat(start)} is no finite number"
                faults.append(Fault(str(file), place + 2, column, name, what))
                value = float("nan")
            rows[name].append(Row(start=start, lasts=lasts[start], value=value))
            column += len(cell) + 1
    if faults:
        raise ConfigErrors(faults[:MOST_FAULTS])
    return RawTable(
        units={name: unit for name, (unit, _) in header.items()},
        step=step,
        rows={name: tuple(column) for name, column in rows.items()},
        findings=findings,
        stamps=stamps,
        zone=zone,
    )


def _starts(
    file: Path, lines: Sequence[Sequence[str]], zone: ZoneInfo, stamps: Stamps
) -> tuple[tuple[datetime | None, ...], tuple[Finding, ...]]:
    """The start of each row in UTC; None where its wall clock never showed that. Raises ConfigErrors."""
    read = _label if stamps == "local" else moment_of
    found = [read(line[0]) for line in lines[1:]]
    faults = [
        Fault(
            str(file), place + 2, 1, "interval_start", _no_stamp(lines[place + 1][0], zone, stamps)
        )
        for place, stamp in enumerate(found)
        if stamp is None
    ]
    if len(faults) == len(found):  # it is the file that is otherwise, not its rows
        raise ConfigErrors(faults[:1])
    if faults:
        raise ConfigErrors(faults[:MOST_FAULTS])
    known = [stamp for stamp in found if stamp is not None]
    if stamps != "local":
        return tuple(known), ()
    try:
        return utc_starts(known, zone, STEPS[0])
    except DataError as error:
        line = int(error.where) + 2
        raise ConfigErrors([Fault(str(file), line, 1, "interval_start", error.what)]) from error


def _label(text: str) -> datetime | None:
    """A wall clock's reading without an offset; None where it is none."""
    try:
        label = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return label if label.tzinfo is None else None


def _no_stamp(text: str, zone: ZoneInfo, stamps: Stamps) -> str:
    if stamps != "local":
        clock = "" if _label(text) is None else ", or say --stamps local"
        return no_time(text, zone) + clock
    return f"{text!r} is no reading of the clock of {zone.key} such as 2025-12-03 00:00"


def _lengths(
    file: Path, starts: Sequence[datetime | None]
) -> tuple[timedelta, dict[datetime, timedelta]]:
    """The shortest distance of two rows, and how long each row lasts. Raises ConfigErrors."""
    moments = sorted({start for start in starts if start is not None})
    apart = [b - a for a, b in pairwise(moments)]
    step = min(apart, default=None)
    if step not in STEPS or step is None:
        told = "one row" if step is None else f"rows {step / timedelta(minutes=1):g} minutes apart"
        minutes = ", ".join(f"{length // timedelta(minutes=1)}" for length in STEPS)
        what = f"{told}; a history needs at least two, {minutes} minutes apart"
        line = 2 if step is None else starts.index(moments[apart.index(step) + 1]) + 2
        raise ConfigErrors([Fault(str(file), line, 1, "interval_start", what)])
    off = [
        Fault(str(file), place + 2, 1, "interval_start", f"lies on no multiple of {step} minutes")
        for place, start in enumerate(starts)
        if start is not None and (start - EPOCH) % step
    ]
    if off:
        raise ConfigErrors(off[:MOST_FAULTS])
    lasts = {}
    for moment, before, after in zip(moments, [apart[0], *apart], [*apart, apart[-1]], strict=True):
        length = min(before, after)
        lasts[moment] = length if length in STEPS else step  # alone between two holes
    return step, lasts
