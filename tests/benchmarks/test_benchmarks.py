"""Each benchmark runs at its smallest size and tells its figures; how large they are is not tested.

The demo's day is not lived here: its smallest size is half a day. What it reads of a summary is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks._beside import Row, disagreements
from benchmarks._families import make_case
from benchmarks.demo_day import figures
from benchmarks.harness import BrokenBenchmarkError, Figure, find_benchmarks, percentile
from tests.patience import PROGRAM_S

ROOT = Path(__file__).parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "benchmarks", *arguments),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PROGRAM_S,
        check=False,
    )


def test_every_benchmark_is_found_by_its_file() -> None:
    assert list(find_benchmarks()) == [
        "alarm_storm",
        "bid_curves",
        "bids_load",
        "cloud_front",
        "crosssite",
        "demo_day",
        "demo_plan",
        "field",
        "fleet",
        "fleet_cycle",
        "fleet_harsh",
        "forecast",
        "iec104",
        "net_position",
        "ocpp",
        "pages",
        "planner",
        "programmes",
        "reload",
        "replan",
        "reporting",
        "robust_bids",
        "runaway",
        "venue_faults",
    ]


def test_the_smallest_sizes_run_and_print_one_json_document() -> None:
    done = bench(
        "bid_curves",
        "bids_load",
        "demo_plan",
        "field",
        "fleet",
        "fleet_harsh",
        "forecast",
        "iec104",
        "ocpp",
        "pages",
        "planner",
        "reload",
        "replan",
        "reporting",
        "--small",
        "--json",
    )

    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["broken"] == {}
    assert set(document["machine"]) >= {"cores", "python", "numpy", "scipy"}
    measured = {
        figure["name"]: figure["measured"]
        for some in document["benchmarks"].values()
        for figure in some
    }
    assert (measured["scenarios"], measured["paths"]) == (2, 20)
    assert measured["se3-quarter-hour: not 200"] == 0
    assert measured["se3-quarter-hour: bids an answer"] == 1
    assert measured["24 h: solve"] > 0
    assert measured["temperature auto: MAE / best naive"] > 0
    assert measured["A 10: vpp"] > 0
    assert measured["A 10: scipy / ours"] > 0
    assert measured["scipy / A 10: fleet numpy (1)"] > 0
    assert [measured[f"{one}: wrong or unnoticed"] for one in ("harsh", "tied", "kinds")] == [
        0,
        0,
        0,
    ]
    assert (measured["ingest_lost"], measured["ingest_invalid_accepted"]) == (0, 0)
    assert measured["paced_lost"] == 0
    assert (measured["points"], measured["setpoint_missed"]) == (53, 0)
    assert (measured["stations"], measured["messages_lost"]) == (6, 0)
    assert (measured["points_1s"], measured["points_4s"], measured["points_60s"]) == (240, 60, 4)
    assert (measured["sum_error_w"], measured["old_values_frozen"]) == (0, 0)
    assert measured["old_values_told"] > 60
    assert (measured["reloads"], measured["broken ones, told"]) == (2, 1)
    assert (measured["versions taken at a plan"], measured["cycles lost"]) == (1, 0)
    assert (measured["pages"], measured["deaf listeners let go"]) == (4, 0)
    assert measured["all files of the page, packed"] <= 300


def test_a_name_that_does_not_exist_is_bad_input() -> None:
    done = bench("nonsense")

    assert done.returncode == 2
    assert "demo_plan, field, fleet, fleet_cycle, fleet_harsh, forecast" in done.stderr


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


# ---------------------------------------------------------------- beside other tools


def beside(*arguments: str, peers: str = "none/python") -> subprocess.CompletedProcess[str]:
    """The command as people call it; `peers` is the interpreter that has the other tools."""
    return subprocess.run(
        (sys.executable, "benchmarks/planner.py", *arguments),
        cwd=ROOT,
        env=os.environ | {"VPP_PEERS_PYTHON": peers},
        capture_output=True,
        text=True,
        timeout=PROGRAM_S,
        check=False,
    )


@pytest.fixture(scope="module")
def rows() -> dict[tuple[str, str], dict[str, Any]]:
    """Every family at its smallest, ours and plain scipy; a tool that is not there beside them."""
    done = beside(
        *("--families", "A,B,FM", "--batteries", "2", "--peers", "scipy,linopy"),
        *("--repeat", "1", "--json"),
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["disagree"] == []
    assert set(document["versions"]) == {"numpy", "scipy"}
    return {(row["family"], row["tool"]): row for row in document["rows"]}


@pytest.mark.parametrize("family", ["A", "B", "FM"])
def test_our_planner_says_what_plain_arrays_say(
    rows: dict[tuple[str, str], dict[str, Any]], family: str
) -> None:
    ours, plain = rows[family, "vpp"], rows[family, "scipy"]

    assert ours["objective"] == pytest.approx(
        plain["objective"], rel=2e-3 if family == "B" else 1e-6
    )
    assert ours["total_s"] == pytest.approx(ours["build_s"] + ours["solve_s"])
    assert ours["resources"] == plain["resources"] == 2
    assert ours["gap"] <= 1e-3
    assert min(ours["peak_mib"], plain["peak_mib"]) > 10


def test_a_tool_that_is_not_there_is_told_as_not_run(
    rows: dict[tuple[str, str], dict[str, Any]],
) -> None:
    assert rows["A", "linopy"]["not_run"] == "not installed: make peers"
    assert rows["A", "linopy"]["total_s"] is None


def test_a_tool_that_is_required_and_not_there_is_an_error() -> None:
    done = beside("--batteries", "1", "--peers", "linopy", "--repeat", "1", "--require")

    assert done.returncode == 1
    assert "A 1 linopy: not run: not installed: make peers" in done.stdout


def test_a_tool_that_nobody_knows_is_bad_input() -> None:
    done = beside("--peers", "abacus")

    assert done.returncode == 2
    assert "no tool abacus" in done.stderr


def said(tool: str, objective: float | None, gap: float = 0.0) -> Row:
    return Row(family="A", resources=10, tool=tool, objective=objective, gap=gap)


@pytest.mark.parametrize(
    ("theirs", "agrees"),
    [
        pytest.param(said("scipy", 100.0 + 1e-5), True, id="an LP, but for rounding"),
        pytest.param(said("scipy", 100.1), False, id="an LP that is another one"),
        pytest.param(said("scipy", 100.1, gap=2e-3), True, id="within what they have proven"),
        pytest.param(said("scipy", 99.0, gap=2e-3), False, id="better than we say can be"),
        pytest.param(said("scipy", None), True, id="not run"),
    ],
)
def test_objectives_must_agree_within_what_both_have_proven(theirs: Row, agrees: bool) -> None:
    assert (list(disagreements([said("vpp", 100.0), theirs], ours="vpp")) == []) is agrees


def test_the_same_seed_gives_the_same_park() -> None:
    assert make_case("B", 3, seed=1).digest() == make_case("B", 3, seed=1).digest()
    assert make_case("B", 3, seed=2).digest() != make_case("B", 3, seed=1).digest()
