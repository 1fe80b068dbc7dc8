"""Demand charges: the highest mean import of metering intervals, which may be longer than a step.

    columns   peak (1)      what lies above `free_kw`
    rows      peak - Σ imports of an interval / its steps >= what its elapsed steps add - free

    ┌──────┬──────┬──────┬──────┐┌──────┬──────┬──────┬──────┐┌──────┬──────┐
    │ 90 kW elapsed│ to come     ││         counts            ││ cut: the mean│  of what is seen
    └──────┴──────┴──────┴──────┘└──────┴──────┴──────┴──────┘└──────┴──────┘
                  first_step                                             last_step

Two terms at one point are two columns: each kW above both `free_kw` pays both prices.
"""

from __future__ import annotations

import numpy as np

from vpp.errors import DataError
from vpp.plan.programme import Builder, Ints, Side
from vpp.plan.terms import PeakCharge


def add(b: Builder, imports: Ints, term: PeakCharge) -> None:
    """A column for the peak, and a row for each interval that counts. Only what is not free costs.

    Raises:
        DataError: The term speaks of steps that the horizon does not have.
    """
    if not 0 <= term.first_step < term.last_step <= b.steps:
        raise DataError(
            f"steps {term.first_step} to {term.last_step} of {b.steps}",
            where=f"PeakCharge at {term.connection_point_id}",
            fix="Let it end after it begins, within the horizon",
        )
    steps = np.arange(term.first_step, term.last_step)
    interval = (steps - term.first_step + term.elapsed_steps) // term.interval_steps
    length = np.bincount(interval).astype(float)
    length[0] += term.elapsed_steps
    elapsed_kw = np.zeros(len(length))
    elapsed_kw[0] = term.elapsed_steps * term.elapsed_kw / length[0]
    counts = np.ones(len(length), dtype=bool)
    if term.counts is not None:
        counts = np.bincount(interval, term.counts[steps]) > 0
    peak = b.add_columns(())
    b.price(peak, term.price_per_kw, "peak")
    rows = b.add_rows((int(counts.sum()),), elapsed_kw[counts] - term.free_kw, np.inf)
    b.put(rows, peak, 1.0)
    counted = counts[interval]
    row_of = np.cumsum(counts) - 1
    b.put(rows[row_of[interval[counted]]], imports[steps[counted]], -1 / length[interval[counted]])
    first = steps[np.unique(interval, return_index=True)[1]]
    b.name(
        (f"connection point {term.connection_point_id}: paid peak",),
        Side.ROW_LOWER,
        rows,
        first[counts],
    )
