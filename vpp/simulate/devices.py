"""The simulated device of each continuous resource kind, and of the EV fleet.

Loads with a calendar of their own (interruptible, shiftable) stand in `processes.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from vpp.model.resource import EvFleet, FixedLoad, Generator, Storage, ThermalZone
from vpp.model.time import isoformat, local_date, local_day
from vpp.simulate.device import HOUR, BaseDevice, Course
from vpp.simulate.spec import CarVisit
from vpp.wire import SessionMessage

PROTECTION_MARGIN_DEGC = 1.0
"""How far outside the comfort band a zone's own protection overrides any set-point."""

NOTHING_KWH = 1e-9
"""Energies below are rounding."""


class SimulatedLoad(BaseDevice):
    """A fixed load: draws what was measured."""

    def __init__(self, resource: FixedLoad, base_kw: Course, opened_at: datetime) -> None:
        super().__init__(resource, opened_at)
        self._base_kw = base_kw

    def _run(self, start: datetime, end: datetime) -> float:
        return self._base_kw.at(start) * ((end - start) / HOUR)

    def _commandable(self) -> str | None:
        return "this device takes no set-points"


class SimulatedStorage(BaseDevice):
    """A battery. It tapers so that the energy never leaves [0, capacity]; idle by default.

    `min_soc` is the planner's reserve, not a limit of the device. A store of another carrier takes what
    its network leaves over, whatever its set-point says (`networks.py`).
    """

    STATE = (
        *BaseDevice.STATE, "stored_kwh", "throughput_kwh", "_discharged_today_kwh", "_day_end",
    )  # fmt: skip

    def __init__(
        self, resource: Storage, opening_soc: float, zone: ZoneInfo, opened_at: datetime
    ) -> None:
        super().__init__(resource, opened_at)
        self._resource = resource
        self._zone = zone
        self.local_kw: float | None = None
        """What its network asks of it in the step to come; None of a battery."""
        self._discharged_today_kwh = 0.0
        self._day_end = local_day(local_date(opened_at, zone), zone).end
        self.stored_kwh = opening_soc * resource.capacity_kwh
        self.throughput_kwh = 0.0
        """Through the terminals, in and out, since the beginning."""

    def _run(self, start: datetime, end: datetime) -> float:
        of, hours = self._resource, (end - start) / HOUR
        if start >= self._day_end:
            self._day_end = local_day(local_date(start, self._zone), self._zone).end
            self._discharged_today_kwh = 0.0
        wish_kw = (self._wish_kw(start) if self.local_kw is None else self.local_kw) or 0.0
        soc = min(self.stored_kwh / of.capacity_kwh, 1.0) if of.capacity_kwh else 0.0
        target_kw = min(max(wish_kw, -of.most_charge_kw(soc)), of.most_discharge_kw(soc))
        ramped_kw = self._ramped_kw(target_kw, hours)
        most_kw = self.stored_kwh * of.discharge_efficiency / hours
        least_kw = -(of.capacity_kwh - self.stored_kwh) / (of.charge_efficiency * hours)
        power_kw = min(max(ramped_kw, least_kw), most_kw)
        if power_kw != ramped_kw:
            self._level_kw = power_kw
        stored_kwh = of.stored_kwh_after(self.stored_kwh, power_kw, hours)
        self.stored_kwh = min(max(stored_kwh, 0.0), of.capacity_kwh)
        self.throughput_kwh += abs(power_kw) * hours
        self._discharged_today_kwh += max(power_kw, 0.0) * hours / of.discharge_efficiency
        return power_kw * hours

    def room_kw(self, soc: float, hours: float) -> float:
        """How hard it can be charged for `hours` without going above a state of charge; a size."""
        of = self._resource
        room_kwh = max(soc * of.capacity_kwh - self.stored_kwh, 0.0)
        now = min(self.stored_kwh / of.capacity_kwh, 1.0) if of.capacity_kwh else 1.0
        return min(of.most_charge_kw(now), room_kwh / (of.charge_efficiency * hours))

    def most_kw(self, hours: float) -> float:
        """How hard it can be discharged for `hours`; a size."""
        of = self._resource
        now = min(self.stored_kwh / of.capacity_kwh, 1.0) if of.capacity_kwh else 0.0
        kept_kwh = self.stored_kwh * of.kept(hours)
        return min(of.most_discharge_kw(now), kept_kwh * of.discharge_efficiency / hours)

    def _report(self) -> Mapping[str, Any]:
        capacity_kwh = self._resource.capacity_kwh
        soc = min(self.stored_kwh / capacity_kwh, 1.0) if capacity_kwh else 0.0
        if self._resource.max_cycles_per_day is None:  # nobody counts
            return {"soc": soc}
        return {"soc": soc, "discharged_today_kwh": self._discharged_today_kwh}


