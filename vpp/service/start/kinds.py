"""A row of the table as a resource of the park file: what it says, and what is assumed where it is silent.

An assumption is a figure that lets the park run on the first day; each is marked in the file that is
written, so that a person can put the device's own figure in its place. Nothing that decides about
safety or money at a market is assumed from nothing: power, energy and temperatures must be said.

    R = ΔT / (0.6 · COP · P)     a building or cold store: its machine at 60 % holds the target on a hard day
    C = 30 h / R                 time constants of the demo's buildings lie between 23 and 55 h
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from vpp.errors import DataError
from vpp.service.park.config import ConfigErrors, Document, Fault, KeyPath, read_yaml
from vpp.service.park.resourceschema import AnyResource
from vpp.service.start.resourcetable import Cell, Table

KINDS: Mapping[str, str] = {
    "load": "fixed_load", "负荷": "fixed_load", "固定负荷": "fixed_load", "用电负荷": "fixed_load",
    "battery": "storage", "储能": "storage", "电池": "storage", "电池储能": "storage", "蓄电池": "storage",
    "pv": "generator", "solar": "generator", "光伏": "generator", "光伏发电": "generator",
    "可削减负荷": "curtailable_load", "可调负荷": "curtailable_load",
    "可中断负荷": "interruptible_load",
    "shiftable": "shiftable_run", "可平移负荷": "shiftable_run", "可转移负荷": "shiftable_run",
    "flexible": "flexible_load", "柔性负荷": "flexible_load",
    "heating": "thermal_zone", "供暖": "thermal_zone", "热泵": "thermal_zone",
    "cooling": "thermal_zone", "空调": "thermal_zone", "制冷": "thermal_zone",
    "cold_store": "thermal_zone", "冷库": "thermal_zone",
    "chargers": "ev_fleet", "ev": "ev_fleet", "充电桩": "ev_fleet", "充电站": "ev_fleet",
}  # fmt: skip
"""Everyday words beside the kinds of the park file themselves."""

OF_THE_PARK_FILE = (
    "fixed_load", "storage", "generator", "curtailable_load", "interruptible_load", "shiftable_run",
    "flexible_load", "thermal_zone", "ev_fleet",
)  # fmt: skip
COOLS = {"cooling", "空调", "制冷", "cold_store", "冷库"}
OWN = {
    *("resource", "kind", "enterprise", "point", "power_kw", "energy_kwh", "hours"),
    *("point_import_kw", "point_export_kw", "curve", "note"),
}
"""Columns that are ours; every other one is a key of the park file."""

MOST = 1e6
"""The largest size that a cell may hold."""

QUARTER_H = 0.25
_RESOURCE: TypeAdapter[Any] = TypeAdapter(AnyResource)
_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?")
_HOURS = re.compile(r"([0-9]{1,2}):([0-9]{2})\s*[-–—~～至]\s*([0-9]{1,2}):([0-9]{2})")


@dataclass(slots=True)
class Row:
    """One resource on its way from the table into the park file."""

    table: Table
    place: int
    money: float
    """Units of the park's currency in a euro, for assumed costs."""

    outdoor_series_id: str
    kind: str = ""
    said: dict[str, Any] = field(default_factory=dict)
    assumed: dict[str, Any] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    @property
    def cells(self) -> Mapping[str, Cell]:
        return self.table.rows[self.place]

    def fault(self, name: str, what: str) -> None:
        self.faults.append(self.table.fault(self.place, name, what))

    def number(self, name: str, *, needed: str = "") -> float | None:
        """A size above 0; None where there is none, a fault if it was `needed`."""
        cell = self.cells.get(name)
        if cell is None:
            if needed:
                self.fault(name, f"is missing: {needed}")
            return None
        if _NUMBER.fullmatch(cell.text) is None:
            self.fault(name, f"{cell.text!r} is no number such as 250 or 0.5")
            return None
        if not 0 < (value := float(cell.text)) <= MOST:
            self.fault(name, f"{cell.text} is not above 0 and at most 1000000")
            return None
        return value

    def hours(self, otherwise: str) -> tuple[str, str]:
        """Begin and end on the clock."""
        cell = self.cells.get("hours")
        match = _HOURS.fullmatch(otherwise if cell is None else cell.text)
        if match is None or not int(match[1]) <= 23 or not int(match[3]) <= 24:
            self.fault("hours", f"{cell.text if cell else ''!r} are no hours such as 06:00-22:00")
            return "00:00", "23:59"
        begin, end = f"{int(match[1]):02d}:{match[2]}", f"{int(match[3]):02d}:{match[4]}"
        return begin, "23:59" if end in ("24:00", "00:00") else end

    def assume(self, name: str, value: Any) -> None:
        self.assumed[name] = value

    def on_clock(self, begin: str, end: str, **keys: str) -> None:
        """Keys that hold the begin or the end of the hours: said where the table has hours."""
        into = self.said if "hours" in self.cells else self.assumed
        into |= {key: begin if which == "begin" else end for key, which in keys.items()}

    def resource(self, resource_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """All keys of the resource with their values, and those of them that were assumed.

        What the table says under a key's own name wins over what is assumed for it. Faults are
        collected in `faults`; the values are of use only where there is none.
        """
        before = len(self.faults)
        told = self.cells["kind"].text if "kind" in self.cells else ""
        plain = told.lower().replace(" ", "_")
        self.kind = KINDS.get(plain, plain)
        if self.kind not in OF_THE_PARK_FILE:
            known = ", ".join([*OF_THE_PARK_FILE, *(k for k in KINDS if k.isascii())])
            more = "write it into the park file by hand" if plain == "converter" else "use one of"
            self.fault("kind", f"{told!r} is not known here: {more} {known}")
        power_kw = self.number("power_kw", needed="the most that it draws or feeds")
        if self.kind in _MAKERS:
            # Without a power that can be read the rest of the row is read beside the most it could be.
            _MAKERS[self.kind](self, power_kw or MOST, plain)
        self._own_keys()
        values = {"id": resource_id, "kind": self.kind, **self.said}
        values |= {k: v for k, v in self.assumed.items() if k not in self.said}
        assumed = {k: v for k, v in self.assumed.items() if k not in self.said}
        if self.kind in _MAKERS:
            self._check(values, own_alone=len(self.faults) > before)
        return values, assumed

    def _own_keys(self) -> None:
        for name, cell in self.cells.items():
            if name in OWN:
                continue
            if name == "node":
                self.fault(name, "another carrier is written into the park file by hand")
                continue
            if name == "tags":
                self.said[name] = [tag for tag in re.split(r"[;,、，；\s]+", cell.text) if tag]
                continue
            try:
                self.said[name] = read_yaml(cell.text.encode(), file=self.table.file).tree
            except ConfigErrors as error:
                for fault in error.faults:
                    self.fault(name, fault.what)

    def _check(self, values: dict[str, Any], *, own_alone: bool) -> None:
        """As the park file would be checked, with each fault at its cell.

        `own_alone`: some cell is at fault already, and only what the row says under keys of the park file
        is checked, nothing that was made of the cells that are ours.
        """
        told: dict[str, Any] = json.loads(json.dumps(values))
        marks: dict[KeyPath, tuple[int, int]] = {(): (1, 1)} | {(key,): (1, 1) for key in told}
        document = Document(file=self.table.file, tree=told, marks=marks, digest="", faults=())
        found = document.parse(_RESOURCE, (), told)
        if isinstance(found, list):
            for fault in found:
                key = fault.path.split(".")[0]
                if own_alone and (key not in self.cells or key in OWN):
                    continue
                at = key if key in self.cells else _FROM.get(self.kind, {}).get(key, "power_kw")
                self.fault(at, f"{key}: {fault.what}" if at != key else fault.what)
            return
        if own_alone:
            return
        try:
            found.resource("enterprise", "point")
        except DataError as error:
            self.fault("resource", f"{error.what}: {error.fix}")


def _fixed(row: Row, power_kw: float, _: str) -> None:
    row.said["max_draw_kw"] = power_kw


def _storage(row: Row, power_kw: float, _: str) -> None:
    energy_kwh = row.number("energy_kwh", needed="what the store holds")
    row.said |= {
        "capacity_kwh": energy_kwh,
        "max_charge_kw": power_kw,
        "max_discharge_kw": power_kw,
    }
    row.assume("charge_efficiency", 0.95)
    row.assume("discharge_efficiency", 0.95)
    row.assume("min_soc", 0.1)
    row.assume("wear_cost_per_kwh", round(0.006 * row.money, 4))


def _generator(row: Row, power_kw: float, _: str) -> None:
    row.said["max_feed_kw"] = power_kw
    row.assume("green", True)


def _curtailable(row: Row, power_kw: float, _: str) -> None:
    row.said["max_draw_kw"] = power_kw
    row.assume("curtailable_share", 0.3)
    row.assume("curtailment_cost_per_kwh", round(0.15 * row.money, 4))


def _interruptible(row: Row, power_kw: float, _: str) -> None:
    begin, end = row.hours("06:00-22:00")
    last = 24 if end == "23:59" else int(end[:2])
    first = int(begin[:2]) + (begin[3:] != "00")
    row.said["rated_draw_kw"] = power_kw
    row.on_clock(begin, end, operating_from="begin", operating_to="end")
    row.assume("call_length_minutes", 60)
    row.assume("callable_hours", list(range(first, last)))
    row.assume("call_cost_per_kwh", round(0.1 * row.money, 4))


def _run(row: Row, power_kw: float, _: str) -> None:
    energy_kwh = row.number("energy_kwh", needed="what one run takes")
    begin, end = row.hours("00:00-24:00")
    if energy_kwh is None:
        return
    quarters = max(1, round(energy_kwh / power_kw / QUARTER_H))
    if quarters > 96:
        row.fault("energy_kwh", f"{energy_kwh:g} kWh at {power_kw:g} kW take longer than a day")
        return
    row.said["profile_kw"] = [round(energy_kwh / quarters / QUARTER_H, 3)] * quarters
    row.on_clock(begin, end, earliest_start="begin", latest_end="end")
    row.assume("default_start", begin)


def _flexible(row: Row, power_kw: float, _: str) -> None:
    energy_kwh = row.number("energy_kwh", needed="what must be done in its hours each day")
    begin, end = row.hours("00:00-24:00")
    row.said["max_draw_kw"] = power_kw
    row.said["windows"] = [{"start": begin, "end": end, "least_units": energy_kwh}]
    row.assume("unserved_cost_per_unit", round(1.0 * row.money, 4))


def _zone(row: Row, power_kw: float, told: str) -> None:
    lowest, highest = (_degc(row, name) for name in ("min_degc", "max_degc"))
    if lowest is None or highest is None or lowest >= highest:
        if lowest is not None and highest is not None:
            row.fault("max_degc", f"{highest:g} is not above {lowest:g}, its min_degc")
        return
    target = round((lowest + highest) / 2, 1)
    heating = told not in COOLS and target >= 10
    cop = 3.0 if heating or target >= 10 else 2.0
    delta = target + 15 if heating else 35 - target
    resistance = delta / (0.6 * cop * power_kw)
    row.said["max_draw_kw"] = power_kw
    row.assume("heating", heating)
    row.assume("cop", cop)
    row.assume("resistance_degc_per_kw", round(resistance, 5))
    row.assume("capacity_kwh_per_degc", round(30 / resistance, 1))
    row.assume("target_degc", target)
    row.assume("discomfort_cost_per_degc_h", round(6.0 * row.money, 2))
    row.assume("outdoor_series_id", row.outdoor_series_id)


def _degc(row: Row, name: str) -> float | None:
    cell = row.cells.get(name)
    if cell is None:
        row.fault(name, "is missing: what temperature it must keep")
        return None
    if _NUMBER.fullmatch(cell.text) is None:
        row.fault(name, f"{cell.text!r} is no number such as -22 or 20.5")
        return None
    return float(cell.text)


def _fleet(row: Row, power_kw: float, _: str) -> None:
    row.said["max_draw_kw"] = power_kw
    row.assume("charger_kw", min(22.0, power_kw))
    row.assume("charge_efficiency", 0.92)
    row.assume("unserved_cost_per_kwh", round(0.6 * row.money, 3))


_MAKERS = {
    "fixed_load": _fixed,
    "storage": _storage,
    "generator": _generator,
    "curtailable_load": _curtailable,
    "interruptible_load": _interruptible,
    "shiftable_run": _run,
    "flexible_load": _flexible,
    "thermal_zone": _zone,
    "ev_fleet": _fleet,
}
_FROM = {
    "storage": {"capacity_kwh": "energy_kwh"},
    "shiftable_run": dict.fromkeys(("earliest_start", "latest_end", "default_start"), "hours"),
    "interruptible_load": dict.fromkeys(
        ("operating_from", "operating_to", "callable_hours"), "hours"
    ),
    "flexible_load": {"windows": "hours"},
}
"""Which column a key of the park file was made from, where it is not the power."""
