"""Baselines from like days: which past days count, their mean by interval, the day's own correction.

    days back ──▶ same type, not excluded ──▶ the last n ──▶ no outliers ──▶ the k highest ──▶ mean ──▶ × ratio

Energies are draw above 0, in MWh by interval, newest day first. A day of an event never counts, so no
baseline learns from what it is to judge. The methods differ in their numbers only: those stand in the
market file, and `METHODS` of `rulebook.py` says which of them a method must be given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

from vpp.errors import DataError

OUTLIER = Decimal("0.25")
"""`energy_outlier_25pct` says it in its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastDay:
    """One day of a meter."""

    day: date
    kind: str
    """Its type: days of one type are compared."""
    energy_mwh: tuple[Decimal, ...]
    """Of each interval."""
    flags: frozenset[str] = frozenset()
    """event, outage, orderly_use, holiday, low_quality."""

    @property
    def total_mwh(self) -> Decimal:
        return sum(self.energy_mwh, Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRule:
    """The numbers of a method."""

    n_days: int
    window_days: int
    exclude: frozenset[str]
    same_type: bool = True
    rank: Literal["all", "highest", "lowest"] = "all"
    k: int | None = None
    min_days: int = 1


def like_days(rule: DayRule, day: date, kind: str, past: Sequence[PastDay]) -> tuple[PastDay, ...]:
    """The days that a baseline for `day` is made of, newest first.

    Raises:
        DataError: There are fewer than `min_days` of them.
    """
    oldest, banned = day - timedelta(days=rule.window_days), rule.exclude | {"event"}
    newest_first = sorted(past, key=lambda p: p.day, reverse=True)
    found = [
        p
        for p in newest_first
        if oldest <= p.day < day and not p.flags & banned and (p.kind == kind or not rule.same_type)
    ][: rule.n_days]
    if found and "energy_outlier_25pct" in rule.exclude:
        mean = sum((p.total_mwh for p in found), Decimal(0)) / len(found)
        found = [p for p in found if abs(p.total_mwh - mean) <= OUTLIER * abs(mean)]
    if rule.rank != "all" and rule.k is not None:
        sign = -1 if rule.rank == "highest" else 1
        kept = sorted(found, key=lambda p: sign * p.total_mwh)[: rule.k]
        found = [p for p in found if p in kept]
    if len(found) < max(rule.min_days, 1):
        raise DataError(
            f"{len(found)} like days within {rule.window_days} days",
            where=f"baseline of {day}",
            fix=f"Wait until there are {max(rule.min_days, 1)}, or widen the window",
        )
    return tuple(found)


def mean_mwh(days: Sequence[PastDay]) -> tuple[Decimal, ...]:
    """The mean energy of each interval."""
    columns = zip(*(p.energy_mwh for p in days), strict=True)
    return tuple(sum(column, Decimal(0)) / len(days) for column in columns)


def ratio_adjusted(
    baseline_mwh: Sequence[Decimal],
    *,
    actual_before: Decimal,
    baseline_before: Decimal,
    least: Decimal,
    most: Decimal,
) -> tuple[Decimal, ...]:
    """Times actual over baseline in the hours before the notice, within bounds; unchanged where those were 0."""
    if baseline_before == 0:
        return tuple(baseline_mwh)
    ratio = min(max(actual_before / baseline_before, least), most)
    return tuple(energy * ratio for energy in baseline_mwh)


def shift_adjusted(
    baseline_mwh: Sequence[Decimal], *, actual_before: Decimal, baseline_before: Decimal
) -> tuple[Decimal, ...]:
    """Plus what was drawn more per interval in the hours before the notice; the means of those hours."""
    return tuple(energy + actual_before - baseline_before for energy in baseline_mwh)


def same_day(before_mwh: Sequence[Decimal], after_mwh: Sequence[Decimal]) -> Decimal:
    """The mean of the intervals before and after an event, skipped hours left out by the caller."""
    used = [*before_mwh, *after_mwh]
    return sum(used, Decimal(0)) / len(used)
