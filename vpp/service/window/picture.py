"""The picture that other processes get: what has changed of state, set-points and plan since the last.

An enterprise has hashes and streams of its own, so that a server's access rules can keep it to them:

    about, plan, plan:stream                       the park
    ENTERPRISE:state, :setpoints, :plan            hashes, a field a resource (JSON of `vpp/wirewindow.py`)
    ENTERPRISE:state:stream, :setpoints:stream, :plan:stream
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime

import msgspec

from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.measurement import ParkState, Reading, ResourceState, Unknown
from vpp.model.schedule import Schedule
from vpp.model.time import isoformat
from vpp.ports import StreamEntry, WindowNews
from vpp.service.plant import Plant
from vpp.service.window.desk import Shown
from vpp.service.window.schema import StreamLengths
from vpp.wirewindow import FORMAT, PlanRow, ResourceEntry, SetpointEntry

Fields = dict[str, bytes]


def picture(plant: Plant, shown: Shown | None, keep: StreamLengths) -> tuple[WindowNews, Shown]:
    """What to show now beside `shown` (None: everything), and what will be shown then.

    The plant must have frozen a state.
    """
    state, schedule = plant.state, plant.schedule
    assert state is not None
    before = shown or Shown()
    owners = {r.resource_id: r.enterprise_id for r in plant.file.park.resources}
    states = {
        now.resource_id: now
        for now in state.resources
        if _differs(before.states.get(now.resource_id), now)
    }
    setpoints = {
        name: setpoint
        for name, setpoint in plant.setpoints.items()
        if before.seqs.get(name) != setpoint.seq
    }
    fresh = schedule if schedule is not None and schedule.plan_id != before.plan_id else None
    hashes: dict[str, Fields] = {"about": _about(plant, state)}
    entries: list[StreamEntry] = []
    whole, at = shown is None, state.taken_at
    _add(hashes, entries, "state", _by_owner(_states(states, at), owners), (at, whole, keep.state))
    told = _by_owner({n: _setpoint(s) for n, s in setpoints.items()}, owners)
    _add(hashes, entries, "setpoints", told, (at, whole, keep.setpoints))
    if fresh is not None:
        _add_plan(hashes, entries, fresh, plant.file.park.currency, owners, keep.plan)
    after = Shown(
        states=before.states | states,
        seqs=before.seqs | {name: setpoint.seq for name, setpoint in setpoints.items()},
        plan_id=before.plan_id if schedule is None else schedule.plan_id,
    )
    for name in _names(after, owners):
        hashes.setdefault(name, {})
    return WindowNews(whole=whole, hashes=hashes, entries=entries), after


def _differs(before: ResourceState | None, now: ResourceState) -> bool:
    """A reading is the same object until the next comes; who stays unknown is told once."""
    if isinstance(now, Unknown):
        return not isinstance(before, Unknown)
    return before is not now


def _names(shown: Shown, owners: Mapping[ResourceId, EnterpriseId]) -> set[str]:
    """Every hash that has a field: each picture lets them live on."""
    names = {f"{owners[name]}:state" for name in shown.states}
    names |= {f"{owners[name]}:setpoints" for name in shown.seqs}
    if shown.plan_id is not None:
        names |= {"plan"} | {f"{owner}:plan" for owner in owners.values()}
    return names


def _about(plant: Plant, state: ParkState) -> Fields:
    """The park as a whole; an empty field is one that nobody knows."""
    last = plant.trace[-1] if plant.trace else None
    return _texts(
        {
            "format": FORMAT,
            "park": plant.file.park.park_id,
            "mode": plant.file.trading.mode,
            "started_at": isoformat(plant.started_at),
            "at": isoformat(state.taken_at),
            "period_s": plant.file.control.period_s,
            "safe_state": plant.safe_state.value,
            "safe_state_reason": plant.safe_state_reason,
            "plan_id": None if plant.schedule is None else plant.schedule.plan_id,
            "power_kw": None if last is None else last.park_kw,
            "planned_kw": None if last is None else last.planned_kw,
            "owed_kw": None if last is None else last.owed_kw,
        }
    )


def _states(states: Mapping[ResourceId, ResourceState], at: datetime) -> dict[ResourceId, bytes]:
    return {name: msgspec.json.encode(_state(state, at)) for name, state in states.items()}


def _state(state: ResourceState, at: datetime) -> ResourceEntry:
    if isinstance(state, Reading):
        return ResourceEntry(
            known=True,
            at=isoformat(state.measured_at),
            power_kw=state.power_kw,
            soc=state.soc,
            energy_kwh=state.energy_kwh,
            temperature_degc=state.temperature_degc,
            available_kw=state.available_kw,
            phase=None if state.phase is None else state.phase.value,
            quality=state.quality.value,
            seq=state.seq,
            setpoint_seq=state.setpoint_seq,
        )
    return ResourceEntry(known=False, at=isoformat(at), reason=state.reason)


def _setpoint(setpoint: Setpoint) -> bytes:
    return msgspec.json.encode(
        SetpointEntry(
            command_id=setpoint.command_id,
            seq=setpoint.seq,
            power_kw=setpoint.power_kw,
            issued_at=isoformat(setpoint.issued_at),
            expires_at=isoformat(setpoint.expires_at),
            serves=setpoint.serves,
        )
    )


def _by_owner(
    told: Mapping[ResourceId, bytes], owners: Mapping[ResourceId, EnterpriseId]
) -> dict[EnterpriseId, Fields]:
    sorted_: dict[EnterpriseId, Fields] = defaultdict(dict)
    for name, body in told.items():
        sorted_[owners[name]][name] = body
    return sorted_


def _add(
    hashes: dict[str, Fields],
    entries: list[StreamEntry],
    kind: str,
    told: Mapping[EnterpriseId, Fields],
    how: tuple[datetime, bool, int],
) -> None:
    """Put the fields of each enterprise into its hash, and all of them as one entry into its stream."""
    at, whole, keep = how
    for owner, fields in told.items():
        hashes[f"{owner}:{kind}"] = fields
        told_all = {name: msgspec.Raw(body) for name, body in fields.items()}
        line = _texts({"at": isoformat(at), "whole": int(whole)})
        line["entries"] = msgspec.json.encode(told_all)
        entries.append(StreamEntry(stream=f"{owner}:{kind}:stream", fields=line, keep=keep))


def _add_plan(
    hashes: dict[str, Fields],
    entries: list[StreamEntry],
    schedule: Schedule,
    currency: str,
    owners: Mapping[ResourceId, EnterpriseId],
    keep: int,
) -> None:
    start, step_s = isoformat(schedule.horizon.start), int(schedule.horizon.step.total_seconds())
    rows = {
        name: msgspec.json.encode(
            PlanRow(plan_id=schedule.plan_id, start=start, step_s=step_s, power_kw=kw.tolist())
        )
        for name, kw in zip(schedule.resource_ids, schedule.power_kw, strict=True)
    }
    head = _texts(
        {
            "at": isoformat(schedule.issued_at),
            "plan_id": schedule.plan_id,
            "start": start,
            "step_s": step_s,
            "steps": schedule.horizon.steps,
        }
    )
    for owner, fields in _by_owner(rows, owners).items():
        hashes[f"{owner}:plan"] = fields
        entries.append(StreamEntry(stream=f"{owner}:plan:stream", fields=head, keep=keep))
    costs: dict[str, str | float | None] = {
        "gap": schedule.gap,
        "cost": schedule.cost,
        "currency": currency,
    }
    whole = head | _texts(costs) | _texts({"strategy_version": schedule.strategy_version})
    entries.append(StreamEntry(stream="plan:stream", fields=whole, keep=keep))
    hashes["plan"] = whole | {
        "net_kw": msgspec.json.encode(schedule.net_kw.tolist()),
        "committed_kw": msgspec.json.encode(schedule.committed_kw.tolist()),
    }


def _texts(values: Mapping[str, str | float | None]) -> Fields:
    return {name: b"" if value is None else str(value).encode() for name, value in values.items()}
