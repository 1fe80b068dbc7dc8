"""An hour in which everything fails at once: how many alarms an operator sees of it, and which first.

The broker of 1 000 devices is down, the solver's process dies at each question, prices are missing: once for the
whole hour, and once with a link that comes and goes every four minutes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks._storm import Seen, storm
from benchmarks.harness import Benchmark, Figure
from vpp.service.alarms.book import MOST_SHOWN

DEVICES, FEW_DEVICES = 1000, 20


def measure(small: bool) -> Sequence[Figure]:
    """Both storms; `small` with 20 devices."""
    figures: list[Figure] = []
    for flaps in (False, True):
        with tempfile.TemporaryDirectory(prefix="vpp-storm-") as folder:
            seen = storm(FEW_DEVICES if small else DEVICES, Path(folder), flaps=flaps)
        figures += _figures(seen, "link comes and goes" if flaps else "all down")
    return figures


def _figures(seen: Seen, name: str) -> list[Figure]:
    return [
        Figure(name=f"{name}: most alarms shown in 10 min", measured=seen.most_in_10min, at_most=MOST_SHOWN),
        Figure(name=f"{name}: first causes before all else", measured=float(seen.roots_first), at_least=1, at_most=1),
        Figure(name=f"{name}: in the list at the end", measured=len(seen.at_the_end), at_most=MOST_SHOWN),
        Figure(name=f"{name}: alarms raised, consequences included", measured=seen.raised),
        Figure(name=f"{name}: events of the hour", measured=seen.events),
        Figure(name=f"{name}: one look", measured=1000 * median(seen.look_s), unit="ms"),
    ]  # fmt: skip


BENCHMARK = Benchmark(
    about="What an operator sees of an hour in which everything fails at once", measure=measure
)
