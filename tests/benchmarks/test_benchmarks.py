"""Each benchmark runs at its smallest size and tells its figures; how large they are is not tested.

The demo's day is not lived here: its smallest size is half a day. What it reads of a summary is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.demo_day import figures
from benchmarks.harness import BrokenBenchmarkError, Figure, find_benchmarks, percentile

ROOT = Path(__file__).parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "benchmarks", *arguments),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_every_benchmark_is_found_by_its_file() -> None:
    assert list(find_benchmarks()) == ["bids_load", "demo_day", "ingest", "planner"]


def test_the_smallest_sizes_run_and_print_one_json_document() -> None:
    done = bench("bids_load", "ingest", "planner", "--small", "--json")

    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["broken"] == {}
    assert set(document["machine"]) >= {"cores", "python", "numpy", "scipy"}
    measured = {
        figure["name"]: figure["measured"]
        for some in document["benchmarks"].values()
        for figure in some
    }
    assert measured["se3-quarter-hour: not 200"] == 0
    assert measured["se3-quarter-hour: bids an answer"] == 1
    assert measured["24 h: solve"] > 0
    assert measured["decode and accept: messages"] == 2 * 51


def test_a_name_that_does_not_exist_is_bad_input() -> None:
    done = bench("nonsense")

    assert done.returncode == 2
    assert "bids_load, demo_day, ingest, planner" in done.stderr


@pytest.mark.parametrize(
    ("figure", "promised", "verdict"),
    [
        pytest.param(Figure(name="x", measured=2, at_most=3), "≤ 3", "met", id="below"),
        pytest.param(Figure(name="x", measured=4, at_most=3), "≤ 3", "missed", id="above"),
        pytest.param(Figure(name="x", measured=4, at_least=5), "≥ 5", "missed", id="too few"),
        pytest.param(Figure(name="x", measured=0, at_least=0, at_most=0), "0", "met", id="exactly"),
        pytest.param(Figure(name="x", measured=None, at_most=3), "≤ 3", "missed", id="unknown"),
        pytest.param(Figure(name="x", measured=4), "", "", id="nothing promised"),
    ],
)
def test_a_figure_stands_beside_what_was_promised(
    figure: Figure, promised: str, verdict: str
) -> None:
    assert (figure.promised, figure.verdict) == (promised, verdict)


def test_a_summary_of_the_demo_becomes_figures() -> None:
    summary = {
        "wall_s": 80.0,
        "first_plan_s": None,
        "telemetry_messages": 10,
        "messages_lost": 0,
        "plans": 96,
        "plans_fallback": 1,
        "solve_s_median": 0.3,
        "solve_s_max": 1.2,
        "plan_s_median": 0.4,
        "plan_gap_max": 0.0005,
        "loop_lag_s_p99": 0.02,
        "rss_main_mib": 130.0,
        "rss_solver_mib": None,
        "rss_broker_mib": 48.0,
        "rss_world_mib": 76.0,
        "value_captured": None,
    }
    missed = {figure.name for figure in figures(summary) if figure.verdict == "missed"}

    assert missed == {"first plan", "telemetry messages", "fallbacks"}


def test_a_percentile_of_nothing_is_no_figure() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.99) == 3.0
    with pytest.raises(BrokenBenchmarkError, match="nothing was measured"):
        percentile([], 0.5)
