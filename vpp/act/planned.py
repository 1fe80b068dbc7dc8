"""What the plan asks of each resource at one moment, what is to be expected of it, and how far it may be moved.

Every kind is asked for what it can be asked (the table in `vpp/model/resource/`); a resource whose
default is what the plan wants is asked nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import assert_never

import numpy as np

from vpp.act.branches import Branches
from vpp.act.units import Bools, Units
from vpp.model.horizon import Floats
from vpp.model.ids import ConnectionPointId
from vpp.model.measurement import EvSession, Reading, RunPhase
from vpp.model.park import Park
from vpp.model.resource import (
    Converter,
    CurtailableLoad,
    EvFleet,
    FixedLoad,
    FlexibleLoad,
    Generator,
    InterruptibleLoad,
    Resource,
    ShiftableRun,
    Storage,
    ThermalZone,
)
from vpp.model.schedule import Schedule
from vpp.model.time import Interval, local_date, local_moment

TOLERANCE_KW = 1e-3
"""A watt: what a plan may differ by and still be the same."""

WORTHLESS_PER_KWH = 1e-6
"""A shadow price up to this is nothing."""

PRICE_DIGITS = 4
"""Costs that differ by less are equal: shadow prices carry the solver's rounding."""


class Planned:
    """The plan as it stands at one moment."""

    def __init__(
        self,
        park: Park,
        units: Units,
        schedule: Schedule,
        now: datetime,
        interval: Interval,
        control_period: timedelta,
    ) -> None:
        """Of a schedule that reaches `now`, a moment of `interval`."""
        self._park = park
        self._schedule = schedule
        self._now = now
        self._period = control_period
        self._step = schedule.horizon.index(now)
        if schedule.resource_ids == units.names:
            self._kw = schedule.power_kw[:, self._step]
        else:  # made of another park file
            rows = {name: row for row, name in enumerate(schedule.resource_ids)}
            self._kw = schedule.power_kw[[rows[name] for name in units.names], self._step]
        self._index = units.index
        full = _behind_full_nodes(units.tree, self._kw)
        self._curtailed = frozenset(units.names[at] for at in np.flatnonzero(full))
        rest = max(interval.end - now, control_period)
        self._rest_hours = rest / timedelta(hours=1)
        """To the end of the interval, at least one control period: nobody can act for less."""

    def asked_of(self, resource: Resource, reading: Reading) -> float | None:
        """What the plan asks of a resource; None where its default is right."""
        match resource:
            case FixedLoad():
                return None
            case Storage():
                return self._storage(resource, reading)
            case Generator():
                return self._generator(resource, reading)
            case ShiftableRun():
                return self._run(resource, reading)
            case InterruptibleLoad():
                return self._call(resource, reading)
            case ThermalZone():
                return min(max(self._planned(resource), -resource.max_draw_kw), 0.0)
            case EvFleet():
                return self._fleet(resource, reading)
            case CurtailableLoad():
                return self._turned_down(resource, reading)
            case FlexibleLoad():
                return min(max(self._planned(resource), -resource.max_draw_kw), 0.0)
            case Converter():
                return self._machine(resource)
            case _:
                assert_never(resource)

    def expected_of(
        self, resource: Resource, reading: Reading | None, asked_kw: float | None
    ) -> float:
        """Mean power to be expected until the interval ends."""
        if reading is None:
            return self._planned(resource)
        if asked_kw is None:
            return reading.power_kw
        if isinstance(resource, Generator) and resource.weather_driven:
            return min(asked_kw, max(reading.available_kw or 0.0, reading.power_kw))
        return asked_kw

    def span_kw(self, resource: Resource, reading: Reading, base_kw: float) -> tuple[float, float]:
        """The lowest and the highest power that a resource may be moved to from `base_kw`, which lies between."""
        low = high = base_kw
        match resource:
            case Storage() if reading.soc is not None:
                low, high = self._storage_range(resource, reading.soc)
            case EvFleet() if reading.sessions:
                low, high = self._fleet_range(resource, reading)
            case Generator():
                gives = max(reading.available_kw or 0.0, reading.power_kw, 0.0)
                high = gives if resource.weather_driven else resource.max_feed_kw
                low = resource.must_run_share * high
            case FlexibleLoad():
                low, high = -resource.max_draw_kw, 0.0
            case _:
                pass
        return min(low, base_kw), max(high, base_kw)

    def costs_per_kwh(self, resource: Resource, base_kw: float) -> tuple[float, float]:
        """What a kWh more and a kWh less of net injection cost, from `base_kw` on.

        By the plan's shadow prices: of what is stored, of what is worth less at its connection point than
        in the park, and of work that is done later. Wear and fuel are the owner's.
        """
        net = float(self._schedule.net_value_per_kwh[self._step])
        point = self._schedule.point_value_per_kwh.get(resource.connection_point_id)
        here = net if point is None else float(point[self._step])
        match resource:
            case Storage():
                stored = self._schedule.stored_value_per_kwh.get(resource.resource_id)
                value = 0.0 if stored is None else float(stored[self._step])
                feeds = value / resource.discharge_efficiency + resource.wear_cost_per_kwh
                draws = value * resource.charge_efficiency
                saves = draws - resource.wear_cost_per_kwh
                up, down = (
                    (saves if base_kw < -TOLERANCE_KW else feeds),
                    (-feeds if base_kw > TOLERANCE_KW else -saves),
                )
            case Generator():
                up = resource.cost_per_kwh
                down = resource.curtailment_cost_per_kwh - resource.cost_per_kwh
            case _:  # what is not done now is done later
                up, down = net, -net
        return round(up - here, PRICE_DIGITS), round(down + here, PRICE_DIGITS)

    def _planned(self, resource: Resource) -> float:
        return float(self._kw[self._index[resource.resource_id]])

    def _starts(self, resource: Resource) -> tuple[int, ...]:
        return self._schedule.starts.get(resource.resource_id, ())

    def _storage_range(self, store: Storage, soc: float) -> tuple[float, float]:
        """What power the store, its energy spread over the rest of the interval, can do."""
        above_kwh = max(soc - store.min_soc, 0.0) * store.capacity_kwh
        room_kwh = max(1.0 - soc, 0.0) * store.capacity_kwh
        return (
            -min(store.most_charge_kw(soc), room_kwh / store.charge_efficiency / self._rest_hours),
            min(
                store.most_discharge_kw(soc),
                above_kwh * store.discharge_efficiency / self._rest_hours,
            ),
        )

    def _storage(self, store: Storage, reading: Reading) -> float | None:
        """Always commanded, 0 too: the last command may still be in force."""
        if reading.soc is None:
            return None
        low, high = self._storage_range(store, reading.soc)
        return min(max(self._planned(store), low), high)

    def _generator(self, source: Generator, reading: Reading) -> float | None:
        """A cap only where the plan means one: feeding costs, more is worth nothing here, or a node above is full.

        A plan below what the sun gives is otherwise only a forecast that was too low.
        """
        planned = self._planned(source)
        if not source.weather_driven:  # it feeds nothing by itself: what is planned is asked for
            return min(max(planned, 0.0), source.max_feed_kw)
        gives = max(reading.available_kw or 0.0, reading.power_kw)
        meant = (
            self._schedule.net_value_per_kwh[self._step] < 0
            or self._worthless_at(source.connection_point_id)
            or source.resource_id in self._curtailed
        )
        if meant and planned < gives - TOLERANCE_KW:
            return min(max(planned, 0.0), source.max_feed_kw)
        return None

    def _worthless_at(self, point_id: ConnectionPointId) -> bool:
        """Whether the plan gains nothing by more behind a connection point: what is exported is priced there."""
        value = self._schedule.point_value_per_kwh.get(point_id)
        return value is not None and float(value[self._step]) <= WORTHLESS_PER_KWH

    def _run(self, run: ShiftableRun, reading: Reading) -> float | None:
        """Hold it from its default start on, until the step in which the plan starts it."""
        if reading.phase is not RunPhase.WAITING or not self._starts(run):
            return None
        zone, horizon = self._park.timezone, self._schedule.horizon
        starts = [horizon.start + step * horizon.step for step in self._starts(run)]
        if run.runs_per_day > 1:  # an older plan's run that has had its time is over
            starts = [start for start in starts if start + run.length > self._now]
        if not starts:
            return None
        start = min(starts)
        if start <= self._now:
            return -next((kw for kw in run.profile_kw if kw > 0), 0.0) or None
        today = local_date(self._now, zone)
        soon = local_moment(today, run.default_start, zone) - 2 * self._period
        if local_date(start, zone) == today and self._now >= soon:
            return 0.0
        return None

    def _call(self, load: InterruptibleLoad, reading: Reading) -> float | None:
        """Off in the step in which the plan calls it, and while its call lasts; then rated again.

        A call that has lasted its shortest length goes on only where the plan says so.
        """
        if reading.phase is not RunPhase.CALLED:
            starts_now = self._step in self._starts(load) and reading.phase is RunPhase.RUNNING
            return 0.0 if starts_now else None
        since = reading.phase_since
        if since is None or self._now < since + load.call_length or self._called(load):
            return 0.0
        longer = self._step < self._schedule.longer_until.get(load.resource_id, 0)
        return 0.0 if longer else -load.rated_draw_kw

    def _turned_down(self, load: CurtailableLoad, reading: Reading) -> float | None:
        """The most it may draw during a call, by little turned down or not; its size ends the call."""
        name = load.resource_id
        turned = self._schedule.curtailed_kw.get(name, np.zeros(self._schedule.horizon.steps))
        if turned[self._step] > TOLERANCE_KW or self._called(load):
            return min(max(self._planned(load), -load.max_draw_kw), 0.0)
        if reading.phase is not RunPhase.CALLED:
            return None
        first = min(self._starts(load), default=len(turned))  # before it the old call goes on
        if load.calls_limited and turned[self._step : first].max(initial=0.0) > TOLERANCE_KW:
            return min(max(self._planned(load), -load.max_draw_kw), 0.0)
        return -load.max_draw_kw

    def _called(self, load: InterruptibleLoad | CurtailableLoad) -> bool:
        """Whether the plan is in one of its calls."""
        lengths = self._schedule.start_lengths.get(load.resource_id, ())
        calls = zip(self._starts(load), lengths, strict=False)
        return any(start <= self._step < start + length for start, length in calls)

    def _machine(self, machine: Converter) -> float:
        """Its electricity; what flows at its first port where it has none."""
        planned, node = self._planned(machine), machine.ports[0].node_id
        if not machine.electric and node is not None:
            planned = float(self._schedule.port_kw[machine.resource_id][node][self._step])
        return min(max(planned, -machine.draw_kw), machine.feed_kw)

    def _fleet(self, fleet: EvFleet, reading: Reading) -> float | None:
        """As planned, but no less than lets every car leave with what it wants."""
        if not reading.sessions:
            return None
        low, high = self._fleet_range(fleet, reading)
        return max(min(self._planned(fleet), high), low)

    def _fleet_range(self, fleet: EvFleet, reading: Reading) -> tuple[float, float]:
        sessions = reading.sessions or ()
        least = least_draw_kw(fleet, sessions, self._now, self._period)
        most = min(fleet.max_draw_kw, fleet.charger_kw * len(sessions))
        if least == 0.0:  # nobody is pressed: cars may feed what they lend
            lenders = sum(session.lends_kwh > 0 for session in sessions)
            least = -min(fleet.feed_kw, fleet.max_car_feed_kw * lenders)
        return -most, -least