class SimulatedGenerator(BaseDevice):
    """PV or wind: a set-point is the most it may feed."""

    STATE = (*BaseDevice.STATE, "_available_now_kw")

    def __init__(self, resource: Generator, available_kw: Course, opened_at: datetime) -> None:
        super().__init__(resource, opened_at)
        self._resource = resource
        self._available_kw = available_kw
        self._available_now_kw = 0.0

    def _run(self, start: datetime, end: datetime) -> float:
        hours = (end - start) / HOUR
        available_kw = min(max(self._available_kw.at(start), 0.0), self._resource.max_feed_kw)
        self._available_now_kw = available_kw
        wish_kw = self._wish_kw(start)
        cap_kw = available_kw if wish_kw is None else min(max(wish_kw, 0.0), available_kw)
        cap_kw = max(cap_kw, self._resource.must_run_share * available_kw)
        if self._level_kw is not None:  # the sun does not wait for the inverter's ramp
            self._level_kw = min(self._level_kw, available_kw)
        return self._ramped_kw(cap_kw, hours) * hours

    def _report(self) -> Mapping[str, Any]:
        return {"available_kw": self._available_now_kw}


class SimulatedZone(BaseDevice):
    """A cold store or a heated building with a thermostat and a protection of its own.

    Without a set-point the machine runs at just the power that brings the zone to its target by
    the end of the step. Whatever is commanded, it runs at least (or at most) so hard that the
    zone stays within `PROTECTION_MARGIN_DEGC` of its comfort band, as far as its size allows.
    """

    STATE = (*BaseDevice.STATE, "temperature_degc", "discomfort_degc_h")

    def __init__(
        self,
        resource: ThermalZone,
        outdoor_degc: Course,
        opening_degc: float,
        opened_at: datetime,
    ) -> None:
        super().__init__(resource, opened_at)
        self._resource = resource
        self._outdoor_degc = outdoor_degc
        self.temperature_degc = opening_degc
        self.discomfort_degc_h = 0.0
        """Degrees outside the comfort band at the end of each step times its length, summed."""

    def _run(self, start: datetime, end: datetime) -> float:
        of, hours = self._resource, (end - start) / HOUR
        outdoor_degc = self._outdoor_degc.at(start)
        idle_degc = of.temperature_after(self.temperature_degc, 0.0, outdoor_degc, hours)
        degc_per_draw_kw = (1 - of.decay(hours)) * of.degc_per_kw(outdoor_degc)

        def draw_kw_for(degc: float) -> float:
            """The draw that ends the step at `degc`; may lie outside the machine's size."""
            return (degc - idle_degc) / degc_per_draw_kw

        wish_kw = self._wish_kw(start)
        draw_kw = draw_kw_for(of.target_degc) if wish_kw is None else -wish_kw
        least_kw, most_kw = sorted(
            (
                draw_kw_for(of.min_degc - PROTECTION_MARGIN_DEGC),
                draw_kw_for(of.max_degc + PROTECTION_MARGIN_DEGC),
            )
        )
        draw_kw = min(max(draw_kw, least_kw), most_kw)
        power_kw = self._ramped_kw(-min(max(draw_kw, 0.0), of.max_draw_kw), hours)
        self.temperature_degc = of.temperature_after(
            self.temperature_degc, power_kw, outdoor_degc, hours
        )
        outside_degc = max(
            self.temperature_degc - of.max_degc, of.min_degc - self.temperature_degc, 0.0
        )
        self.discomfort_degc_h += outside_degc * hours
        return power_kw * hours

    def _stand(self, start: datetime, end: datetime) -> None:
        """Its machine stands; the zone goes on warming up, or cooling down."""
        of, hours = self._resource, (end - start) / HOUR
        outdoor_degc = self._outdoor_degc.at(start)
        degc = of.temperature_after(self.temperature_degc, 0.0, outdoor_degc, hours)
        self.temperature_degc = degc
        self.discomfort_degc_h += max(degc - of.max_degc, of.min_degc - degc, 0.0) * hours

    def _report(self) -> Mapping[str, Any]:
        return {"temperature_degc": self.temperature_degc}


