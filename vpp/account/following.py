"""How a signal is followed while it runs: the numbers a venue will judge by, at every moment and in little memory.

    ask(at, MW)   ─▶ the instruction before is over: delay, rate, error join the sums
    see(at, MW)   ─▶ joins the samples of the instruction that runs, the band, the grid of the last hour
    told()        ─▶ everything so far

An instruction is kept only as sums once the next one came, and the hour as 360 points, so a signal may run for
years. The samples of the instruction that runs are thinned by half where it lasts long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from vpp.account import performance
from vpp.account.performance import Parts
from vpp.account.pjmscore import GRID_S, PjmScore, pjm_score_of
from vpp.account.regulation import Followed, Sample, index_of, judged
from vpp.model.time import latest_boundary

ZERO = Decimal(0)
GRID = timedelta(seconds=GRID_S)
HOUR_POINTS = 3600 // GRID_S
MOST_SAMPLES = 1200
"""Of the instruction that runs."""

PARTS: Mapping[str, tuple[Callable[..., Parts], frozenset[str]]] = {
    "cn_hunan_k": (performance.hunan_parts, frozenset({"t0_s", "e0_pct", "k1_cap"})),
    "cn_south_k": (performance.south_parts, frozenset({"t0_s", "e0_pct"})),
    "cn_kp_product": (performance.north_parts, frozenset({"t0_s", "e0_pct", "floor"})),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """By what a signal is judged."""

    index: str
    """Of `vpp.account.rulebook.INDEXES`."""

    params: Mapping[str, Decimal]
    capacity_mw: Decimal
    standard_rate: Decimal
    """MW a minute."""

    band_share: Decimal = Decimal("0.05")
    """A sample is accepted within this share of what is asked …"""
    band_mw: Decimal = ZERO
    """… or so many MW, whichever is more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How a signal was followed so far; None where nothing can be said yet."""

    asked_mw: Decimal
    response_mw: Decimal | None
    mileage_mw: Decimal
    instructions: int
    """Judged: they moved the signal, and two samples or more were seen before the next."""
    samples: int
    first_reaction_s: Decimal | None
    """Of the first instruction, until a tenth of it was done."""
    delay_s: Decimal | None
    rate_mw_per_min: Decimal | None
    error_mw: Decimal | None
    """Means over the instructions."""
    parts: Parts | None
    index: Decimal | None
    """Means over the instructions by the rule; None where the rule judges something else."""
    in_band: Decimal | None
    """Share of samples."""
    pjm: PjmScore | None
    """Of the last hour."""


@dataclass(slots=True)
class Following:
    """One signal under way."""

    rule: Rule
    """Of now: each instruction is judged by that which holds when the next one comes."""
    asked_mw: Decimal = ZERO
    response_mw: Decimal | None = None
    mileage_mw: Decimal = ZERO
    _from_mw: Decimal = ZERO
    _since: datetime | None = None
    _samples: list[Sample] = field(default_factory=list)
    _first_s: Decimal | None = None
    _judged: int = 0
    _sums: list[Decimal] = field(default_factory=lambda: [ZERO] * 7)
    """Delay, rate, error, three parts, index."""
    _seen: int = 0
    _in_band: int = 0
    _grid: deque[tuple[datetime, float, float]] = field(
        default_factory=lambda: deque(maxlen=HOUR_POINTS)
    )

    def ask(self, at: datetime, mw: Decimal) -> None:
        """The signal moves to `mw`; the same again is no instruction."""
        if mw == self.asked_mw and self._since is not None:
            return
        self._close()
        self.mileage_mw += abs(mw - self.asked_mw)
        self._from_mw, self.asked_mw, self._since = self.asked_mw, mw, at
        self._samples = []

    def see(self, at: datetime, response_mw: Decimal) -> None:
        """The park answers with `response_mw` at a moment that is not before the newest one."""
        if self._since is None or at < self._since:
            return
        self._samples.append(Sample(at, response_mw))
        if len(self._samples) > MOST_SAMPLES:
            self._samples = self._samples[::2]
        self._seen += 1
        self._in_band += self._accepts(response_mw)
        self.response_mw = response_mw
        slot = latest_boundary(at, GRID)
        if not self._grid or self._grid[-1][0] < slot:
            self._grid.append((slot, float(self.asked_mw), float(response_mw)))

    @property
    def in_band(self) -> Decimal | None:
        """Share of samples within the band; None before the first."""
        return Decimal(self._in_band) / self._seen if self._seen else None

    def told(self) -> Told:
        """Everything so far, the instruction that runs left out."""
        whole = [total / self._judged for total in self._sums] if self._judged else None
        known = self.rule.index in PARTS
        return Told(
            asked_mw=self.asked_mw,
            response_mw=self.response_mw,
            mileage_mw=self.mileage_mw,
            instructions=self._judged,
            samples=self._seen,
            first_reaction_s=self._first_s,
            delay_s=whole[0] if whole else None,
            rate_mw_per_min=whole[1] if whole else None,
            error_mw=whole[2] if whole else None,
            parts=Parts(*whole[3:6]) if whole and known else None,
            index=whole[6] if whole and known else None,
            in_band=self.in_band,
            pjm=pjm_score_of(
                [asked for _, asked, _ in self._grid], [given for _, _, given in self._grid]
            ),
        )

    def _accepts(self, response_mw: Decimal) -> bool:
        width = max(self.rule.band_share * abs(self.asked_mw), self.rule.band_mw)
        return abs(response_mw - self.asked_mw) <= width

    def _close(self) -> None:
        """Judge the instruction that is over; where nothing is awarded there is nothing to judge it by."""
        if self.rule.capacity_mw <= 0 or self.rule.standard_rate <= 0:
            return
        if self._since is None or self.asked_mw == self._from_mw or len(self._samples) < 2:
            return
        one = judged(self._since, self._from_mw, self.asked_mw, self._samples)
        if self._first_s is None:
            self._first_s = one.delay_s
        self._judged += 1
        numbers = (one.delay_s, one.rate_mw_per_min, one.error_mw, *self._by_rule(one))
        self._sums = [a + b for a, b in zip(self._sums, numbers, strict=True)]

    def _by_rule(self, one: Followed) -> tuple[Decimal, ...]:
        rule = self.rule
        if rule.index not in PARTS:
            return (ZERO,) * 4
        parts_of, names = PARTS[rule.index]
        parts = parts_of(
            rate=one.rate_mw_per_min,
            standard_rate=rule.standard_rate,
            delay_s=one.delay_s,
            error_mw=one.error_mw,
            capacity_mw=rule.capacity_mw,
            **{name: rule.params[name] for name in names},
        )
        index = index_of(
            rule.index,
            rule.params,
            [one],
            capacity_mw=rule.capacity_mw,
            standard_rate=rule.standard_rate,
        )
        return (*parts, index)
