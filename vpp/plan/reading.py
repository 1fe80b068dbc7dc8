"""Name what the columns of the last LP mean: the schedule that everybody reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.ids import NodeId, ProductId, ResourceId
from vpp.model.rows import Rows
from vpp.model.schedule import Schedule, Size
from vpp.plan.lp import LpSolution
from vpp.plan.prices import broken_limits, limit_prices
from vpp.plan.problem import Problem
from vpp.plan.programme import Programme
from vpp.plan.reserve import reserve_of
from vpp.plan.terms import Commitment, StoredFloor, Term


def schedule_of(
    problem: Problem,
    programme: Programme,
    solution: LpSolution,
    *,
    gap: float,
    build_s: float,
    solve_s: float,
) -> Schedule:
    """Name what the columns mean."""
    view, x, fleet = problem.view, solution.x, programme.fleet
    hours, steps = view.horizon.step_hours, view.horizon.steps
    points = x[fleet.points.exports] - x[fleet.points.imports]
    worth = -solution.row_marginals[programme.balance] / hours
    market = fleet.market
    net_value = np.zeros(steps)
    if len(market.rows):
        net_value = solution.row_marginals[market.rows] / hours
    stored_value = -solution.row_marginals[fleet.storages.rows]
    stored = fleet.storages.stored_profiles(x)
    commitments = [t.base_kw for t in problem.terms if isinstance(t, Commitment)]
    point_ids = [p.connection_point_id for p in view.park.connection_points]
    node_ids = [node.node_id for node in view.park.nodes]
    begun = fleet.starts.taken(x) | fleet.curtailables.calls(x, view)
    return Schedule(
        plan_id=problem.options.plan_id,
        issued_at=view.now,
        horizon=view.horizon,
        resource_ids=tuple(r.resource_id for r in view.park.resources),
        power_kw=programme.base_kw + (programme.power @ x).reshape(programme.base_kw.shape),
        port_kw=_ports(programme, x),
        stored_kwh=stored,
        kept_kwh=_kept_kwh(problem.terms, stored),
        left_alone=view.not_steered,
        temperature_degc=fleet.zones.temperatures(x),
        connection_point_kw=Rows(point_ids, points),
        net_kw=points.sum(axis=0),
        on={name: row for machines in fleet.machines for name, row in machines.states(x).items()},
        pipe_kw=fleet.networks.pipe_kw(x),
        spilled_kw=fleet.networks.spilled_kw(x),
        lacking_kw=fleet.networks.lacking_kw(x),
        cars_kw=fleet.cars.power_kw(x),
        reserve={one.term.key: reserve_of(one, x) for one in fleet.reserve},
        committed_kw=np.sum([np.zeros(steps), *commitments], axis=0),
        trade_kw=_by_product(market.products, x[market.sell] - x[market.buy]),
        stored_value_per_kwh=Rows(stored.names, stored_value),
        net_value_per_kwh=net_value,
        point_value_per_kwh=Rows(point_ids, worth[: len(point_ids)]),
        node_value_per_kwh=dict(zip(node_ids, worth[len(point_ids) :], strict=True)),
        broken=broken_limits(programme, x, view.horizon),
        limit_prices=limit_prices(programme, solution, steps),
        starts={name: tuple(step for step, _ in some) for name, some in begun.items()},
        start_lengths={name: tuple(length for _, length in some) for name, some in begun.items()},
        longer_until=fleet.starts.longer_until(x),
        curtailed_kw=fleet.curtailables.curtailed_kw(x),
        unserved_kwh=dict(zip(fleet.cars.names(), x[fleet.cars.unserved].tolist(), strict=True)),
        undone_units=fleet.flexibles.undone_units(x),
        cost_by_cause={cause: prices.cost(x) for cause, prices in programme.causes.items()},
        gap=gap,
        size=Size(
            columns=len(programme.cost),
            rows=len(programme.row_lower),
            nonzeros=programme.matrix.nnz,
            binaries=len(programme.integral),
        ),
        how=solution.how,
        build_s=build_s,
        solve_s=solve_s,
        strategy_version=problem.options.strategy_version,
        input_digest=programme.digest(),
    )


def _kept_kwh(
    terms: Sequence[Term], stored_kwh: Mapping[ResourceId, Floats]
) -> dict[ResourceId, Floats]:
    """The highest floor under each storage, no higher than what it holds."""
    kept: dict[ResourceId, Floats] = {}
    for term in terms:
        if isinstance(term, StoredFloor):
            for name in term.least_kwh.keys() & stored_kwh.keys():
                floor = np.minimum(term.least_kwh[name], stored_kwh[name])
                kept[name] = np.fmax(kept[name], floor) if name in kept else floor
    return kept


def _ports(programme: Programme, x: Floats) -> dict[ResourceId, dict[NodeId, Floats]]:
    flows: dict[ResourceId, dict[NodeId, Floats]] = {}
    for (resource_id, node_id), matrix in programme.ports.items():
        flows.setdefault(resource_id, {})[node_id] = matrix @ x
    return flows


def _by_product(products: Sequence[ProductId], trade_kw: Floats) -> dict[ProductId, Floats]:
    total: dict[ProductId, Floats] = {}
    for product, row in zip(products, trade_kw, strict=True):
        total[product] = total.get(product, 0.0) + row
    return total
