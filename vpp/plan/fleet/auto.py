"""From which size on `auto` asks the structured solver: what was measured.

HiGHS gives a vertex, at which ties are broken (`ties.MOST_COLUMNS`), so it has whatever takes it a fraction of a
second. Above that the quicker of the two has it. Where a market or a limit joins connection points, each of them
is a matrix of T x T to the structured solver, T being the steps, which costs T^3; to HiGHS it is so many columns.

Seconds of one core for one solve, batteries, ten of them behind a point with a load and a roof, 2026-11-27
(scipy 1.17.1, numpy 2.4.6, numba 0.68.1, the better of two):

    steps   points    free columns   HiGHS   numpy   numba
       96   joined          50 305    0.30    0.27    0.10
       96   apart           49 921    0.28    0.09    0.05
      192   joined          50 689    0.29    0.32    0.14
      192   apart           49 921    0.27    0.11    0.07
      336   joined          45 021    0.24    0.48    0.21
      336   joined          88 697    0.62    0.83    0.40
      336   joined         176 049    1.8     1.8     0.87
      672   joined          46 367    0.27    1.24    0.63
      672   joined         352 113    4.9     9.6     5.3
      672   apart           43 679    0.24    0.24    0.17
      672   apart          349 425    2.0     1.7     1.3

So both take as long from 50 000 columns on at 192 steps, from 176 000 at 336, and at 672 from some 400 000 with
numba, from more with numpy: that grows like T^2. Points that nothing joins are never slower.
"""

from __future__ import annotations

from vpp.plan.problem import Method
from vpp.plan.programme import Programme

LEAST_COLUMNS = 50_000
"""Free columns from which on the structured solver is asked: up to `SHORT` steps, or where nothing joins points."""

SHORT = 192
"""Steps on which it is as quick as HiGHS from `LEAST_COLUMNS` on, whatever joins the points."""

LEAST_TOGETHER = 200_000
"""The same of several futures with something in common (`plan/together.py`)."""


def least_columns(programme: Programme) -> int:
    """From how many free columns on the structured solver is asked for a plan."""
    steps = int(programme.balance.shape[1])
    if not len(programme.coupling) or steps <= SHORT:
        return LEAST_COLUMNS
    return round(LEAST_COLUMNS * (steps / SHORT) * (steps / SHORT))


def against(method: Method, count: int, least: int) -> str:
    """Why HiGHS has all of so many free columns; empty where it has not."""
    if method is Method.HIGHS:
        return "the park file says so"
    if method is Method.AUTO and count < least:
        return f"auto: {count} columns, fewer than {least}"
    return ""
