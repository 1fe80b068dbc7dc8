"""What a benchmark is, and what it gives back."""

from __future__ import annotations

import importlib
import logging
import os
import pkgutil
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy
import scipy
import structlog
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]


class BrokenBenchmarkError(Exception):
    """The benchmark itself did not work; a missed figure is no such thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number that was measured, beside what was promised where anything was."""

    name: str
    measured: float | None
    """None where it could not be told."""

    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def promised(self) -> str:
        """The promise as people read it; empty where there is none."""
        if self.at_least is not None and self.at_least == self.at_most:
            return f"{self.at_least:g}"
        if self.at_least is not None and self.at_most is not None:
            return f"{self.at_least:g} … {self.at_most:g}"
        if self.at_least is not None:
            return f"≥ {self.at_least:g}"
        return "" if self.at_most is None else f"≤ {self.at_most:g}"

    @property
    def verdict(self) -> str:
        """`met`, `missed`, or empty where nothing was promised."""
        if not self.promised:
            return ""
        if self.measured is None:
            return "missed"
        low = self.at_least is None or self.measured >= self.at_least
        high = self.at_most is None or self.measured <= self.at_most
        return "met" if low and high else "missed"

    def plain(self) -> dict[str, object]:
        """As JSON shows it."""
        return {
            "name": self.name,
            "measured": self.measured,
            "unit": self.unit,
            "promised": self.promised,
            "verdict": self.verdict,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One thing that can be measured. `measure(small)` may raise `BrokenBenchmarkError`."""

    about: str
    measure: Callable[[bool], Sequence[Figure]]
    """Called with True for the smallest size that runs at all: whether it works, not how fast."""


def find_benchmarks() -> Mapping[str, Benchmark]:
    """Every benchmark of this folder by the name of its file, in order of name."""
    found = {}
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if module.name.startswith("_"):
            continue
        one = getattr(importlib.import_module(f"benchmarks.{module.name}"), "BENCHMARK", None)
        if isinstance(one, Benchmark):
            found[module.name] = one
    return found


def log_to_stderr() -> None:
    """Let warnings of the service go to stderr: stdout is for what was measured."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def machine() -> dict[str, object]:
    """What the figures were measured on. The load is that of others, before we began."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "load_1_min": round(os.getloadavg()[0], 2),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed.

    Raises:
        BrokenBenchmarkError: There are no values.
    """
    if not values:
        raise BrokenBenchmarkError("nothing was measured")
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def show(facts: Mapping[str, object], figures: Mapping[str, Sequence[Figure]]) -> None:
    """Print what was measured as tables on stdout."""
    console = Console()
    console.print(", ".join(f"{name} {value}" for name, value in facts.items()))
    for name, some in figures.items():
        table = Table(title=name, title_justify="left", min_width=72)
        table.add_column("figure")
        table.add_column("measured", justify="right")
        table.add_column("unit")
        table.add_column("promised", justify="right")
        table.add_column("")
        for figure in some:
            measured = "?" if figure.measured is None else f"{figure.measured:,.5g}"
            table.add_row(figure.name, measured, figure.unit, figure.promised, figure.verdict)
        console.print(table)
