"""A thousand random scripts of a utility's events: is what we end up with what the utility means?

Each script creates, modifies and cancels overlapping events, loses polls, brings old versions and illegible
events, and restarts us; at its end our schedule is held against a slow model that walks minute by minute over
the utility's true list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from time import perf_counter

from benchmarks._programmes import play
from benchmarks.harness import Benchmark, Figure

SCRIPTS, FEW = 1000, 20


def measure(small: bool) -> Sequence[Figure]:
    """All scripts from their seeds, or a few."""
    happened: Counter[str] = Counter()
    wrong = compared = 0
    began = perf_counter()
    count = FEW if small else SCRIPTS
    for seed in range(count):
        ours, true, some = play(seed)
        happened.update(some)
        wrong += ours != true
        compared += sum(map(len, true.values()))
    seconds = perf_counter() - began
    return (
        Figure(name="scripts", measured=count),
        Figure(name="schedules unlike the model", measured=wrong, at_most=0),
        Figure(name="orders compared", measured=compared),
        *(Figure(name=f"events {kind}", measured=happened[kind]) for kind in sorted(happened)),
        Figure(name="per script, model included", measured=1000 * seconds / count, unit="ms"),
    )


BENCHMARK = Benchmark(
    about="a thousand random scripts of a utility's events against a slow model",
    measure=measure,
)
