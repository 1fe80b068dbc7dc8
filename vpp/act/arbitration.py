"""Who may say what a resource does: five sources, each narrows the room for the next.

    device protection > grid orders > operator override > awards > strategy

    protection  [-100 ─────────────────────────────── 100]
    grid order  [-100 ──────────────── 40]                  feeds at most 40
    operator               [-20 ────── 40]                  draws at most 20
    award                          wish 60 ▶ 40             cut to the nearest bound, and it says so
    strategy                               40               nothing is left to say

A claim is bounds, a wish, or both; it lapses at its end unless it is renewed. The first source with a
wish wins: a wish is the narrowest room there is, so who comes after finds no other. What a source
asks beyond the room it was left with becomes the nearest point of that room.

Claims of one source are equals: the narrowest of their bounds holds, and of two wishes the one nearer
to 0. Bounds of equals that leave nothing between them say nothing at all about that resource: it is
as the higher sources left it, and the claims are named. Protection has nobody above it: there the
resource is held at the point nearest to 0 between what the claims ask.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError
from vpp.model.horizon import Floats
from vpp.model.time import require_utc

NOBODY = -1
"""The winner where nobody wishes anything."""

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


class Source(IntEnum):
    """Highest first: who comes earlier binds who comes later. The number is the winner's code."""

    PROTECTION = 0
    GRID = 1
    OPERATOR = 2
    AWARD = 3
    STRATEGY = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Claim:
    """What one order, override, award or plan asks of some resources; net injection in kW.

    Raises:
        DataError: A NaN bound, a low one above the high one, an infinite wish, a wrong shape, or an
            end that is not in UTC.
    """

    source: Source
    name: str
    """Which order, override, award or plan: for the record."""

    rows: Ints | None = None
    """The resources it is about, by their place in the park, each once; None: all of them."""

    low_kw: Floats | float = -np.inf
    """One for all, or one for each of `rows`; minus infinity: none."""

    high_kw: Floats | float = np.inf
    wish_kw: Floats | float = np.nan
    """NaN: no wish."""

    expires_at: datetime
    """From then on it is no longer there."""

    def __post_init__(self) -> None:
        require_utc(self.expires_at, where=self._where)
        shape = () if self.rows is None else self.rows.shape
        for field in ("low_kw", "high_kw", "wish_kw"):
            found = np.shape(getattr(self, field))
            if found and self.rows is not None and found != shape:
                self._refuse(f"{field} has the shape {found}, not {shape}")
        if np.isnan(self.low_kw).any() or np.isnan(self.high_kw).any():
            self._refuse("a bound is NaN")
        if not np.all(np.less_equal(self.low_kw, self.high_kw)):
            self._refuse("a low bound is above the high one")
        if np.any(np.equal(self.low_kw, np.inf)) or np.any(np.equal(self.high_kw, -np.inf)):
            self._refuse("a bound asks for infinite power")
        if np.isinf(self.wish_kw).any():
            self._refuse("a wish is infinite")

    def require_fits(self, size: int) -> None:
        """Refuse a claim that is not about a park of `size` resources.

        Raises:
            DataError: Rows that are not there, or that come twice; values for others than the rows.
        """
        if self.rows is not None:
            rows = np.sort(self.rows)
            if len(rows) and (rows[0] < 0 or rows[-1] >= size or (np.diff(rows) == 0).any()):
                self._refuse(f"rows are not each one of {size}, once")
        elif any(
            np.shape(v) not in ((), (size,)) for v in (self.low_kw, self.high_kw, self.wish_kw)
        ):
            self._refuse(f"it has not one value for each of {size}")

    def is_about(self, row: int) -> bool:
        return self.rows is None or bool((self.rows == row).any())

    @property
    def _where(self) -> str:
        return f"claim {self.name} of {self.source.name.lower()}"

    def _refuse(self, what: str) -> None:
        raise DataError(
            what,
            where=self._where,
            fix="Give finite kW, low <= high, one for each row; leave a bound or wish out for none",
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cut:
    """Where a claim did not get what it asked."""

    claim: int
    """Its place among the claims."""

    is_wish: bool
    """Whether it is its wish; else it is a bound."""

    rows: Ints
    asked_kw: Floats
    """The wish, or the bound that lies beyond what was left; shape (rows,)."""

    got_kw: Floats
    """The nearest power that was left to it."""

    held_by: Ints
    """The place among the claims of the one that holds the bound it was cut to."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conflict:
    """Claims of one source whose bounds leave nothing between them."""

    source: Source
    names: tuple[str, ...]
    rows: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one source found at one resource, and what became of what it asked there."""

    source: Source
    low_kw: float
    """The bounds it was left with; infinite where nobody before it bound the resource."""

    high_kw: float
    claims: tuple[str, ...]
    """The names of its claims on the resource."""

    wins: bool
    """Whether its wish is what is done."""

    cuts: tuple[str, ...]
    """What it did not get, in words."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Settled:
    """What holds for each of n resources, and how it came to that."""

    claims: tuple[Claim, ...]
    """Those that were heard, highest source first."""

    lapsed: tuple[Claim, ...]
    """Those that had ended."""

    low_kw: Floats
    """What is left when all have spoken, shape (n,); infinite where nobody bounds it."""

    high_kw: Floats
    wish_kw: Floats
    """What the winner wants, within all bounds; NaN where nobody wishes anything."""

    winner: NDArray[np.int8]
    """The `Source` whose wish it is, or `NOBODY`."""

    winning_claim: Ints
    """Its place among `claims`, or `NOBODY`."""

    left: Mapping[Source, tuple[Floats, Floats]]
    """The bounds (low, high) that each source found when its turn came, shape (n,) each."""

    cuts: tuple[Cut, ...]
    conflicts: tuple[Conflict, ...]

    def turns(self, row: int) -> tuple[Turn, ...]:
        """How it came to what holds for the resource at `row`, source by source: for the record."""
        return tuple(
            Turn(
                source=source,
                low_kw=float(low[row]),
                high_kw=float(high[row]),
                claims=tuple(c.name for c in self.claims if c.source is source and c.is_about(row)),
                wins=bool(self.winner[row] == source),
                cuts=tuple(self._cut_texts(source, row)),
            )
            for source, (low, high) in self.left.items()
        )

    def _cut_texts(self, source: Source, row: int) -> Iterator[str]:
        for cut in self.cuts:
            claim = self.claims[cut.claim]
            for at in np.flatnonzero(cut.rows == row) if claim.source is source else ():
                holder = self.claims[cut.held_by[at]]
                yield (
                    f"{claim.name} {'wished' if cut.is_wish else 'set a bound at'}"
                    f" {cut.asked_kw[at]:g} kW and got {cut.got_kw[at]:g} kW:"
                    f" {holder.name} ({holder.source.name.lower()}) leaves no more"
                )
        for conflict in self.conflicts:
            if conflict.source is source and row in conflict.rows:
                yield f"{' and '.join(conflict.names)} leave nothing between them"


def arbitrate(claims: Sequence[Claim], size: int, *, now: datetime) -> Settled:
    """Let `claims` narrow the room of `size` resources, in the order of their sources.

    Raises:
        DataError: A claim names a row that is not there, or one twice, or has one value too many.
    """
    for claim in claims:
        claim.require_fits(size)
    heard = sorted((c for c in claims if c.expires_at > now), key=lambda claim: claim.source)
    table = _Table(heard, size)
    for source in Source:
        table.hear(source)
    return table.settled(tuple(claim for claim in claims if claim.expires_at <= now))


class _Table:
    """The room as it is after the sources that have spoken."""

    def __init__(self, claims: Sequence[Claim], size: int) -> None:
        self._claims = tuple(claims)
        self._low, self._high = np.full(size, -np.inf), np.full(size, np.inf)
        self._low_by = np.full(size, NOBODY, dtype=np.int64)
        self._high_by = self._low_by.copy()
        self._wish = np.full(size, np.nan)
        self._winner = np.full(size, NOBODY, dtype=np.int8)
        self._winning = self._low_by.copy()
        self._left: dict[Source, tuple[Floats, Floats]] = {}
        self._cuts: list[Cut] = []
        self._conflicts: list[Conflict] = []

    def hear(self, source: Source) -> None:
        """Let one source speak: what it asks narrows the room of all that follow."""
        self._left[source] = self._low, self._high
        mine = [(at, claim) for at, claim in enumerate(self._claims) if claim.source is source]
        if not mine:
            return
        said = _Said(len(self._low))
        for at, claim in mine:
            said.add(at, claim)
        self._part(source, said)
        low, high = (
            np.clip(said.low, self._low, self._high),
            np.clip(said.high, self._low, self._high),
        )
        self._note(False, said.low > self._high, said.low_by, said.low, low, self._high_by)
        self._note(False, said.high < self._low, said.high_by, said.high, high, self._low_by)
        self._low_by = np.where(low > self._low, said.low_by, self._low_by)
        self._high_by = np.where(high < self._high, said.high_by, self._high_by)
        self._low, self._high = low, high
        self._grant(source, said)

    def _part(self, source: Source, said: _Said) -> None:
        """Equals whose bounds leave nothing between them: name them, and take their bounds away."""
        empty = said.low > said.high
        if not empty.any():
            return
        for pair in np.unique(np.stack((said.low_by[empty], said.high_by[empty])), axis=1).T:
            rows = np.flatnonzero(empty & (said.low_by == pair[0]) & (said.high_by == pair[1]))
            names = tuple(self._claims[at].name for at in pair)
            self._conflicts.append(Conflict(source=source, names=names, rows=rows))
        if source is Source.PROTECTION:
            held = np.clip(0.0, said.high, said.low)
            said.low, said.high = np.where(empty, held, said.low), np.where(empty, held, said.high)
        else:
            said.low[empty], said.high[empty] = -np.inf, np.inf

    def _grant(self, source: Source, said: _Said) -> None:
        """Give the wishes what is left, and the room that they take to them."""
        wishes = ~np.isnan(said.wish)
        got = np.clip(said.wish, self._low, self._high)
        self._note(True, wishes & (said.wish > got), said.wish_by, said.wish, got, self._high_by)
        self._note(True, wishes & (said.wish < got), said.wish_by, said.wish, got, self._low_by)
        wins = wishes & (self._winner == NOBODY)
        self._winner[wins] = source
        self._winning = np.where(wins, said.wish_by, self._winning)
        self._wish = np.where(wins, got, self._wish)
        self._low, self._high = np.where(wins, got, self._low), np.where(wins, got, self._high)
        self._low_by = np.where(wins, said.wish_by, self._low_by)
        self._high_by = np.where(wins, said.wish_by, self._high_by)

    def _note(
        self,
        is_wish: bool,
        cut: Bools,
        claim_of: Ints,
        asked_kw: Floats,
        got_kw: Floats,
        held_by: Ints,
    ) -> None:
        """Put on record whose asking was cut, to what, and by whom."""
        for at in np.unique(claim_of[cut]):
            rows = np.flatnonzero(cut & (claim_of == at))
            self._cuts.append(
                Cut(
                    claim=int(at),
                    is_wish=is_wish,
                    rows=rows,
                    asked_kw=asked_kw[rows],
                    got_kw=got_kw[rows],
                    held_by=held_by[rows],
                )
            )

    def settled(self, lapsed: tuple[Claim, ...]) -> Settled:
        return Settled(
            claims=self._claims,
            lapsed=lapsed,
            low_kw=self._low,
            high_kw=self._high,
            wish_kw=self._wish,
            winner=self._winner,
            winning_claim=self._winning,
            left=self._left,
            cuts=tuple(self._cuts),
            conflicts=tuple(self._conflicts),
        )


class _Said:
    """What the claims of one source ask together: the narrowest, and whose each part is."""

    def __init__(self, size: int) -> None:
        self.low, self.high = np.full(size, -np.inf), np.full(size, np.inf)
        self.wish = np.full(size, np.nan)
        self.low_by = np.full(size, NOBODY, dtype=np.int64)
        self.high_by, self.wish_by = self.low_by.copy(), self.low_by.copy()

    def add(self, at: int, claim: Claim) -> None:
        rows = slice(None) if claim.rows is None else claim.rows
        here = self.low[rows]
        narrower = claim.low_kw > here
        self.low[rows] = np.where(narrower, claim.low_kw, here)
        self.low_by[rows] = np.where(narrower, at, self.low_by[rows])
        here = self.high[rows]
        narrower = claim.high_kw < here
        self.high[rows] = np.where(narrower, claim.high_kw, here)
        self.high_by[rows] = np.where(narrower, at, self.high_by[rows])
        here = self.wish[rows]
        nearer = np.isnan(here) | (np.abs(claim.wish_kw) < np.abs(here))
        nearer &= ~np.isnan(claim.wish_kw)
        self.wish[rows] = np.where(nearer, claim.wish_kw, here)
        self.wish_by[rows] = np.where(nearer, at, self.wish_by[rows])
