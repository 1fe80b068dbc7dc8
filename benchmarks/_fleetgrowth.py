"""How time and memory grow with the fleet: exponents, and a picture.

An exponent is the slope of the straight line through the points of one way to run, by least squares in
logarithms of both: 1 is linear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks._beside import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Of one family, by one way to run it."""

    family: str
    kernels: str
    threads: int
    smallest: int
    largest: int
    time_exponent: float
    memory_exponent: float

    def plain(self) -> dict[str, object]:
        """As JSON shows it."""
        return asdict(self)

    def sentence(self) -> str:
        return (
            f"{self.family}, {self.kernels}, threads {self.threads}, from {self.smallest} to"
            f" {self.largest}: time N^{self.time_exponent:.3f}, memory N^{self.memory_exponent:.3f}"
        )


Way = tuple[str, str, str, int]
"""Family, tool, kernels, threads."""


def _ways(rows: Sequence[Row]) -> dict[Way, list[Row]]:
    """The rows that ran, of each way to run, smallest fleet first."""
    found: dict[Way, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.resources):
        if row.total_s is not None:
            found.setdefault((row.family, row.tool, row.kernels or "", row.threads), []).append(row)
    return found


def growth_of(rows: Sequence[Row]) -> list[Growth]:
    """Of each way that ran in two sizes at least."""
    return [
        Growth(
            family=family,
            kernels=kernels,
            threads=threads,
            smallest=some[0].resources,
            largest=some[-1].resources,
            time_exponent=_slope(some, "total_s"),
            memory_exponent=_slope(some, "peak_mib"),
        )
        for (family, _, kernels, threads), some in _ways(rows).items()
        if len({row.resources for row in some}) > 1
    ]


def _slope(rows: Sequence[Row], name: str) -> float:
    size, value = (
        np.log([float(getattr(row, one)) for row in rows]) for one in ("resources", name)
    )
    return float(np.polyfit(size, value, 1)[0])


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write both against the number of batteries as PNG, all axes logarithmic.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import NullFormatter

    figure, panels = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    for (family, tool, kernels, threads), some in _ways(rows).items():
        words = " ".join(word for word in (family, tool, kernels, f"({threads})") if word)
        for panel, name in zip(panels, ("total_s", "peak_mib"), strict=True):
            values = [getattr(row, name) for row in some]
            several = len({row.resources for row in some}) > 1
            label = f"{words}: N^{_slope(some, name):.2f}" if several else words
            style = "o-" if kernels else "o--"
            panel.plot([row.resources for row in some], values, style, label=label)
    for panel, unit in zip(panels, ("build and solve, s", "memory at most, MiB"), strict=True):
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_xlabel("batteries")
        panel.set_ylabel(unit)
        panel.yaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_minor_formatter(NullFormatter())
        panel.grid(which="both", color="#eeeeee")
        panel.legend(fontsize=8, title="family, tool (threads)", frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)
