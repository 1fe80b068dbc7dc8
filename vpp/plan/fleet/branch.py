"""Buses of one layout and one depth within trees, and what a tree's Newton step does to them on its way.

A bus sees the bus above it, whose duals are mu, only through its parts' `up`: U x, per step. With mu held
fixed (dmu = 0) it answers a right side by its own rows alone (`normal`):

    N = A Theta A',   dy0 = N^-1 (r + A Theta h'),   dx0 = Theta (A'dy0 - h')

Going up, its parent's row then loses what this would change there, U dx0, and gains the block

    W = Q - P S^-1 P'      P = U Theta A', Q = U Theta U', its stores, budgets and peaks taken out,

which says how much U x answers dmu. Going down, dmu is known and the bus answers for good:

    dy = N^-1 (r + A Theta h' - A Theta U' dmu),   dx = Theta (A'dy + U'dmu - h')

P and Q are the parts' diagonals Σ th·up·here and Σ th·up² less what the peak rows take through their F: with
Nu_rt = share Σ counted th up beside the N of `normal`,

    P = diag(Σ th up here) - Nu' F N        Q = diag(Σ th up²) - Nu' F Nu

An inner bus is no different: the W of its children stand in its S already.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from vpp.model.horizon import Floats
from vpp.plan.fleet.blocks import Block
from vpp.plan.fleet.chains import DEAD
from vpp.plan.fleet.forest import Ints
from vpp.plan.fleet.layout import Rows
from vpp.plan.fleet.matrix import Frame, times, transposed
from vpp.plan.fleet.newton import Iterate, Work, start
from vpp.plan.fleet.normal import Factors, back, factor, lead, solve_bus


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Joints:
    """Where the buses of some trees meet, by their place among them; the last place is above every root."""

    w: Floats
    """Duals of the bus rows, shape (n + 1, T); 0 in the last place, and so is `dw`."""

    dw: Floats
    through: Floats
    """Σ U x of the children, shape (n + 1, T)."""

    asked: Floats
    """What the children add to the right side, shape (n + 1, T)."""

    matrix: Floats
    """Σ W of the children, shape (buses with children, T, T)."""

    @classmethod
    def of(cls, buses: int, inner: int, steps: int) -> Joints:
        """Zeros."""
        shape = (buses + 1, steps)
        return cls(
            w=np.zeros(shape),
            dw=np.zeros(shape),
            through=np.zeros(shape),
            asked=np.zeros(shape),
            matrix=np.zeros((inner, steps, steps)),
        )

    def clear(self) -> None:
        """Forget what children brought."""
        self.through[...] = 0.0
        self.matrix[...] = 0.0


@dataclass(slots=True, kw_only=True, eq=False)
class Branch:
    """Some buses, where they stand, and how far their iteration has come."""

    frame: Frame
    place: Ints
    """Their places among the joints, shape (b,)."""

    above: Ints
    """Those of their parents, shape (b,)."""

    inner: Ints | None
    """Their own matrices among the joints' ones, shape (b,); None for leaves."""

    upper: Ints | None
    """Their parents' matrices, shape (b,); None for roots."""

    at: Iterate
    y: Rows
    work: Work
    right: Rows
    """r: what the rows lack, the bus row with what comes through its children."""

    lack: Floats
    """The largest of r, relative to 1 + the sizes in its class of rows; shape (b,)."""

    lack_bus: Floats
    """The same of the bus rows alone, shape (b,)."""

    factors: Factors | None = None
    crossing: Floats | None = None
    """P, shape (b, T, T)."""

    led: Rows | None = None

    @classmethod
    def of(
        cls,
        block: Block,
        *,
        place: Ints,
        above: Ints,
        inner: Ints | None,
        upper: Ints | None,
    ) -> Branch:
        """At the start of the iteration."""
        buses, columns = block.u.shape
        return cls(
            frame=Frame.of(block),
            place=place,
            above=above,
            inner=inner,
            upper=upper,
            at=start(block.u, block.c),
            y=block.layout.rows(buses),
            work=Work.room(buses, columns),
            right=block.right,
            lack=np.full(buses, np.inf),
            lack_bus=np.full(buses, np.inf),
        )


def measure(branch: Branch, joints: Joints) -> None:
    """Write r and h, and tell the parents what comes through; the children have done so already."""
    block = branch.frame.block
    _gather(branch, branch.y, joints.w[branch.above])
    np.subtract(block.c, branch.work.aty, out=branch.at.h)
    x = branch.at.values()
    have = times(branch.frame, x)
    have.bus[...] += joints.through[branch.place]
    branch.right = Rows(*(b - ax for b, ax in zip(block.right, have, strict=True)))
    lacks = [
        _largest(r) / (1.0 + np.maximum(_largest(b), _largest(ax)))
        for r, b, ax in zip(branch.right, block.right, have, strict=True)
    ]
    branch.lack, branch.lack_bus = np.max(lacks, axis=0), lacks[Rows._fields.index("bus")]
    if branch.upper is not None:
        through = np.einsum("bkt,bkt->bt", block.up, block.layout.split(x).part)
        np.add.at(joints.through, branch.above, through)


def _largest(rows: Floats) -> Floats:
    found: Floats = np.abs(rows).reshape(len(rows), -1).max(axis=1, initial=0.0)
    return found


def eliminate(branch: Branch, joints: Joints) -> None:
    """Factor, and hand W to the parents."""
    below = None if branch.inner is None else joints.matrix[branch.inner]
    factors = branch.factors = factor(branch.frame, branch.work.theta, below)
    if branch.upper is None:
        return
    p, q = _crossing(branch.frame, branch.work.theta, factors)
    for bus, s in enumerate(factors.root):
        # S = L L': W = Q - V'V with V = L^-1 P'.
        half, _ = lapack.dtrtrs(s.T, p[bus].T, lower=1)
        q[bus] -= half.T @ half
    np.add.at(joints.matrix, branch.upper, q)
    branch.crossing = p


