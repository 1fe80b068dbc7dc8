"""Loads that nobody moves: they are part of what is given."""

from __future__ import annotations

from vpp.model.resource import FixedLoad
from vpp.plan.kinds import of_kind
from vpp.plan.programme import Builder


def add(b: Builder) -> None:
    """Put the expected power of every fixed load into `b.base_kw`."""
    for load in of_kind(b.view, FixedLoad):
        b.base_kw[b.row_of[load.resource_id]] = b.view.base_kw[load.resource_id].values
