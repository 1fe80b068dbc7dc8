"""The three reports, made from one look at the plant: a point of now, the coming hours, a day's plan.

reportvalues.Look ─▶ point       what each resource shows, and the sum of just that
                  ─▶ forecast    the standing plan, and the room that its states leave beside it
                  ─▶ day plan    the standing plan on a local day
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from vpp.model.horizon import Horizon
from vpp.model.measurement import EvSession, ParkState, Reading, ResourceState, RunPhase
from vpp.model.reporting import (
    Capability,
    DayPlanReport,
    Duty,
    ForecastReport,
    MemberPoint,
    PointReport,
    ReportHead,
    ReportKind,
)
from vpp.model.resource import EvFleet, InterruptibleLoad, Resource, Storage
from vpp.model.schedule import Schedule
from vpp.model.telecontrol import Flaw, Shown
from vpp.model.time import QUARTER, local_day
from vpp.service.reports import values as reportvalues
from vpp.service.reports.baseline import baseline
from vpp.service.reports.desk import Owed
from vpp.service.reports.values import Look, told_by

HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


def point(look: Look, owed: Owed, due_at: datetime, *, members: bool) -> PointReport:
    """A unit as it is now; each resource on its own where `members`."""
    return PointReport(
        head=_head(owed.duty, ReportKind.POINT, due_at, look.now),
        power=reportvalues.power(look),
        reactive=reportvalues.reactive(look),
        baseline=baseline(look, owed, Horizon(look.now, QUARTER, 1))[0],
        planned=reportvalues.planned(look),
        owed=reportvalues.owed(look),
        capability=tuple(_capability(look, hold) for hold in owed.duty.holds),
        members=tuple(_member(look, r) for r in look.members) if members else (),
        resources=len(look.members),
        heard=look.heard,
    )


def forecast(look: Look, owed: Owed, due_at: datetime) -> ForecastReport:
    """The coming hours of a unit, from `due_at` on."""
    duty = owed.duty
    assert duty.forecast_step is not None
    horizon = Horizon(due_at, duty.forecast_step, duty.forecast_steps)
    hours = duty.holds[0] / HOUR
    rooms = [_room_ahead(look, start, hours) for start in horizon.starts()]
    return ForecastReport(
        head=_head(duty, ReportKind.FORECAST, due_at, look.now),
        horizon=horizon,
        planned=reportvalues.course(look, horizon, reportvalues.planned_kw(look)),
        baseline=baseline(look, owed, horizon),
        up=tuple(up for up, _ in rooms),
        down=tuple(down for _, down in rooms),
    )


def day_plan(look: Look, owed: Owed, day: date, due_at: datetime) -> DayPlanReport:
    """What a unit is planned to do on a local day; steps that no plan reaches are unknown."""
    duty = owed.duty
    assert duty.plan_points is not None
    span, step = local_day(day, look.plant.file.park.timezone), _DAY / duty.plan_points
    # Of a day of 24.5 hours the last hour reaches into the next day.
    horizon = Horizon(span.start, step, -((span.start - span.end) // step))
    return DayPlanReport(
        head=_head(duty, ReportKind.DAY_PLAN, due_at, look.now),
        day=day,
        horizon=horizon,
        planned=reportvalues.course(look, horizon, reportvalues.planned_kw(look)),
        baseline=baseline(look, owed, horizon),
    )


def _head(duty: Duty, kind: ReportKind, due_at: datetime, made_at: datetime) -> ReportHead:
    return ReportHead(
        product_id=duty.product_id,
        unit_id=duty.unit_id,
        kind=kind,
        due_at=due_at,
        made_at=made_at,
    )


def _capability(look: Look, hold: timedelta) -> Capability:
    up, down = reportvalues.room(look, hold / HOUR)
    return Capability(hold=hold, up=up, down=down)


def _member(look: Look, resource: Resource) -> MemberPoint:
    name = resource.resource_id
    return MemberPoint(
        resource_id=name,
        power=told_by(look, name, "power_kw"),
        reactive=told_by(look, name, "reactive_kvar") if name in look.reactive_names else None,
        soc=told_by(look, name, "soc") if isinstance(resource, Storage) else None,
    )


# ---------------------------------------------------------------- room in the hours to come


def _room_ahead(look: Look, moment: datetime, hours: float) -> tuple[Shown, Shown]:
    """The room that the park will have if all goes as planned until `moment`: an estimate."""
    schedule = look.plant.schedule
    if schedule is None or moment not in schedule.horizon.span:
        none = reportvalues.course(look, Horizon(moment, QUARTER, 1), None)[0]
        return none, none
    resources = look.plant.file.park.resource_by_id
    states: list[ResourceState] = [
        _ahead(look, resources[state.resource_id], state, moment)
        if isinstance(state, Reading)
        else state
        for state in look.state.resources
    ]
    state = ParkState(taken_at=moment, resources=tuple(states))
    return reportvalues.room_in(look, state, hours, Flaw.SUBSTITUTED)


def _ahead(look: Look, resource: Resource, now: Reading, moment: datetime) -> Reading:
    """What a resource will tell at `moment` if it does as planned."""
    schedule, view = look.plant.schedule, look.plant.view
    assert schedule is not None
    name, step = resource.resource_id, schedule.horizon.index(moment)
    planned_kw = schedule.planned_kw(name, moment)
    told = replace(
        now,
        measured_at=moment,
        received_at=moment,
        power_kw=now.power_kw if planned_kw is None else planned_kw,
    )
    if isinstance(resource, Storage) and step > 0 and name in schedule.stored_kwh:
        share = float(schedule.stored_kwh[name][step - 1]) / (resource.capacity_kwh or 1.0)
        told = replace(told, soc=min(max(share, 0.0), 1.0))
    if step > 0 and name in schedule.temperature_degc:
        told = replace(told, temperature_degc=float(schedule.temperature_degc[name][step - 1]))
    available = None if view is None else view.available_kw.get(name)
    if available is not None and moment in available.horizon.span:
        told = replace(told, available_kw=max(available.at(moment), 0.0))
    if isinstance(resource, InterruptibleLoad) and told.power_kw == 0:
        told = replace(told, phase=RunPhase.DONE)
    if isinstance(resource, EvFleet) and told.sessions is not None:
        return replace(told, sessions=_cars_ahead(resource, told.sessions, schedule, step, moment))
    return told


def _cars_ahead(
    fleet: EvFleet, cars: Sequence[EvSession], schedule: Schedule, step: int, moment: datetime
) -> tuple[EvSession, ...]:
    """Those of today's cars that will still be there, and what they will still want."""
    found = []
    for car in cars:
        if car.departs_at <= moment:
            continue
        kw = schedule.cars_kw.get(f"{fleet.resource_id}/{car.session_id}")
        charged_kwh = 0.0
        if kw is not None:
            charged_kwh = -float(kw[:step].sum()) * schedule.horizon.step_hours
        left_kwh = max(car.wanted_kwh - charged_kwh * fleet.charge_efficiency, 0.0)
        found.append(replace(car, wanted_kwh=left_kwh))
    return tuple(found)
