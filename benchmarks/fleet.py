"""The fleet's solver beside other tools on the same parks (`_beside.py`), and how it grows.

    python benchmarks/fleet.py --batteries 100,1000 --peers highspy,split,hipo --families A,AC --json
    python benchmarks/fleet.py --batteries 1000,10000,100000 --peers "" --growth --plot growth.png

Total is build and solve, for ours from the arrays of the family to a point that keeps every row: forest,
presolve, packing, solving, certificate, unpacking. Imports and compilation are not counted; what the process
held at most is (MiB). `split` is HiGHS told by hand that enterprises are independent, in a pool of so
many processes as threads; `hipo` is its newer interior point without crossover. In family B ours is the planner
whole (`vpp`), as `planner.py` measures it, on so many processors. What a tool does not do is told as not run.

Objectives must agree to 1e-6, and our proven gap be below 1e-6, where all is linear; in family B within the
sum of the gaps. Exit 0, also where a figure is missed; 1 where a tool broke, something disagrees, or a tool was
not run and `--require` asks for it. Times say nothing on a machine that does other things: time on
processors, where it is told, says more.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a script, not as `python -m benchmarks.fleet`
    sys.path.insert(0, str(Path(__file__).parents[1]))

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks._beside import LIMIT_S, LP_AGREES, Contender, Question, Row, disagreements, measured
from benchmarks._fleetgrowth import draw, growth_of
from benchmarks.harness import Benchmark, BrokenBenchmarkError, Figure, machine

OURS = {"A": "fleet", "AC": "fleet", "B": "vpp"}
"""By family: kernels by themselves, or the whole planner where something is on or off."""

PEERS = ("scipy", "highspy", "split", "hipo", "linopy", "pypsa", "pyomo", "oemof", "cvxpy")
KERNELS = ("numpy", "numba")
LINEAR = ("A", "AC")
WIDTH = 160
"""Of the table, in letters."""


def main() -> int:
    asked = _arguments()
    families, kernels = _names(asked.families), _names(asked.kernels)
    peers = list(dict.fromkeys(_names(asked.peers)))
    stray = [*set(peers).difference(PEERS), *set(kernels).difference(KERNELS)]
    stray += set(families).difference(OURS)
    if stray:
        known = ", ".join((*PEERS, *KERNELS, *OURS))
        print(f"nothing is called {', '.join(sorted(stray))}: use some of {known}", file=sys.stderr)
        return 2
    threads = [int(count) for count in _names(asked.threads)]
    rows: list[Row] = []
    versions: dict[str, str] = {}
    facts = machine()
    try:
        for family in families:
            contenders = [*_ours(family, kernels, threads), *_others(peers, threads)]
            for size in map(int, _names(asked.batteries)):
                question = Question(family=family, batteries=size, seed=asked.seed, gap=asked.gap)
                rows += measured(
                    question,
                    contenders,
                    repeats=asked.repeat,
                    versions=versions,
                    limit_s=asked.limit_s,
                )
    except BrokenBenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    return _tell(asked, rows, versions=versions, facts=facts)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/fleet.py", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--families", default="A", help="A (alone), AC (tied), B (on/off)")
    parser.add_argument("--batteries", default="10,100", help="sizes, e.g. 100,1000,10000")
    parser.add_argument("--peers", default="highspy", help=f"some of {','.join(PEERS)}")
    parser.add_argument("--kernels", default="numpy,numba", help="some of numpy,numba")
    parser.add_argument("--threads", default="1,2", help="for the tools that can use several")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--gap", type=float, default=1e-3, help="of family B")
    parser.add_argument("--limit-s", type=float, default=LIMIT_S, help="for one run of one tool")
    parser.add_argument("--growth", action="store_true", help="fit how time and memory grow")
    parser.add_argument("--plot", metavar="FILE.png", type=Path, help="draw both against the size")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument(
        "--require", action="store_true", help="a tool that is not there is an error"
    )
    return parser.parse_args()


def _names(listed: str) -> list[str]:
    return [name for name in listed.split(",") if name]


def _ours(family: str, kernels: Sequence[str], threads: Sequence[int]) -> Iterator[Contender]:
    """The base uses one thread, the compiled kernels and the planner so many as they are given."""
    if family not in LINEAR:
        yield from (Contender(tool=OURS[family], threads=count) for count in threads)
        return
    for name in kernels:
        for count in (1,) if name == "numpy" else threads:
            yield Contender(tool=OURS[family], kernels=name, threads=count)


def _others(peers: Sequence[str], threads: Sequence[int]) -> Iterator[Contender]:
    for name in peers:
        for count in threads if name == "split" else (max(threads),) if name == "hipo" else (1,):
            yield Contender(tool=name, threads=count)


def _tell(
    asked: argparse.Namespace,
    rows: Sequence[Row],
    *,
    versions: Mapping[str, str],
    facts: Mapping[str, object],
) -> int:
    """Print what was measured; the exit code."""
    wrong = list(_wrong(rows))
    growth = growth_of([row for row in rows if is_ours(row)]) if asked.growth else []
    if asked.plot is not None:
        draw(rows, asked.plot)
    if asked.json:
        print(
            json.dumps(
                {
                    "rows": [row.plain() for row in rows],
                    "growth": [one.plain() for one in growth],
                    "versions": versions,
                    "machine": facts,
                    "disagree": wrong,
                }
            )
        )
    else:
        console = Console(width=WIDTH)
        console.print(", ".join(f"{name} {value}" for name, value in {**facts, **versions}.items()))
        console.print(_table(rows))
        for row in rows:
            if row.not_run is not None:
                console.print(f"{row.family} {row.resources} {name_of(row)}: {row.not_run}")
        for one in growth:
            console.print(one.sentence())
    for line in wrong:
        print(line, file=sys.stderr)
    missing = any(row.not_run is not None for row in rows)
    return 1 if wrong or (asked.require and missing) else 0


def is_ours(row: Row) -> bool:
    return row.tool == OURS[row.family]


def _wrong(rows: Sequence[Row]) -> Iterator[str]:
    for tool in sorted(set(OURS.values())):
        yield from disagreements([row for row in rows if OURS[row.family] == tool], ours=tool)
    yield from unproven(rows)


def unproven(rows: Sequence[Row]) -> Iterator[str]:
    """Our rows of linear families whose gap is not proven as far as it must be."""
    for row in rows:
        if not is_ours(row) or row.family not in LINEAR or row.gap is None:
            continue
        if row.gap >= LP_AGREES:
            yield f"{row.family} {row.resources}: {name_of(row)} has proven {row.gap:.1e} alone"


def name_of(row: Row) -> str:
    """The tool, and how it was let run: the number is that of threads or processes."""
    return " ".join(word for word in (row.tool, row.kernels, f"({row.threads})") if word)


def _table(rows: Sequence[Row]) -> Table:
    """With a column for each of ours: how many times as long as it the others take."""
    ours = list(dict.fromkeys(name_of(row) for row in rows if is_ours(row)))
    total_s = {(row.family, row.resources, name_of(row)): row.total_s for row in rows}
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0))
    for name in ("family", "N", "tool (threads)", "build s", "solve s", "total s", "cpu s"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ours:
        table.add_column(f"x {name.split(' ', 1)[1]}", justify="right", no_wrap=True)
    for name in ("objective", "gap", "residual", "steps", "to HiGHS", "MiB"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        if row.total_s is None:
            continue
        base = [total_s.get((row.family, row.resources, name)) for name in ours]
        table.add_row(
            *(row.family, str(row.resources), name_of(row)),
            *(f"{row.build_s:.3f}", f"{row.solve_s:.3f}", f"{row.total_s:.3f}"),
            "" if row.cpu_s is None else f"{row.cpu_s:.3f}",
            *("" if one is None else f"{row.total_s / one:.3g}" for one in base),
            *(f"{row.objective:.8g}", f"{row.gap:.1e}"),
            "" if row.residual is None else f"{row.residual:.0e}",
            *("" if one is None else str(one) for one in (row.iterations, row.fallbacks)),
            f"{row.peak_mib:.0f}",
        )
    return table


# ---------------------------------------------------------------- among the benchmarks


def measure(small: bool) -> Sequence[Figure]:
    """A few sizes beside raw HiGHS, alone and tied; ratios, and what they were.

    Raises:
        BrokenBenchmarkError: A tool failed, or objectives differ.
    """
    sizes = (10,) if small else (100, 1000)
    questions = [Question(family="A", batteries=size, seed=1, gap=1e-3) for size in sizes]
    questions.append(Question(family="AC", batteries=sizes[0], seed=1, gap=1e-3))
    contenders = [
        *_ours("A", ("numpy",) if small else KERNELS, (1, 2)),
        *_others(("scipy",) if small else ("highspy",), (1,)),
    ]
    rows: list[Row] = []
    for question in questions:
        rows += measured(question, contenders, repeats=1 if small else 3, versions={})
    if wrong := list(_wrong(rows)):
        raise BrokenBenchmarkError("; ".join(wrong))
    return list(_figures(rows))


AT_LEAST = {("numpy", 1): 20.0, ("numba", 1): 50.0, ("numba", 2): 90.0}
"""Times as quick as raw HiGHS, for 1,000 batteries whose enterprises are alone."""


def _figures(rows: Sequence[Row]) -> Iterator[Figure]:
    others = {(row.family, row.resources): row for row in rows if not is_ours(row)}
    for row in rows:
        name = f"{row.family} {row.resources}: {name_of(row)}"
        yield Figure(name=name, measured=row.total_s, unit="s")
        other = others[row.family, row.resources]
        if is_ours(row) and row.total_s is not None and other.total_s is not None:
            promised = (row.family, row.resources) == ("A", 1000)
            yield Figure(
                name=f"{other.tool} / {name}",
                measured=other.total_s / row.total_s,
                at_least=AT_LEAST[str(row.kernels), row.threads] if promised else None,
            )


BENCHMARK = Benchmark(about="the fleet's solver beside raw HiGHS", measure=measure)

if __name__ == "__main__":
    sys.exit(main())
