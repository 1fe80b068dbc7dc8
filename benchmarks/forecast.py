"""Our forecasts on measured series, beside naive ones and other forecasters.

    python benchmarks/forecast.py --json [--sets load,price,pv_2012] [--models auto,lightgbm] [--plot DIR]

Day-ahead: issued at 12:00 local time for the next local day, one day after the other (rolling origin),
trained on the past only and anew every four weeks. The window that counts is the last third of each
series (`test`); whatever was chosen by hand was chosen on the second third (`--window validation`).
`auto` is our choice by back-test on the series' own past, calibrated; `best_naive_mae` is of that naive
model which is best in the window itself, so nobody could have known it. What models know of the
weather stands in each row.

Peers get the same days, the same past and, where they take regressors, the matrix that our own
boosting model sees; they run in an environment of their own (`make peers`). One that is not there is
told as not run; `--require` makes that an error. Exit 0, also where a figure is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import date
from itertools import groupby
from math import isnan
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean

if __package__ in (None, ""):  # run as a script, not as `python -m benchmarks.forecast`
    sys.path.insert(0, str(Path(__file__).parents[1]))

from rich.console import Console
from rich.table import Table

from benchmarks._forecast import peers, timing
from benchmarks._forecast.data import SETS, Series, windows
from benchmarks._forecast.models import AUTO, NAIVE, candidates, marks
from benchmarks._forecast.rolling import Run, rolled
from benchmarks._forecast.scores import Score, score
from benchmarks._forecast.verdicts import verdicts
from benchmarks.harness import Benchmark, BrokenBenchmarkError, Figure, machine
from vpp.errors import PlanError

WIDTH = 150
"""Of the table, in letters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One model on one set; numbers are None where it was not run."""

    set: str
    kind: str
    unit: str
    model: str
    peer: bool
    weather: str
    window: str
    first_day: str
    last_day: str
    days: int
    mae: float | None = None
    best_naive_mae: float | None = None
    ratio: float | None = None
    """MAE to that of the best naive model."""

    nrmse: float | None = None
    crps: float | None = None
    coverage80: float | None = None
    scored: int | None = None
    chosen: str | None = None
    """What `auto` took, and how often."""

    fits: int | None = None
    fit_s_max: float | None = None
    issue_s_mean: float | None = None
    not_run: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of each set."""

    models: tuple[str, ...]
    """Beside the naive ones, which every set is measured by."""

    window: str = "test"
    every: int = 1
    """1 takes all days of the window, 9 one in nine."""

    most_days: int | None = None
    plot: Path | None = None


def main() -> int:
    asked = _arguments()
    names = _sets(asked.sets)
    question = Question(
        models=tuple(name for name in asked.models.split(",") if name),
        window=asked.window,
        every=asked.every,
        most_days=asked.days,
        plot=asked.plot,
    )
    known_models = dict.fromkeys(name for one in SETS.values() for name in candidates(one.kind))
    for what, given, known in (
        ("set", names, tuple(SETS)),
        ("model", question.models, (*known_models, *peers.PEERS)),
    ):
        if stray := [name for name in given if name not in known]:
            print(f"no {what} {', '.join(stray)}: use some of {', '.join(known)}", file=sys.stderr)
            return 2
    facts = machine()
    try:
        rows = measured(names, question, jobs=asked.jobs)
        figures = verdicts([asdict(row) for row in rows])
        figures += timing.figures() if asked.timing else []
    except BrokenBenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    if asked.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], "machine": facts,
                          "figures": [figure.plain() for figure in figures]}))  # fmt: skip
    else:
        _show(facts, rows, figures)
    missing = [row for row in rows if row.not_run is not None]
    for row in missing:
        print(f"{row.set} {row.model}: not run: {row.not_run}", file=sys.stderr)
    return 1 if asked.require and missing else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/forecast.py", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--sets", default="all", help="names or kinds of sets, or all")
    parser.add_argument(
        "--models", default=",".join((AUTO, *peers.PEERS)), help="beside the naive ones"
    )
    parser.add_argument("--window", choices=("test", "validation"), default="test")
    parser.add_argument("--every", type=int, default=1, help="9: one day in nine")
    parser.add_argument("--days", type=int, help="no more days than that")
    parser.add_argument("--jobs", type=int, default=1, help="sets at a time")
    parser.add_argument("--timing", action="store_true", help="measure how long ours take")
    parser.add_argument("--plot", type=Path, metavar="DIR", help="write reliability and fans")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--require", action="store_true", help="a peer not there is an error")
    return parser.parse_args()


def _sets(asked: str) -> list[str]:
    """Names as they were given, kinds spelt out."""
    if asked == "all":
        return list(SETS)
    names: list[str] = []
    for one in asked.split(","):
        names += [name for name in SETS if SETS[name].kind == one] or [one]
    return names


def measured(names: Sequence[str], question: Question, *, jobs: int = 1) -> list[Row]:
    """The rows of each set, in the order given."""
    if jobs == 1:
        return [row for name in names for row in measured_set(name, question)]
    # Spawned, not forked: threads of the libraries would not survive a fork.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        asked = [pool.submit(measured_set, name, question) for name in names]
        return [row for one in asked for row in one.result()]


