"""The share of an act cycle: what is owed, corrected by the main meters, handed to whoever may make up for it.

claims of device, grid, operator ─▶ bounds ─▶ share ─▶ claims of award and plan ─▶ settled: who won
owed ─▶ correct: meters, energy of the interval ─▶ target ──┘
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from vpp.act.arbitration import NOBODY, Settled, arbitrate
from vpp.act.correct import Corrected, Expected, Timing, correct
from vpp.act.rules import Rule
from vpp.act.share import Manner, Sharing, Stand, share
from vpp.act.spread import moved_kw, spread
from vpp.act.units import RUNS_AT_ITS_COMMAND, Bools, Kind, Units
from vpp.model.horizon import Floats
from vpp.service.instructions import plan as instructionplan
from vpp.service.plant import Plant
from vpp.service.steering import ceilings, mainmeters
from vpp.service.steering import claims as actingclaims
from vpp.service.steering.acting import Picture
from vpp.service.steering.desk import Known, Spreading
from vpp.service.strategies import members

NOTHING = "balance"
"""What those serve who make up for the plan while no product runs."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wanted:
    """What is to be told to whom, and how it came to that."""

    power_kw: Floats
    """Net injection, shape (N,); NaN: nothing."""

    settled: Settled
    sharing: Sharing
    corrected: Corrected


def share_out(plant: Plant, picture: Picture, *, may_plan: bool) -> Wanted:
    """What is wanted of each resource now; without `may_plan` by operators alone."""
    desk, units, now = plant.acting, picture.units, picture.now
    alone = members.units_left_alone(plant.strategies, units, now)
    usable = picture.usable & ~instructionplan.by_hand(plant, units) & ~alone
    standing = actingclaims.standing(plant, units, picture.seen, now)
    above = arbitrate(standing, len(units), now=now)
    corrected = _corrected(plant, picture)
    manner = picture.sharing
    sharing = share(
        picture.park,
        units,
        picture.state,
        picture.seen,
        plant.schedule if may_plan else None,
        now=now,
        interval=picture.interval,
        target_kw=corrected.target_kw,
        control_period=picture.period,
        manner=Manner(
            rule=Rule(manner.rule), kinds=frozenset(Kind[kind.upper()] for kind in manner.kinds)
        ),
        usable=usable,
        bounds=actingclaims.bounds_of(above),
        stand=_stand(plant, picture),
        import_ceiling_kw=ceilings.ceilings_kw(plant, now, picture.period),
        order=desk.order,
    )
    desk.order, desk.memory, desk.left_kw = sharing.order, corrected.memory, sharing.left_kw
    serves = ", ".join(sorted(picture.running)) or NOTHING
    ours = actingclaims.of_sharing(plant, sharing, serves, now)
    settled = arbitrate([*standing, *ours], len(units), now=now)
    power_kw = np.where(usable, settled.wish_kw, np.nan)
    in_hand = [units.index[name] for name, one in desk.overrides.items() if one.holds(now)]
    rows = np.array(in_hand, dtype=np.intp)
    rows = rows[(settled.winner[rows] == NOBODY) & usable[rows]]
    power_kw[rows] = actingclaims.kept_within(units, picture.seen, settled, rows)
    return Wanted(
        power_kw=_spread_out(plant, picture, power_kw, above),
        settled=settled,
        sharing=sharing,
        corrected=corrected,
    )


def _stand(plant: Plant, picture: Picture) -> Stand:
    """How everybody stands: what it was told, else what it does."""
    told_kw = plant.lives.told_kw
    return Stand(
        steps=plant.acting.steps,
        power_kw=np.where(np.isnan(told_kw), picture.seen.power_kw, told_kw),
        switched_s=plant.lives.before(picture.now).switched_s,
    )


