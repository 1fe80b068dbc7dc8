"""On which rung of the ladder the plant stands, by what it knows of itself; every change is told."""

from __future__ import annotations

from datetime import datetime, timedelta

from vpp.act.ladder import Rung, decide
from vpp.model.schedule import Unsolved
from vpp.model.time import QUARTER
from vpp.service import clockwatch
from vpp.service.events import Severity
from vpp.service.plant import Plant

HOLD_FOR = 2 * QUARTER
"""How long the last validated plan is followed when its successor fails."""


def rung(plant: Plant, now: datetime) -> Rung:
    """Where on the ladder we stand; every change is an event."""
    schedule, outcome = plant.schedule, plant.outcome
    found = decide(
        now=now,
        killed=plant.kill.reason,
        reconciled=plant.reconciled,
        plan_issued_at=schedule.issued_at if schedule is not None else None,
        plan_ends_at=schedule.horizon.end if schedule is not None else None,
        plan_every=plant.file.planning.every + timedelta(seconds=plant.file.most_plan_s),
        hold_for=HOLD_FOR,
        failure=outcome.reason if isinstance(outcome, Unsolved) else None,
        doubts=[one for one in (plant.journal_fault, clockwatch.doubt(plant.drift())) if one],
    )
    if found.state is not plant.safe_state:
        severity = Severity.INFO if found.may_bid else Severity.ALARM
        text = f"{plant.safe_state} -> {found.state}: {found.reason or 'all is well'}"
        plant.events.emit("safe_state", text, at=now, severity=severity, state=found.state.value)
    plant.safe_state, plant.safe_state_reason = found.state, found.reason
    plant.metrics.safe_state(found.state.value)
    return found
