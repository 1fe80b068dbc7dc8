"""What each point of a dispatch centre's table shows now: a value, what is wrong with it, and since when.

    never heard, or marked bad by its device      invalid
    older than it may be                          the last value, not topical, with the time it was measured
    uncertain, as its device says                 substituted

Never a value that only looks new: the time told is that of the measurement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from math import isfinite

from vpp.act.ladder import SafeState
from vpp.model.ids import ResourceId
from vpp.model.measurement import ParkState, Quality, Reading, Unknown
from vpp.model.resource import FixedLoad
from vpp.model.telecontrol import Flaw, Shown, ShownPoint
from vpp.sense.state import freeze
from vpp.service import flexibility, iec104orders
from vpp.service.iec104desk import StationDesk
from vpp.service.iec104schema import PointSection
from vpp.service.plant import Plant

PERIODS = 3
"""What the act cycle found is not topical after so many of its periods."""


@dataclass(frozen=True, kw_only=True)
class View:
    """What one look at the plant is made from; what is dear is worked out once, and only where it is asked for."""

    plant: Plant
    desk: StationDesk
    now: datetime

    @cached_property
    def state(self) -> ParkState:
        return freeze(self.plant.file.park, self.plant.intake.newest, self.now)

    @cached_property
    def room(self) -> tuple[flexibility.Room, Flaw]:
        """None where nobody may be commanded; not topical where somebody who could move is not heard."""
        plant, park = self.plant, self.plant.file.park
        if plant.safe_state in (SafeState.RELEASE, SafeState.KILLED):
            return flexibility.Room(0.0, 0.0), Flaw.NONE
        movers = {r.resource_id for r in park.electric if not isinstance(r, FixedLoad)}
        deaf = any(isinstance(s, Unknown) and s.resource_id in movers for s in self.state.resources)
        found = flexibility.room(park, plant.units, self.state)
        return found, Flaw.NOT_TOPICAL if deaf else Flaw.NONE


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


def _reading(view: View, point: PointSection) -> Reading | None:
    return view.plant.intake.newest.get(ResourceId(str(point.resource)))


def _flaw_of(view: View, reading: Reading) -> Flaw:
    resource = view.plant.file.park.resource_by_id[reading.resource_id]
    flaw = Flaw.NONE
    if view.now - reading.measured_at > timedelta(seconds=resource.max_age_s):
        flaw |= Flaw.NOT_TOPICAL
    if reading.quality is Quality.BAD:
        flaw |= Flaw.INVALID
    elif reading.quality is Quality.UNCERTAIN:
        flaw |= Flaw.SUBSTITUTED
    return flaw


def _measured(view: View, point: PointSection) -> Shown:
    reading = _reading(view, point)
    name = {"resource_power": "power_kw", "resource_soc": "soc"}.get(point.what, "available_kw")
    value = None if reading is None else getattr(reading, name)
    if reading is None or value is None:
        return Shown(0.0, Flaw.INVALID, view.plant.started_at)
    return Shown(value, _flaw_of(view, reading), reading.measured_at)


def _heard(view: View, point: PointSection) -> Shown:
    reading = _reading(view, point)
    if reading is None:
        return Shown(0.0, Flaw.NONE, view.plant.started_at)
    fine = not _flaw_of(view, reading) & (Flaw.NOT_TOPICAL | Flaw.INVALID)
    return Shown(float(fine), Flaw.NONE, view.now)


def _follows(view: View, point: PointSection) -> Shown:
    strays = point.resource in view.plant.not_following
    return Shown(float(not strays), Flaw.NONE, view.now)


# ---------------------------------------------------------------- the park


def _park_power(view: View, point: PointSection) -> Shown:
    total_kw, oldest = 0.0, view.now
    for place in view.plant.file.park.connection_points:
        reading = view.plant.intake.newest_meter.get(place.meter_id)
        if reading is None:
            return Shown(0.0, Flaw.INVALID, view.plant.started_at)
        total_kw += reading.power_kw
        oldest = min(oldest, reading.measured_at)
    most = timedelta(seconds=view.desk.section.meters_max_age_s)
    flaw = Flaw.NOT_TOPICAL if view.now - oldest > most else Flaw.NONE
    return Shown(total_kw, flaw, oldest)


def _up(view: View, point: PointSection) -> Shown:
    found, flaw = view.room
    return Shown(found.available_up_kw, flaw, view.now)


def _down(view: View, point: PointSection) -> Shown:
    found, flaw = view.room
    return Shown(found.available_down_kw, flaw, view.now)


def _planned(view: View, point: PointSection) -> Shown:
    schedule = view.plant.schedule
    if schedule is None or view.now not in schedule.horizon.span:
        return Shown(0.0, Flaw.INVALID, view.now)
    kw = float(schedule.net_kw[schedule.horizon.index(view.now)])
    return Shown(kw, Flaw.NONE, view.now)


def _owed(view: View, point: PointSection) -> Shown:
    """What the newest act cycle found; invalid where the park owes nothing to anybody yet."""
    trace = view.plant.trace
    if not trace or trace[-1].owed_kw is None:
        return Shown(0.0, Flaw.INVALID, view.now)
    most = PERIODS * view.plant.file.control.period
    flaw = Flaw.NOT_TOPICAL if view.now - trace[-1].at > most else Flaw.NONE
    return Shown(trace[-1].owed_kw, flaw, trace[-1].at)


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
    "up": _up,
    "down": _down,
    "planned": _planned,
    "owed": _owed,
    "order": _order,
    "all_well": _all_well,
    "killed": _killed,
    "links_up": _links_up,
    "resource_power": _measured,
    "resource_soc": _measured,
    "resource_available": _measured,
    "resource_heard": _heard,
    "resource_follows": _follows,
}
