"""Trees in numpy: their buses packed level by level, the deepest first, cut into branches and swept over.

Buses of one depth never touch each other, so a level is eliminated at once. Leaves and buses with children
of one depth are two levels: leaves have no matrix below them, and correct their targets by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet import newton
from vpp.plan.fleet.blocks import Block, Blocks
from vpp.plan.fleet.branch import Branch, Joints, ascend, descend, eliminate, measure, resume
from vpp.plan.fleet.dense import inverse_of
from vpp.plan.fleet.forest import ROOT, Duals, Forest, Ints, Point
from vpp.plan.fleet.local import nudge
from vpp.plan.fleet.newton import TIED_SHORT_OF, Reach, Sums, Work
from vpp.plan.fleet.normal import solve_bus
from vpp.plan.fleet.packing import pack
from vpp.plan.fleet.tied import Mask, Meet, Seen, SolveTied

AT_ONCE = 4
"""Buses of a branch: their arrays stay in the cache."""


class Places(NamedTuple):
    """Where the buses of some trees stand, each from 0 on; shape (buses of the forest,)."""

    tree: Ints
    """-1 for a bus of another tree."""

    depth: Ints
    place: Ints
    """Among the buses of these trees; behind all of them for a bus of another tree."""

    above: Ints
    """The parent's place; behind all of them for a root."""

    inner: Ints
    """Among those that have children, -1 for a leaf."""

    upper: Ints
    """The parent's `inner`, -1 for a root."""


def places(forest: Forest, trees: Ints) -> Places:
    """Number the buses of some trees, given by their place in `forest.trees()`, rising."""
    known, parent = forest.trees(), forest.buses.parent
    number = np.full(len(known.roots), -1)
    number[trees] = np.arange(len(trees))
    tree = number[known.of]
    chosen = tree >= 0
    place = np.where(chosen, np.cumsum(chosen) - 1, chosen.sum())
    root = parent == ROOT
    bears = np.zeros(len(parent), dtype=bool)
    bears[parent[chosen & ~root]] = True
    inner = np.where(bears, np.cumsum(bears) - 1, -1)
    return Places(
        tree=tree,
        depth=known.depth,
        place=place,
        above=np.where(root, chosen.sum(), place[parent]),
        inner=inner,
        upper=np.where(root, -1, inner[parent]),
    )


def levels(forest: Forest, of: Places) -> Iterator[Block]:
    """The buses packed, the deepest first; leaves and others of one depth apart."""
    chosen = of.tree >= 0
    for depth in range(int(of.depth[chosen].max(initial=0)), -1, -1):
        for leaf in (True, False):
            buses = np.flatnonzero(chosen & (of.depth == depth) & ((of.inner < 0) == leaf))
            if len(buses):
                yield from pack(forest, buses).blocks


