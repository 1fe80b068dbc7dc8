"""A table of resources as people keep it: CSV out of a spreadsheet, headers in English or Chinese.

    resource,kind,enterprise,power_kw,energy_kwh,hours       资源,类型,企业,功率kW,容量kWh,时段
    press,load,toolmaker,250,,                               空压机,负荷,工具厂,250,,

Spreadsheets write UTF-8 or, in China, GB18030, with commas, semicolons or tabs between the cells; which
of these a file is in is seen from its bytes, and said. Every cell keeps the line and column where it
stands, so that each mistake can be shown there, all of them at once.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vpp.service.park.config import ConfigErrors, Fault, read_bytes

MOST_ROWS = 5_000
MOST_CELL = 500
"""Characters; a longer cell is no figure of a device."""

HEADERS: Mapping[str, str] = {
    "resource": "resource", "id": "resource", "device": "resource",
    "资源": "resource", "资源编号": "resource", "设备": "resource", "设备名称": "resource", "名称": "resource",
    "kind": "kind", "type": "kind", "类型": "kind", "资源类型": "kind", "设备类型": "kind",
    "enterprise": "enterprise", "member": "enterprise",
    "企业": "enterprise", "用户": "enterprise", "企业名称": "enterprise",
    "point": "point", "connection_point": "point",
    "接入点": "point", "并网点": "point", "关口": "point",
    "power_kw": "power_kw", "功率kw": "power_kw", "额定功率kw": "power_kw", "最大功率kw": "power_kw",
    "energy_kwh": "energy_kwh", "容量kwh": "energy_kwh", "电量kwh": "energy_kwh",
    "hours": "hours", "时段": "hours", "运行时段": "hours",
    "point_import_kw": "point_import_kw", "受电上限kw": "point_import_kw", "最大受电kw": "point_import_kw",
    "point_export_kw": "point_export_kw", "送电上限kw": "point_export_kw", "最大送电kw": "point_export_kw",
    "curve": "curve", "曲线": "curve", "负荷曲线": "curve",
    "min_degc": "min_degc", "最低温度": "min_degc", "最低温度℃": "min_degc",
    "max_degc": "max_degc", "最高温度": "max_degc", "最高温度℃": "max_degc",
    "charger_kw": "charger_kw", "单枪功率kw": "charger_kw", "单桩功率kw": "charger_kw",
    "tags": "tags", "标签": "tags",
    "note": "note", "remark": "note", "备注": "note",
}  # fmt: skip
"""What a header may be called; any other is the name of a key of the park file (`wear_cost_per_kwh`)."""

NEEDED = ("resource", "kind", "enterprise", "power_kw")


@dataclass(frozen=True, slots=True)
class Cell:
    """A text without blanks around it, and where it stands."""

    text: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells by the name of their column; an empty cell is left out."""

    file: str
    rows: tuple[Mapping[str, Cell], ...]
    places: tuple[tuple[int, int], ...]
    """Line and column where each row begins."""

    read_as: str
    """How the bytes were understood, for people."""

    def fault(self, row: int, name: str, what: str) -> Fault:
        """A mistake in a cell, or where its row begins if the cell is empty."""
        cell = self.rows[row].get(name)
        line, column = (cell.line, cell.column) if cell else self.places[row]
        return Fault(self.file, line, column, name, what)


def read_table(file: Path) -> Table:
    """The table, with all its columns known.

    Raises:
        ConfigErrors: It cannot be read, has no rows or too many, a header twice, none that is needed,
            or a row that is longer than the header.
    """
    text, encoding = _decoded(file, read_bytes(file))
    first = next((line for line in text.splitlines() if line.strip()), "")
    mark = max((",", ";", "\t"), key=first.count)
    cells = _cells(file, text, mark)
    if len(cells) < 2:
        what = "has a header and no row below it" if cells else "is empty"
        raise ConfigErrors([Fault(str(file), 1, 1, "", what)])
    if len(cells) > MOST_ROWS + 1:
        raise ConfigErrors([Fault(str(file), 1, 1, "", f"has more than {MOST_ROWS} rows")])
    names, faults = _names(file, cells[0])
    rows: list[dict[str, Cell]] = []
    for row in cells[1:]:
        rows.append({n: cell for n, cell in zip(names, row, strict=False) if cell.text})
        faults += [
            Fault(str(file), cell.line, cell.column, "", "stands beyond the last header")
            for cell in row[len(names) :]
            if cell.text
        ]
        faults += [
            Fault(str(file), cell.line, cell.column, name, f"is longer than {MOST_CELL} characters")
            for name, cell in rows[-1].items()
            if len(cell.text) > MOST_CELL
        ]
    if faults:
        raise ConfigErrors(faults)
    between = {",": "commas", ";": "semicolons", "\t": "tabs"}[mark]
    return Table(
        file=str(file),
        rows=tuple(rows),
        places=tuple((row[0].line, row[0].column) for row in cells[1:]),
        read_as=f"{encoding}, {between} between the cells",
    )


def _decoded(file: Path, content: bytes) -> tuple[str, str]:
    for encoding, called in (("utf-8-sig", "UTF-8"), ("gb18030", "GB18030")):
        try:
            return content.decode(encoding), called
        except UnicodeDecodeError:
            continue
    what = "is neither UTF-8 nor GB18030 text: save it as CSV UTF-8"
    raise ConfigErrors([Fault(str(file), 1, 1, "", what)])


def _cells(file: Path, text: str, mark: str) -> list[list[Cell]]:
    """Rows that are not empty. Places are found beside `csv`, which knows the line of a row's end alone."""
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True))
    except csv.Error as error:
        raise ConfigErrors([Fault(str(file), 1, 1, "", f"is no CSV: {error}")]) from error
    starts = _starts(text, mark)
    found = [
        [Cell(cell.strip(), *place) for cell, place in zip(row, places, strict=False)]
        for row, places in zip(rows, starts, strict=False)
    ]
    return [row for row in found if any(cell.text for cell in row)]


def _starts(text: str, mark: str) -> list[list[tuple[int, int]]]:
    """Line and column, from 1, at which each cell of each row begins."""
    rows: list[list[tuple[int, int]]] = [[(1, 1)]]
    line, column, quoted = 1, 1, False
    for character in text.replace("\r\n", "\n").replace("\r", "\n"):
        column += 1
        if character == '"':
            quoted = not quoted
        elif character == "\n":
            line, column = line + 1, 1
            if not quoted:
                rows.append([(line, column)])
        elif character == mark and not quoted:
            rows[-1].append((line, column))
    return rows


def _names(file: Path, header: Sequence[Cell]) -> tuple[list[str], list[Fault]]:
    """The name of each column as we know it; what is said twice or missing."""
    names: list[str] = []
    faults: list[Fault] = []
    for cell in header:
        plain = re.sub(r"[\s()（）\[\]【】/]", "", cell.text).lower()
        name = HEADERS.get(plain, cell.text)
        if name in names and name:
            what = f"a column {name} stands here a second time"
            faults.append(Fault(str(file), cell.line, cell.column, cell.text, what))
        names.append(name)
    for name in NEEDED:
        if name not in names:
            also = next(n for n, known in HEADERS.items() if known == name and not n.isascii())
            what = f"there is no column {name} ({also})"
            faults.append(Fault(str(file), header[0].line, header[0].column, "", what))
    return names, faults
