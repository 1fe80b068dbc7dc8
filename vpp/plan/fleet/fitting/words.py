"""What does not fit, in the words of the park file: `lathe: ramp_kw_per_min`, `crusher: on or off`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vpp.plan.programme import Ints, Programme, Side

MOST = 3
"""Words that are told."""


def words(programme: Programme, rows: Ints, columns: Ints) -> list[str]:
    """What strange rows and columns are, at most `MOST` of them.

    Where the park file says nothing of a row or a decision, what it says of a column beside it is told.
    """
    found = list(dict.fromkeys(_decisions(programme, columns)))
    for named in programme.named:
        of_rows = named.side in (Side.ROW_LOWER, Side.ROW_UPPER)
        strange = np.isin(named.index, rows if of_rows else columns).any(axis=1)
        found += [named.words[i] for i in np.flatnonzero(strange)]
    if not found and len(rows):
        found = [f"a row of {said}" for said in _columns_in(programme, rows[:1])]
    if not found and np.isin(columns, programme.integral).any():
        standing = np.flatnonzero(np.diff(programme.matrix[:, columns[:1]].indptr))
        found = [f"a decision on {said}" for said in _columns_in(programme, standing)]
        found = found or ["decisions"]
    if not found and len(columns):
        found = ["something that feeds in several steps at once"]
    if not found:
        found = ["a row that nobody names"] if len(rows) else []
    return list(dict.fromkeys(found))[:MOST]


def _columns_in(programme: Programme, rows: Ints) -> Iterator[str]:
    """What the park file says of columns in some rows, a word of each limit."""
    inside = np.unique(programme.matrix[rows].indices)
    for named in programme.named:
        if named.side not in (Side.ROW_LOWER, Side.ROW_UPPER):
            near = np.isin(named.index, inside).any(axis=1)
            yield from (named.words[i] for i in np.flatnonzero(near)[:1])


def _decisions(programme: Programme, columns: Ints) -> Iterator[str]:
    """Whose decisions are among some columns: machines that are on or off, runs and calls."""
    asked = np.zeros(len(programme.cost), dtype=bool)  # of a fleet there may be a million
    asked[columns] = True
    for machines in programme.fleet.machines:
        for name, on in zip(machines.names, machines.on, strict=True):
            if asked[on].any():
                yield f"{name}: on or off"
    loads = programme.fleet.curtailables
    for which, down in zip(loads.limited.tolist(), loads.down, strict=True):
        if asked[down].any():
            yield f"{loads.units[which].resource_id}: limited calls"
    starts = programme.fleet.starts
    for which in np.flatnonzero(asked[starts.chosen]).tolist():
        yield f"{starts.possible[which].resource_id}: {starts.possible[which].words}"
