"""Runs and calls: which of their possible starts are taken.

    columns   start (B) 0/1
    rows      once   least <= Σ starts of a group <= most
              apart  Σ starts of a resource that would go on, or rest, in a step <= 1
              after  Σ starts of a run so far <= runs ended so far that it waits for

`runs.py` and `calls.py` say which starts are possible; here they become columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError
from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.resource import InterruptibleLoad, ShiftableRun
from vpp.plan.kinds import calls, of_kind, runs
from vpp.plan.kinds.clock import Clock
from vpp.plan.kinds.runs import RunDay
from vpp.plan.kinds.start import Start
from vpp.plan.programme import Builder, Counted, Ints, Side


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Starts:
    """Possible starts and their columns, shape (B,)."""

    possible: tuple[Start, ...]
    chosen: Ints
    days: tuple[RunDay, ...] = ()
    """Runs that are given, and those to be chosen."""

    running: Mapping[ResourceId, NDArray[np.bool_]] = field(default_factory=dict)
    """Where each interruptible load runs unless it is called anew, shape (T,)."""

    def taken(self, x: Floats) -> dict[ResourceId, tuple[tuple[int, int], ...]]:
        """Step and length of the starts that a solution takes, by resource, in order."""
        taken: dict[ResourceId, tuple[tuple[int, int], ...]] = {}
        for start in self._chosen(x):
            if not start.extends:
                some = taken.get(start.resource_id, ())
                taken[start.resource_id] = (*some, (start.step, start.length))
        return {name: tuple(sorted(some)) for name, some in taken.items()}

    def longer_until(self, x: Floats) -> dict[ResourceId, int]:
        """The step in which a call under way ends that a solution makes longer than it must be."""
        return {s.resource_id: s.step + s.length for s in self._chosen(x) if s.extends}

    def _chosen(self, x: Floats) -> list[Start]:
        return [
            start
            for column, start in zip(self.chosen.tolist(), self.possible, strict=True)
            if x[column] > 0.5
        ]


def add(b: Builder) -> Starts:
    """All runs and interruptible loads; what nobody chooses goes into `b.base_kw`.

    Raises:
        DataError: A run or a call is no whole number of steps, or a run waits for what is none.
    """
    loads = of_kind(b.view, InterruptibleLoad)
    work = of_kind(b.view, ShiftableRun)
    _require_order(work)
    clock, state = Clock(b.view), b.view.state
    starts: list[Start] = []
    days: list[RunDay] = []
    running: dict[ResourceId, NDArray[np.bool_]] = {}
    for load in loads:
        reading, group = state.reading(load.resource_id), _next_group(starts)
        some, running[load.resource_id] = calls.possible(b, load, reading, clock, group=group)
        starts += some
    for run in work:
        reading, group = state.reading(run.resource_id), _next_group(starts)
        worked = runs.possible(b, run, reading, clock, group=group)
        starts += [start for day in worked for start in day.starts]
        days += worked
    chosen = b.decide((len(starts),))
    b.price(chosen, np.array([start.cost for start in starts]), "calls")
    if starts:
        _once(b, starts, chosen)
        _apart(b, starts, chosen)
        _inject(b, starts, chosen)
        _after(b, work, days, starts, chosen)
    return Starts(possible=tuple(starts), chosen=chosen, days=tuple(days), running=running)


def _next_group(starts: Sequence[Start]) -> int:
    """Groups are numbered through; those of one resource rise."""
    return starts[-1].group + 1 if starts else 0


def _once(b: Builder, starts: Sequence[Start], chosen: Ints) -> None:
    groups = np.array([start.group for start in starts], dtype=np.int64)
    least, most = np.zeros((2, groups.max() + 1))
    least[groups] = [float(start.least) for start in starts]
    most[groups] = [float(start.most) for start in starts]
    once = b.add_rows(least.shape, least, most)
    b.put(once[groups], chosen, 1.0)
    first = {start.group: start for start in reversed(starts)}
    at = sorted(first)
    names = [f"{first[group].resource_id}: {first[group].words}" for group in at]
    b.name(names, Side.ROW_UPPER, once[at])


def _apart(b: Builder, starts: Sequence[Start], chosen: Ints) -> None:
    """One at a time: a start occupies its resource until it has rested from it."""
    for name, at in _by_resource(starts).items():
        some = [starts[i] for i in at]
        if len({start.group for start in some}) == 1 and some[0].most == 1:
            continue
        first = np.array([start.step for start in some])
        free = np.array([start.step + start.length + start.rest for start in some])
        steps = np.unique(first)
        occupied = (first <= steps[:, None]) & (steps[:, None] < free)
        occupied = occupied[occupied.sum(axis=1) > 1]
        rows = b.add_rows((len(occupied),), -np.inf, 1.0)
        row, column = np.nonzero(occupied)
        b.put(rows[row], chosen[at[column]], 1.0)
        if any(start.rest > 1 for start in some):
            b.name((f"{name}: rest",), Side.ROW_UPPER, rows, np.array([-1]))


def _by_resource(starts: Sequence[Start]) -> dict[ResourceId, NDArray[np.int64]]:
    found: dict[ResourceId, list[int]] = {}
    for i, start in enumerate(starts):
        found.setdefault(start.resource_id, []).append(i)
    return {name: np.array(at, dtype=np.int64) for name, at in found.items()}


def _inject(b: Builder, starts: Sequence[Start], chosen: Ints) -> None:
    lengths = np.array([len(start.draw_kw) for start in starts])
    which = np.repeat(np.arange(len(starts)), lengths)
    offset = np.arange(len(which)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    step = np.array([start.step for start in starts])[which] + offset
    draw = np.concatenate([np.asarray(start.draw_kw) for start in starts])
    rows = b.rows([start.resource_id for start in starts])
    b.inject(rows[which], chosen[which], -draw, steps=step)
    begins = np.array([not start.extends for start in starts])
    first = np.array([start.step for start in starts], dtype=np.int64)
    b.count(Counted.STARTS, rows[begins], chosen[begins], 1.0, steps=first[begins])
    shed_kwh = np.array([start.shed_kwh for start in starts])
    b.count(Counted.TURNED_DOWN_KWH, rows, chosen, shed_kwh, steps=first)
    for name, at in _by_resource(starts).items():
        some = [starts[i] for i in at]
        together = len({start.group for start in some}) * some[0].most if some[0].rest else 1
        b.may(
            b.rows([name]),
            draw_kw=together * max(0.0, *(max(start.draw_kw) for start in some)),
            feed_kw=sum(_most_taken_kw(some, extends=extends) for extends in (False, True)),
        )


def _most_taken_kw(starts: Sequence[Start], *, extends: bool) -> float:
    """The most draw that one of some starts takes away.

    One at a time does; but a longer call may also put off a rebound into which the next call falls.
    """
    return max([0.0, *(-min(start.draw_kw) for start in starts if start.extends is extends)])


def _require_order(work: Sequence[ShiftableRun]) -> None:
    per_day = {run.resource_id: run.runs_per_day for run in work}
    for run in work:
        if run.after is None:
            continue
        if run.after not in per_day or run.runs_per_day > per_day[run.after] > 1:
            raise DataError(
                f"it runs {run.runs_per_day} times after {run.after}",
                where=run.resource_id,
                fix="Let it wait for a shiftable run which runs once a day, or as often as itself",
            )


def _after(
    b: Builder,
    work: Sequence[ShiftableRun],
    days: Sequence[RunDay],
    starts: Sequence[Start],
    chosen: Ints,
) -> None:
    """Let runs wait for others on the same day: the k-th for the k-th."""
    known = runs.by_day(days)
    at = _by_resource(starts)
    for run in work:
        if run.after is None:
            continue
        for found in days:
            other = known.get((run.after, found.day))
            if found.resource_id != run.resource_id or other is None or not found.starts:
                continue
            if not runs.cannot_wait(other, found):
                mine, theirs = (_columns(day, starts, chosen, at) for day in (found, other))
                _wait(b, run, (found, *mine), (other, *theirs))


def _columns(
    day: RunDay,
    starts: Sequence[Start],
    chosen: Ints,
    at: Mapping[ResourceId, NDArray[np.int64]],
) -> tuple[Ints, Ints]:
    """Steps and columns of a day's possible starts."""
    steps = {start.step for start in day.starts}
    some = [
        i for i in at.get(day.resource_id, np.zeros(0, dtype=np.int64)) if starts[i].step in steps
    ]
    return np.array([starts[i].step for i in some], dtype=np.int64), chosen[some]


def _wait(
    b: Builder,
    run: ShiftableRun,
    mine: tuple[RunDay, Ints, Ints],
    theirs: tuple[RunDay, Ints, Ints],
) -> None:
    """Rows of one day: no more have started by a step than others have ended.

    A run that comes several times after one that comes once waits for that one each time.
    """
    (day, steps, columns), (other, their_steps, their_columns) = mine, theirs
    ended = other.gone + (np.array(other.ends())[:, None] <= steps).sum(axis=0)
    counted = min(day.begun, other.gone)
    several = run.runs_per_day > other.runs == 1
    rows = b.add_rows(steps.shape, -np.inf, (ended if several else ended - counted).astype(float))
    mine_so_far = np.eye(len(steps), dtype=bool) if several else steps <= steps[:, None]
    over = their_steps + other.steps <= steps[:, None]
    for so_far, those, value in ((mine_so_far, columns, 1.0), (over, their_columns, -1.0)):
        row, column = np.nonzero(so_far)
        b.put(rows[row], those[column], value)
    b.name((f"{run.resource_id}: after",), Side.ROW_UPPER, rows, steps)
