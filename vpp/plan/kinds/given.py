"""Loads that nobody moves: they are part of what is given."""

from __future__ import annotations

from vpp.model.resource import FixedLoad
from vpp.plan.programme import Builder


def add(b: Builder) -> None:
    """Put the expected power of every fixed load into `b.base_kw`."""
    loads = b.view.park.kindred(FixedLoad)
    if len(loads):
        b.base_kw[loads.rows] = [b.view.base_kw[name].values for name in loads.names]