def _corrected(plant: Plant, picture: Picture) -> Corrected:
    """What all together are to be expected to do, so that the main meters show what is owed."""
    units, now = picture.units, picture.now
    told_kw = plant.lives.told_kw
    electric = units.tree.point_of < units.tree.points
    steered = (
        electric
        & ~np.isnan(told_kw)
        & np.isin(units.kind, RUNS_AT_ITS_COMMAND)
        & ~units.weather_driven
    )
    does_kw = picture.seen.power_kw
    others_kw = np.where(np.isnan(does_kw), _planned_kw(plant, picture), does_kw)
    known = Known(
        by=np.where(steered, 2, ~np.isnan(does_kw)).astype(np.int8),
        power_kw=np.where(steered, told_kw, others_kw),
    )
    before, plant.acting.known = plant.acting.known, known
    return correct(
        plant.acting.memory,
        now=now,
        owed=picture.owed,
        metered=mainmeters.metered_so_far(plant, picture.interval, now),
        shown=mainmeters.shown(plant, now),
        expected=Expected(
            steered_kw=float(told_kw[steered].sum()),
            others_kw=float(others_kw[electric & ~steered].sum()),
            turned_kw=0.0 if before is None else _turned_kw(before, known, electric),
        ),
        timing=_timing(units, steered, picture.period),
    )


def _turned_kw(before: Known, known: Known, electric: Bools) -> float:
    """What is expected otherwise only because somebody is known otherwise; a new command is meant to change it."""
    turned = electric & (known.by != before.by) & (known.by < 2)
    return float((known.power_kw - before.power_kw)[turned].sum())


def _planned_kw(plant: Plant, picture: Picture) -> Floats:
    """What the plan says of each now, for those that nobody hears; shape (N,)."""
    schedule = plant.schedule
    if schedule is None or picture.now not in schedule.horizon.span:
        return np.zeros(len(picture.units))
    return schedule.power_kw[:, schedule.horizon.index(picture.now)]


def _timing(units: Units, steered: Bools, period: timedelta) -> Timing:
    """How late the commands of those who are steered show."""
    if not steered.any():
        return Timing(period=period)
    range_kw = (units.draw_kw + units.feed_kw)[steered]
    delay_s = units.delay_s[steered]
    done_s = delay_s + range_kw / units.ramp_kw_per_s[steered]
    return Timing(
        period=period,
        first=timedelta(seconds=float(delay_s.min())),
        last=timedelta(seconds=float(done_s.max())),
    )


def _spread_out(plant: Plant, picture: Picture, power_kw: Floats, above: Settled) -> Floats:
    """Where much moves at once, each waits for its turn, drawn by lot; within what device, grid and operator ask."""
    desk, settings = plant.acting, plant.file.control
    if not settings.spread_s:
        return power_kw
    before_kw, window = plant.lives.told_kw, timedelta(seconds=settings.spread_s)
    both = ~np.isnan(power_kw) & ~np.isnan(before_kw)
    move_kw = np.where(both, power_kw - before_kw, 0.0)
    total_kw = float(np.abs(move_kw).sum())
    under_way = desk.spreading
    if under_way is not None and under_way.since + window <= picture.now:
        desk.spreading = None  # whoever is left moves now: it has waited its turn
        return power_kw
    if under_way is None and total_kw > settings.spread_above_kw:
        starts = spread(
            move_kw,
            desk.lots,
            most_kw_per_s=total_kw / settings.spread_s,
            longest_s=settings.spread_s,
        )
        under_way = desk.spreading = Spreading(
            since=picture.now, starts=starts, before_kw=before_kw
        )
    if under_way is None:
        return power_kw
    since_s = (picture.now - under_way.since).total_seconds()
    waits = both & ~np.isnan(
        under_way.before_kw
    )  # who was let go meanwhile is not told its old power
    spread_kw = moved_kw(under_way.before_kw, power_kw, under_way.starts, since_s=since_s)
    within_kw = np.clip(spread_kw, above.low_kw, above.high_kw)  # a person waits for no lot
    return np.where(waits, within_kw, power_kw)
