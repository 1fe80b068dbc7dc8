"""Who does what now: the plan of this moment, and storage that makes up for what it got wrong.

        owed over the interval (what was sold)
        ┌─────────────────────────┬──────────────────────────┐
        │ metered so far          │ still to come            │
        └─────────────────────────┴──────────────────────────┘
                                 now
    residual = still to come - what everybody is expected to do in the rest

Every kind is asked for what it can be asked (the table in `vpp/model/resource/`); a resource whose
default is what the plan wants gets no command. Storage takes the residual, least wear first, equals
in proportion to the room they have, never through a node of the tree that is full.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from types import MappingProxyType
from typing import assert_never

import numpy as np

from vpp.act.tree import Node, nodes
from vpp.model.ids import ConnectionPointId, ResourceId
from vpp.model.measurement import EvSession, ParkState, Reading, RunPhase
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


def share(
    park: Park,
    state: ParkState,
    schedule: Schedule | None,
    *,
    now: datetime,
    interval: Interval,
    owed_kw: float | None,
    metered_kwh: float,
    control_period: timedelta,
    import_ceiling_kw: Mapping[ConnectionPointId, float] = MappingProxyType({}),
) -> dict[ResourceId, float]:
    """The power wanted of each resource that is to be commanded now; net injection in kW, park order.

    Args:
        park: The tree.
        state: The park as frozen for this cycle; a resource that is unknown is not commanded.
        schedule: The validated plan; None, or one that does not reach `now`, commands nobody.
        now: The moment of the cycle, in `interval`.
        interval: The market interval that runs.
        owed_kw: Mean net injection of the park that was sold for it; None where nothing was.
        metered_kwh: Net injection measured since it began.
        control_period: Time to the next call.
        import_ceiling_kw: What a connection point may draw without a new peak to pay, a size:
            storage behind it holds it, and the residual does not break it.
    """
    if schedule is None or now not in schedule.horizon.span:
        return {}
    moment = _Moment(park, schedule, now, interval, control_period)
    readings = {r.resource_id: r for r in state.resources if isinstance(r, Reading)}
    wanted: dict[ResourceId, float] = {}
    expected: dict[ResourceId, float] = {}
    for resource in park.resources:
        name = resource.resource_id
        reading = readings.get(name)
        asked = None if reading is None else moment.asked_of(resource, reading)
        if asked is not None:
            wanted[name] = asked
        expected[name] = moment.expected_of(resource, reading, asked)
    spread = _Spread(park, expected, import_ceiling_kw)
    spans = moment.spans(park, readings, wanted)
    spread.shave(spans)
    if owed_kw is not None:
        due_kw = (owed_kw * interval.hours - metered_kwh) / moment.rest_hours
        net_kw = sum(spread.expected_kw[r.resource_id] for r in park.electric)
        spread.over(spans, due_kw - net_kw)
    wanted |= spread.power_kw
    return wanted


@dataclass(frozen=True, slots=True)
class _Span:
    """What a storage can be asked for until the interval ends."""

    store: Storage
    low_kw: float
    high_kw: float


class _Moment:
    """The plan as it stands at one moment."""

    def __init__(
        self,
        park: Park,
        schedule: Schedule,
        now: datetime,
        interval: Interval,
        control_period: timedelta,
    ) -> None:
        self._park = park
        self._schedule = schedule
        self._now = now
        self._period = control_period
        self._step = schedule.horizon.index(now)
        self._row = {name: row for row, name in enumerate(schedule.resource_ids)}
        self._curtailed = _behind_full_nodes(park, schedule, self._step)
        rest = max(interval.end - now, control_period)
        self.rest_hours = rest / timedelta(hours=1)
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

    def spans(
        self,
        park: Park,
        readings: Mapping[ResourceId, Reading],
        wanted: Mapping[ResourceId, float],
    ) -> list[_Span]:
        """The range of each storage that is commanded."""
        return [
            _Span(resource, *self._storage_range(resource, reading.soc))
            for resource in park.electric
            if isinstance(resource, Storage)
            and resource.resource_id in wanted
            and (reading := readings[resource.resource_id]).soc is not None
        ]

    def _planned(self, resource: Resource) -> float:
        return float(self._schedule.power_kw[self._row[resource.resource_id], self._step])

    def _starts(self, resource: Resource) -> tuple[int, ...]:
        return self._schedule.starts.get(resource.resource_id, ())

    def _storage_range(self, store: Storage, soc: float) -> tuple[float, float]:
        """What power the store, its energy spread over the rest of the interval, can do."""
        above_kwh = max(soc - store.min_soc, 0.0) * store.capacity_kwh
        room_kwh = max(1.0 - soc, 0.0) * store.capacity_kwh
        return (
            -min(store.most_charge_kw(soc), room_kwh / store.charge_efficiency / self.rest_hours),
            min(
                store.most_discharge_kw(soc),
                above_kwh * store.discharge_efficiency / self.rest_hours,
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
        least = least_draw_kw(fleet, reading.sessions, self._now, self._period)
        most = min(fleet.max_draw_kw, fleet.charger_kw * len(reading.sessions))
        if least == 0.0:  # nobody is pressed: cars may feed what they lend
            lenders = sum(session.lends_kwh > 0 for session in reading.sessions)
            least = -min(fleet.feed_kw, fleet.max_car_feed_kw * lenders)
        return -min(max(-self._planned(fleet), least), most)


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


def _behind_full_nodes(park: Park, schedule: Schedule, step: int) -> frozenset[ResourceId]:
    """Resources behind a node that the plan fills to its export limit."""
    row = {name: row for row, name in enumerate(schedule.resource_ids)}
    return frozenset(
        name
        for node in nodes(park)
        if sum(schedule.power_kw[row[behind], step] for behind in node.behind)
        >= node.limits.export_kw - TOLERANCE_KW
        for name in node.behind
    )


class _Spread:
    """Hands the residual to storages, within their ranges and the room of every node."""

    def __init__(
        self,
        park: Park,
        expected_kw: dict[ResourceId, float],
        import_ceiling_kw: Mapping[ConnectionPointId, float],
    ) -> None:
        self.expected_kw = expected_kw
        self._nodes = nodes(park, import_ceiling_kw)
        self._above: dict[ResourceId, list[Node]] = {
            r.resource_id: [n for n in self._nodes if r.resource_id in n.behind]
            for r in park.resources
        }
        self.power_kw: dict[ResourceId, float] = {}
        """Of those that were moved."""

    def shave(self, spans: list[_Span]) -> None:
        """Let storages take from each node what it would draw above its limit or ceiling."""
        for node in self._nodes:
            if node.draws_only:  # what a store feeds makes no room there
                continue
            excess = -node.limits.import_kw - sum(self.expected_kw[name] for name in node.behind)
            for span in spans:
                if excess <= TOLERANCE_KW:
                    break
                if span.store.resource_id in node.behind:
                    excess -= self._move(span, 1, min(excess, self._room_kw(span, 1)))

    def over(self, spans: list[_Span], residual_kw: float) -> None:
        """Move storages until `residual_kw` more (below 0: less) is fed, or nobody has room."""
        side = 1 if residual_kw > 0 else -1
        left = abs(residual_kw)

        def wear(span: _Span) -> float:
            return span.store.wear_cost_per_kwh

        for _, equals in groupby(sorted(spans, key=wear), key=wear):
            group = list(equals)
            while left > TOLERANCE_KW:
                room = [self._room_kw(span, side) for span in group]
                total = sum(room)
                if total <= TOLERANCE_KW:
                    break
                part = min(1.0, left / total)
                for span, kw in zip(group, room, strict=True):
                    # Two behind one node share its room: look again at what the first has left.
                    left -= self._move(span, side, min(kw * part, self._room_kw(span, side)))

    def _room_kw(self, span: _Span, side: int) -> float:
        """How far the storage and every node above it can still go that way."""
        name = span.store.resource_id
        kw = self.expected_kw[name]
        room = span.high_kw - kw if side > 0 else kw - span.low_kw
        for node in self._above[name]:
            net_kw = node.net_kw(self.expected_kw[behind] for behind in node.behind)
            limits = node.limits
            room = min(room, limits.export_kw - net_kw if side > 0 else limits.import_kw + net_kw)
        return max(room, 0.0)

    def _move(self, span: _Span, side: int, kw: float) -> float:
        name = span.store.resource_id
        self.expected_kw[name] += side * kw
        self.power_kw[name] = self.expected_kw[name]
        return kw
