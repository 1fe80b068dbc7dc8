"""Our planner beside other tools on the same parks (`_beside.py`).

    python benchmarks/planner.py --batteries 10,100,1000 --peers scipy,highspy,linopy --repeat 3 --json

Parks come from `_families.py`: the same seed, the same park. Total is build and solve: for ours with the way
to the solver process and back, but without the check of the plan and the choice among equal plans, which no
other tool makes (they are told apart).

Objectives must agree: to 1e-6 for an LP, within the sum of the proven gaps where something is on or off.
A tool that is not installed is told as not run; `make peers` installs them beside us. Exit 0, also where a
figure is missed; 1 where a tool broke, objectives differ, or one was not run and `--require` asks for it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a script, not as `python -m benchmarks.planner`
    sys.path.insert(0, str(Path(__file__).parents[1]))

from rich.console import Console
from rich.table import Table

from benchmarks._beside import Contender, Question, Row, disagreements, measured
from benchmarks.harness import Benchmark, BrokenBenchmarkError, Figure, machine

OURS = "vpp"
PEERS = ("scipy", "highspy", "linopy", "pypsa", "pyomo", "oemof", "cvxpy", "flexmeasures")
WIDTH = 110
"""Of the table, in letters."""


def main() -> int:
    asked = _arguments()
    families = asked.families.split(",")
    sizes = [int(size) for size in asked.batteries.split(",")]
    tools = list(dict.fromkeys([OURS, *(name for name in asked.peers.split(",") if name)]))
    if stray := [name for name in tools if name not in (OURS, *PEERS)]:
        print(f"no tool {', '.join(stray)}: use some of {', '.join(PEERS)}", file=sys.stderr)
        return 2
    contenders = [_contender(tool) for tool in tools]
    rows: list[Row] = []
    versions: dict[str, str] = {}
    facts = machine()
    try:
        for family in families:
            for size in sizes:
                question = Question(family=family, batteries=size, seed=asked.seed, gap=asked.gap)
                rows += measured(question, contenders, repeats=asked.repeat, versions=versions)
    except BrokenBenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    wrong = list(disagreements(rows, ours=OURS))
    if asked.json:
        print(json.dumps({"rows": [r.plain() for r in rows], "versions": versions,
                          "machine": facts, "disagree": wrong}))  # fmt: skip
    else:
        _show(facts, versions, rows)
    for line in wrong:
        print(line, file=sys.stderr)
    missing = [row.tool for row in rows if row.not_run is not None]
    return 1 if wrong or (asked.require and missing) else 0


def _contender(tool: str) -> Contender:
    """Ours uses every processor there is, as the service lets it."""
    return Contender(tool=tool, threads=len(os.sched_getaffinity(0)) if tool == OURS else 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/planner.py", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--families", default="A", help="A (LP), B (on/off), FM (one site)")
    parser.add_argument("--batteries", default="10,100", help="sizes, e.g. 10,100,1000")
    parser.add_argument("--peers", default="scipy,highspy", help=f"some of {','.join(PEERS)}")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--gap", type=float, default=1e-3)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument(
        "--require", action="store_true", help="a tool that is not there is an error"
    )
    return parser.parse_args()


def _show(facts: Mapping[str, object], versions: Mapping[str, str], rows: Sequence[Row]) -> None:
    console = Console(width=WIDTH)
    console.print(", ".join(f"{name} {value}" for name, value in {**facts, **versions}.items()))
    table = Table(min_width=72)
    for name in ("family", "tool"):
        table.add_column(name)
    for name in ("batteries", "build s", "solve s", "total s", "x ours", "objective", "gap", "MiB"):
        table.add_column(name, justify="right")
    ours = {(row.family, row.resources): row.total_s for row in rows if row.tool == OURS}
    for row in rows:
        if row.total_s is None:
            continue
        base = ours.get((row.family, row.resources)) or row.total_s
        table.add_row(
            *(row.family, row.tool, str(row.resources)),
            *(f"{row.build_s:.3f}", f"{row.solve_s:.3f}", f"{row.total_s:.3f}"),
            *(f"{row.total_s / base:.2f}", f"{row.objective:.6f}", f"{row.gap:.1e}"),
            f"{row.peak_mib:.0f}",
        )
    console.print(table)
    for row in rows:
        if row.not_run is not None:
            console.print(f"{row.family} {row.resources} {row.tool}: not run: {row.not_run}")


# ---------------------------------------------------------------- among the benchmarks

BESIDE = ("scipy", "highspy")


def measure(small: bool) -> Sequence[Figure]:
    """A few sizes beside plain scipy, and raw HiGHS where it is installed; ratios, and what they were.

    Raises:
        BrokenBenchmarkError: A tool failed, or objectives differ.
    """
    questions = [
        Question(family=family, batteries=size, seed=1, gap=1e-3)
        for family, sizes in ((("A", (10,)),) if small else (("A", (10, 100)), ("B", (10,))))
        for size in sizes
    ]
    contenders = [_contender(tool) for tool in (OURS, *BESIDE)]
    rows: list[Row] = []
    for question in questions:
        rows += measured(question, contenders, repeats=1 if small else 3, versions={})
    if wrong := list(disagreements(rows, ours=OURS)):
        raise BrokenBenchmarkError("; ".join(wrong))
    return list(_figures(rows))


def _figures(rows: Sequence[Row]) -> Iterator[Figure]:
    ours = {(row.family, row.resources): row.total_s for row in rows if row.tool == OURS}
    for row in rows:
        name = f"{row.family} {row.resources}: {row.tool}"
        yield Figure(name=name, measured=row.total_s, unit="s")
        base = ours[row.family, row.resources]
        if row.tool != OURS and row.total_s is not None and base is not None:
            large = row.resources >= 100
            yield Figure(
                name=f"{name} / ours", measured=row.total_s / base, at_least=1.0 if large else None
            )


BENCHMARK = Benchmark(about="our planner beside other tools on the same parks", measure=measure)

if __name__ == "__main__":
    sys.exit(main())
