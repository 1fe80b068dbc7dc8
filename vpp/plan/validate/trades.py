"""Positions: what is sold already, and what may still be traded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vpp.plan.terms import Commitment, OpenTrade
from vpp.plan.validate.case import Case
from vpp.plan.validate.compare import between, equal


def trade_faults(case: Case) -> Iterator[str]:
    """A position that nobody sold, and trades beyond their room."""
    sold = [term.base_kw for term in case.terms if isinstance(term, Commitment)]
    yield from equal(
        "committed_kw", case.schedule.committed_kw, np.sum([case.zeros(), *sold], axis=0), *sold
    )
    for product, trade in case.schedule.trade_kw.items():
        rooms = [
            t.max_kw for t in case.terms if isinstance(t, OpenTrade) and t.product_id == product
        ]
        room = np.sum(rooms, axis=0)
        yield from between(f"{product}: max_kw", trade, -room, room)
