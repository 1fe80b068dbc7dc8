"""What a tool says of one problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TypeAlias

from benchmarks._families import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Seconds of wall time; imports are not counted."""

    build_s: float
    """From the arrays of the case to a model."""

    solve_s: float
    """From the model to numbers that can be read, with the hand-over to the solver."""

    objective: float
    gap: float = 0.0
    """Relative, as the solver proves it; 0 for an LP."""

    ties_s: float = 0.0
    """Choosing among plans that cost the same; not part of `solve_s`."""

    validate_s: float = 0.0
    """Checking the plan; not part of `solve_s`."""


Solve: TypeAlias = Callable[[Case, float], Answer]
"""A case and the gap that is allowed."""


class NotRunError(Exception):
    """The tool is not here, or does not do this family."""


class Watch:
    """Seconds since the last look."""

    def __init__(self) -> None:
        self._last = perf_counter()

    def lap(self) -> float:
        now = perf_counter()
        past, self._last = now - self._last, now
        return past


def only(case: Case, *families: str) -> None:
    """Refuse what a tool does not do here.

    Raises:
        NotRunError: The case is of another family.
    """
    if case.family not in families:
        raise NotRunError(f"not written for family {case.family}")
