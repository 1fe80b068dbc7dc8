"""What resources share: power through one transformer, a crane, a crew.

    columns   draw (M,T)   of members that may also feed: what they draw, not below 0
    rows      power    Σ draw <= max_draw_kw
              draw     draw + power decided >= -base
              running  Σ on + runs in progress + processes not called <= max_running

Both are hard. What nobody decides alone (loads that are not heard, runs that go on) may be more than
that; then the others do nothing beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

import numpy as np

from vpp.errors import DataError
from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.park import PowerGroup
from vpp.model.resource import (
    Converter,
    EvFleet,
    FixedLoad,
    FlexibleLoad,
    Generator,
    InterruptibleLoad,
    ShiftableRun,
    Storage,
)
from vpp.plan.compiled import Fleet
from vpp.plan.kinds.starts import Starts
from vpp.plan.programme import Builder, Ints, Side

Part = tuple[Ints, Ints, float]
"""Steps, columns and what a unit of each counts; the first two broadcast together."""


def add(b: Builder, fleet: Fleet) -> None:
    """Rows of every group. Called once every kind has been added.

    Raises:
        DataError: A group counts what runs, and a member is neither on nor off.
    """
    on = {
        name: row
        for machines in fleet.machines
        for name, row in zip(machines.names, machines.on, strict=True)
    }
    for group in b.view.park.groups:
        if group.max_draw_kw < inf:
            _power(b, group)
        if group.max_running is not None:
            _running(b, group, group.max_running, fleet, on)


def _power(b: Builder, group: PowerGroup) -> None:
    every = [b.view.park.resource_by_id[name] for name in group.resource_ids]
    feeding = [r.resource_id for r in every if isinstance(r, Converter | EvFleet | Storage)]
    drawing = [
        r.resource_id for r in every if not isinstance(r, Converter | EvFleet | Storage | Generator)
    ]
    steps = np.arange(b.steps)
    base_kw = np.minimum(b.base_kw[b.rows(drawing)], 0.0).sum(axis=0)
    given_kw = np.sum([np.zeros(b.steps), *(_given_kw(b, r.resource_id) for r in every)], axis=0)
    together = b.add_rows((b.steps,), -np.maximum(group.max_draw_kw, given_kw) - base_kw, np.inf)
    _put_power(b, together[None, :].repeat(len(drawing), axis=0), b.rows(drawing))
    which = b.rows(feeding)
    draw = b.add_columns((len(feeding), b.steps))
    b.put(together, draw, -1.0)
    least = b.add_rows(draw.shape, -b.base_kw[which], np.inf)
    b.put(least, draw, 1.0)
    _put_power(b, least, which)
    b.name((f"group {group.group_id}: max_draw_kw",), Side.ROW_LOWER, together, steps)


def _put_power(b: Builder, rows: Ints, which: Ints) -> None:
    """Powers of resources, in all steps, into rows of shape (k, T)."""
    steps = np.broadcast_to(np.arange(b.steps), rows.shape)
    b.put_power(rows.ravel(), np.repeat(which, b.steps), steps.ravel())


def _given_kw(b: Builder, name: ResourceId) -> Floats:
    """What a member draws that nobody decides, shape (T,)."""
    resource = b.view.park.resource_by_id[name]
    given = isinstance(resource, EvFleet | FixedLoad | ShiftableRun)
    if given or b.view.state.reading(name) is None:
        drawn: Floats = np.maximum(-b.base_kw[b.row_of[name]], 0.0)
        return drawn
    return np.zeros(b.steps)


def _running(
    b: Builder, group: PowerGroup, most: int, fleet: Fleet, on: dict[ResourceId, Ints]
) -> None:
    """How many members run, in each step."""
    given, unless_called = np.zeros((2, b.steps))
    counted: list[Part] = []
    for name in group.resource_ids:
        resource = b.view.park.resource_by_id[name]
        match resource:
            case ShiftableRun():
                given += _goes_on(b, fleet.starts, name)
                counted += _of_starts(fleet.starts, name, 1.0)
            case InterruptibleLoad():
                heard = b.view.state.reading(name) is not None
                (unless_called if heard else given)[fleet.starts.running[name]] += 1
                counted += _of_starts(fleet.starts, name, -1.0)
            case Converter() | FlexibleLoad() | Generator() if name in on:
                counted.append((np.arange(b.steps), on[name], 1.0))
            case FlexibleLoad() if resource.on_off is not None:  # it is not heard
                given += b.base_kw[b.row_of[name]] < 0
            case _:
                raise DataError(
                    f"{name} is neither on nor off",
                    where=f"group {group.group_id}: max_running",
                    fix="Name machines with on_off, shiftable runs and interruptible loads",
                )
    rows = b.add_rows((b.steps,), -np.inf, np.maximum(most, given) - given - unless_called)
    for steps, columns, value in counted:
        b.put(rows[steps], columns, value)
    b.name((f"group {group.group_id}: max_running",), Side.ROW_UPPER, rows)


def _goes_on(b: Builder, starts: Starts, name: ResourceId) -> Floats:
    """1 in steps in which a run goes on that nobody chooses, shape (T,)."""
    goes_on = np.zeros(b.steps)
    for day in starts.days:
        if day.resource_id == name:
            for step in day.given:
                goes_on[max(step, 0) : max(step + day.steps, 0)] = 1.0
    return goes_on


def _of_starts(starts: Starts, name: ResourceId, value: float) -> Iterator[Part]:
    """`value` in each step that a start of a resource lasts, rebounds not counted."""
    for start, column in zip(starts.possible, starts.chosen, strict=True):
        if start.resource_id == name:
            yield np.arange(start.step, start.step + start.length), column, value
