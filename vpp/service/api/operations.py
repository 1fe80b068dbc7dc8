"""For operators and their machines: stop everything, is it well, is it ready, what does it count."""

from __future__ import annotations

from datetime import datetime, timedelta

from aiohttp import web

from vpp.act.ladder import SafeState
from vpp.model.measurement import Reading, Unknown
from vpp.model.time import isoformat
from vpp.sense.state import freeze, state_of
from vpp.service import control
from vpp.service.api.problems import HttpRefusal
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading, writing
from vpp.service.api.views import (
    HealthView,
    KillView,
    LatchView,
    ReadyView,
    ReleaseView,
    WindowView,
)
from vpp.service.links.watch import broker
from vpp.service.plant import Plant
from vpp.service.trading import trading
from vpp.wire import KillRequest, ProblemFault

STALLED_AFTER_CYCLES = 5
"""So many control periods without a cycle, and a minute at least, and the service is not well."""


async def set_kill(plant: Plant, call: Call[Nothing, KillRequest]) -> KillView:
    await control.set_kill(plant, call.body, now=call.now)
    return _kill_view(plant, call.now)


async def show_kill(plant: Plant, call: Call[Nothing, Nothing]) -> KillView:
    return _kill_view(plant, call.now)


def _kill_view(plant: Plant, now: datetime) -> KillView:
    return KillView(
        killed=plant.kill.killed,
        reason=plant.kill.reason,
        latches=[
            LatchView(scope=scope.kind, name=scope.name, reason=reason)
            for scope, reason in plant.kill.latched().items()
        ],
        releases=[
            ReleaseView(scope=scope.kind, name=scope.name, asked_by=asked.by, until=asked.until)
            for scope, asked in plant.releases.items()
            if now <= asked.until
        ],
    )


async def show_health(plant: Plant, call: Call[Nothing, Nothing]) -> HealthView:
    last = plant.trace[-1].at if plant.trace else None
    period = timedelta(seconds=plant.file.control.period_s)
    bound = max(STALLED_AFTER_CYCLES * period, timedelta(minutes=1))
    if last is not None and call.now - last > bound:
        raise HttpRefusal(
            f"the last control cycle ended at {isoformat(last)}",
            code="stalled",
            where="act",
            fix="Look at the log; restart the service if it does not go on",
        )
    return HealthView(
        status="ok",
        now=call.now,
        last_control_cycle=last,
        last_plan=plant.schedule.issued_at if plant.schedule else None,
        oldest_reading_s=_oldest_s(plant, call.now),
        window=_window(plant),
    )


def _window(plant: Plant) -> WindowView | None:
    desk = plant.window
    if desk is None:
        return None
    return WindowView(up=desk.up, since=desk.since, fault=desk.fault)


async def show_ready(plant: Plant, call: Call[Nothing, Nothing]) -> ReadyView:
    reasons, schedule = not_ready(plant, call.now), plant.schedule
    if reasons or schedule is None:
        raise HttpRefusal(
            "; ".join(reason.what for reason in reasons),
            code="not_ready",
            where="service",
            fix="Mend what `errors` names",
            faults=reasons,
        )
    return ReadyView(
        ready=True,
        plan_id=schedule.plan_id,
        plan_age_s=(call.now - schedule.issued_at).total_seconds(),
    )


def not_ready(plant: Plant, now: datetime) -> list[ProblemFault]:
    """Everything that keeps the plant from bidding and steering now, worst first."""
    reasons = []
    if plant.kill.killed:
        reasons.append(("kill", f"the kill switch is set: {plant.kill.reason}"))
    if not plant.source.connected:
        reasons.append(("broker", _away(plant)))
    if not plant.reconciled:
        reasons.append(("reconciled", "bids of the last run are still in doubt"))
    if plant.schedule is None:
        reasons.append(("plan", "there is no plan"))
    elif (age := now - plant.schedule.issued_at) > trading.most_plan_age(plant):
        reasons.append(("plan", f"the newest plan is {age.total_seconds():.0f} s old"))
    if not _anybody_heard(plant, now):
        reasons.append(("telemetry", "no resource is heard"))
    if plant.safe_state is not SafeState.NORMAL:
        # The ladder's own words: they also tell of what is not listed here, such as the journal.
        reasons.append(("safe_state", f"{plant.safe_state.value}: {plant.safe_state_reason}"))
    return [ProblemFault(path=path, what=what) for path, what in reasons]


def _away(plant: Plant) -> str:
    """Which links are down, where so few stand that the plant has lost its sight."""
    links = plant.links()
    if len(links) <= 1:
        return f"the broker is away since {isoformat(plant.source.since)}"
    down = [link for link in links if not link.connected]
    shown = "; ".join(f"{one.name} since {isoformat(one.since)}: {one.fault}" for one in down)
    return f"{sum(one.devices for one in down)} devices are out of reach: {shown}"


async def show_metrics(plant: Plant, call: Call[Nothing, Nothing]) -> web.Response:
    assert call.request is not None
    plant.metrics.broker_connected(broker(plant)[0])
    plant.metrics.links.are(plant.links())
    plant.metrics.stations.are(plant.stations)
    plant.metrics.chargers.are(plant.chargers)
    plant.metrics.sites.are(plant.vtn)
    plant.metrics.telemetry_lost(plant.intake.lost)
    plant.metrics.resources_unknown(_unknown(plant, call.now))
    last, plan = plant.trace[-1].at if plant.trace else None, plant.schedule
    plant.metrics.wellbeing.stands(
        ready=not not_ready(plant, call.now),
        control_age_s=None if last is None else (call.now - last).total_seconds(),
        plan_age_s=None if plan is None else (call.now - plan.issued_at).total_seconds(),
        oldest_reading_s=_oldest_s(plant, call.now),
    )
    body, content_type = plant.metrics.text(call.request.headers.get("Accept"))
    return web.Response(body=body, headers={"Content-Type": content_type})


def _anybody_heard(plant: Plant, now: datetime) -> bool:
    """Whether there is a resource that somebody can speak for; the first that is found will do."""
    newest = plant.intake.newest
    states = (state_of(r, newest.get(r.resource_id), now) for r in plant.file.park.resources)
    return any(isinstance(one, Reading) for one in states)


def _unknown(plant: Plant, now: datetime) -> int:
    """How many resources nobody can speak for."""
    state = freeze(plant.file.park, plant.intake.newest, now)
    return sum(isinstance(resource, Unknown) for resource in state.resources)


def _oldest_s(plant: Plant, now: datetime) -> float | None:
    times = [reading.measured_at for reading in plant.intake.newest.values()]
    return (now - min(times)).total_seconds() if times else None


ROUTES: tuple[AnyRoute, ...] = (
    writing(
        "POST",
        "/v1/kill",
        "Stop bids and set-points at once; two persons release them again",
        set_kill,
        takes=KillRequest,
        gives=KillView,
        codes=("conflict", "invalid_data", "unavailable"),
    ),
    reading("/v1/kill", "What is stopped, and which release waits", show_kill, gives=KillView),
    reading(
        "/healthz", "Whether the cycles run", show_health, gives=HealthView, codes=("stalled",)
    ),
    reading(
        "/readyz",
        "Whether bids are made and set-points go out; every reason why not",
        show_ready,
        gives=ReadyView,
        codes=("not_ready",),
    ),
    reading("/metrics", "Counters and gauges for Prometheus", show_metrics, media="text/plain"),
)
