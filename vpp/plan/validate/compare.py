"""How numbers are compared: one tolerance for every rule, and one form for what is said of it.

HiGHS promises each row to 1e-7 of its size. A row of a schedule is held to 1e-6 · max(1, Σ|a_i x_j|),
the sum of what is added up in it: a battery of 10 MWh is not refused for a milliwatt-hour, and one of
10 kWh is not allowed a kilowatt-hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from vpp.model.horizon import Floats

TOLERANCE = 1e-6
"""Of a row's summands, or of one unit where they are smaller."""


def slack(*summands: float | Floats) -> Floats:
    """How far a row that adds up `summands` may be off, in its own unit; broadcast together."""
    total: float | Floats = 0.0
    for one in summands:
        total = total + np.abs(one)
    return np.asarray(TOLERANCE * np.maximum(1.0, total))


def slack_of(*summands: float) -> float:
    """The same of single numbers."""
    return TOLERANCE * max(1.0, sum(map(abs, summands)))


def column(values: Iterable[float]) -> Floats:
    """Numbers of several resources as a column, shape (K, 1): they broadcast over the steps."""
    return np.fromiter(values, dtype=float)[:, None]


def near(a: float, b: float, *summands: float) -> bool:
    """Whether a row's two sides are the same; NaN is near nothing."""
    return bool(abs(a - b) <= slack_of(a, b, *summands))


def between(
    rule: str,
    values: Floats,
    low: float | Floats,
    high: float | Floats,
    *summands: float | Floats,
    unit: str = "kW",
) -> Iterator[str]:
    """The first step in which `values` lie outside `low` … `high`; shapes (T,).

    `summands` are what else was added up to get there. NaN lies outside everything.
    """
    yield from each_between([rule], "", values[None], low, high, *summands, unit=unit)


def each_between(
    names: Sequence[str],
    rule: str,
    values: Floats,
    low: float | Floats,
    high: float | Floats,
    *summands: float | Floats,
    unit: str = "kW",
) -> Iterator[str]:
    """The same for many at once, a row each, shapes (K, T): what is said begins with the row's name."""
    low, high = np.broadcast_to(low, values.shape), np.broadcast_to(high, values.shape)
    below = np.where(np.isfinite(low), low, 0.0)
    above = np.where(np.isfinite(high), high, 0.0)
    room_low = slack(below, values, *summands)
    room_high = slack(above, values, *summands)
    bad = ~((low - room_low <= values) & (values <= high + room_high))
    for row in np.flatnonzero(bad.any(axis=1)).tolist():
        step = int(bad[row].argmax())
        yield (
            f"{names[row]}{rule}: {values[row, step]:.6f} {unit} in step {step},"
            f" allowed {low[row, step]:.6f} … {high[row, step]:.6f}"
        )


def equal(
    rule: str, values: Floats, expected: Floats, *summands: float | Floats, unit: str = "kW"
) -> Iterator[str]:
    """The first step in which `values` are not what is expected; shapes (T,)."""
    return between(rule, values, expected, expected, *summands, unit=unit)


class Cost(NamedTuple):
    """What one thing costs, for which cause, and how closely that can be told."""

    cause: str
    amount: float
    """In the park's currency; below 0 where it earns."""

    size: float
    """What its summands would cost if none of them cancelled another, each one unit at least."""


def priced(
    cause: str, per_unit: float | Floats, units: float | Floats, *summands: float | Floats
) -> Cost:
    """So many units at a price each; `summands` are what was added up to get the units."""
    prices, counts, *parts = np.broadcast_arrays(per_unit, units, *summands)
    most = np.abs(counts)
    for part in parts:
        most = most + np.abs(part)
    most = np.maximum(1.0, most)
    return Cost(cause, float(np.sum(prices * counts)), float(np.sum(np.abs(prices) * most)))
