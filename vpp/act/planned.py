"""What the plan asks of each resource at one moment, what is to be expected of it, and how far it may be moved.

Every kind is asked for what it can be asked (the table in `vpp/model/resource/`); a resource whose
default is what the plan wants is asked nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import TypeVar

import numpy as np

from vpp.act.branches import Branches, Places
from vpp.act.units import Bools, Kind, Seen, Units
from vpp.model.horizon import Floats
from vpp.model.measurement import EvSession, ParkState, Reading, RunPhase
from vpp.model.park import Park
from vpp.model.resource import (
    Converter,
    CurtailableLoad,
    EvFleet,
    InterruptibleLoad,
    Resource,
    ShiftableRun,
)
from vpp.model.schedule import Schedule
from vpp.model.time import Interval, local_date, local_moment

Name = TypeVar("Name", bound=str)

TOLERANCE_KW = 1e-3
"""A watt: what a plan may differ by and still be the same."""

WORTHLESS_PER_KWH = 1e-6
"""A shadow price up to this is nothing."""

PRICE_DIGITS = 4
"""Costs that differ by less are equal: shadow prices carry the solver's rounding."""


ONE_BY_ONE = (
    *(Kind.CURTAILABLE_LOAD, Kind.INTERRUPTIBLE_LOAD, Kind.SHIFTABLE_RUN),
    *(Kind.EV_FLEET, Kind.CONVERTER),
)
"""Kinds that know words, sessions or ports: what each is asked is found for itself. Of the others all at once."""


