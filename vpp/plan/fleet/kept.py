"""What a solving process keeps from one plan to the next: one forest and its answer, so that a small change is cheap.

    trees as they were              keep their answer
    a tree with a few buses anew    these, the others held, where that is proven well enough    `replan.py`
    other trees                     solved

Nobody tells it what has changed: it looks. A plan that is made in its turn differs everywhere, for time has gone on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from vpp.plan.fleet.forest import Answer, Forest, Solved
from vpp.plan.fleet.replan import Solve, replan

MOST_BYTES = 2**29
"""A fleet whose forest and answer take more is not kept: the solver itself will need the memory."""


class Kept:
    """The newest forest that was solved here, and its answer."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._last: tuple[Forest, Solved] | None = None

    def answer(self, forest: Forest, *, solve: Solve, most_gap: float) -> tuple[Answer, bool]:
        """The answer to a forest, and whether some of it is from before.

        `solve` solves any forest; `most_gap`, relative to 1 + the cost, is what may be left of all trees
        together where a few buses are planned with the others held.
        """
        if self._last is not None:
            again = replan(*self._last, forest, solve=solve, most_gap=most_gap)
            if again is not None:
                self._keep(forest, again)
                return again, True
        self._last = None  # not beside what is solved now
        answer = solve(forest)
        if isinstance(answer, Solved):
            self._keep(forest, answer)
        return answer, False

    def _keep(self, forest: Forest, answer: Solved) -> None:
        size = sum(one.nbytes for one in {id(a): a for a in _arrays((forest, answer))}.values())
        self._last = (forest, answer) if size <= self._most_bytes else None


def _arrays(thing: Any) -> Iterator[np.ndarray[Any, Any]]:
    """What holds the memory of all arrays inside."""
    if isinstance(thing, np.ndarray):
        yield thing if thing.base is None or not isinstance(thing.base, np.ndarray) else thing.base
    elif is_dataclass(thing):
        for each in fields(thing):
            yield from _arrays(getattr(thing, each.name))
    elif isinstance(thing, tuple):
        for one in thing:
            yield from _arrays(one)
