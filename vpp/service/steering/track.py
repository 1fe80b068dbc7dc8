"""What became of the commands: who follows, who is left out for a while, and what is short of what was sold.

reading, acknowledgement ─▶ fault of each ─▶ back-off (`vpp/act/health.py`) ─▶ its share goes to others
└─▶ left out ─▶ a new plan without it: nothing new is bid of it
"""

from __future__ import annotations

import numpy as np

from vpp.act.health import BackOff, Fault, judged
from vpp.act.lifetable import Stage
from vpp.act.units import Codes
from vpp.model.horizon import Floats
from vpp.model.measurement import Unknown
from vpp.service.events import Severity
from vpp.service.planning import alone
from vpp.service.plant import Plant
from vpp.service.steering.acting import Picture
from vpp.service.steering.desk import patience_of
from vpp.service.steering.share import Wanted

REASONS = {
    Fault.BAD_DATA: "its data cannot be used",
    Fault.FAILED_COMMAND: "it refuses its commands, or they do not reach it",
    Fault.NOT_FOLLOWED: "it acknowledges its commands and does not follow",
}

SHORT_KW = 1.0
"""A shortfall below is none."""


def confirm(plant: Plant, picture: Picture) -> None:
    """Take from telemetry what became of each command; tell who does not follow, and who does again.

    One that was where it was asked to be and has left is in somebody else's hand.
    """
    lives, index = plant.lives, picture.units.index
    before = lives.stages
    observed = lives.observe(picture.said, picture.now)
    stray = {name: lives.standing(name).reason for name in observed.stray}
    was_there = {name for name in stray if before[index[name]] == Stage.EFFECTIVE}
    plant.events.emit_each(
        "outside_change",
        {
            name: f"{name} is changed by somebody else, and is left to him: {why}"
            for name, why in stray.items()
            if name in was_there
        },
        at=picture.now,
        severity=Severity.WARNING,
    )
    plant.events.emit_each(
        "not_following",
        {
            name: f"{name} does not follow: {why}"
            for name, why in stray.items()
            if name not in was_there
        },
        at=picture.now,
        severity=Severity.WARNING,
    )
    plant.events.emit_each(
        "following",
        {name: f"{name} follows its set-point again" for name in observed.back},
        at=picture.now,
    )
    plant.not_following = lives.not_following()


def judge(plant: Plant, picture: Picture) -> None:
    """Leave out who fails, with a wait that doubles; tell who is out, and who is back."""
    desk, now_s = plant.acting, picture.now.timestamp()
    settings = plant.file.control.back_off
    before = desk.health
    # Shorter, and its time on trial would be over before it was asked for anything.
    first_s = max(settings.first_s, 2 * picture.period.total_seconds())
    fault = _faults(plant, picture)
    desk.refused.clear()
    desk.health = judged(
        before,
        fault,
        BackOff(first_s=first_s, longest_s=max(settings.longest_s, first_s)),
        now_s=now_s,
        shows_s=_shows_s(plant, picture),
    )
    was, usable = picture.usable, desk.health.usable(now_s)
    names, out = picture.units.names, was & ~usable
    for why, words in REASONS.items():
        rows = np.flatnonzero(out & (desk.health.fault == why)).tolist()
        plant.events.emit_each(
            "left_out",
            {
                names[at]: f"{names[at]} is left out for {desk.health.wait_s[at]:g} s: {words}"
                for at in rows
            },
            at=picture.now,
            severity=Severity.WARNING,
            fault=why.name.lower(),
        )
        if rows and why is Fault.NOT_FOLLOWED:  # what is bid from now on is without them
            owners = frozenset(plant.file.park.resource_by_id[names[r]].enterprise_id for r in rows)
            more = f" and {len(rows) - 1} others" if len(rows) > 1 else ""
            alone.ask(plant, owners, f"{names[rows[-1]]}{more} does not follow")
    plant.metrics.control.back_offs(int(out.sum()))
    stages = np.bincount(plant.lives.stages, minlength=len(Stage))
    plant.metrics.control.stands(
        left_out=int((~usable).sum()),
        overridden=sum(held.holds(picture.now) for held in desk.overrides.values()),
        lives={stage.name.lower(): int(stages[stage]) for stage in Stage},
    )


def _shows_s(plant: Plant, picture: Picture) -> Floats:
    """How long it may take until it shows that a unit does not follow: its way there, and two readings."""
    units, patience = picture.units, patience_of(plant.file.control)
    way_s = patience.slower * (units.draw_kw + units.feed_kw) / units.ramp_kw_per_s
    readings_s = patience.strikes * picture.period.total_seconds()
    return np.asarray(units.delay_s + patience.settle_s + way_s + readings_s)


def _faults(plant: Plant, picture: Picture) -> Codes:
    """The `Fault` seen of each since the last look. A link that is down is nobody's own fault."""
    fault = np.zeros(len(picture.units), dtype=np.int8)
    if not plant.source.connected:
        return fault
    index = picture.units.index
    for at, state in enumerate(picture.state.resources):
        if isinstance(state, Unknown) and state.resource_id in plant.intake.newest:
            fault[at] = Fault.BAD_DATA
    for name in plant.not_following:
        fault[index[name]] = Fault.NOT_FOLLOWED
    for name in plant.acting.refused:
        fault[index[name]] = Fault.FAILED_COMMAND
    return fault


def tell_shortfall(plant: Plant, picture: Picture, wanted: Wanted) -> None:
    """Alarm once where those that are left out are missing for what is sold, and say when it is over."""
    desk, left_kw = plant.acting, wanted.sharing.left_kw
    out = int((~picture.usable).sum())
    short = picture.owed is not None and out > 0 and abs(left_kw) > SHORT_KW
    if short and not desk.short_told:
        plant.events.emit(
            "award_short",
            f"{abs(left_kw):.0f} kW of what is owed find nobody while {out} resources are left out",
            at=picture.now,
            severity=Severity.ALARM,
            left_kw=round(left_kw, 3),
        )
    elif desk.short_told and not short:
        plant.events.emit("award_short", "all that is owed finds somebody again", at=picture.now)
    desk.short_told = short
