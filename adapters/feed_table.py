"""Rows of somebody else's table become uploads of our series. Pure, so every odd row gets a test.

interval_start          temp_c   cloud          layout: start "interval_start", hours
2025-12-01T00:00Z         1.5      80     ─▶    outdoor.mill  degC   from "temp_c"
2025-12-01T01:00Z                  70           (an empty cell is left out)
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Literal
from zoneinfo import ZoneInfo

from vpp.errors import DataError
from vpp.model.time import EPOCH, isoformat, utc_of_labels
from vpp.ports import FeedBatch
from vpp.wire import SeriesUpload, SeriesValue

MOST_VALUES = 40_000
"""In one upload; a longer table becomes several."""

MISSING = {"", "nan", "null", "none", "na"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesColumn:
    """One series of a table."""

    series_id: str
    column: str
    unit: str
    times: float = 1.0
    """From the table's unit and sign to ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableLayout:
    """How a table is to be read."""

    start: str
    """The column with the start of each interval."""

    stamps: Literal["zoned", "utc", "unix_s"] | ZoneInfo
    """ISO 8601 with its offset; without one, meaning UTC; seconds since 1970; or, without an offset,
    readings of the clock of a zone, each row later than the one before it."""

    issued: str | None
    """The column with the moment since which a row was known, with its offset where `stamps` is a zone;
    None: that of the document."""

    resolution: timedelta
    source: str
    series: tuple[SeriesColumn, ...]


Row = tuple[str, Mapping[str, object]]
"""Where the row stands (`file:line`), and its cells."""


def batches_of(
    rows: Iterable[Row], layout: TableLayout, *, issued_at: datetime, now: datetime, where: str
) -> tuple[FeedBatch, ...]:
    """All series of a table, oldest issue first.

    Raises:
        DataError: A cell that cannot be read, a start off the grid or given twice with other
            numbers, an issue that is still to come; `where` says the row.
    """
    tables: dict[datetime, dict[str, dict[datetime, float]]] = {}
    for (place, cells), start in _with_starts(rows, layout):
        if (start - EPOCH) % layout.resolution:
            raise DataError(
                f"{isoformat(start)} is not on the grid of {layout.resolution}",
                where=place,
                fix="Give starts that are multiples of the feed's resolution",
            )
        known_at = issued_at
        if layout.issued is not None:
            known_at = _moment(
                cells,
                layout.issued,
                "zoned" if isinstance(layout.stamps, ZoneInfo) else layout.stamps,
                place,
            )
        if known_at > now:
            raise DataError(
                f"issued at {isoformat(known_at)}, which is still to come",
                where=place,
                fix="Look at the clocks, or at the column of the issue time",
            )
        for column in layout.series:
            value = _number(cells, column, place)
            if value is None:
                continue
            taken = tables.setdefault(known_at, {}).setdefault(column.series_id, {})
            if taken.setdefault(start, value) != value:
                raise DataError(
                    f"{column.column} of {isoformat(start)} came before with another number",
                    where=place,
                    fix="Give each interval once",
                )
    return tuple(
        FeedBatch(series_id=column.series_id, upload=upload, where=where)
        for known_at in sorted(tables)
        for column in layout.series
        for upload in _uploads(tables[known_at].get(column.series_id, {}), column, layout, known_at)
    )


def _with_starts(rows: Iterable[Row], layout: TableLayout) -> list[tuple[Row, datetime]]:
    """Each row with its start in UTC."""
    stamps = layout.stamps
    if not isinstance(stamps, ZoneInfo):
        return [(row, _moment(row[1], layout.start, stamps, row[0])) for row in rows]
    given = list(rows)
    labels = [_label(cells, layout.start, place) for place, cells in given]
    try:
        starts = utc_of_labels(labels, stamps)
    except DataError as error:
        raise DataError(error.what, where=given[int(error.where)][0], fix=error.fix) from error
    found = []
    for row, label, start in zip(given, labels, starts, strict=True):
        if start is None:
            raise DataError(
                f"{label} never was on the clock of {stamps.key}",
                where=row[0],
                fix="Drop the row, or write offsets",
            )
        found.append((row, start))
    return found


def _label(cells: Mapping[str, object], column: str, place: str) -> datetime:
    cell = str(_cell(cells, column, place))
    try:
        return datetime.fromisoformat(cell)
    except ValueError as error:
        raise DataError(
            f"{column} {cell[:40]!r} is no time: {error}",
            where=place,
            fix="Write 2025-12-03T00:00",
        ) from error