class SimulatedEvFleet(BaseDevice):
    """A car park. Every car charges at full power on arrival; a set-point limits their sum.

    What the set-point leaves is shared by least laxity, which is earliest deadline first with an
    eye on what each car still needs: the car that can wait the least comes first. Cars charge for
    just the part of a step in which they are plugged in.
    """

    STATE = (*BaseDevice.STATE, "_next_visit", "_wanted_kwh", "departed")

    def __init__(self, resource: EvFleet, visits: Sequence[CarVisit], opened_at: datetime) -> None:
        super().__init__(resource, opened_at)
        self._resource = resource
        self._visits = sorted(visits, key=lambda visit: (visit.arrives_at, visit.session_id))
        self._by_id = {visit.session_id: visit for visit in self._visits}
        self._departs_text = {v.session_id: isoformat(v.departs_at) for v in self._visits}
        self._next_visit = 0
        self._wanted_kwh: dict[str, float] = {}
        """Still to be charged, of each car that is plugged in."""
        self.departed: list[list[Any]] = []
        """[session_id, departs_at, kWh left uncharged] of each car that has gone."""
        # Cars that stand there when the simulation begins have waited for it.
        self._plug_in(opened_at)

    def _run(self, start: datetime, end: datetime) -> float:
        self._plug_in(end)
        of, hours = self._resource, (end - start) / HOUR
        needs_kwh = {
            session_id: need_kwh
            for session_id, wanted_kwh in self._wanted_kwh.items()
            if (need_kwh := self._need_kwh(session_id, wanted_kwh, start, end)) > NOTHING_KWH
        }
        wish_kw = self._wish_kw(start)
        allowed_kw = of.max_draw_kw if wish_kw is None else min(max(-wish_kw, 0.0), of.max_draw_kw)
        demand_kwh = sum(needs_kwh.values())
        drawn_kwh = -self._ramped_kw(-min(allowed_kw, demand_kwh / hours), hours) * hours
        if drawn_kwh > demand_kwh:  # cars that leave do not wait for a ramp
            drawn_kwh, self._level_kw = demand_kwh, -demand_kwh / hours
        self._share(drawn_kwh, needs_kwh, start)
        self._unplug(end)
        return -drawn_kwh

    def _stand(self, start: datetime, end: datetime) -> None:
        """Chargers without power: cars come and go all the same."""
        self._plug_in(end)
        self._unplug(end)

    def _need_kwh(
        self, session_id: str, wanted_kwh: float, start: datetime, end: datetime
    ) -> float:
        """The most that a car can draw between `start` and `end`, at the charger."""
        visit = self._by_id[session_id]
        present = min(end, visit.departs_at) - max(start, visit.arrives_at)
        most_kwh = self._resource.charger_kw * max(present / HOUR, 0.0)
        return min(most_kwh, wanted_kwh / self._resource.charge_efficiency)

    def _share(self, drawn_kwh: float, needs_kwh: Mapping[str, float], start: datetime) -> None:
        left_kwh = drawn_kwh
        for session_id in sorted(needs_kwh, key=lambda key: self._urgency(key, start)):
            taken_kwh = min(needs_kwh[session_id], left_kwh)
            left_kwh -= taken_kwh
            remaining = self._wanted_kwh[session_id] - taken_kwh * self._resource.charge_efficiency
            self._wanted_kwh[session_id] = remaining if remaining > NOTHING_KWH else 0.0
            if left_kwh <= 0:
                break

    def _urgency(self, session_id: str, start: datetime) -> tuple[timedelta, datetime, str]:
        """How long a car could still wait before it must charge without pause; then deadline, id."""
        of, departs_at = self._resource, self._by_id[session_id].departs_at
        needed_h = self._wanted_kwh[session_id] / (of.charger_kw * of.charge_efficiency)
        return departs_at - start - timedelta(hours=needed_h), departs_at, session_id

    def _plug_in(self, moment: datetime) -> None:
        while (
            self._next_visit < len(self._visits)
            and self._visits[self._next_visit].arrives_at <= moment
        ):
            visit = self._visits[self._next_visit]
            self._next_visit += 1
            if visit.departs_at > self._now:
                self._wanted_kwh[visit.session_id] = visit.wanted_kwh

    def _unplug(self, moment: datetime) -> None:
        for session_id in list(self._wanted_kwh):
            departs_at = self._by_id[session_id].departs_at
            if departs_at <= moment:
                self.departed.append([session_id, departs_at, self._wanted_kwh.pop(session_id)])

    def _report(self) -> Mapping[str, Any]:
        sessions = tuple(
            SessionMessage(session_id, self._departs_text[session_id], wanted_kwh)
            for session_id, wanted_kwh in self._wanted_kwh.items()
        )
        return {"sessions": sessions}
