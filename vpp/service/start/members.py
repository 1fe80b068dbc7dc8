"""The rows of a table as enterprises, connection points and resources, each with an id that is unique.

A name that is no id (`压机 1`, `Press 1`) gets one; the name itself stays beside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from vpp.model.ids import ID_PATTERN
from vpp.service.park.config import ConfigErrors, Fault
from vpp.service.start.kinds import Row
from vpp.service.start.lent import Lent
from vpp.service.start.resourcetable import Table

_ID = re.compile(ID_PATTERN)


@dataclass(frozen=True, slots=True)
class Member:
    """One resource as the park file will say it."""

    values: Mapping[str, Any]
    assumed: Mapping[str, Any]
    name: str
    """As it stands in the table, with its note; for a comment."""

    curve: str
    """Which recorded load curve it borrows."""

    place: int
    """Its row of the table, from 0."""

    @property
    def draw_kw(self) -> float:
        """The most it draws."""
        profile = self.values.get("profile_kw", [0.0])
        keys = ("max_draw_kw", "rated_draw_kw", "max_charge_kw")
        return float(max([*profile, *(self.values.get(key, 0.0) for key in keys)]))

    @property
    def feed_kw(self) -> float:
        """The most it feeds."""
        return float(max(self.values.get(k, 0.0) for k in ("max_feed_kw", "max_discharge_kw")))


@dataclass(slots=True)
class Point:
    """A connection point and what is behind it."""

    id: str
    members: list[Member] = field(default_factory=list)
    said: dict[str, float] = field(default_factory=dict)
    """`point_import_kw` and `point_export_kw`, where the table gives them."""

    @property
    def import_kw(self) -> float:
        """What may be drawn: as the table says, else all of it at once."""
        return self.said.get("point_import_kw", _tens(sum(m.draw_kw for m in self.members)))

    @property
    def export_kw(self) -> float:
        """What may be fed: as the table says, else all of it at once."""
        return self.said.get("point_export_kw", _tens(sum(m.feed_kw for m in self.members)))


@dataclass(slots=True)
class Enterprise:
    id: str
    name: str
    points: dict[str, Point] = field(default_factory=dict)

    @property
    def flexible_kw(self) -> float:
        """What can be moved: all but fixed loads and PV."""
        return sum(
            max(member.draw_kw, member.feed_kw)
            for point in self.points.values()
            for member in point.members
            if member.values["kind"] not in ("fixed_load", "generator")
        )


def _tens(kw: float) -> float:
    return float(ceil(kw / 10) * 10)


@dataclass(slots=True)
class _Ids:
    """An id for each name: the name where it is one, else made of it, else of what it is."""

    used: set[str] = field(default_factory=set)

    def of(self, name: str, otherwise: str, most: int = 32) -> str:
        plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") if name.isascii() else ""
        base = (plain or otherwise)[:most].rstrip("-")
        candidate, number = base, 1
        while candidate in self.used or (not plain and number == 1):
            candidate = f"{base[: most - 5]}-{number}"
            number += 1
        self.used.add(candidate)
        return candidate


def members(table: Table, lent: Lent) -> tuple[Enterprise, ...]:
    """Everything the table says, in its order.

    Raises:
        ConfigErrors: Every fault of every row, where it stands.
    """
    outdoor = lent.tree["simulation"]["outdoor"]["series"][0]["id"]
    enterprises: dict[str, Enterprise] = {}
    points: dict[str, str] = {}
    ids, enterprise_ids, point_ids = _Ids(), _Ids(), _Ids()
    names: dict[str, int] = {}
    faults: list[Fault] = []
    for place in range(len(table.rows)):
        row = Row(table, place, lent.money, outdoor)
        name, told = (row.cells.get(key) for key in ("resource", "enterprise"))
        if name is None:
            row.fault("resource", "is missing: what it is called")
        elif name.text in names:
            row.fault("resource", f"{name.text} stands in line {names[name.text]} too")
        if told is None:
            row.fault("enterprise", "is missing: whose it is")
        kind = row.cells["kind"].text if "kind" in row.cells else ""
        called = "" if name is None else name.text
        if name is not None:
            names.setdefault(called, name.line)
        values, assumed = row.resource(ids.of(called, "device" if not kind.isascii() else "load"))
        curve = _curve(row, lent, len(enterprises))
        if told is None:
            _limits(row, Point(""), None)
            faults += row.faults
            continue
        if told.text not in enterprises:  # an id is used up by asking for it
            own = Enterprise(enterprise_ids.of(told.text, "enterprise", 24), told.text)
            enterprises[told.text] = own
        enterprise = enterprises[told.text]
        at = row.cells["point"].text if "point" in row.cells else f"{enterprise.id}-gate"
        if points.setdefault(at, told.text) != told.text:
            row.fault("point", f"{at} is of {points[at]} already")
            _limits(row, Point(""), None)
            faults += row.faults
            continue
        if at not in enterprise.points:
            enterprise.points[at] = Point(point_ids.of(at, f"{enterprise.id}-gate", 26))
        point = enterprise.points[at]
        if row.faults:
            _limits(row, point, None)
        else:
            note = f" ({row.cells['note'].text})" if "note" in row.cells else ""
            shown = "" if _ID.match(called) else called
            member = Member(values, assumed, f"{shown}{note}".strip(), curve, place)
            point.members.append(member)
            _limits(row, point, member)
        faults += row.faults
    if faults:
        raise ConfigErrors(sorted(faults, key=lambda fault: (fault.line, fault.column)))
    return tuple(enterprises.values())


def _curve(row: Row, lent: Lent, enterprise: int) -> str:
    cell = row.cells.get("curve")
    if cell is None:
        return list(lent.curves)[enterprise % len(lent.curves)]
    if cell.text not in lent.curves:
        row.fault("curve", f"{cell.text!r} is none of {', '.join(lent.curves)}")
    return cell.text


def _limits(row: Row, point: Point, member: Member | None) -> None:
    """Limits of the point as a row gives them: the same in each, and not below a device, if that is in order."""
    for name in ("point_import_kw", "point_export_kw"):
        value = row.number(name)
        if value is not None and point.said.setdefault(name, value) != value:
            row.fault(name, f"{point.id} has {point.said[name]:g} kW in a row above")
    if member is None:
        return
    for name, kw in (("point_import_kw", member.draw_kw), ("point_export_kw", member.feed_kw)):
        if kw > point.said.get(name, kw):
            row.fault(name, f"{kw:g} kW behind a limit of {point.said[name]:g} kW")
