"""The normal equations of buses, taken apart kind by kind: one bus is one column of arrays, nothing is dense but S.

Rows leave in this order (theta is the weight of a column, th_x of the columns x):

1. *Stores.* B is tridiagonal in the steps: with E = gain th_into + loss th_out (the coupling with the bus row of
   the same step) and a = gain² th_into + loss² th_out, th_level including the soft levels,

       p_0 = a_0;  d_t = th_level,t + p_t;  g_t = th_level,t / d_t;  p_t+1 = a_t+1 + keep² g_t p_t
       B = L diag(d) L',  L_t+1,t = -keep g_t = -l_t
       (B^-1)_tj = iv_j l_t l_t+1 ... l_j-1  (t <= j),  iv_t = 1/d_t + l_t² iv_t+1

   sums of positive numbers only, so nothing cancels however full of room a store is.
2. *Budgets*: M = weight² Σ th_draw + th_lacking + th_spare, coupled with the bus by -weight th_draw.
3. *Peaks*: `peaks`; their coupling with the bus is -N, F is the inverse of their own matrix.
   *Tapers* leave before all: `tapers` says what they make of theta, keep, and the coupling with the bus.
4. *Day limits*: loss² th_out within the days couples them with their store, loss th_out with the bus;
   what is left after the store is a small dense matrix on the days of a bus.
5. *Bus*: S = diag(th_into + th_out) - E B^-1 E (stores) + diag(th_draw) - (weight th_draw)(…)'/M
   + diag(Σ here² th) - N' F N (parts and peaks) - days' border, T x T, Cholesky.

E B^-1 E is formed in blocks of `WIDTH` steps: with P_t the product of l from the block's begin to t - 1, rows
E_t / P_t, columns E_j iv_j P_j, which every earlier block multiplies by its whole product. One small product of
matrices a block then does all stores of a bus, and the rank-one terms beside them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from vpp.model.horizon import Floats
from vpp.plan.fleet.chains import DEAD, DROPPED, Chains
from vpp.plan.fleet.dense import DEAD_PIVOT, careful, roots, twice
from vpp.plan.fleet.layout import Columns, Rows
from vpp.plan.fleet.matrix import Frame
from vpp.plan.fleet.peaks import Peaks, factor_peaks, take_off_intervals
from vpp.plan.fleet.tapers import Bent, bend

WIDTH = 16
"""Steps of a block of the product that forms S."""

SMALLEST_LINK = 1e-18
"""Below rounding; its 16th power is still a normal number."""

LIFT = 1.0 + 1e-13
"""Of the diagonal of S, above its rounding."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DayFactors:
    """The border of day limits."""

    with_store: Floats
    """loss² th_out in the limit's steps, and what follows a taper; shape (B, nD, T)."""

    with_bus: Floats
    """What couples a limit with its bus once its store has left, shape (B, nD, T)."""

    root: Floats
    """The lower Cholesky factor of what is left of the limits' own matrix, shape (B, nD, nD)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Factors:
    """What one iteration's theta became."""

    chains: Chains
    coupling: Floats
    """E, shape (B, nS, T)."""

    bent: Bent | None
    """What tapers have changed."""

    drawn: Floats
    """weight th_draw, shape (B, nL, T)."""

    budget: Floats
    """M, shape (B, nL)."""

    peaks: Peaks | None
    days: DayFactors | None
    root: Floats
    """The Cholesky factor of S in its upper triangle, U'U = S, shape (B, T, T); rubbish below."""


def factor(frame: Frame, theta: Floats, below: Floats | None = None) -> Factors:
    """Eliminate down to S and factor it.

    Args:
        frame: B buses.
        theta: Shape (B, C).
        below: What child buses add to S (`branch`), shape (B, T, T).
    """
    found = assemble(frame, theta, below)
    for bus, s in enumerate(found.root):
        _, info = lapack.dpotrf(s.T, lower=1, clean=0, overwrite_a=1)
        if info:
            some = slice(bus, bus + 1)
            added = None if below is None else below[some]
            again = assemble(frame.take(bus), theta[some], added).root[0]
            s[...] = careful(np.triu(again) + np.triu(again, 1).T)
    return found


