"""The first plan under a version is its trial: where it fails, the version before makes the plan at once, and stays live.

    taken ─▶ plan stands ─▶ live
          └▶ no plan ─▶ plan under the version before ─▶ stands: the new one is refused, told, and not tried again
                                                      └▶ none either: the fault is elsewhere; it waits for the next plan

A version without one before it, as of a plant's first file, has no trial: there is nothing to go back to.
A service that ends between the two plans tries it again when it begins (`starting.py`).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from vpp.errors import UnavailableError
from vpp.model.schedule import Unsolved
from vpp.service.events import Severity
from vpp.service.park.config import Fault
from vpp.service.plant import Plant
from vpp.service.record import append_all
from vpp.service.strategies.strategies import Strategies
from vpp.service.tuning import record
from vpp.service.tuning.desk import Seen, TuningDesk

MOST_SAID = 300
"""Characters of a reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A version on its first plan, and what goes on without it."""

    number: int
    read: Strategies
    plan_id: str
    before: Strategies
    before_number: int
    reason: str = ""
    """Why there was no plan, where there was none."""


def trial_of(
    number: int, read: Strategies, plan_id: str, before: tuple[int, Strategies] | None
) -> Trial | None:
    """The trial of version `number`; None where nothing is there to go back to."""
    if before is None:
        return None
    before_number, strategies = before
    return Trial(
        number=number,
        read=read,
        plan_id=plan_id,
        before=strategies,
        before_number=before_number,
    )


def refused(desk: TuningDesk, version: str) -> Fault | None:
    """Why a text is not tried again, as a fault of the file; None where it may be."""
    reason = record.refusal(desk.versions, version)
    if reason is None:
        return None
    name = "strategies" if desk.path is None else desk.path.name
    return Fault(name, 1, 1, "", f"refused at its first plan: {reason}")


def fall_back(plant: Plant) -> Trial | None:
    """After a plan: the trial that it failed, with the version before live again; None where no plan is to be made anew."""
    desk, trial = plant.tuning, plant.tuning.trial
    desk.trial = None
    if trial is None or not isinstance(plant.outcome, Unsolved):
        return None
    plant.file = replace(plant.file, strategies=trial.before)
    desk.live_number = trial.before_number
    record.mark_not_live(desk.versions, trial.number)
    plant.metrics.tuning.live(trial.before_number)
    return replace(trial, reason=plant.outcome.reason[:MOST_SAID])


async def judge(plant: Plant, trial: Trial, now: datetime) -> None:
    """After the plan under the version before: refuse the new one, or let it wait where both failed.

    A refusal that cannot be put on record holds all the same until the service ends, and is said there.
    """
    desk = plant.tuning
    what = f"version {trial.number} ({trial.read.version})"
    async with desk.changing:
        if isinstance(plant.outcome, Unsolved):
            if desk.waiting is None:
                desk.waiting, desk.waiting_number = trial.read, trial.number
            plant.events.emit(
                "strategies",
                f"{what} has no plan, and version {trial.before_number} has none either: it is tried at the next plan",
                at=now,
                severity=Severity.WARNING,
                version=trial.read.version,
                number=trial.number,
            )
            return
        with suppress(UnavailableError):  # said and counted there
            entry = record.refused_entry(trial.number, trial.plan_id, trial.reason)
            await append_all(plant, [entry], now=now)
        record.mark_refused(desk.versions, trial.number, trial.reason)
        if desk.seen.text == trial.read.text and (fault := refused(desk, trial.read.version)):
            desk.seen = Seen(text=desk.seen.text, faults=(fault,))
    plant.metrics.tuning.changed("refused")
    plant.events.emit(
        "strategies_refused",
        f"{what} is refused, version {trial.before_number} goes on: no plan under it: {trial.reason}",
        at=now,
        severity=Severity.ALARM,
        version=trial.read.version,
        number=trial.number,
    )
