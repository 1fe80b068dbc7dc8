"""Runs and calls: which of their possible starts are taken.

    columns   start (B) 0/1
    rows      once   Σ starts of a group = 1 (runs) or <= the calls left that day
              apart  Σ calls of a load that touch each other <= 1, where it may be called more than once

`runs.py` and `calls.py` say which starts are possible; here they become columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.resource import InterruptibleLoad, ShiftableRun
from vpp.model.time import local_date
from vpp.plan.kinds import calls, of_kind, runs
from vpp.plan.kinds.start import Start
from vpp.plan.programme import Builder, Counted, Ints, Side


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Starts:
    """Possible starts and their columns, shape (B,)."""

    possible: tuple[Start, ...]
    chosen: Ints

    def taken(self, x: Floats) -> dict[ResourceId, tuple[tuple[int, int], ...]]:
        """Step and length of the starts that a solution takes, by resource, in order."""
        taken: dict[ResourceId, tuple[tuple[int, int], ...]] = {}
        for column, start in zip(self.chosen.tolist(), self.possible, strict=True):
            if x[column] > 0.5:
                some = taken.get(start.resource_id, ())
                taken[start.resource_id] = (*some, (start.step, len(start.draw_kw)))
        return {name: tuple(sorted(some)) for name, some in taken.items()}


def add(b: Builder) -> Starts:
    """All runs and interruptible loads; what nobody chooses goes into `b.base_kw`."""
    starts = list(_numbered(b))
    chosen = b.decide((len(starts),))
    b.price(chosen, np.array([start.cost for start in starts]), "calls")
    groups = np.array([start.group for start in starts], dtype=np.int64)
    least, most = np.zeros((2, groups.max(initial=-1) + 1))
    least[groups] = [float(start.must) for start in starts]
    most[groups] = [float(start.most) for start in starts]
    once = b.add_rows(least.shape, least, most)
    if starts:
        b.put(once[groups], chosen, 1.0)
        _apart(b, starts, chosen)
        _inject(b, starts, chosen)
    # A day whose calls are used up has a group without a start.
    first = {start.group: start for start in reversed(starts)}
    used = np.array(sorted(first), dtype=np.int64)
    names = [f"{first[group].resource_id}: {first[group].words}" for group in used.tolist()]
    b.name(names, Side.ROW_UPPER, once[used])
    return Starts(possible=tuple(starts), chosen=chosen)


def _numbered(b: Builder) -> Iterator[Start]:
    """Possible starts of every run and load, their groups numbered through."""
    view = b.view
    days = list(_days(b))
    groups = 0
    for row, resource in enumerate(view.park.resources):
        match resource:
            case InterruptibleLoad():
                reading = view.state.reading(resource.resource_id)
                found = calls.possible(b, resource, reading, row, days)
            case ShiftableRun():
                reading = view.state.reading(resource.resource_id)
                found = runs.possible(b, resource, reading, row, days)
            case _:
                continue
        for start in found:
            yield replace(start, group=groups + start.group)
        groups += max([start.group + 1 for start in found], default=0)


def _days(b: Builder) -> Iterator[date]:
    horizon, zone = b.view.horizon, b.view.park.timezone
    day = local_date(horizon.start, zone)
    while day <= local_date(horizon.end - timedelta(microseconds=1), zone):
        yield day
        day += timedelta(days=1)


def _apart(b: Builder, starts: Sequence[Start], chosen: Ints) -> None:
    """Between two calls of a load it runs for at least a step: each call has a fixed length."""
    several = [index for index, start in enumerate(starts) if start.most > 1]
    rows = b.add_rows((len(several),), -np.inf, 1.0)
    for row, index in zip(rows, several, strict=True):
        first = starts[index]
        touching = [
            other
            for other in several
            if starts[other].resource_id == first.resource_id
            and first.step <= starts[other].step <= first.step + len(first.draw_kw)
        ]
        b.put(row, chosen[touching], 1.0)


def _inject(b: Builder, starts: Sequence[Start], chosen: Ints) -> None:
    lengths = np.array([len(start.draw_kw) for start in starts])
    which = np.repeat(np.arange(len(starts)), lengths)
    offset = np.arange(len(which)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    step = np.array([start.step for start in starts])[which] + offset
    draw = np.concatenate([np.asarray(start.draw_kw) for start in starts])
    rows = b.rows([start.resource_id for start in starts])
    b.inject(rows[which], chosen[which], -draw, steps=step)
    shed_kwh = np.maximum(-draw, 0.0) * b.hours  # what is drawn later, or by a run, is no burden
    b.count(Counted.STARTS, rows, chosen, 1.0)
    b.count(Counted.TURNED_DOWN_KWH, rows[which], chosen[which], shed_kwh)
    loads = [r for r in of_kind(b.view, InterruptibleLoad) if _moves(r.resource_id, starts)]
    work = [r for r in of_kind(b.view, ShiftableRun) if _moves(r.resource_id, starts)]
    b.may(b.rows([r.resource_id for r in loads]), feed_kw=_sizes(loads))
    b.may(b.rows([r.resource_id for r in work]), draw_kw=_sizes(work))


def _moves(resource_id: ResourceId, starts: Sequence[Start]) -> bool:
    return any(start.resource_id == resource_id for start in starts)


def _sizes(resources: Sequence[InterruptibleLoad | ShiftableRun]) -> Floats:
    return np.array([r.draw_kw for r in resources])[:, None]
