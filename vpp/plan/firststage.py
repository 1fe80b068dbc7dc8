"""What cannot wait for the next plan: columns that are the same in all futures, and what they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vpp.model.ids import ProductId
from vpp.model.resource import Generator
from vpp.plan.programme import Ints, Programme
from vpp.plan.terms import OpenTrade, Term
from vpp.plan.view import PlanningView


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FirstStage:
    """Columns of one programme that are the same in all futures, and what they are."""

    columns: Ints
    bids: tuple[tuple[ProductId, Ints, Ints, Ints], ...]
    """Product, steps that cannot wait, and the columns of what is sold and bought in them."""

    words: tuple[str, ...]


def first_stage(view: PlanningView, terms: Sequence[Term], programme: Programme) -> FirstStage:
    """Bids and reserve whose gate closes before the next plan, and the first step of what is steered."""
    steps, market, none = view.horizon.steps, programme.fleet.market, np.zeros(0, dtype=np.int64)
    steered = []
    for row, resource in enumerate(view.park.resources):
        if isinstance(resource, Generator) and resource.weather_driven:
            continue
        moving = [programme.power.matrix[[row * steps]].indices]
        moving += [
            port[[0]].indices
            for (name, _), port in programme.ports.items()
            if name == resource.resource_id
        ]
        steered += [np.concatenate(moving)] if any(map(len, moving)) else []
    bids = []
    for place, trade in enumerate(term for term in terms if isinstance(term, OpenTrade)):
        due = np.flatnonzero((trade.max_kw > 0) & (True if trade.due is None else trade.due))
        if len(due):
            bids.append((trade.product_id, due, market.sell[place, due], market.buy[place, due]))
    sold = [np.unique(one.sold) for one in programme.fleet.reserve]
    words = [f"the first step of {len(steered)} resources"] if steered else []
    words += [f"bids of {name} in {len(due)} steps" for name, due, _, _ in bids]
    words += [f"reserve {one.term.key} that is sold" for one in programme.fleet.reserve]
    words += [f"{len(programme.decisions)} on/off decisions"] if len(programme.decisions) else []
    traded = [columns for _, _, sell, buy in bids for columns in (sell, buy)]
    first = np.unique(np.concatenate([none, *steered]))
    return FirstStage(
        columns=np.concatenate([first, *traded, *sold]), bids=tuple(bids), words=tuple(words)
    )
