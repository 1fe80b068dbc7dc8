"""A x and A'y of packed buses (the rows of `forest`), and what stays the same over all iterations.

Parts that enter a parent's row (`up`) are not in here: each bus is taken by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.plan.fleet.blocks import NOBODY, Block
from vpp.plan.fleet.forest import Ints
from vpp.plan.fleet.layout import Rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """Some buses of a block, and what the kernels need of them again and again."""

    block: Block
    keep: Floats
    gain: Floats
    loss: Floats
    """Shape (B, nS, 1); `gain` (B, nS, T) where it changes."""

    soft_to: Floats
    """1 where a soft level belongs to a store, shape (B, nS, nP)."""

    days: Floats
    """`loss` of the limit's store in its steps, else 0; shape (B, nD, T)."""

    day_to: Floats
    """1 where a day limit belongs to a store, shape (B, nS, nD)."""

    fills_to: Floats
    """1 where a taper limits what fills a store, shape (B, nS, nF)."""

    empties_to: Floats
    """The same of what empties it."""

    cell: Ints
    """The flat place of each step's interval in (B, nQ, R), shape (B, nQ, T)."""

    long: bool
    """Whether any interval is longer than a step."""

    @classmethod
    def of(cls, block: Block) -> Frame:
        """Prepare a block, or the part of one that is to be worked on at once."""
        n, buses = block.layout.counts, len(block.bus)
        steps = np.arange(block.layout.steps)
        loss = np.take_along_axis(block.loss, block.day_of, axis=1) if n.days else block.r_day
        within = (steps >= block.day_first[..., None]) & (steps < block.day_end[..., None])
        tapers = _members(block.taper_of, n.stores)
        dummy = (block.taper == NOBODY)[:, None]
        fills = (block.empties == 0)[:, None]
        first = (np.arange(buses * n.peaks) * block.layout.intervals).reshape(buses, n.peaks, 1)
        return cls(
            block=block,
            keep=block.keep[..., None],
            gain=block.gain,
            loss=block.loss[..., None],
            soft_to=_members(block.soft_of, n.stores),
            days=within * loss[..., None],
            day_to=_members(block.day_of, n.stores),
            fills_to=np.where(fills & ~dummy, tapers, 0.0),
            empties_to=np.where(fills | dummy, 0.0, tapers),
            cell=first + block.interval,
            long=block.long,
        )

    def take(self, bus: int) -> Frame:
        """The same for one bus."""
        return Frame.of(self.block.take(slice(bus, bus + 1)))

    def gathered(self, values: Floats) -> Floats:
        """By interval, shape (B, nQ, R), read at each step: (B, nQ, T)."""
        return values.reshape(-1)[self.cell]

    def scattered(self, values: Floats) -> Floats:
        """By step, shape (B, nQ, T), summed by interval: (B, nQ, R)."""
        block = self.block
        shape = (len(block.bus), block.layout.counts.peaks, block.layout.intervals)
        count = shape[0] * shape[1] * shape[2]
        summed = np.asarray(np.bincount(self.cell.ravel(), values.ravel(), count), np.float64)
        return summed.reshape(shape)


def _members(of: Ints, stores: int) -> Floats:
    found: NDArray[np.float64] = (np.arange(stores)[:, None] == of[:, None, :]).astype(np.float64)
    return found


def times(frame: Frame, x: Floats) -> Rows:
    """A x: `x` has shape (B, C)."""
    block = frame.block
    of = block.layout.split(x)
    level = of.level + frame.soft_to @ of.soft if block.layout.counts.softs else of.level
    store = level - frame.gain * of.into
    store += frame.loss * of.out
    store[..., 1:] -= frame.keep * level[..., :-1]
    bus = (of.out - of.into).sum(axis=1)
    bus += np.einsum("bkt,bkt->bt", block.here, of.part)
    bus -= of.draw.sum(axis=1)
    budget = block.weight * of.draw.sum(axis=2) + of.lacking - of.spare
    peak = of.peak[..., None] - of.slack
    if block.layout.counts.peaks:
        counted = np.einsum("bk,bkt->bt", block.counts, of.part)
        peak -= frame.scattered(block.share * counted[:, None])
    day = of.rest.copy()
    if block.layout.counts.days:
        taken = np.take_along_axis(of.out, block.day_of[..., None], axis=1)
        day += np.einsum("bdt,bdt->bd", frame.days, taken)
    taper = of.short.copy()
    if block.layout.counts.tapers:
        at = block.taper_of[..., None]
        into, out = (np.take_along_axis(one, at, axis=1) for one in (of.into, of.out))
        taper += block.on * np.where(block.empties[..., None] > 0, out, into)
        before = np.take_along_axis(level, at, axis=1)[..., :-1]
        taper[..., 1:] += block.steep[..., 1:] * before
    return Rows(store, bus, budget, peak, day, taper)


def transposed(frame: Frame, y: Rows, out: Floats) -> None:
    """Write A'y into `out`, shape (B, C)."""
    block = frame.block
    into = block.layout.split(out)
    bus = y.bus[:, None]
    np.multiply(frame.gain, y.store, out=into.into)
    np.add(into.into, bus, out=into.into)
    np.negative(into.into, out=into.into)
    np.multiply(frame.loss, y.store, out=into.out)
    np.add(into.out, bus, out=into.out)
    into.level[...] = y.store
    into.level[..., :-1] -= frame.keep * y.store[..., 1:]
    if block.layout.counts.tapers:
        limited = block.on * y.taper
        np.add(into.into, frame.fills_to @ limited, out=into.into)
        np.add(into.out, frame.empties_to @ limited, out=into.out)
        falls = (frame.fills_to + frame.empties_to) @ (block.steep * y.taper)
        into.level[..., :-1] += falls[..., 1:]
    if block.layout.counts.softs:
        into.soft[...] = np.take_along_axis(into.level, block.soft_of[..., None], axis=1)
    np.subtract((block.weight * y.budget)[..., None], bus, out=into.draw)
    np.multiply(block.here, bus, out=into.part)
    into.lacking[...] = y.budget
    np.negative(y.budget, out=into.spare)
    if block.layout.counts.peaks:
        paid = (block.share * frame.gathered(y.peak)).sum(axis=1)
        np.subtract(into.part, block.counts[..., None] * paid[:, None], out=into.part)
    into.peak[...] = y.peak.sum(axis=2)
    np.negative(y.peak, out=into.slack)
    if block.layout.counts.days:
        np.add(into.out, frame.day_to @ (frame.days * y.day[..., None]), out=into.out)
    into.rest[...] = y.day
    into.short[...] = y.taper
