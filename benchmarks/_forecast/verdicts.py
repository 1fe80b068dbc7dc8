"""The figures that were asked for, from the rows: `met`, `missed`, or not told where rows are missing.

A figure that needs rows which were not run is left out, so that part of the benchmark can be run
alone; none is called met by what it did not look at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any, TypeAlias

from benchmarks.harness import Figure

Row: TypeAlias = Mapping[str, Any]

AUTO = "auto"
PERSISTENCE = ("clear-sky-persistence", "clear-sky-of-the-day")
"""Two readings of it; the better one in the window is the mark."""

WITHIN = 1.03
"""How far above a peer our CRPS may lie."""


def verdicts(rows: Sequence[Row]) -> list[Figure]:
    """Every figure that the rows can tell."""
    told = [row for row in rows if row["not_run"] is None]
    return [*_loads(told), *_beside_peers(told), *_price(told), *_pv(told), *_cars(told)]


def _of(rows: Sequence[Row], kind: str, model: str = AUTO) -> list[Row]:
    return [row for row in rows if row["kind"] == kind and row["model"] == model]


def _loads(rows: Sequence[Row]) -> Iterator[Figure]:
    ours = _of(rows, "load")
    if not ours:
        return
    sets = f"{len(ours)} load sets"
    ratios = [row["ratio"] for row in ours]
    covered = [row["coverage80"] for row in ours]
    yield Figure(name=f"MAE / best naive, mean of {sets}", measured=fmean(ratios), at_most=0.9)
    yield Figure(name=f"MAE / best naive, worst of {sets}", measured=max(ratios), at_most=1.0)
    yield Figure(
        name=f"80 % interval covers, mean of {sets}",
        measured=fmean(covered),
        at_least=0.77,
        at_most=0.83,
    )
    yield Figure(name=f"80 % interval covers, least of {sets}", measured=min(covered), at_least=0.7)
    yield Figure(name=f"80 % interval covers, most of {sets}", measured=max(covered), at_most=0.9)


def _beside_peers(rows: Sequence[Row]) -> Iterator[Figure]:
    """Mean over the sets of our CRPS by that of each peer."""
    ours = {row["set"]: row["crps"] for row in _of(rows, "load")}
    peers = dict.fromkeys(row["model"] for row in rows if row["peer"])
    for peer in peers:
        ratios = [
            ours[row["set"]] / row["crps"] for row in _of(rows, "load", peer) if row["set"] in ours
        ]
        if ratios:
            yield Figure(
                name=f"CRPS / {peer}, mean of {len(ratios)} load sets",
                measured=fmean(ratios),
                at_most=WITHIN,
            )


def _price(rows: Sequence[Row]) -> Iterator[Figure]:
    for row in _of(rows, "price"):
        yield Figure(name=f"{row['set']}: MAE", measured=row["mae"], unit="EUR/MWh", at_most=1.85)


def _pv(rows: Sequence[Row]) -> Iterator[Figure]:
    by = {(row["set"], row["model"]): row for row in rows if row["kind"] == "pv"}
    beside = [row for (_, model), row in by.items() if model in PERSISTENCE]
    if not beside:
        return
    for name, asked, most in (("pv_2012", "mae", 1.0), ("pv_2012_weather", "nrmse", 0.5)):
        if (ours := by.get((name, AUTO))) is not None:
            yield Figure(
                name=f"{name}: {asked} / clear-sky persistence",
                measured=ours[asked] / min(row[asked] for row in beside),
                at_most=most,
            )


def _cars(rows: Sequence[Row]) -> Iterator[Figure]:
    for kind, what in (("ev_daily", "daily energy"), ("ev_arrivals", "arrival profile")):
        means = {row["set"]: row["mae"] for row in _of(rows, kind, "same-weekday-mean")}
        ratios = [row["mae"] / means[row["set"]] for row in _of(rows, kind) if row["set"] in means]
        if ratios:
            yield Figure(
                name=f"{what}: MAE / same-weekday mean, mean of {len(ratios)}",
                measured=fmean(ratios),
                at_most=1.0,
            )
            yield Figure(
                name=f"{what}: MAE / same-weekday mean, worst of {len(ratios)}",
                measured=max(ratios),
                at_most=1.0,
            )
