"""What came of each instruction, measured: an account of every resource from one instruction to the next.

    told ──▶ its delay and ramp ──▶ watched: power over time ──▶ closed by another value, its end, or the quarter-hour
                                                                    └─▶ delivered, short, excess, refused, unknown

A cycle watches before it tells: what was measured until now belongs to the instruction that ran until now, and
so does whether that one was refused. Nothing is assumed: an instruction of which nothing was measured is unknown, whatever was acknowledged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from vpp.act.branches import Places
from vpp.act.lifetable import LIVE, Stage
from vpp.act.results import (
    NAMES,
    Delivered,
    Instruction,
    Result,
    Tolerance,
    Watched,
    result_of,
)
from vpp.act.units import Kind, Units
from vpp.model.command import Setpoint
from vpp.model.time import QUARTER, latest_boundary
from vpp.service import correlation
from vpp.service.plant import Plant
from vpp.service.steering.acting import Picture

AT_MOST = (Kind.EV_FLEET, Kind.CURTAILABLE_LOAD)
"""Loads that may draw less than they are allowed; sources that the weather drives may feed less."""


def told(plant: Plant, picture: Picture, setpoints: Sequence[Setpoint]) -> None:
    """Begin an instruction where a command says another value; a refresh goes on with the one that runs."""
    account, units = plant.acting.account, picture.units
    rows = np.array([units.index[one.resource_id] for one in setpoints], dtype=np.intp)
    asked_kw = np.array([one.power_kw for one in setpoints], dtype=np.float64)
    before_kw = account.asked_kw[rows]
    deadband_kw = plant.file.control.deadband_kw
    same = np.abs(asked_kw - before_kw) <= deadband_kw
    same &= (asked_kw == 0) == (before_kw == 0)
    rows, asked_kw = rows[~same], asked_kw[~same]
    # Those that were refused or never left are closed already; the stage is that of the new command.
    gave_way = ~np.isnan(account.asked_kw[rows]) & (
        account.closed_s[rows] < picture.now.timestamp()
    )
    _close(plant, picture, rows[gave_way], refused={})
    does_kw = picture.said.power_kw[rows]
    account.asked_kw[rows] = asked_kw
    account.from_kw[rows] = np.where(np.isnan(does_kw), asked_kw, does_kw)
    way_s = np.abs(asked_kw - account.from_kw[rows]) / units.ramp_kw_per_s[rows]
    settle_s = plant.file.control.following.settle_s
    account.due_s[rows] = picture.now.timestamp() + units.delay_s[rows] + way_s + settle_s
    account.kw_seconds[rows] = account.seconds[rows] = 0.0
    ids = [one.command_id for one, again in zip(setpoints, same, strict=True) if not again]
    account.commands.update(zip(rows.tolist(), ids, strict=True))
    account.issued_at.update(dict.fromkeys(rows.tolist(), picture.now))


def watch(plant: Plant, picture: Picture) -> None:
    """Count what is measured; close what has ended, and at the end of a quarter-hour what was due in it.

    Before the commands of this cycle are made.
    """
    account, now_s = plant.acting.account, picture.now.timestamp()
    does_kw, stages = picture.said.power_kw, plant.lives.stages
    running = ~np.isnan(account.asked_kw)
    measured_s = picture.said.taken_at.timestamp() - picture.said.measured_age_s
    fresh = (measured_s > account.looked_s) & (
        measured_s >= account.due_s
    )  # no reading counts twice
    # Who was released since the last look is asked for nothing: what it did then is no answer.
    counts = running & ~np.isnan(does_kw) & fresh & (stages != Stage.RELEASED)
    since_s = np.where(counts, np.maximum(account.due_s, account.looked_s), now_s)
    span_s = np.maximum(now_s - since_s, 0.0)
    account.kw_seconds += np.where(counts, does_kw, 0.0) * span_s
    account.seconds += span_s
    quarter_s = latest_boundary(picture.now, QUARTER).timestamp()
    over = account.looked_s < quarter_s <= now_s and account.looked_s > 0
    account.looked_s = now_s
    ended = running & ~np.isin(stages, LIVE)
    closed = ended | (running & (account.due_s < quarter_s)) if over else ended
    rows = np.flatnonzero(closed)
    _close(plant, picture, rows, refused=_refused(plant, picture.units, rows))
    account.asked_kw[ended], account.due_s[ended] = np.nan, np.inf


def running(plant: Plant, units: Units, at: int) -> Result | None:
    """What the instruction that runs has come to so far; None where nothing is asked."""
    if np.isnan(plant.acting.account.asked_kw[at]):
        return None
    rows = np.array([at], dtype=np.intp)
    return next(_results(plant, units, rows, _refused(plant, units, rows)))


def _refused(plant: Plant, units: Units, rows: Places) -> dict[int, str]:
    """Why the newest command of these was refused or did not leave; others are left out."""
    stages = plant.lives.stages[rows]
    said_no = rows[np.isin(stages, (Stage.REFUSED, Stage.UNSENT))]
    return {
        at: plant.lives.standing(units.names[at]).reason
        or Stage(int(plant.lives.stages[at])).name.lower()
        for at in said_no.tolist()
    }


def _close(plant: Plant, picture: Picture, rows: Places, *, refused: Mapping[int, str]) -> None:
    """Say what came of these instructions; what goes on is counted anew from here."""
    account, units = plant.acting.account, picture.units
    logged, came = correlation.tells_each(), Counter[str]()
    for at, result in zip(rows.tolist(), _results(plant, units, rows, refused), strict=True):
        account.newest[units.names[at]] = result
        outcome = NAMES[type(result)]
        came[outcome] += 1
        if logged:
            correlation.tell_result(result, outcome, account.issued_at.get(at))
    for outcome, count in came.items():
        plant.metrics.control.results(outcome, count)
    account.kw_seconds[rows] = account.seconds[rows] = 0.0
    account.closed_s[rows] = picture.now.timestamp()


def _results(
    plant: Plant, units: Units, rows: Places, refused: Mapping[int, str]
) -> Iterator[Result]:
    """What the instructions of these have come to so far."""
    account, settings = plant.acting.account, plant.file.control.following
    size_kw = np.maximum(units.draw_kw[rows], units.feed_kw[rows])
    slack_kw = np.maximum(settings.tolerance_kw, settings.tolerance_share * size_kw)
    at_most = np.isin(units.kind[rows], AT_MOST)
    columns = (
        *(account.from_kw[rows], account.asked_kw[rows]),
        *(account.kw_seconds[rows], account.seconds[rows], slack_kw),
        *(units.weather_driven[rows], at_most),
    )
    for at, from_kw, asked_kw, kw_seconds, seconds, slack, by_weather, cap in zip(
        rows.tolist(), *(column.tolist() for column in columns), strict=True
    ):
        told_of = Instruction(
            command_id=account.commands[at],
            resource_id=units.names[at],
            from_kw=from_kw,
            asked_kw=asked_kw,
        )
        watched = Watched(kw_seconds=kw_seconds, seconds=seconds)
        why, mean_kw = refused.get(at), watched.mean_kw
        if why is None and mean_kw is not None and _is_allowed(told_of, mean_kw, by_weather, cap):
            yield Delivered(instruction=told_of, measured_kw=mean_kw)
        else:
            yield result_of(told_of, watched, Tolerance(kw=slack, share=0.0), refused=why)


def _is_allowed(told_of: Instruction, mean_kw: float, by_weather: bool, at_most: bool) -> bool:
    """Whether it stays under a cap: less than it is allowed is as it was told.

    A load that was to draw more and draws no more has done nothing, whatever kept it from it.
    """
    if by_weather:
        return mean_kw <= told_of.asked_kw
    return at_most and told_of.side > 0 and told_of.asked_kw <= mean_kw <= 0