def measured_set(name: str, question: Question) -> list[Row]:
    """Every model on one set."""
    series = SETS[name].read()
    days = windows(series)[question.window][:: question.every][: question.most_days]
    print(f"{name}: {days[0]} … {days[-1]}, {len(days)} days", file=sys.stderr, flush=True)
    known = candidates(series.kind)
    runs: dict[str, Run | str] = {}
    for model in dict.fromkeys((*marks(series.kind), *question.models)):
        if model in peers.WITHOUT_REGRESSORS or (model in peers.PEERS and series.kind == "load"):
            runs[model] = peers.run(model, series, days)
        elif model in known:
            try:
                runs[model] = rolled(series, days, known[model](series))
            except PlanError as error:
                runs[model] = str(error)
    if question.plot is not None:
        from benchmarks._forecast import pictures  # matplotlib is an extra

        shown = [run for run in runs.values() if isinstance(run, Run)]
        pictures.draw(series, shown, question.plot)
    return list(_rows(series, days, question.window, runs))


def _rows(
    series: Series, days: Sequence[date], window: str, runs: Mapping[str, Run | str]
) -> Iterator[Row]:
    scores = {
        model: score(run.all_quantiles, run.all_actual)
        for model, run in runs.items()
        if isinstance(run, Run)
    }
    best = min((scores[name].mae for name in NAIVE if name in scores), default=None)
    for model, run in runs.items():
        blank = Row(
            set=series.name,
            kind=series.kind,
            unit=series.unit,
            model=model,
            peer=model in peers.PEERS,
            weather=series.weather,
            window=window,
            first_day=str(days[0]),
            last_day=str(days[-1]),
            days=len(days),
            best_naive_mae=best,
        )
        if isinstance(run, str):
            yield replace(blank, not_run=run)
        else:
            yield _told(blank, run, scores[model])


def _told(blank: Row, run: Run, scores: Score) -> Row:
    """The row with its numbers."""
    best = blank.best_naive_mae
    return replace(
        blank,
        mae=scores.mae,
        nrmse=None if isnan(scores.nrmse) else scores.nrmse,
        crps=scores.crps,
        coverage80=scores.coverage80,
        scored=scores.scored,
        ratio=scores.mae / best if best else None,
        chosen=", ".join(f"{n} × {name}" for name, n in Counter(run.chosen).items()) or None,
        fits=len(run.fit_s) or None,
        fit_s_max=max(run.fit_s, default=None),
        issue_s_mean=fmean(run.issue_s) if run.issue_s else None,
    )


def _show(facts: Mapping[str, object], rows: Sequence[Row], figures: Sequence[Figure]) -> None:
    console = Console(width=WIDTH)
    console.print(", ".join(f"{name} {value}" for name, value in facts.items()))
    for (name, first, last, weather), some in groupby(
        rows, key=lambda row: (row.set, row.first_day, row.last_day, row.weather)
    ):
        shown = list(some)
        table = Table(
            title=f"{name}: {shown[0].window} {first} … {last}, {shown[0].days} days, in"
            f" {shown[0].unit}; weather: {weather}",
            title_justify="left",
            min_width=100,
        )
        table.add_column("model")
        for head in ("MAE", "/ best naive", "nRMSE", "CRPS", "covers 80 %", "fit s", "issue s"):
            table.add_column(head, justify="right")
        table.add_column("chosen")
        for row in shown:
            if row.not_run is not None:
                table.add_row(row.model, "not run", *[""] * 6, row.not_run)
                continue
            numbers = (row.mae, row.ratio, row.nrmse, row.crps, row.coverage80)
            seconds = (row.fit_s_max, row.issue_s_mean)
            table.add_row(
                row.model,
                *("" if x is None else f"{x:.4g}" for x in (*numbers, *seconds)),
                row.chosen or "",
            )
        console.print(table)
    verdict = Table(title="figures", title_justify="left", min_width=100)
    for head in ("figure", "measured", "unit", "promised", ""):
        verdict.add_column(head)
    for one in figures:
        told = "?" if one.measured is None else f"{one.measured:.4g}"
        verdict.add_row(one.name, told, one.unit, one.promised, one.verdict)
    console.print(verdict)


# ---------------------------------------------------------------- among the benchmarks


def measure(small: bool) -> Sequence[Figure]:
    """A building, one day in 27, without peers; the smallest size is two days of a temperature.

    Raises:
        BrokenBenchmarkError: A model gave something that is no forecast.
    """
    question = Question(models=(AUTO,), every=27, most_days=2 if small else None)
    rows = measured(("temperature",) if small else ("cambridge_b36",), question)
    for row in rows:
        if row.not_run is not None:
            raise BrokenBenchmarkError(f"{row.set} {row.model}: {row.not_run}")
    return [
        Figure(name=f"{row.set} {row.model}: MAE / best naive", measured=row.ratio) for row in rows
    ]


BENCHMARK = Benchmark(about="our forecasts on measured series", measure=measure)

if __name__ == "__main__":
    sys.exit(main())
