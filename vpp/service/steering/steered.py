"""How an act cycle came to what it told: who won each resource, and what bounds each source was left with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from vpp.act.arbitration import NOBODY, Settled, Source
from vpp.act.branches import Places
from vpp.act.guard import Guarded, Why
from vpp.model.horizon import Floats


class How(Protocol):
    """Why a resource is told what it is told."""

    def told(self, rows: Places) -> dict[str, list[Any]]:
        """Who decides of resources, in whose words, and within what bounds: columns for the record, shape (K,)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ByHand:
    """Commands of a person's own run, such as a test under supervision: nobody else was heard."""

    by: str

    def told(self, rows: Places) -> dict[str, list[Any]]:
        """The person alone decides."""
        return {"won": ["operator"] * len(rows), "by": [self.by] * len(rows)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Steered:
    """How the newest act cycle came to what it told."""

    settled: Settled
    guarded: Guarded
    narrowed: frozenset[int]
    """Nodes of the tree that an order of the grid narrows now."""

    def won(self, at: int) -> tuple[str, str]:
        """The source that decides what resource number `at` is told, and its own words; empty where nobody does."""
        reason = Why(int(self.guarded.reason[at]))
        if reason is Why.NODE and int(self.guarded.node[at]) in self.narrowed:
            return "grid", self.guarded.why(at)
        if reason is not Why.GRANTED:
            return "protection", self.guarded.why(at)
        claim = int(self.settled.winning_claim[at])
        if claim == NOBODY:  # in hand, and neither award nor plan asks for anything
            told = not np.isnan(self.guarded.power_kw[at])
            return ("operator", "kept within its bounds") if told else ("", "")
        return Source(int(self.settled.winner[at])).name.lower(), self.settled.claims[claim].name

    def left(self, at: int) -> dict[str, tuple[float | None, float | None]]:
        """The bounds that each source found when its turn came; None where nothing bound it."""
        return {
            source.name.lower(): (_finite(low[at]), _finite(high[at]))
            for source, (low, high) in self.settled.left.items()
        }

    def told(self, rows: Places) -> dict[str, list[Any]]:
        """The same of commands, for the record."""
        won = self._won_by(rows)
        columns: dict[str, list[Any]] = {"won": [w for w, _ in won], "by": [by for _, by in won]}
        for source, bounds in self.settled.left.items():
            for side, kw in zip(("low", "high"), bounds, strict=True):
                columns[f"left.{source.name.lower()}.{side}"] = _finite_column(kw[rows])
        return columns

    def _won_by(self, rows: Places) -> list[tuple[str, str]]:
        """`won` of many: those whose claim was granted as it stood have the words of that claim."""
        winner, claim = self.settled.winner[rows], self.settled.winning_claim[rows]
        granted = (self.guarded.reason[rows] == Why.GRANTED) & (claim != NOBODY)
        kind = np.where(granted, winner.astype(np.int64) * len(self.settled.claims) + claim, -1)
        _, first, of = np.unique(kind, return_index=True, return_inverse=True)
        words = [self.won(at) for at in rows[first].tolist()]
        won = [words[number] for number in of.tolist()]
        for place in np.flatnonzero(~granted).tolist():
            won[place] = self.won(int(rows[place]))
        return won


def _finite(value: np.floating) -> float | None:
    return round(float(value), 3) if np.isfinite(value) else None


def _finite_column(values: Floats) -> list[float | None]:
    """The same of many, shape (K,)."""
    rounded: list[float | None] = np.round(values, 3).tolist()
    for at in np.flatnonzero(~np.isfinite(values)).tolist():
        rounded[at] = None
    return rounded
