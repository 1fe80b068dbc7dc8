"""The series of a case: read with their units, asked for by name, turned into what we reckon in.

Whoever asks for a series says what it must be; a column of another kind, or in another currency than
the park's, is a fault at its header. Nothing is filled: what is not there is a fault where it is named.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.park import Park
from vpp.model.time import isoformat, latest_boundary
from vpp.service.cases.schema import CaseSection, InlineSeries
from vpp.service.park.config import Document, Fault, KeyPath
from vpp.service.park.seriestable import (
    Column,
    SeriesTable,
    read_number,
    read_rows,
    read_table,
    split_header,
)
from vpp.service.park.units import KNOWN, Quantity, unit_of

MINUTE = timedelta(minutes=1)


@dataclass(slots=True, eq=False)
class CaseSeries:
    """Series of one case, and every fault found so far."""

    document: Document
    park: Park
    horizon: Horizon
    columns: dict[str, Column]
    faults: list[Fault] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def fault(self, path: KeyPath, what: str) -> None:
        self.faults.append(self.document.fault(path, what))

    def values(self, name: str, quantity: Quantity, path: KeyPath) -> Floats:
        """A series in our own unit, shape (T,); zeros where it is a fault."""
        nothing: Floats = np.zeros(self.horizon.steps)
        column = self.columns.get(name)
        if column is None:
            self.fault(path, f"no column {name!r} is given")
            return nothing
        self.used.add(name)
        unit = column.unit
        if unit.quantity is not quantity:
            self.faults.append(column.fault(f"it is in {unit.text}, and {quantity} is needed"))
            return nothing
        if unit.currency is not None and unit.currency != self.park.currency:
            what = f"it is in {unit.currency}, and the park reckons in {self.park.currency}"
            self.faults.append(column.fault(what))
            return nothing
        return column.values * unit.factor

    def profile(self, name: str, quantity: Quantity, path: KeyPath) -> Profile:
        """The same on its horizon."""
        return Profile(self.horizon, self.values(name, quantity, path))

    def course(self, given: float | str, quantity: Quantity, path: KeyPath) -> Floats:
        """A number for every step, or a column, shape (T,)."""
        if isinstance(given, str):
            return self.values(given, quantity, path)
        return np.full(self.horizon.steps, float(given))

    def within(self, name: str, values: Floats, low: float, high: float, *, what: str) -> None:
        """Refuse a column, already in our unit, that leaves `low` … `high` anywhere."""
        column = self.columns.get(name)
        bad = np.flatnonzero((values < low) | (values > high))
        if column is not None and len(bad):
            step = int(bad[0])
            at = isoformat(self.horizon.start + step * self.horizon.step)
            said = f"{column.values[step]:g} {column.unit.text} at {at}: {what}"
            self.faults.append(column.fault(said, step))

    def step_at(self, moment: datetime, path: KeyPath) -> int:
        """The step that begins at `moment`, the end of the horizon included; else a fault."""
        utc = moment.astimezone(UTC)
        step, rest = divmod(utc - self.horizon.start, self.horizon.step)
        if rest or not 0 <= step <= self.horizon.steps:
            self.fault(
                path,
                f"{isoformat(utc)} is no boundary of the horizon's steps, which go from"
                f" {isoformat(self.horizon.start)} to {isoformat(self.horizon.end)} by"
                f" {self.horizon.step / MINUTE:g} minutes",
            )
            return 0
        return step

    def steps_in(self, minutes: float, path: KeyPath) -> int:
        """A length in whole steps; else a fault."""
        steps, rest = divmod(timedelta(minutes=minutes), self.horizon.step)
        if rest:
            length = self.horizon.step / MINUTE
            self.fault(path, f"{minutes:g} minutes are no whole number of steps of {length:g}")
        return steps


def read_series(
    document: Document, section: CaseSection, park: Park, folder: Path | None
) -> CaseSeries | list[Fault]:
    """Read the case's series, from a file in `folder` (None: none may be read) or from itself."""
    faults: list[Fault] = []
    table: SeriesTable | None = None
    path: KeyPath = ("series",)
    if isinstance(section.series, InlineSeries):
        table, faults = _inline(document, section.series)
    elif folder is None:
        faults = [document.fault(path, "a file cannot be named here: send the series themselves")]
    else:
        file = folder / section.series
        rows = read_rows(file, document.fault(path, ""), faults)
        if rows is not None:
            table, found = read_table(file, rows, park.timezone)
            faults += found
    if faults or table is None:
        return faults
    columns = dict(table.columns)
    faults += _add_constants(document, section, table.horizon, columns)
    if section.until is not None and table.horizon.end < section.until.astimezone(UTC):
        what = (
            f"the series end at {isoformat(table.horizon.end)}, before"
            f" {isoformat(section.until)}: they are too short"
        )
        faults.append(document.fault(("until",), what))
    if faults:
        return faults
    horizon = table.horizon
    if section.until is not None:
        horizon = _cut(horizon, section.until.astimezone(UTC), columns)
    return CaseSeries(document, park, horizon, columns)


def _cut(horizon: Horizon, until: datetime, columns: dict[str, Column]) -> Horizon:
    """The steps that begin before `until`."""
    steps = -((horizon.start - until) // horizon.step)
    for name, column in columns.items():
        columns[name] = Column(
            unit=column.unit, values=column.values[:steps], place=column.place, lines=column.lines
        )
    return Horizon(horizon.start, horizon.step, steps)


def _inline(document: Document, given: InlineSeries) -> tuple[SeriesTable | None, list[Fault]]:
    """Series that stand in the case itself."""
    faults: list[Fault] = []
    step = given.step_minutes * MINUTE
    start = given.start.astimezone(UTC)
    if latest_boundary(start, step) != start:
        what = f"{isoformat(start)} does not lie on a multiple of {given.step_minutes} minutes"
        faults.append(document.fault(("series", "start"), what))
    steps = max(len(values) for values in given.columns.values())
    if steps < 2:
        what = f"{steps} steps; a plan needs at least two"
        faults.append(document.fault(("series", "columns"), what))
    columns: dict[str, Column] = {}
    for header, values in given.columns.items():
        path: KeyPath = ("series", "columns", header)
        name, unit, wrong = split_header(header)
        if wrong is None and name in columns:
            wrong = f"{name} stands twice"
        if wrong is None and len(values) < steps:
            first = isoformat(start + len(values) * step)
            wrong = f"{len(values)} values, another column has {steps}: none from {first} on"
        if wrong is not None or unit is None:
            faults.append(document.fault(path, wrong or ""))
            continue
        columns[name] = Column(
            unit=unit, values=np.array(values), place=document.fault(path, ""), lines=False
        )
    if faults:
        return None, faults
    return SeriesTable(horizon=Horizon(start, step, steps), columns=columns), []


def _add_constants(
    document: Document, section: CaseSection, horizon: Horizon, columns: dict[str, Column]
) -> list[Fault]:
    faults = []
    for name, text in section.constants.items():
        path: KeyPath = ("constants", name)
        number_text, unit_text = text.split()
        number, unit = read_number(number_text), unit_of(unit_text)
        if number is None:
            faults.append(document.fault(path, f"{number_text!r} is no finite number"))
        elif unit is None:
            what = f"the unit {unit_text!r} is not known; use {KNOWN}"
            faults.append(document.fault(path, what))
        elif name in columns:
            faults.append(document.fault(path, "the series has a column of this name too"))
        else:
            columns[name] = Column(
                unit=unit,
                values=np.full(horizon.steps, number),
                place=document.fault(path, ""),
                lines=False,
            )
    return faults
