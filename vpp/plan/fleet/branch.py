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

Between sweeps a branch keeps its point, its duals, its factors and its direction. h, theta and what else `newton.weigh`
makes stand in a room that all branches of a block share, small enough for the cache: who comes into it makes them anew
(`resume`). A fleet's memory is half of what it would be if each kept them, and it takes no longer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.linalg import lapack

from vpp.model.horizon import Floats
from vpp.plan.fleet.blocks import Block
from vpp.plan.fleet.chains import DEAD
from vpp.plan.fleet.forest import Ints
from vpp.plan.fleet.layout import Rows
from vpp.plan.fleet.matrix import Frame, times, transposed
from vpp.plan.fleet.newton import Iterate, Work, weigh
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
        self.asked[...] = 0.0
        self.matrix[...] = 0.0


class Taken(NamedTuple):
    """What the peak rows take: kap (risen gd)(coupling gd)', less risen (coupling gd)' within long intervals."""

    kap: Floats
    """Shape (b,)."""

    risen: Floats
    """Nu at each step's interval, shape (b, T)."""

    left: Floats
    """Risen gd."""

    right: Floats
    """Coupling gd."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crossing:
    """P or Q, by what it is made of: a fleet's buses would hold as much again as their points in whole ones."""

    own: Floats
    """Its diagonal but for what is taken, shape (b, T)."""

    taken: Taken | None = None

    def whole(self, frame: Frame) -> Floats:
        """The matrix, shape (b, T, T)."""
        buses, steps = self.own.shape
        found, at = np.zeros((buses, steps, steps)), np.arange(steps)
        if self.taken is not None:
            kap, risen, left, right = self.taken
            found += kap[:, None, None] * left[:, :, None] * right[:, None, :]
            if frame.long:
                interval = frame.block.interval[:, 0]
                same = interval[:, :, None] == interval[:, None, :]
                found -= same * (risen[:, :, None] * right[:, None, :])
        found[:, at, at] += self.own
        return found

    def times(self, frame: Frame, dmu: Floats) -> Floats:
        """What it makes of a vector, shape (b, T)."""
        found = self.own * dmu
        if self.taken is not None:
            kap, risen, left, right = self.taken
            weighed = right * dmu
            found += (kap * weighed.sum(axis=1))[:, None] * left
            if frame.long:
                found -= risen * frame.gathered(frame.scattered(weighed[:, None]))[:, 0]
        return found


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
    """`h` stands in the room that is shared."""

    y: Rows
    work: Work
    """`dx`, `e` and `f` are its own, the others stand in the room that is shared."""

    right: Rows
    """r: what the rows lack, the bus row with what comes through its children."""

    lack: Floats
    """The largest of r, relative to 1 + the sizes in its class of rows; shape (b,)."""

    lack_bus: Floats
    """The same of the bus rows alone, shape (b,)."""

    factors: Factors | None = None
    crossing: Crossing | None = None
    """P; None for roots."""

    led: Rows | None = None
    dy: Rows | None = None
    """Of the last direction."""

    @classmethod
    def of(
        cls,
        block: Block,
        *,
        at: Iterate,
        own: Floats,
        room: Work,
        place: Ints,
        above: Ints,
        inner: Ints | None,
        upper: Ints | None,
    ) -> Branch:
        """At the start of the iteration; `own` is for its direction, shape (3, b, C), and `room` is shared."""
        buses = len(block.bus)
        dx, e, f = own
        return cls(
            frame=Frame.of(block),
            place=place,
            above=above,
            inner=inner,
            upper=upper,
            at=at,
            y=block.layout.rows(buses),
            work=replace(room.first(buses), dx=dx, e=e, f=f),
            right=block.right,
            lack=np.full(buses, np.inf),
            lack_bus=np.full(buses, np.inf),
        )


def resume(branch: Branch, joints: Joints) -> None:
    """Come into the room that is shared: h, theta and what is made with it stand there, as the point says."""
    _gather(branch, branch.y, joints.w[branch.above])
    np.subtract(branch.frame.block.c, branch.work.aty, out=branch.at.h)
    weigh(branch.at, branch.work)


def measure(branch: Branch, joints: Joints) -> None:
    """Write r, and tell the parents what comes through; the children have done so already."""
    block = branch.frame.block
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
        through = np.einsum("bkt,bkt->bt", block.up, block.layout.part(x))
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
    branch.crossing, up = _crossing(branch.frame, branch.work.theta, factors)
    p, w = branch.crossing.whole(branch.frame), up.whole(branch.frame)
    for bus, s in enumerate(factors.root):
        # S = L L': W = Q - V'V with V = L^-1 P'.
        half, _ = lapack.dtrtrs(s.T, p[bus].T, lower=1)
        w[bus] -= half.T @ half
    np.add.at(joints.matrix, branch.upper, w)


def ascend(branch: Branch, joints: Joints) -> None:
    """Take the right side of `work.some`, theta h', forward; the parents lose U dx0."""
    frame, work = branch.frame, branch.work
    block = frame.block
    assert branch.factors is not None
    branch.led = led = _led(branch, joints.asked[branch.place])
    if branch.upper is not None:
        alone = _alone(frame, branch.factors, led)
        moved = block.layout.part(work.theta) * alone - block.layout.part(work.some)
        np.subtract.at(joints.asked, branch.above, np.einsum("bkt,bkt->bt", block.up, moved))


def descend(branch: Branch, joints: Joints) -> None:
    """The change of duals, with the parents' dmu known; A'dy + U'dmu is left in `work.aty`."""
    assert branch.led is not None
    branch.dy = dy = _answer(branch, branch.led, joints.dw[branch.above])
    joints.dw[branch.place] = dy.bus


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
        led = led._replace(bus=led.bus - branch.crossing.times(frame, dmu))
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
    part = block.layout.part(branch.work.aty)
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
    counted = block.counts[..., None] * block.layout.part(theta)
    found: Floats = block.share[:, 0] * np.einsum("bkt,bkt->bt", counted, block.up)
    return found


def _crossing(frame: Frame, theta: Floats, factors: Factors) -> tuple[Crossing, Crossing]:
    """P and Q."""
    block = frame.block
    th, here, up = block.layout.split(theta), block.here, block.up
    if factors.peaks is None:
        p, q = (np.einsum("bkt,bkt,bkt->bt", th.part, up, other) for other in (here, up))
        return Crossing(own=p), Crossing(own=q)
    peaks, share = factors.peaks, block.share[:, 0]
    counts = block.counts[..., None]
    counted, free = counts * th.part, (1.0 - counts) * th.part
    gd, kap = frame.gathered(peaks.gd[:, None])[:, 0], 1.0 / peaks.before[:, -1]
    risen = _risen(frame, theta)
    found = []
    for other, coupling in ((here, peaks.counted), (up, risen)):
        own = np.einsum("bkt,bkt,bkt->bt", free, up, other)
        both = np.einsum("bkt,bkt,bkt->bt", counted, up, other)
        if frame.long:
            own += both
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
        found.append(Crossing(own=own, taken=Taken(kap, risen, risen * gd, coupling * gd)))
    p, q = found
    return p, q