class Planned:
    """The plan as it stands at one moment; arrays of shape (N,) in park order."""

    def __init__(
        self,
        park: Park,
        units: Units,
        state: ParkState,
        seen: Seen,
        schedule: Schedule,
        now: datetime,
        interval: Interval,
        control_period: timedelta,
    ) -> None:
        """Of a schedule that reaches `now`, a moment of `interval`; `state` and `seen` are one picture of the park."""
        self._park, self._units, self._state, self._seen = park, units, state, seen
        self._schedule = schedule
        self._now = now
        self._period = control_period
        self._step = schedule.horizon.index(now)
        if schedule.resource_ids == units.names:
            self._kw = schedule.power_kw[:, self._step]
        else:  # made of another park file
            rows = {name: row for row, name in enumerate(schedule.resource_ids)}
            self._kw = schedule.power_kw[[rows[name] for name in units.names], self._step]
        self._net_per_kwh = float(schedule.net_value_per_kwh[self._step])
        rest = max(interval.end - now, control_period)
        self._rest_hours = rest / timedelta(hours=1)
        """To the end of the interval, at least one control period: nobody can act for less."""

    def asked_kw(self, usable: Bools | None) -> Floats:
        """What the plan asks of each; NaN where its default is right, or nobody may ask (`usable`; None: all may)."""
        units = self._units
        may = self._seen.heard if usable is None else self._seen.heard & usable
        drawn = np.minimum(np.maximum(self._kw, -units.draw_kw), 0.0)
        low, high = self._stores_kw
        asked = np.full(len(units), np.nan)
        for kind, kw in (
            (Kind.STORAGE, np.minimum(np.maximum(self._kw, low), high)),
            (Kind.GENERATOR, self._sources_kw()),
            (Kind.FLEXIBLE_LOAD, drawn),
            (Kind.THERMAL_ZONE, drawn),
        ):
            at = units.by_kind[kind]
            asked[at] = np.where(may[at], kw[at], np.nan)
        for kind in ONE_BY_ONE:
            at = units.by_kind[kind]
            for row in at[may[at]].tolist():
                reading = self._state.resources[row]
                assert isinstance(reading, Reading)
                told = self._asked_of(self._park.resources[row], reading)
                asked[row] = np.nan if told is None else told
        return asked

    def _asked_of(self, resource: Resource, reading: Reading) -> float | None:
        match resource:
            case ShiftableRun():
                return self._run(resource, reading)
            case InterruptibleLoad():
                return self._call(resource, reading)
            case EvFleet():
                return self._fleet(resource, reading)
            case CurtailableLoad():
                return self._turned_down(resource, reading)
            case Converter():
                return self._machine(resource)
            case _:
                raise AssertionError(f"{resource.resource_id} is asked with others of its kind")

    def expected_kw(self, asked_kw: Floats) -> Floats:
        """Mean power to be expected of each until the interval ends, where it is asked that; NaN: nothing."""
        seen = self._seen
        does_kw = np.where(seen.heard, seen.power_kw, self._kw)
        told_kw = np.where(
            self._units.weather_driven, np.minimum(asked_kw, self._gives_kw), asked_kw
        )
        expected: Floats = np.where(np.isnan(asked_kw) | ~seen.heard, does_kw, told_kw)
        return expected

    def spans_kw(self, movers: Places, base_kw: Floats) -> tuple[Floats, Floats]:
        """The lowest and the highest power that some may be moved to from `base_kw`, which lies between.

        Of those who are no movers nothing but `base_kw`.
        """
        units, low, high = self._units, base_kw.copy(), base_kw.copy()
        mine = np.zeros(len(units), dtype=np.bool_)
        mine[movers] = True
        stores, sources, loads = (
            mine & (units.kind == kind)
            for kind in (Kind.STORAGE, Kind.GENERATOR, Kind.FLEXIBLE_LOAD)
        )
        stores &= ~np.isnan(self._seen.soc)
        low[stores], high[stores] = (kw[stores] for kw in self._stores_kw)
        most_kw = np.where(units.weather_driven, np.maximum(self._gives_kw, 0.0), units.feed_kw)
        low[sources], high[sources] = (units.must_run_share * most_kw)[sources], most_kw[sources]
        low[loads], high[loads] = -units.draw_kw[loads], 0.0
        for row in np.flatnonzero(mine & (units.kind == Kind.EV_FLEET)).tolist():
            fleet, reading = self._park.resources[row], self._state.resources[row]
            if isinstance(fleet, EvFleet) and isinstance(reading, Reading) and reading.sessions:
                low[row], high[row] = self._fleet_range(fleet, reading)
        return np.minimum(low, base_kw), np.maximum(high, base_kw)

    def costs_per_kwh(self, base_kw: Floats) -> tuple[Floats, Floats]:
        """What a kWh more and a kWh less of net injection cost, from `base_kw` on.

        By the plan's shadow prices: of what is stored, of what is worth less at its connection point than
        in the park, and of work that is done later. Wear and fuel are the owner's.
        """
        units, net = self._units, self._net_per_kwh
        value = self._now_of(self._schedule.stored_value_per_kwh, units.index, 0.0)
        feeds = value / units.discharge_efficiency + units.wear_cost_per_kwh
        saves = value * units.charge_efficiency - units.wear_cost_per_kwh
        stores, sources = units.kind == Kind.STORAGE, units.kind == Kind.GENERATOR
        # What is not done now is done later: worth what the park's energy is.
        up = np.where(sources, units.cost_per_kwh, net)
        down = np.where(sources, units.curtailment_cost_per_kwh - units.cost_per_kwh, -net)
        up = np.where(stores, np.where(base_kw < -TOLERANCE_KW, saves, feeds), up)
        down = np.where(stores, np.where(base_kw > TOLERANCE_KW, -feeds, -saves), down)
        here = self._here_per_kwh
        return np.round(up - here, PRICE_DIGITS), np.round(down + here, PRICE_DIGITS)

    # ------------------------------------------------------------ all of a kind

    @cached_property
    def _gives_kw(self) -> Floats:
        """What sources could feed now; NaN where nobody knows."""
        return np.maximum(np.nan_to_num(self._seen.available_kw), self._seen.power_kw)

    @cached_property
    def _here_per_kwh(self) -> Floats:
        """What energy is worth at the connection point of each."""
        points = self._park.connection_points
        place = {point.connection_point_id: at for at, point in enumerate(points)}
        worth = self._now_of(self._schedule.point_value_per_kwh, place, self._net_per_kwh)
        return worth[[place[one.connection_point_id] for one in self._park.resources]]

    def _now_of(
        self, courses: Mapping[Name, Floats], place: Mapping[Name, int], otherwise: float
    ) -> Floats:
        """What courses say of this step, each at its place; shape (len(place),)."""
        found = np.full(len(place), otherwise)
        here = [
            (place[name], course[self._step]) for name, course in courses.items() if name in place
        ]
        found[[at for at, _ in here]] = [value for _, value in here]
        return found

    @cached_property
    def _stores_kw(self) -> tuple[Floats, Floats]:
        """What power each store, its energy spread over the rest of the interval, can do; NaN for others."""
        units, soc = self._units, self._seen.soc
        above_kwh = np.maximum(soc - units.min_soc, 0.0) * units.capacity_kwh
        room_kwh = np.maximum(1.0 - soc, 0.0) * units.capacity_kwh
        filled = _tapered(1.0 - soc, 1.0 - units.charge_taper_soc)
        emptied = _tapered(soc, units.discharge_taper_soc)
        into_kw = room_kwh / units.charge_efficiency / self._rest_hours
        out_kw = above_kwh * units.discharge_efficiency / self._rest_hours
        return (
            -np.minimum(units.draw_kw * filled, into_kw),
            np.minimum(units.feed_kw * emptied, out_kw),
        )

    def _sources_kw(self) -> Floats:
        """A cap only where the plan means one: feeding costs, more is worth nothing here, or a node above is full.

        A plan below what the sun gives is otherwise only a forecast that was too low.
        """
        units, gives = self._units, self._gives_kw
        fed = np.minimum(np.maximum(self._kw, 0.0), units.feed_kw)
        # Whether the plan gains nothing by more behind a connection point: what is exported is priced there.
        told = self._schedule.point_value_per_kwh
        priced = np.array([one.connection_point_id in told for one in self._park.resources])
        worthless = priced & (self._here_per_kwh <= WORTHLESS_PER_KWH)
        full = _behind_full_nodes(units.tree, self._kw)
        meant = (self._net_per_kwh < 0) | worthless | full
        capped = meant & (self._kw < gives - TOLERANCE_KW)
        # What no weather drives feeds nothing by itself: what is planned is asked for.
        return np.where(~units.weather_driven | capped, fed, np.nan)

    # ------------------------------------------------------------ one by one

    def _planned(self, resource: Resource) -> float:
        return float(self._kw[self._units.index[resource.resource_id]])

    def _starts(self, resource: Resource) -> tuple[int, ...]:
        return self._schedule.starts.get(resource.resource_id, ())

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


def _tapered(left: Floats, falls_over: Floats) -> Floats:
    """Share of its power that a store can do with so much of its charge left; it falls over the last of it."""
    share = np.divide(left, falls_over, out=np.ones(len(left)), where=falls_over > 0)
    return np.where(np.isnan(left), np.nan, np.minimum(share, 1.0))


def _behind_full_nodes(tree: Branches, planned_kw: Floats) -> Bools:
    """Who is behind a node that the plan fills to its export limit, shape (N,)."""
    at_points, full = tree.at_points(planned_kw), np.zeros(tree.points + 1, dtype=np.bool_)
    for level in tree.levels:
        filled = level.sums(at_points) >= level.export_kw - TOLERANCE_KW
        full |= np.append(filled, False)[level.of_point]
    return full[tree.point_of]
