"""What a tool says of one problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import TypeAlias

from benchmarks._families import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How the case is to be solved."""

    gap: float
    """Relative; means nothing to an LP."""

    threads: int = 1
    """For a tool that can use more than one; so many processes for one that solves in parts."""

    kernels: str = "numpy"
    """Of ours alone."""


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

    cpu_s: float | None = None
    """Time on processors of build and solve, all threads, where it is told: what else the machine does
    lengthens it less than wall time."""

    bound: float | None = None
    """No plan costs less; None where the tool tells none."""

    residual: float | None = None
    """The largest violation, relative to what is in its rows."""

    iterations: int | None = None
    fallbacks: int | None = None
    """Parts of the problem that went to HiGHS instead."""


Solve: TypeAlias = Callable[[Case, Asked], Answer]


class NotRunError(Exception):
    """The tool is not here, or does not do this family."""


class Watch:
    """Seconds since the last look."""

    def __init__(self) -> None:
        self._last = perf_counter()
        self._cpu_s = process_time()

    @property
    def cpu_s(self) -> float:
        """On processors since the watch was made, all threads of this process."""
        return process_time() - self._cpu_s

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
