"""Tools beside each other on the problems of `_families.py`, each run in a process of its own, in turns.

Turns, so that what else the machine does meets all of them alike; a figure is that of the run whose total is
the median. A tool that is not installed is told as not run, and so is one that takes too long.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Any

from benchmarks._peer import ask
from benchmarks.harness import ROOT

OWN_INTERPRETER = ("vpp", "fleet", "scipy")
"""Those that need nothing beside our own environment."""

LIMIT_S = 1200.0
LP_AGREES = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What every tool is asked."""

    family: str
    batteries: int
    seed: int
    gap: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A tool, and how it is let run."""

    tool: str
    threads: int = 1
    kernels: str | None = None
    """Of ours alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One tool on one question: the median of its runs, or why there is none."""

    family: str
    resources: int
    """Batteries; the family says what stands beside them."""
    tool: str
    threads: int = 1
    kernels: str | None = None
    build_s: float | None = None
    solve_s: float | None = None
    total_s: float | None = None
    cpu_s: float | None = None
    objective: float | None = None
    gap: float | None = None
    bound: float | None = None
    residual: float | None = None
    iterations: int | None = None
    fallbacks: int | None = None
    peak_mib: float | None = None
    ties_s: float | None = None
    validate_s: float | None = None
    not_run: str | None = None

    def plain(self) -> dict[str, object]:
        """As JSON shows it."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def measured(
    question: Question,
    contenders: Sequence[Contender],
    *,
    repeats: int,
    versions: dict[str, str],
    limit_s: float = LIMIT_S,
) -> list[Row]:
    """Each contender's row; `versions` learns what was met.

    Raises:
        BrokenBenchmarkError: A tool that is there failed.
    """
    runs: dict[Contender, list[Mapping[str, Any]]] = {one: [] for one in contenders}
    why: dict[Contender, str] = {}
    for _ in range(repeats):
        for one in contenders:
            if one in why:
                continue
            answer = _run(one, question, limit_s=limit_s)
            if isinstance(answer, str):
                why[one] = answer
            else:
                runs[one].append(answer)
                versions.update(answer["versions"])
    return [_row(question, one, runs[one], why.get(one)) for one in runs]


def _run(one: Contender, question: Question, *, limit_s: float) -> Mapping[str, Any] | str:
    """One run, or why the tool is not run."""
    command = [
        *(_interpreter(one.tool), "-m", "benchmarks._peers.run", one.tool),
        *(question.family, str(question.batteries)),
        *("--seed", str(question.seed), "--gap", str(question.gap)),
        *("--threads", str(one.threads)),
    ]
    if one.kernels is not None:
        command += ["--kernels", one.kernels]
    print(" ".join(command[3:]), file=sys.stderr, flush=True)
    done = ask(command, limit_s=limit_s, about=f"{one} on {question}")
    if isinstance(done, str):
        return done
    answer: Mapping[str, Any] = json.loads(done[-1])
    return answer


def _interpreter(tool: str) -> str:
    """FlexMeasures pins other versions than the rest, so it has an environment of its own."""
    if tool in OWN_INTERPRETER:
        return sys.executable
    name = "VPP_FLEXMEASURES_PYTHON" if tool == "flexmeasures" else "VPP_PEERS_PYTHON"
    folder = ".venv-flexmeasures" if tool == "flexmeasures" else ".venv-peers"
    return os.environ.get(name) or str(ROOT / folder / "bin" / "python")


def _row(
    question: Question, one: Contender, runs: Sequence[Mapping[str, Any]], not_run: str | None
) -> Row:
    if not runs:
        return Row(
            family=question.family,
            resources=question.batteries,
            tool=one.tool,
            threads=one.threads,
            kernels=one.kernels,
            not_run=not_run,
        )
    totals = [run["build_s"] + run["solve_s"] for run in runs]
    middle = runs[totals.index(median_low(totals))]
    told = ("build_s", "solve_s", "cpu_s", "objective", "gap", "bound", "residual")
    return Row(
        family=question.family,
        resources=question.batteries,
        tool=one.tool,
        threads=one.threads,
        kernels=one.kernels,
        total_s=middle["build_s"] + middle["solve_s"],
        peak_mib=max(run["peak_mib"] for run in runs),
        not_run=not_run,
        **{
            name: middle[name]
            for name in (*told, "iterations", "fallbacks", "ties_s", "validate_s")
        },
    )


def disagreements(rows: Sequence[Row], *, ours: str) -> Iterator[str]:
    """Every row whose objective is not that of our first, within what both have proven."""
    first: dict[tuple[str, int], Row] = {}
    for row in rows:
        if row.tool == ours and row.objective is not None:
            first.setdefault((row.family, row.resources), row)
    for row in rows:
        one = first.get((row.family, row.resources))
        if one is None or one.objective is None or row.objective is None:
            continue
        allowed = (one.gap or 0.0) + (row.gap or 0.0) + LP_AGREES
        away = abs(row.objective - one.objective) / max(abs(one.objective), 1.0)
        if away > allowed:
            yield (
                f"{row.family} {row.resources}: {row.tool} says {row.objective:.8g}, we say"
                f" {one.objective:.8g}; {away:.1e} is more than {allowed:.1e}"
            )
