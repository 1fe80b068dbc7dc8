"""Demand charges: the highest mean import of metering intervals, which may be longer than a step.

    columns   peak (1)      what lies above `free_kw`
              used (1)      how far the margin below that is used, where there is one
    rows      peak - Σ imports of an interval / its steps >= what its elapsed steps add - free
              peak + used - Σ … >= the same + the mean margin of the interval

    ┌──────┬──────┬──────┬──────┐┌──────┬──────┬──────┬──────┐┌──────┬──────┐
    │ 90 kW elapsed│ to come     ││         counts            ││ cut: the mean│  of what is seen
    └──────┴──────┴──────┴──────┘└──────┴──────┴──────┴──────┘└──────┴──────┘
                  first_step                                             last_step

Two terms at one point are two columns: each kW above both `free_kw` pays both prices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from vpp.errors import DataError
from vpp.model.horizon import Floats
from vpp.plan.kinds import column
from vpp.plan.programme import Builder, Ints, Side
from vpp.plan.terms import PeakCharge


def add(b: Builder, imports: Ints, terms: Sequence[PeakCharge]) -> None:
    """A column for each peak, and a row for each interval that counts. Only what is not free costs.

    With a margin, a column for how far it is used, and a second row for each. `imports` are the points'
    columns, shape (K, T), as many as there are terms.

    Raises:
        DataError: A term speaks of steps that the horizon does not have.
    """
    first = 0
    for _, some in groupby(terms, key=_measured):
        alike = tuple(some)
        _add_alike(b, imports[first : first + len(alike)], alike)
        first += len(alike)


def _measured(term: PeakCharge) -> object:
    """What is the same for peaks that are one block; one with a margin is a block of its own."""
    if term.margin is not None:
        return id(term)
    counts = None if term.counts is None else term.counts.tobytes()
    when = (term.first_step, term.last_step, term.interval_steps, term.elapsed_steps)
    return (*when, counts)


def _add_alike(b: Builder, imports: Ints, terms: Sequence[PeakCharge]) -> None:
    """K peaks with the same intervals, N of which count."""
    term = terms[0]
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
    elapsed_kw = np.zeros((len(terms), len(length)))
    elapsed_kw[:, 0] = [term.elapsed_steps * one.elapsed_kw / length[0] for one in terms]
    counts = np.ones(len(length), dtype=bool)
    if term.counts is not None:
        counts = np.bincount(interval, term.counts[steps]) > 0
    counted = counts[interval]
    alike = _Alike(
        terms=terms,
        imports=imports[:, steps[counted]],
        row_of=(np.cumsum(counts) - 1)[interval[counted]],
        share=1 / length[interval[counted]],
        first=steps[np.unique(interval, return_index=True)[1]][counts],
    )
    least_kw = elapsed_kw[:, counts] - column(one.free_kw for one in terms)
    peak = b.add_columns((len(terms), 1))
    b.price(peak, column(one.price_per_kw for one in terms), "peak")
    alike.add_rows(b, "paid peak", (peak,), least_kw)
    if term.margin is not None:
        used = b.add_columns((1, 1))
        b.price(used, term.margin.share * term.price_per_kw, "margin")
        spare_kw = np.bincount(interval, term.margin.import_kw[steps])[counts] / length[counts]
        alike.add_rows(b, "margin below paid peak", (peak, used), least_kw + spare_kw)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Alike:
    """K peaks, their N intervals that count, and the n steps of the horizon that lie in them."""

    terms: Sequence[PeakCharge]
    imports: Ints
    """Columns, shape (K, n)."""

    row_of: Ints
    """Which interval a step lies in, shape (n,)."""

    share: Floats
    """Of its interval's mean, shape (n,)."""

    first: Ints
    """The first step of each, shape (N,)."""

    def add_rows(self, b: Builder, what: str, above: Sequence[Ints], least_kw: Floats) -> None:
        """What is paid `above`, shape (K, 1) each, covers the mean import of each interval and `least_kw`.

        `least_kw` is what elapsed steps add, less what is free, shape (K, N).
        """
        rows = b.add_rows(least_kw.shape, least_kw, np.inf)
        for columns in above:
            b.put(rows, columns, 1.0)
        b.put(rows[:, self.row_of], self.imports, -self.share)
        words = [f"connection point {one.connection_point_id}: {what}" for one in self.terms]
        b.name(words, Side.ROW_LOWER, rows, self.first)
