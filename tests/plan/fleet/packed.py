"""Packed buses written out densely: what the kernels are compared with."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.blocks import Block
from vpp.plan.fleet.forest import Forest
from vpp.plan.fleet.layout import Layout, Rows
from vpp.plan.fleet.matrix import Frame, times


def flat(rows: Rows) -> Floats:
    """Shape (B, rows of a bus)."""
    return np.concatenate([group.reshape(len(group), -1) for group in rows], axis=1)


def unflat(layout: Layout, values: Floats) -> Rows:
    """The rows that `flat` made of values, shape (B, rows of a bus)."""
    groups = layout.rows(len(values))
    ends = np.cumsum([group[0].size for group in groups])
    cut = np.split(values, ends[:-1], axis=1)
    return Rows(*(one.reshape(group.shape) for one, group in zip(cut, groups, strict=True)))


def dense(block: Block, bus: int) -> Floats:
    """A of one bus, shape (rows, columns), read off column by column."""
    size = block.layout.size
    frame = Frame.of(block.take(np.full(size, bus)))
    return flat(times(frame, np.eye(size))).T


def crowded(forest: Forest, times: int) -> Forest:
    """Every store so many times."""
    stores = forest.stores
    many = {field.name: getattr(stores, field.name).repeat(times, 0) for field in fields(stores)}
    return replace(
        forest,
        stores=replace(stores, **many),
        soft=replace(forest.soft, store=forest.soft.store * times),
        day_limits=replace(forest.day_limits, store=forest.day_limits.store * times),
        tapers=replace(forest.tapers, store=forest.tapers.store * times),
    )
