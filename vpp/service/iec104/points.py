"""What each point of a dispatch centre's table shows now: a value, what is wrong with it, and since when.

Powers are those that reports tell (`reports/values.py`, which says what is flagged and when); here they get the unit
and the sign of the table, beside states that only a dispatch centre asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite

from vpp.act.ladder import SafeState
from vpp.model.ids import ResourceId
from vpp.model.telecontrol import Flaw, Shown, ShownPoint
from vpp.service.iec104 import orders as iec104orders
from vpp.service.iec104.desk import StationDesk
from vpp.service.iec104.schema import PointSection
from vpp.service.plant import Plant
from vpp.service.reports import values as reportvalues
from vpp.service.reports.values import Look, Told

_TOLD: Mapping[str, Told] = {
    "resource_power": "power_kw",
    "resource_reactive": "reactive_kvar",
    "resource_soc": "soc",
    "resource_available": "available_kw",
}


@dataclass(frozen=True, kw_only=True)
class View(Look):
    """One look at the whole park, for one station."""

    desk: StationDesk


def shown_points(points: list[PointSection]) -> tuple[ShownPoint, ...]:
    """The rows of a point table as the station takes them."""
    return tuple(
        ShownPoint(
            address=point.ioa,
            is_state=point.is_state,
            dead_band=point.dead_band,
            cyclic_s=point.cyclic_s,
        )
        for point in points
    )


def picture(plant: Plant, desk: StationDesk, now: datetime) -> dict[int, Shown]:
    """Every point of a station as it is now, by address."""
    view = View(plant=plant, desk=desk, now=now)
    return {
        point.ioa: _counted(point, _READ[point.what](view, point)) for point in desk.section.points
    }


def _counted(point: PointSection, shown: Shown) -> Shown:
    """In the unit and with the sign of the dispatch centre."""
    if point.is_state or point.what == "order":
        return shown
    if not isfinite(shown.value):
        return Shown(0.0, shown.flaw | Flaw.INVALID, shown.at)
    value = shown.value / point.scale
    return Shown(-value if point.counts == "draw" else value, shown.flaw, shown.at)


# ---------------------------------------------------------------- resources


def _measured(view: View, point: PointSection) -> Shown:
    return reportvalues.told_by(view, ResourceId(str(point.resource)), _TOLD[point.what])


def _heard(view: View, point: PointSection) -> Shown:
    reading = view.plant.intake.newest.get(ResourceId(str(point.resource)))
    if reading is None:
        return Shown(0.0, Flaw.NONE, view.plant.started_at)
    wrong = reportvalues.flaw_of(view, reading) & (Flaw.NOT_TOPICAL | Flaw.INVALID)
    return Shown(float(not wrong), Flaw.NONE, view.now)


def _follows(view: View, point: PointSection) -> Shown:
    strays = point.resource in view.plant.not_following
    return Shown(float(not strays), Flaw.NONE, view.now)


# ---------------------------------------------------------------- the park


def _park_power(view: View, point: PointSection) -> Shown:
    most_s = view.desk.section.meters_max_age_s
    return reportvalues.metered(view, timedelta(seconds=most_s))


def _sum_power(view: View, point: PointSection) -> Shown:
    return reportvalues.power(view)


def _reactive(view: View, point: PointSection) -> Shown:
    return reportvalues.reactive(view)


def _up(view: View, point: PointSection) -> Shown:
    return reportvalues.room(view)[0]


def _down(view: View, point: PointSection) -> Shown:
    return reportvalues.room(view)[1]


def _planned(view: View, point: PointSection) -> Shown:
    return reportvalues.planned(view)


def _owed(view: View, point: PointSection) -> Shown:
    return reportvalues.owed(view)


def _order(view: View, point: PointSection) -> Shown:
    """The order that stands in the books, as it was given; not topical once its time is over."""
    section = next(one for one in view.desk.section.orders if one.ioa == point.order)
    found = iec104orders.standing(view.plant, view.desk.section.id, section, view.now)
    return found or Shown(0.0, Flaw.INVALID, view.plant.started_at)


def _all_well(view: View, point: PointSection) -> Shown:
    return Shown(float(view.plant.safe_state is SafeState.NORMAL), Flaw.NONE, view.now)


def _killed(view: View, point: PointSection) -> Shown:
    return Shown(float(view.plant.kill.reason is not None), Flaw.NONE, view.now)


def _links_up(view: View, point: PointSection) -> Shown:
    up = all(link.connected for link in view.plant.links())
    return Shown(float(up), Flaw.NONE, view.now)


_READ: Mapping[str, Callable[[View, PointSection], Shown]] = {
    "park_power": _park_power,
    "sum_power": _sum_power,
    "reactive": _reactive,
    "up": _up,
    "down": _down,
    "planned": _planned,
    "owed": _owed,
    "order": _order,
    "all_well": _all_well,
    "killed": _killed,
    "links_up": _links_up,
    "resource_power": _measured,
    "resource_reactive": _measured,
    "resource_soc": _measured,
    "resource_available": _measured,
    "resource_heard": _heard,
    "resource_follows": _follows,
}