@dataclass(slots=True, kw_only=True, eq=False)
class Branches:
    """All branches of some trees (`tied.Sweeps`)."""

    forest: Forest
    tree: Ints
    columns: Floats
    branches: tuple[Branch, ...]
    joints: Joints
    under_way: list[Branch]
    """Those with a bus whose tree has not ended."""

    meet: Meet | None = None
    """As `tied.Rooted` has it."""

    @classmethod
    def of(cls, forest: Forest, trees: Ints) -> Branches:
        """Pack the buses of some trees, by their place in `forest.trees()`, rising."""
        known = places(forest, trees)
        branches = tuple(one for block in levels(forest, known) for one in _branches(block, known))
        tree = known.tree[known.tree >= 0]
        columns = np.zeros(len(tree))
        for one in branches:
            columns[one.place] = one.at.moving
        return cls(
            forest=forest,
            tree=tree,
            columns=columns,
            branches=branches,
            joints=Joints.of(len(tree), int((known.inner >= 0).sum()), forest.steps),
            under_way=list(branches),
        )

    def go(self, reach: Reach, running: Mask) -> Seen:
        """As `tied.Sweeps` has it; factors, and takes the affine right sides up, as well."""
        for one in self.under_way:
            _advance(one, Reach(*(each[one.place] for each in reach)), running[one.place])
            self.joints.w[one.place] = one.y.bus
        self.under_way = [one for one in self.under_way if running[one.place].any()]
        self.joints.clear()
        if self.meet is not None:
            self.joints.through[self.roots] += self.meet.given_kw
        seen = Seen(*np.zeros((len(Seen._fields), len(self.tree))))
        for one in self.under_way:
            resume(one, self.joints)
            measure(one, self.joints)
            for each, value in zip(seen, _seen(one), strict=True):
                each[one.place] = value
            eliminate(one, self.joints)
            ascend(one, self.joints)
        return seen

    def affine(self) -> tuple[Reach, Sums]:
        """As `tied.Sweeps` has it."""
        reach = Reach(*np.ones((2, len(self.tree))))
        sums = Sums(*np.zeros((3, len(self.tree))))
        if self.meet is not None:
            self._meet(self.meet)
        for one in reversed(self.under_way):
            resume(one, self.joints)
            descend(one, self.joints)
            for into, values in zip((reach, sums), newton.predict(one.at, one.work), strict=True):
                for each, value in zip(into, values, strict=True):
                    each[one.place] = value
        return reach, sums

    def corrected(self, sm: Floats, correcting: Mask) -> Reach:
        """As `tied.Sweeps` has it."""
        found = Reach(*np.ones((2, len(self.tree))))
        self.joints.asked[...] = 0.0
        for one in self.under_way:
            resume(one, self.joints)
            newton.aim(one.at, one.work, sm[one.place])
            ascend(one, self.joints)
        if self.meet is not None:
            self._meet(self.meet)
        for one in reversed(self.under_way):
            resume(one, self.joints)
            newton.target(one.at, one.work)
            descend(one, self.joints)
            reach = newton.correct(one.at, one.work, TIED_SHORT_OF)
            allowed = correcting[one.place]
            if one.inner is None and allowed.any():
                reach = nudge(one, self.joints, reach, sm[one.place], allowed)
            for each, value in zip(found, reach, strict=True):
                each[one.place] = value
        return found

    @property
    def roots(self) -> Ints:
        """As `tied.Rooted` has it."""
        return np.concatenate([one.place for one in self.branches if one.upper is None])

    @property
    def prices(self) -> tuple[Floats, Floats]:
        """As `tied.Rooted` has it."""
        return self.joints.w, self.joints.dw

    def _meet(self, meet: Meet) -> None:
        """Take from the roots' right sides what enters them all."""
        roots = [one for one in self.under_way if one.upper is None]
        answered = np.zeros(self.forest.steps)
        for one in roots:
            assert one.factors is not None
            assert one.led is not None
            answered += solve_bus(one.factors, one.led.bus).sum(axis=0)
        feeds_kw = meet.feeds(answered, lambda: _inverse(roots, self.forest.steps))
        for one in roots:
            assert one.led is not None
            one.led.bus[...] -= feeds_kw

    def write(self, point: Point, duals: Duals) -> None:
        """As `tied.Sweeps` has it."""
        whole = Blocks(forest=self.forest, blocks=tuple(one.frame.block for one in self.branches))
        known = [(one.frame.block, one.at.xl, one.at.held, one.y) for one in self.branches]
        # Multipliers, directions and factors leave the memory before the point needs its room.
        self.branches, self.under_way = (), []
        for block, xl, held, y in known:
            whole.unpack(block, np.where(held, 0.0, xl), y, point, duals)


def _branches(block: Block, known: Places) -> Iterator[Branch]:
    """A block cut into branches; what is as long as its columns stands in arrays of the whole block."""
    count, columns = block.u.shape
    room, h = Work.room(min(AT_ONCE, count), columns), np.empty((min(AT_ONCE, count), columns))
    at = newton.start(block.u, block.c)
    own = np.empty((3, count, columns))
    for first in range(0, count, AT_ONCE):
        some = slice(first, first + AT_ONCE)
        bus = block.bus[some]
        inner, upper = known.inner[bus], known.upper[bus]
        yield Branch.of(
            block.take(some),
            at=at.take(some, h[: len(bus)]),
            own=own[:, some],
            room=room,
            place=known.place[bus],
            above=known.above[bus],
            inner=None if inner[0] < 0 else inner,
            upper=None if upper[0] < 0 else upper,
        )


def _inverse(roots: list[Branch], steps: int) -> Floats:
    """Σ S^-1 of the roots, shape (T, T)."""
    found = np.zeros((steps, steps))
    for one in roots:
        assert one.factors is not None
        for s in one.factors.root:
            found += inverse_of(s)
    return found


def _seen(one: Branch) -> Seen:
    block, at = one.frame.block, one.at
    cost = np.einsum("bc,bc->b", block.c, at.values())
    bound = np.einsum("bc,bc->b", np.minimum(at.h, 0.0), block.u)
    for right, y in zip(block.right, one.y, strict=True):
        bound += (right * y).sum(axis=tuple(range(1, y.ndim)))
    return Seen(
        cost=cost,
        bound=bound,
        left=newton.products(at),
        lack=one.lack,
        lack_bus=one.lack_bus,
        lack_dual=newton.dual_residual(at),
    )


def _advance(one: Branch, reach: Reach, running: Mask) -> None:
    if one.dy is None:  # there is no direction yet
        return
    if not running.all():
        # Neighbours in a branch whose tree has ended: their direction may be no number at all.
        for change in (one.work.dx, one.work.e, one.work.f, *one.dy):
            change[~running] = 0.0
    newton.move(one.at, one.work, reach)
    for y, change in zip(one.y, one.dy, strict=True):
        y += reach.dual.reshape(-1, *[1] * (y.ndim - 1)) * change


SOLVE_TIED = SolveTied(Branches.of)
"""In numpy."""
