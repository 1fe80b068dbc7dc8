"""The park file of a new park as text, every assumed figure marked, every borrowed section as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vpp.service.start.lent import Lent
from vpp.service.start.members import Enterprise, Member, Point

_PLAIN = re.compile(r"[a-z][a-z0-9_.-]*")
_WORDS = {"true", "false", "yes", "no", "on", "off", "null"}
_HEAD = """\
# yaml-language-server: $schema=schemas/park.json
#
# Written by `vpp init` from {source}. Three kinds of figures stand here:
#   * without a mark: from the table
#   * `assumed`: a usual value, until somebody reads the device's own from its plate or data sheet
#   * under `borrowed`: from the shipped park {like}, so that a day can be lived through today;
#     tariff, market and carbon factor of the real place belong there before anything is steered
#
# `vpp check park.yaml` tells every fault. Signs: everything here is a size.
"""


def park_text(park: str, source: str, enterprises: Sequence[Enterprise], lent: Lent) -> str:
    """The whole file; `source` is what the table is called."""
    points = [point for e in enterprises for point in e.points.values()]
    limits = {
        "import_kw": sum(point.import_kw for point in points),
        "export_kw": sum(point.export_kw for point in points),
    }
    simulation = lent.tree["simulation"]
    outdoor = {"file": _series(simulation["outdoor"]["file"]), **_rest(simulation["outdoor"])}
    price = {"file": _series(simulation["day_ahead_per_mwh"]["file"])}
    price |= _rest(simulation["day_ahead_per_mwh"])
    parts = [
        _HEAD.format(source=source, like=lent.name),
        f"park: {park}",
        f"name: {scalar(park)}",
        f"limits: {flow(limits)}     # assumed: all points at once",
        "",
        *_enterprises(enterprises, lent),
        *_unit(enterprises, limits, lent),
        "trading: {mode: shadow}        # bids are made and shown, and none leaves (docs/operations.md, Going live)",
        "",
        "strategies: strategies.yaml      # what the park is steered for",
        "",
        f"# ---------------------------------------------------------------- borrowed from {lent.name}",
        "",
        *_borrowed(lent),
        f"markets: {flow([f'markets/{file.name}' for file, _ in lent.markets])}",
        "",
        "# ---------------------------------------------------------------- for simulations alone",
        "# Loads borrow measured curves, scaled so that their peak is 90 % of the device's power (series/SOURCE.md).",
        "",
        "simulation:",
        f"  first_delivery_day: {simulation['first_delivery_day']}",
        *_courses(enterprises, lent),
        f"  outdoor: {flow(outdoor)}",
        *_cars(enterprises, simulation["cars"]),
        f"  day_ahead_per_mwh: {flow(price)}",
        f"  opening: {flow({'soc': _charge(enterprises)})}",
        f"  market: {flow(simulation['market'])}",
    ]
    return "\n".join(parts) + "\n"


# ---------------------------------------------------------------- who is in it


def _enterprises(enterprises: Sequence[Enterprise], lent: Lent) -> Iterator[str]:
    tariff = lent.tree["tariffs"][0]["id"]
    yield "enterprises:"
    for enterprise in enterprises:
        yield f"  - id: {enterprise.id}"
        yield f"    name: {scalar(enterprise.name)}"
        yield "    connection_points:"
        for point in enterprise.points.values():
            yield from _point(point, tariff, lent.demand_by_contract)
        yield ""


def _point(point: Point, tariff: str, by_contract: bool) -> Iterator[str]:
    draw_kw = sum(member.draw_kw for member in point.members)
    all_at_once = "     # assumed: all behind it at once"
    yield f"      - id: {point.id}"
    for name in ("import_kw", "export_kw"):
        mark = "" if f"point_{name}" in point.said else all_at_once
        yield f"        {name}: {getattr(point, name):g}{mark}"
    yield f"        meter: {point.id}-meter"
    yield f"        tariff: {tariff}"
    if by_contract:
        yield f"        capacity_kva: {round(point.import_kw * 1.25)}     # assumed: installed transformers"
        yield f"        contract_kw: {round(point.import_kw * 0.7)}     # assumed: demand agreed for the month"
    yield f"        period_to_date_peak_kw: {min(0.6 * draw_kw, point.import_kw):.0f}     # assumed: this month's peak so far"
    yield "        resources:"
    for member in point.members:
        yield from _resource(member)


def _resource(member: Member) -> Iterator[str]:
    comment = f"     # {comment_of(member.name)}" if member.name else ""
    yield f"          - id: {member.values['id']}{comment}"
    for key, value in member.values.items():
        if key == "id":
            continue
        mark = "     # assumed" if key in member.assumed else ""
        yield f"            {key}: {flow(value)}{mark}"


def _unit(
    enterprises: Sequence[Enterprise], limits: Mapping[str, float], lent: Lent
) -> Iterator[str]:
    """One unit of all; it trades from the first day that the borrowed series can be lived through."""
    unit = lent.tree["bidding_units"][0]
    kw = flow(max(*limits.values(), 100.0))
    shares = {e.id: max(round(e.flexible_kw), 1) for e in enterprises}
    yield "bidding_units:"
    yield "  - id: whole-park"
    yield f"    zone: {unit['zone']}"
    yield "    resources: all"
    yield f"    products: {flow([product for _, product in lent.markets])}"
    yield f"    connected_kw: {kw}     # assumed: what all points may draw together"
    yield f"    declared_kw: {kw}      # assumed"
    yield f"    tested_kw: {kw}        # assumed, until tests have shown it (docs/devices.md)"
    yield f"    trades_from: {json.dumps(unit['trades_from'])}"
    yield f"    trading_share: {flow(shares)}     # assumed: kW that each can move"
    yield ""


# ---------------------------------------------------------------- what is borrowed


def _borrowed(lent: Lent) -> Iterator[str]:
    for key in ("timezone", "currency", "minor_unit", "calendar", "carbon", "tariffs"):
        if key in lent.text:
            yield lent.text[key]
    yield ""
    yield _without_ids(lent.text["forecasts"])
    yield ""
    yield lent.text["planning"]
    yield ""
    yield lent.text["control"]
    yield ""


def _without_ids(forecasts: str) -> str:
    """Lines that name one series of the shipped park say nothing of this one."""
    lines = forecasts.splitlines()
    return "\n".join(line for line in lines if "match" not in line or '*"' in line)


def _courses(enterprises: Sequence[Enterprise], lent: Lent) -> Iterator[str]:
    simulation = lent.tree["simulation"]
    pv = simulation["generation"]["courses"][0]["column"]
    loads, plants = [], []
    for member in _members(enterprises):
        kind, name = member.values["kind"], member.values["id"]
        if kind in ("fixed_load", "curtailable_load"):
            column, highest = lent.curves[member.curve]
            times = round(0.9 * member.draw_kw / highest, 6)
            loads.append({"resource": name, "column": column, "times": times})
        elif kind == "generator" and member.values.get("weather_driven", True):
            times = round(member.feed_kw, 6)
            plants.append({"resource": name, "column": pv, "times": times})
    for part, courses in (("loads", loads), ("generation", plants)):
        yield f"  {part}:"
        yield f"    file: {_series(simulation[part]['file'])}"
        yield f"    courses:{'' if courses else ' []'}"
        for course in courses:
            yield f"      - {flow(course)}"


def _cars(enterprises: Sequence[Enterprise], cars: Mapping[str, Any]) -> Iterator[str]:
    parks = [fleet["car_park"] for fleet in cars["fleets"]]
    fleets = _named(enterprises, "ev_fleet")
    if not fleets:
        return
    yield "  cars:"
    yield f"    file: {_series(cars['file'])}"
    yield "    fleets:"
    for place, name in enumerate(fleets):
        fleet = {"resource": name, "car_park": parks[place % len(parks)], "energy_times": 4.0}
        yield f"      - {flow(fleet)}"


def _members(enterprises: Sequence[Enterprise]) -> Iterator[Member]:
    return (m for e in enterprises for point in e.points.values() for m in point.members)


def _named(enterprises: Sequence[Enterprise], kind: str) -> list[str]:
    return [m.values["id"] for m in _members(enterprises) if m.values["kind"] == kind]


def _charge(enterprises: Sequence[Enterprise]) -> dict[str, float]:
    """Stores begin half full, or as full as they must be."""
    stores = (m.values for m in _members(enterprises) if m.values["kind"] == "storage")
    return {store["id"]: max(0.5, store["min_soc"]) for store in stores}


def _series(file: str) -> str:
    return f"series/{file.rsplit('/', 1)[1]}"


def _rest(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key != "file"}


# ---------------------------------------------------------------- as YAML


def flow(value: Any) -> str:
    """A value on one line, as the park files of this house are written."""
    match value:
        case Mapping():
            return "{" + ", ".join(f"{scalar(k)}: {flow(v)}" for k, v in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(flow, value)) + "]"
        case _:
            return scalar(value)


def scalar(value: Any) -> str:
    """One value; a text that could be read as anything else stands in quotes."""
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value not in _WORDS
        return value if plain else json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value)


def comment_of(text: str) -> str:
    """A text that stays in its comment: one line, nothing that does not print."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())