def _uploads(
    values: Mapping[datetime, float], column: SeriesColumn, layout: TableLayout, known_at: datetime
) -> list[SeriesUpload]:
    starts = sorted(values)
    return [
        SeriesUpload(
            unit=column.unit,
            resolution_s=layout.resolution // timedelta(seconds=1),
            issued_at=known_at,
            source=layout.source,
            values=[
                SeriesValue(interval_start=start, value=values[start])
                for start in starts[first : first + MOST_VALUES]
            ],
        )
        for first in range(0, len(starts), MOST_VALUES)
    ]


def _cell(cells: Mapping[str, object], column: str, place: str) -> object:
    if column not in cells:
        raise DataError(
            f"there is no column {column!r}", where=place, fix=f"It has {sorted(cells)[:20]}"
        )
    return cells[column]


def _moment(cells: Mapping[str, object], column: str, stamps: str, place: str) -> datetime:
    cell = _cell(cells, column, place)
    try:
        if stamps == "unix_s":
            return EPOCH + timedelta(seconds=float(str(cell)))
        moment = datetime.fromisoformat(str(cell))
        if moment.tzinfo is None:
            if stamps == "zoned":
                raise ValueError("no offset from UTC: write one, or set stamps to utc")
            moment = moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise DataError(
            f"{column} {str(cell)[:40]!r} is no time: {error}",
            where=place,
            fix="Write 2025-12-03T00:00:00Z",
        ) from error


def _number(cells: Mapping[str, object], column: SeriesColumn, place: str) -> float | None:
    """The value in our unit; None where the cell is empty."""
    cell = _cell(cells, column.column, place)
    if cell is None or (isinstance(cell, str) and cell.strip().lower() in MISSING):
        return None
    try:
        if isinstance(cell, bool) or not isinstance(cell, str | int | float):
            raise ValueError("no number")
        value = float(cell) * column.times
        if not isfinite(value):
            raise ValueError("not finite")
    except (ValueError, OverflowError) as error:
        raise DataError(
            f"{column.column} {str(cell)[:40]!r} is no number: {error}",
            where=place,
            fix="Write 12.5, or leave the cell empty",
        ) from error
    return value


def csv_rows(text: str, where: str) -> list[Row]:
    """The rows of a CSV table with a header.

    Raises:
        DataError: No header, or a row with more or fewer cells than it.
    """
    lines = csv.reader(text.splitlines())
    try:
        header = next(lines, None)
        if not header or len(set(header)) != len(header):
            raise DataError(
                "has no header, or a column twice", where=f"{where}:1", fix="Name each column once"
            )
        rows: list[Row] = []
        for cells in lines:
            if not cells:
                continue
            place = f"{where}:{lines.line_num}"
            if len(cells) != len(header):
                raise DataError(
                    f"{len(cells)} cells under a header of {len(header)}",
                    where=place,
                    fix="Look for a comma inside a number, or a line that is cut",
                )
            rows.append((place, dict(zip(header, cells, strict=True))))
    except csv.Error as error:
        raise DataError(str(error), where=f"{where}:{lines.line_num}", fix="Write CSV") from error
    return rows


def json_rows(tree: object, path: str, where: str) -> list[Row]:
    """The rows at `path` (`data.prices`): a list of objects, or an object of lists, one a column.

    Raises:
        DataError: There is neither.
    """
    for key in path.split(".") if path else ():
        if isinstance(tree, list) and key.isdigit() and int(key) < len(tree):
            tree = tree[int(key)]
        elif isinstance(tree, dict) and key in tree:
            tree = tree[key]
        else:
            raise DataError(f"there is no {path!r}", where=where, fix="Compare `rows` with it")
    if isinstance(tree, list) and all(isinstance(row, dict) for row in tree):
        return [(f"{where} row {number}", row) for number, row in enumerate(tree)]
    if isinstance(tree, dict):
        columns = {str(name): cells for name, cells in tree.items() if isinstance(cells, list)}
        if len({len(cells) for cells in columns.values()}) == 1:
            return [
                (f"{where} row {number}", dict(zip(columns, cells, strict=True)))
                for number, cells in enumerate(zip(*columns.values(), strict=True))
            ]
    raise DataError(
        "neither a list of objects nor an object of lists of one length",
        where=f"{where} {path}".rstrip(),
        fix="Compare `rows` with it",
    )
