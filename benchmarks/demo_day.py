"""The demo's whole day, as a user runs it: broker, devices, market and service as processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.harness import ROOT, Benchmark, BrokenBenchmarkError, Figure

LIMIT_S = 420


def measure(small: bool) -> Sequence[Figure]:
    """A day with seed 1; small: its first quarter-hour, before which half a day is lived anyway.

    Raises:
        BrokenBenchmarkError: The run did not end well.
    """
    return figures(_demo("15m" if small else "24h"))


def figures(summary: Mapping[str, Any]) -> Sequence[Figure]:
    """What a demo's summary says, beside what was promised of the whole day."""
    ms = 1000.0
    return (
        Figure(name="start to summary", measured=summary["wall_s"], unit="s", at_most=90),
        Figure(name="first plan", measured=summary["first_plan_s"], unit="s", at_most=10),
        Figure(name="telemetry messages", measured=summary["telemetry_messages"], at_least=50_000),
        Figure(name="messages lost", measured=summary["messages_lost"], at_least=0, at_most=0),
        Figure(name="plans", measured=summary["plans"], at_least=96, at_most=96),
        Figure(name="fallbacks", measured=summary["plans_fallback"], at_least=0, at_most=0),
        Figure(name="solve median", measured=summary["solve_s_median"], unit="s", at_most=0.4),
        Figure(name="solve max", measured=summary["solve_s_max"], unit="s", at_most=3),
        Figure(name="gap max", measured=summary["plan_gap_max"], at_most=1e-3),
        Figure(name="whole plan median", measured=summary["plan_s_median"], unit="s"),
        Figure(name="loop lag p99", measured=summary["loop_lag_s_p99"] * ms, unit="ms", at_most=50),
        Figure(name="memory, service", measured=summary["rss_main_mib"], unit="MiB", at_most=300),
        Figure(name="memory, solver", measured=summary["rss_solver_mib"], unit="MiB"),
        Figure(name="memory, broker", measured=summary["rss_broker_mib"], unit="MiB"),
        Figure(name="memory, simulated world", measured=summary["rss_world_mib"], unit="MiB"),
        Figure(name="value captured", measured=summary["value_captured"]),
    )


def _demo(length: str) -> dict[str, Any]:
    command = (
        *(sys.executable, "-m", "vpp", "demo", "--for", length),
        *("--speed", "max", "--seed", "1", "--port", "0", "--json"),
    )
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise BrokenBenchmarkError(f"not done after {LIMIT_S} s") from error
    if done.returncode != 0:
        raise BrokenBenchmarkError(f"exit {done.returncode}: {done.stderr[-2000:]}")
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


BENCHMARK = Benchmark(about="vpp demo --for 24h --speed max --seed 1", measure=measure)
