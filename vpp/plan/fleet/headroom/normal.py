"""The normal equations of a tree: stores, then groups, then the top.

    stores   M, what the duals of joint rows do to the ports of a group's stores                `estimate.py`
    group    S = C M C' + B Theta B', C what its rows count of the ports, B its other columns and slacks; its
             own rows leave by Cholesky, S_oo = L L', V = L^-1 S_ot
    top      Σ (S_tt - V'V), Cholesky

A direction is refined: what it leaves of the rows is asked for again, as long as that makes it less.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from vpp.model.horizon import Floats
from vpp.plan.fleet.chains import DROPPED
from vpp.plan.fleet.dense import DEAD_PIVOT, careful
from vpp.plan.fleet.fitting.ledger import summed
from vpp.plan.fleet.headroom.estimate import Regulator, answer, factor, ports
from vpp.plan.fleet.headroom.groups import Group
from vpp.plan.fleet.headroom.shape import Shape
from vpp.plan.fleet.normal import LIFT
from vpp.plan.programme import Ints

REFINED = 3
"""How often at most."""

ENOUGH = 1e-10
"""What is left of the rows, relative to 1 + what was asked, that is not asked for again."""


@dataclass(frozen=True, slots=True, eq=False)
class _Left:
    """What a group became."""

    root: Floats
    """L."""

    half: Floats
    """V."""

    where: Ints
    """Places of its rows of the top among those."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Factored:
    """The normal equations of one theta, factored."""

    shape: Shape
    theta: Floats
    regulator: Regulator
    groups: tuple[_Left, ...]
    top: Floats

    def solve(self, target: Floats, right: Floats) -> tuple[Floats, Floats]:
        """The direction: dx and dy with dx/theta - A'dy = -target and A dx = right, nearly."""
        matrix = self.shape.matrix
        dx, dy = self._once(target, right)
        lacks = right - matrix @ dx
        for _ in range(REFINED):
            size = np.abs(lacks).max()
            if not size > ENOUGH * (1.0 + np.abs(right).max()):
                break
            off = target + dx / self.theta - matrix.T @ dy
            off[-1] = 0.0
            more_x, more_y = self._once(off, lacks)
            more_x += dx
            again = right - matrix @ more_x
            if not np.abs(again).max() < size:
                break
            dx, dy, lacks = more_x, dy + more_y, again
        return dx, dy

    def _once(self, target: Floats, right: Floats) -> tuple[Floats, Floats]:
        shape, theta = self.shape, self.theta
        dx, dy = -theta * target, np.zeros(len(right))
        self._stores(target, right, dx, dy)
        w = self._joint(right - shape.matrix @ dx)
        paid = shape.matrix.T @ w - target
        dx, dy = theta * paid, w
        self._stores(-paid, right, dx, dy)
        return dx, dy

    def _stores(self, target: Floats, right: Floats, dx: Floats, dy: Floats) -> None:
        """Write what is the stores' own, the duals of joint rows being part of `target`."""
        stores = self.shape.stores
        found = answer(
            stores,
            self.regulator,
            own=target[stores.own],
            level=target[stores.level],
            slack=target[stores.slack],
            chain=right[stores.chain],
            rows=right[stores.rows],
        )
        dx[stores.own], dx[stores.level], dx[stores.slack] = found.own, found.level, found.slack
        dy[stores.chain], dy[stores.rows] = found.chain, found.rows
        dx[-1], dy[-1] = 0.0, 0.0

    def _joint(self, lacks: Floats) -> Floats:
        """The duals of the joint rows, shape (rows,)."""
        shape, w = self.shape, np.zeros(len(lacks))
        top, taken = lacks[shape.top], []
        for group, left in zip(shape.groups, self.groups, strict=True):
            taken.append(_solved(left.root, lacks[group.rows[: group.own]]))
            top[left.where] -= left.half.T @ taken[-1]
        w[shape.top] = top = _solved(self.top, _solved(self.top, top), turned=True)
        for group, left, own in zip(shape.groups, self.groups, taken, strict=True):
            own = own - left.half @ top[left.where]
            w[group.rows[: group.own]] = _solved(left.root, own, turned=True)
        return w


def factored(shape: Shape, theta: Floats) -> Factored:
    """Eliminate down to the top, and factor it."""
    regulator = factor(shape.stores, theta)
    place = np.zeros(len(shape.right), dtype=np.int64)
    place[shape.top] = np.arange(len(shape.top))
    top, groups = np.zeros((len(shape.top), len(shape.top))), []
    for group in shape.groups:
        s, own = _joint_matrix(shape, regulator, group, theta), group.own
        where, root = place[group.rows[own:]], _root(s[:own, :own])
        half = _solved(root, s[:own, own:])
        top[np.ix_(where, where)] += s[own:, own:] - half.T @ half
        groups.append(_Left(root, half, where))
    return Factored(
        shape=shape, theta=theta, regulator=regulator, groups=tuple(groups), top=_root(top)
    )


def _joint_matrix(shape: Shape, regulator: Regulator, group: Group, theta: Floats) -> Floats:
    """S of a group's rows, its own and those of the top."""
    size = len(group.rows)
    s = summed(group.at, group.value * theta[group.column], size * size).reshape(size, size)
    if len(group.stores):
        s += group.counts @ (group.counts @ ports(shape.stores, regulator, group.stores)).T
    return s


def _root(matrix: Floats) -> Floats:
    """L of L L', with rows left out that cannot move."""
    at = np.arange(len(matrix))
    diagonal = matrix[at, at] * LIFT
    matrix[at, at] = np.where(diagonal < DEAD_PIVOT, DROPPED, diagonal)
    if not len(matrix):
        return matrix
    root, info = lapack.dpotrf(matrix, lower=1)
    found: Floats = careful(matrix).T if info else root
    return found


def _solved(root: Floats, right: Floats, *, turned: bool = False) -> Floats:
    """L^-1 or, turned, L'^-1 of a right side of shape (n,) or (n, m)."""
    if not right.size:
        return right
    found, _ = lapack.dtrtrs(root, right, lower=1, trans=int(turned))
    solved: Floats = found
    return solved