def assemble(frame: Frame, theta: Floats, below: Floats | None = None) -> Factors:
    """The same with `root` not yet factored: S in its upper triangle."""
    block = frame.block
    th = block.layout.split(theta)
    level = th.level + frame.soft_to @ th.soft if block.layout.counts.softs else th.level
    bent, keep = None, frame.keep
    if block.layout.counts.tapers:
        bent = bend(frame, th, level)
        th, level, keep = th._replace(into=bent.into, out=bent.out), bent.level, bent.kept
    inside = frame.loss * th.out
    taken = th.into * frame.gain
    coupling = taken + inside
    taken *= frame.gain
    chains = Chains.of(taken + frame.loss * inside, level, keep)
    drawn = block.weight[..., None] * th.draw
    budget = block.weight * drawn.sum(axis=2) + th.lacking + th.spare
    budget[budget < DEAD] = DROPPED
    days = _days(frame, th, chains, coupling, bent) if block.layout.counts.days else None
    diagonal = th.into.sum(axis=1) + th.out.sum(axis=1) + th.draw.sum(axis=1)
    off = [drawn / np.sqrt(budget)[..., None]]
    if days is not None:
        off.append(np.linalg.solve(days.root, days.with_bus))
    peaks, added = None, coupling[:, :0]
    if block.layout.counts.peaks:
        peaks, left = factor_peaks(frame, th)
        diagonal += left.diagonal
        added = left.added
    else:
        diagonal += (block.here**2 * th.part).sum(axis=1)
    u, rate = coupling, None
    if bent is not None:
        u, rate, stirred = bent.stirred(coupling, chains.d, chains.link)
        diagonal += stirred.sum(axis=1)
    s = _products(chains, u, rate, np.concatenate(off, axis=1), added)
    if frame.long and peaks is not None:
        take_off_intervals(frame, peaks, s)
    steps = np.arange(block.layout.steps)
    s[:, steps, steps] += diagonal
    if below is not None:
        s += below
    summed = s[:, steps, steps] * LIFT
    s[:, steps, steps] = np.where(summed < DEAD_PIVOT, DROPPED, summed)
    return Factors(
        chains=chains,
        coupling=coupling,
        bent=bent,
        drawn=drawn,
        budget=budget,
        peaks=peaks,
        days=days,
        root=s,
    )


def _products(
    chains: Chains, coupling: Floats, rate: Floats | None, off: Floats, added: Floats
) -> Floats:
    """-Σ E B^-1 E - Σ off off' + Σ added added' in the upper triangle, shape (B, T, T).

    With a `rate` columns are E_j iv_j + rate_j (`tapers`).
    """
    buses, stores, steps = coupling.shape
    link = np.where(np.abs(chains.link) < SMALLEST_LINK, SMALLEST_LINK, chains.link)
    passed = np.ones_like(link)
    starts = range(0, steps, WIDTH)
    for first in starts:
        end = min(first + WIDTH, steps)
        np.multiply.accumulate(link[..., first : end - 1], axis=2, out=passed[..., first + 1 : end])
    rows = np.concatenate([coupling / passed, off, added], axis=1)
    columns = rows.copy()
    np.negative(rows[:, : stores + off.shape[1]], out=rows[:, : stores + off.shape[1]])
    np.multiply(coupling, chains.inverse_diagonal(), out=columns[:, :stores])
    if rate is not None:
        columns[:, :stores] += rate
    columns[:, :stores] *= passed
    s = np.empty((buses, steps, steps))
    for first in reversed(starts):
        end = min(first + WIDTH, steps)
        if end < steps:
            whole = passed[..., end - 1] * link[..., end - 1]
            columns[:, :stores, end:] *= whole[..., None]
        np.matmul(
            rows[..., first:end].transpose(0, 2, 1),
            columns[..., first:],
            out=s[:, first:end, first:],
        )
    return s


