"""What energy at a connection point costs on its way in, earns on its way out, and is worth at least.

Stores look at it: where energy is worth little enough, burning it in their losses would pay, and
has to be forbidden by a decision (`kinds/oneway.py`). A bound suffices, as long as it is never too
high.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vpp.errors import DataError
from vpp.model.horizon import Floats
from vpp.model.ids import NodeId
from vpp.model.resource import Converter, Generator, Storage
from vpp.plan.programme import Builder
from vpp.plan.terms import (
    Activity,
    ActivityPrice,
    Cap,
    CarbonPrice,
    ChangePenalty,
    Commitment,
    EnergyPrice,
    GreenShare,
    OpenTrade,
    ReserveHeadroom,
    Term,
)
from vpp.plan.tree import cap_limit, reach_kw

ROUNDING_PER_KWH = 1e-9
"""Sums of prices that are equal on paper may differ by so much."""


def both_ways(b: Builder, terms: Sequence[Term]) -> tuple[Floats, Floats]:
    """What a kWh costs on its way in, and earns on its way out, by all terms; shapes (P, T).

    Raises:
        DataError: Exporting would earn more than importing costs: both at once, without end.
    """
    cost, earns = np.zeros((2, len(b.point_of), b.steps))
    for term in terms:
        match term:
            case EnergyPrice():
                cost[b.point_of[term.connection_point_id]] += term.import_per_kwh
                earns[b.point_of[term.connection_point_id]] += term.export_per_kwh
            case CarbonPrice():
                per_kwh = term.price_per_kgco2 * term.grid_kgco2_per_kwh
                cost[:, term.steps] += per_kwh[term.steps]
            case ActivityPrice(activity=Activity.IMPORT):
                cost[:, term.steps] += term.price_per_unit
            case ActivityPrice(activity=Activity.EXPORT):
                earns[:, term.steps] -= term.price_per_unit
            case ActivityPrice(activity=Activity.GREEN_USE):
                earns[:, term.steps] += term.price_per_unit
            case _:
                pass  # prices neither way by itself
    point, step = np.nonzero(earns > cost + ROUNDING_PER_KWH)
    if len(point):
        name = b.view.park.connection_points[point[0]].connection_point_id
        raise DataError(
            f"in step {step[0]} exporting earns more than importing costs, all terms together",
            where=f"connection point {name}",
            fix="Let no price on imports, exports or green use turn this round",
        )
    return cost, earns


def least_worth(b: Builder, terms: Sequence[Term]) -> Floats:
    """What one more kWh fed into each balance is worth at least, shape (P + N, T).

    Raises:
        DataError: As `both_ways`.
    """
    return np.concatenate([_least_at_points(b, terms), _least_at_nodes(b)])


def _least_at_nodes(b: Builder) -> Floats:
    """At carrier nodes, shape (N, T); -inf where what nobody wants has nowhere to go."""
    unwanted = {node.node_id for node in b.view.park.nodes if _may_be_unwanted(b, node.node_id)}
    least = np.zeros((len(b.view.park.nodes), b.steps))
    for row, node in zip(least, b.view.park.nodes, strict=True):
        if node.node_id in unwanted:
            row[:] = -np.inf if node.spill_cost_per_kwh is None else -node.spill_cost_per_kwh
    return least


def _may_be_unwanted(b: Builder, node_id: NodeId) -> bool:
    """Whether something may feed a node for another reason than that it is wanted there.

    Stores do not, nor do sources that cost something and can be turned down as far as one likes.
    """
    park = b.view.park
    if any(pipe.to_node_id == node_id for pipe in park.pipes):
        return True
    for resource in park.resources:
        match resource:
            case Converter():
                fed = [
                    i
                    for i, port in enumerate(resource.ports)
                    if port.node_id == node_id and any(point[i] > 0 for point in resource.points_kw)
                ]
                if fed:
                    return True
            case Generator() if resource.node_id == node_id:
                if not resource.only_wanted:
                    return True
            case _ if resource.node_id == node_id:
                if (b.base_kw[b.row_of[resource.resource_id]] > 0).any():
                    return True
    return False


def _least_at_points(b: Builder, terms: Sequence[Term]) -> Floats:
    """Behind each connection point, shape (P, T)."""
    _, earns = both_ways(b, terms)
    least = earns + _least_value(b, terms)
    for term in terms:
        match term:
            case GreenShare():  # an exported kWh is not used at home
                least -= term.shortfall_per_kwh * (1 - term.share)
            case Cap(export_kw=np.ndarray() as export_kw):
                below = list(cap_limit(b, term).below)
                over = reach_kw(b, below)[1] > export_kw
                least[below] -= np.where(over, term.excess_per_kwh, 0.0)
            case ChangePenalty():  # keeping what was announced may be worth burning for
                for resource_id, announced_kw in term.announced_kw.items():
                    point = b.view.park.resource_by_id[resource_id].connection_point_id
                    said = np.isfinite(announced_kw)
                    least[b.point_of[point]] -= np.where(said, term.price_per_kwh, 0.0)
            case ReserveHeadroom() if term.activation_hours > b.hours:
                _burnt_for_reserve(b, term, least)
            case _:
                pass  # makes no kWh worth less than it is
    return least


def _burnt_for_reserve(b: Builder, term: ReserveHeadroom, least: Floats) -> None:
    """Lower `least` by what burning a kWh in a store could earn by keeping more reserve.

    For a call of H hours, what would stop takes less energy than what would begin. A store that goes
    both ways at once with x kW, which burns (1 - e)·h·x kWh of what it could feed, could pretend to
    keep (1 - e)·(1 - h/H)·x kW more: a call no longer than a step takes as much at its end.
    """
    keepers = [b.view.park.resource_by_id[name] for name in term.resource_ids]
    stores = [unit for unit in keepers if isinstance(unit, Storage)]
    behind = {b.point_of[unit.connection_point_id] for unit in stores}
    earns = np.maximum(
        np.where(term.open_kw > 0, term.price_per_kw_h, 0.0),
        np.where(term.firm_kw > 0, term.shortfall_per_kw_h, 0.0),
    )
    if term.called_per_kwh is not None:
        earns += term.called_share * np.abs(term.called_per_kwh)
    least[sorted(behind)] -= earns * (1 - b.hours / term.activation_hours)


def _least_value(b: Builder, terms: Sequence[Term]) -> Floats:
    """What one more kWh of the park's net is worth at least at the market, shape (T,).

    Any amount can be left over at `long_per_kwh`. Where the products have more room than the park
    can feed, not all of them can be sold out, unless bought back or sold short: then it is worth no
    less than the worst of their prices.
    """
    positions = [term for term in terms if isinstance(term, Commitment)]
    committed, short, long = (
        np.sum([np.zeros(b.steps), *values], axis=0)
        for values in (
            [term.base_kw for term in positions],
            [term.short_per_kwh for term in positions],
            [term.long_per_kwh for term in positions],
        )
    )
    room, worst = np.zeros(b.steps), np.full(b.steps, np.inf)
    for trade in (term for term in terms if isinstance(term, OpenTrade)):
        room += trade.max_kw
        worst = np.where(trade.max_kw > 0, np.minimum(worst, trade.sell_per_kwh), worst)
    points = len(b.point_of)
    most_kw = np.maximum(b.node_base_kw[:points], 0).sum(axis=0)
    most_kw += b.most_fed_kw[:points].sum(axis=0)
    roomy = committed + room > most_kw
    least: Floats = np.where(roomy, np.maximum(long, np.minimum(worst, short)), long)
    return least