def least_draw_kw(
    fleet: EvFleet, sessions: tuple[EvSession, ...], now: datetime, period: timedelta
) -> float:
    """The least that the fleet must draw in the next `period` so that nobody need go short, in kW.

    A car whose wish cannot wait is charged; so is the fleet if all that leave by some time need
    more than the car park can give after this period.
    """
    hour = timedelta(hours=1)
    step_hours = period / hour
    each = by_then = together = 0.0
    for session in sorted(sessions, key=lambda s: s.departs_at):
        after_hours = max((session.departs_at - now) / hour - step_hours, 0.0)
        need_kwh = min(  # no more than its charger can still give
            max(session.wanted_kwh, 0.0) / fleet.charge_efficiency,
            fleet.charger_kw * (after_hours + step_hours),
        )
        urgent_kw = (need_kwh - fleet.charger_kw * after_hours) / step_hours
        each += min(max(urgent_kw, 0.0), fleet.charger_kw)
        by_then += need_kwh
        together = max(together, (by_then - fleet.max_draw_kw * after_hours) / step_hours)
    return min(max(each, together), fleet.max_draw_kw)


def _behind_full_nodes(tree: Branches, planned_kw: Floats) -> Bools:
    """Who is behind a node that the plan fills to its export limit, shape (N,)."""
    at_points, full = tree.at_points(planned_kw), np.zeros(tree.points + 1, dtype=np.bool_)
    for level in tree.levels:
        filled = level.sums(at_points) >= level.export_kw - TOLERANCE_KW
        full |= np.append(filled, False)[level.of_point]
    return full[tree.point_of]
