"""Buses that stand alone, solved by the compiled kernels: the twin of `fleet/alone.py`, same blocks in, same answers out.

Workers take the next bus as they become free: some take half as many iterations again as others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.alone import End, Found
from vpp.plan.fleet.blocks import Block
from vpp.plan.fleet.forest import Ints
from vpp.plan.fleet.jitted.kernel import solve_bus_alone
from vpp.plan.fleet.jitted.room import (
    XL,
    Numbers,
    Room,
    Sizes,
    Y,
    grouped,
    numbers_of,
    room_of,
    sizes_of,
)
from vpp.plan.fleet.jitted.tied import compiled_tied
from vpp.plan.fleet.kernels import Structured
from vpp.plan.lp import Deadline
from vpp.plan.parts import Workers


@dataclass(frozen=True, slots=True, eq=False)
class CompiledAlone:
    """Solves buses with as many workers as there are; the interpreter runs on while they do."""

    workers: Workers

    def __call__(self, block: Block, *, tolerance: float, deadline: Deadline) -> Found:
        """Solve every bus of a block by itself; see `alone.solve_alone`."""
        count = len(block.bus)
        right = np.concatenate([group.reshape(count, -1) for group in block.right], axis=1)
        work = _Work(
            n=sizes_of(block.layout),
            of=numbers_of(block),
            block=block,
            right=right,
            tolerance=tolerance,
            x=np.zeros(block.u.shape),
            y=np.zeros(right.shape),
            end=np.full(count, End.LATE, dtype=np.int64),
            iterations=np.zeros(count, dtype=np.int64),
        )
        buses = iter(range(count))
        begun = [
            self.workers.begin(lambda: work.some(buses, deadline))
            for _ in range(min(self.workers.count, count))
        ]
        for answer in begun:
            answer()
        y = grouped(block.layout, work.y)
        return Found(x=work.x, y=y, end=work.end, iterations=work.iterations)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Work:
    n: Sizes
    of: Numbers
    block: Block
    right: Floats
    tolerance: float
    x: Floats
    y: Floats
    end: Ints
    iterations: Ints

    def some(self, buses: Iterator[int], deadline: Deadline) -> None:
        """What one worker does: bus after bus, until there is none left or the time is over."""
        room = room_of(self.n)
        for bus in buses:
            if deadline.passed:
                return
            self._solve(bus, room)

    def _solve(self, b: int, room: Room) -> None:
        u, c = self.block.u[b], self.block.c[b]
        self.end[b], self.iterations[b] = solve_bus_alone(
            self.n, self.of, b, room, u, c, self.right[b], self.tolerance
        )
        np.minimum(room.at[XL, : self.n.columns], u, out=self.x[b])
        self.y[b] = room.rows[Y, : self.n.rows]


def compiled(workers: Workers) -> Structured:
    """The compiled kernels, for so many workers."""
    threads = "1 thread" if workers.count == 1 else f"{workers.count} threads"
    return Structured(
        name=f"numba, {threads}",
        alone=CompiledAlone(workers),
        tied=compiled_tied(workers),
    )