def ascend(branch: Branch, joints: Joints) -> None:
    """Take the right side of `work.some`, theta h', forward; the parents lose U dx0."""
    frame, work = branch.frame, branch.work
    block = frame.block
    assert branch.factors is not None
    branch.led = led = _led(branch, joints.asked[branch.place])
    if branch.upper is not None:
        alone = _alone(frame, branch.factors, led)
        moved = block.layout.split(work.theta).part * alone - block.layout.split(work.some).part
        np.subtract.at(joints.asked, branch.above, np.einsum("bkt,bkt->bt", block.up, moved))


def descend(branch: Branch, joints: Joints) -> Rows:
    """The change of duals, with the parents' dmu known; A'dy + U'dmu is left in `work.aty`."""
    assert branch.led is not None
    dy = _answer(branch, branch.led, joints.dw[branch.above])
    joints.dw[branch.place] = dy.bus
    return dy


def again(branch: Branch, joints: Joints) -> Rows:
    """The same for another `work.some`, dmu and what the children ask being as they were."""
    led = _led(branch, joints.asked[branch.place])
    return _answer(branch, led, joints.dw[branch.above])


def _led(branch: Branch, asked: Floats) -> Rows:
    assert branch.factors is not None
    right = Rows(
        *(
            r + more
            for r, more in zip(branch.right, times(branch.frame, branch.work.some), strict=True)
        )
    )
    right.bus[...] += asked
    return lead(branch.frame, branch.factors, right)


def _answer(branch: Branch, led: Rows, dmu: Floats) -> Rows:
    frame, factors = branch.frame, branch.factors
    assert factors is not None
    if branch.crossing is not None:
        led = led._replace(bus=led.bus - np.einsum("but,bu->bt", branch.crossing, dmu))
    if branch.crossing is not None and factors.peaks is not None:
        risen = _risen(frame, branch.work.theta) * dmu
        led = led._replace(peak=led.peak + frame.scattered(risen[:, None]))
    dy = back(frame, factors, led, solve_bus(factors, led.bus))
    _gather(branch, dy, dmu)
    return dy


def _gather(branch: Branch, dy: Rows, dmu: Floats) -> None:
    """A'dy + U'dmu into `work.aty`."""
    block = branch.frame.block
    transposed(branch.frame, dy, branch.work.aty)
    part = block.layout.split(branch.work.aty).part
    part += block.up * dmu[:, None]


def _alone(frame: Frame, factors: Factors, led: Rows) -> Floats:
    """A'dy0 of the parts alone, shape (b, nK, T)."""
    block = frame.block
    w = solve_bus(factors, led.bus)
    found: Floats = block.here * w[:, None]
    if factors.peaks is not None:
        peak = factors.peaks.apply(led.peak + frame.scattered((factors.peaks.counted * w)[:, None]))
        paid = block.share[:, 0] * frame.gathered(peak)[:, 0]
        found -= block.counts[..., None] * paid[:, None]
    return found


def _risen(frame: Frame, theta: Floats) -> Floats:
    """Nu at each step's interval, shape (b, T)."""
    block = frame.block
    counted = block.counts[..., None] * block.layout.split(theta).part
    found: Floats = block.share[:, 0] * np.einsum("bkt,bkt->bt", counted, block.up)
    return found


def _crossing(frame: Frame, theta: Floats, factors: Factors) -> tuple[Floats, Floats]:
    """P and Q, shape (b, T, T) each."""
    block = frame.block
    buses, steps = block.r_bus.shape
    at = np.arange(steps)
    th, here, up = block.layout.split(theta), block.here, block.up
    p, q = np.zeros((2, buses, steps, steps))
    if factors.peaks is None:
        p[:, at, at] = np.einsum("bkt,bkt,bkt->bt", th.part, up, here)
        q[:, at, at] = np.einsum("bkt,bkt,bkt->bt", th.part, up, up)
        return p, q
    peaks, share = factors.peaks, block.share[:, 0]
    counts = block.counts[..., None]
    counted, free = counts * th.part, (1.0 - counts) * th.part
    gd, kap = frame.gathered(peaks.gd[:, None])[:, 0], 1.0 / peaks.before[:, -1]
    risen = _risen(frame, theta)
    for found, other, coupling in ((p, here, peaks.counted), (q, up, risen)):
        own = np.einsum("bkt,bkt,bkt->bt", free, up, other)
        both = np.einsum("bkt,bkt,bkt->bt", counted, up, other)
        scaled = coupling * gd
        found += kap[:, None, None] * (risen * gd)[:, :, None] * scaled[:, None, :]
        if frame.long:
            own += both
            same = block.interval[:, 0, :, None] == block.interval[:, 0, None, :]
            found -= same * (risen[:, :, None] * scaled[:, None, :])
        else:
            # both - risen gd coupling without cancellation, as in `normal`.
            sigma = np.maximum(counted.sum(axis=1), DEAD)
            apart = [
                one - (np.einsum("bkt,bkt->bt", counted, one) / sigma)[:, None]
                for one in (up, other)
            ]
            spread = np.einsum("bkt,bkt,bkt->bt", counted, *apart)
            slack = frame.gathered(th.slack)[:, 0]
            own += np.where(share > 0, gd * (slack * both + share**2 * sigma * spread), both)
        found[:, at, at] += own
    return p, q