def _days(
    frame: Frame, th: Columns, chains: Chains, coupling: Floats, bent: Bent | None
) -> DayFactors:
    block = frame.block
    of = block.day_of[..., None]
    if bent is None:
        with_bus = frame.days * np.take_along_axis(th.out, of, axis=1)
        with_store = frame.days * with_bus
        alone = with_store.sum(axis=2)
    else:
        with_store, with_bus, alone = bent.counted(frame.days, of)
    # Each limit's column of B^-1: one right side a limit, on its own store's chain.
    solved = chains.pick(block.day_of).solve(with_store)
    own = np.take_along_axis(coupling, of, axis=1)
    with_bus -= own * solved if bent is None else bent.pick(of).coupled(own, solved)
    own = alone + th.rest
    same = block.day_of[:, :, None] == block.day_of[:, None, :]
    left = same * -(with_store @ solved.transpose(0, 2, 1))
    at = np.arange(block.layout.counts.days)
    left[:, at, at] = np.maximum(left[:, at, at] + own, (LIFT - 1.0) * own)
    left[:, at, at] = np.where(own < DEAD, DROPPED, left[:, at, at])
    return DayFactors(
        with_store=with_store,
        with_bus=with_bus,
        root=roots(left),
    )


def lead(frame: Frame, factors: Factors, right: Rows) -> Rows:
    """Carry a right side forward: what is left for the bus rows, and for the days, once the others left."""
    bent, own = factors.bent, factors.coupling
    if bent is not None:
        right = bent.led(frame, right)
    bus = right.bus.copy()
    day = right.day
    stored = factors.chains.solve(right.store)
    bus -= (own * stored if bent is None else bent.coupled(own, stored)).sum(axis=1)
    bus += (factors.drawn * (right.budget / factors.budget)[..., None]).sum(axis=1)
    if factors.peaks is not None:
        bus += factors.peaks.counted * frame.gathered(factors.peaks.apply(right.peak))[:, 0]
    if factors.days is not None:
        of = frame.block.day_of[..., None]
        day = day - (factors.days.with_store * np.take_along_axis(stored, of, axis=1)).sum(axis=2)
        paid = twice(factors.days.root, day)
        bus -= (factors.days.with_bus * paid[..., None]).sum(axis=1)
    return right._replace(bus=bus, day=day)  # the stores' with what tapers have left in them


def solve_bus(factors: Factors, right: Floats) -> Floats:
    """S^-1 of a right side of shape (B, T)."""
    found = np.empty_like(right)
    for bus, s in enumerate(factors.root):
        found[bus], _ = lapack.dpotrs(s.T, right[bus], lower=1)
    return found


def back(frame: Frame, factors: Factors, led: Rows, w: Floats) -> Rows:
    """All duals, from the buses' own: `led` is what `lead` left."""
    bent, own = factors.bent, factors.coupling
    store = led.store - (own * w[:, None] if bent is None else bent.spread(own, w[:, None]))
    day = led.day
    if factors.days is not None:
        day = twice(factors.days.root, day - (factors.days.with_bus * w[:, None]).sum(axis=2))
        store -= frame.day_to @ (factors.days.with_store * day[..., None])
    budget = (led.budget + (factors.drawn * w[:, None]).sum(axis=2)) / factors.budget
    peak = led.peak
    if factors.peaks is not None:
        peak = factors.peaks.apply(peak + frame.scattered((factors.peaks.counted * w)[:, None]))
    store = factors.chains.solve(store)
    taper = led.taper if bent is None else bent.back(frame, led.taper, store, w, day)
    return Rows(store=store, bus=w, budget=budget, peak=peak, day=day, taper=taper)


def solve(frame: Frame, factors: Factors, right: Rows) -> Rows:
    """The whole dy of buses that nothing ties together."""
    led = lead(frame, factors, right)
    return back(frame, factors, led, solve_bus(factors, led.bus))
