"""Generators: what they feed, up to what they have.

columns   feed (G,T)   between 0 and what is available
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.resource import Generator
from vpp.plan.kinds import of_kind, stack
from vpp.plan.programme import Builder, Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Generators:
    """Shapes (G,) and (G, T)."""

    units: tuple[Generator, ...]
    which: Ints
    """Rows in park order."""

    available_kw: Floats
    feed: Ints

    def green(self) -> Ints:
        """Which of them are green."""
        return np.flatnonzero([unit.green for unit in self.units])


def add(b: Builder) -> Generators:
    """All generators; what they have is a forecast, so nobody need be heard."""
    units = of_kind(b.view, Generator)
    which = b.rows([u.resource_id for u in units])
    available = np.maximum(
        stack([b.view.available_kw[u.resource_id].values for u in units], b.steps), 0.0
    )
    feed = b.add_columns(available.shape, upper=available)
    b.inject(which[:, None], feed, 1.0)
    b.may(which, feed_kw=available)
    return Generators(units=tuple(units), which=which, available_kw=available, feed=feed)
