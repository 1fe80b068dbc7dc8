"""Where things meet: connection points, the tree of limits, carrier nodes, pipes, groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np

from tests.plan.independent.sheet import Asked, Kept, Line, Sheet
from vpp.model.ids import ResourceId
from vpp.model.park import LimitOrder, Limits


@dataclass(frozen=True, eq=False)
class Grid:
    """Imports and exports of each connection point, shape (T,) each."""

    imports: dict[str, Line]
    exports: dict[str, Line]

    def net(self, points: list[str]) -> Line:
        return sum((self.exports[p] - self.imports[p] for p in points), start=0.0)


def below(sheet: Sheet, place: str) -> list[str]:
    """The connection points under a place of the tree."""
    park = sheet.view.park
    return [
        p.connection_point_id
        for p in park.connection_points
        if place in (p.connection_point_id, p.enterprise_id, p.feeder_id, park.park_id)
    ]


def electricity(sheet: Sheet, kept: dict[ResourceId, dict[int, Kept]], asked: Asked) -> Grid:
    park = sheet.view.park
    grid = Grid(imports={}, exports={})
    for p in park.connection_points:
        name = p.connection_point_id
        grid.imports[name], grid.exports[name] = sheet.size(), sheet.size()
        inside = sum(sheet.meets[name], start=np.zeros(sheet.steps))
        sheet.hold(inside == grid.exports[name] - grid.imports[name])
    places: list[tuple[str, Limits]] = [
        *((p.connection_point_id, p.limits) for p in park.connection_points),
        *((e.enterprise_id, e.limits) for e in park.enterprises),
        *((f.feeder_id, f.limits) for f in park.feeders),
        (park.park_id, park.limits),
    ]
    for place, limits in places:
        _limit(sheet, grid, kept, asked, place, limits, np.ones(sheet.steps, dtype=bool), 1.0)
    for order in sheet.view.limit_orders:
        times = 1 + 0.1 * order.priority if order.priority > 0 else 1.0
        _limit(sheet, grid, kept, asked, order.place, order.limits, _steps_of(sheet, order), times)
    return grid


def _steps_of(sheet: Sheet, order: LimitOrder) -> Any:
    return np.array(
        [
            span.start < order.span.end and order.span.start < span.end
            for span in sheet.view.horizon.intervals()
        ]
    )


def _limit(
    sheet: Sheet,
    grid: Grid,
    kept: dict[ResourceId, dict[int, Kept]],
    asked: Asked,
    place: str,
    limits: Limits,
    holds: Any,
    times: float,
) -> None:
    points = below(sheet, place)
    if not points or not holds.any():
        return
    net = grid.net(points)
    margin = next((one for one in sheet.view.margins if one.place == place), None)
    for most, up in ((limits.import_kw, False), (limits.export_kw, True)):
        if np.isfinite(most):
            called = sum(_called(sheet, points, kept, asked, up=up), start=net if up else -net)
            dearer = times
            if margin is not None:
                # From the margin on its price is paid, beyond the limit the difference on top: of a
                # kWh there what the limit costs, for the margin below it the margin's price.
                spare = margin.export_kw if up else margin.import_kw
                begun = cp.sum(cp.pos(called - (most - spare))[holds])
                sheet.pay(margin.price_per_kwh * sheet.hours * begun)
                dearer -= margin.price_per_kwh / sheet.excess_per_kwh
            sheet.pay_excess(cp.pos(called - most)[holds], dearer)


def _called(
    sheet: Sheet,
    points: list[str],
    kept: dict[ResourceId, dict[int, Kept]],
    asked: Asked,
    *,
    up: bool,
) -> list[Line]:
    """What would be fed more (or less) if all reserve below were called."""
    return [
        one.total
        for name, of_terms in kept.items()
        if sheet.view.park.resource_by_id[name].connection_point_id in points
        for number, one in of_terms.items()
        if asked[number].up is up
    ]


def carriers(sheet: Sheet) -> None:
    park, horizon = sheet.view.park, sheet.view.horizon
    for pipe in park.pipes:
        enters = sheet.size(pipe.max_kw)
        late = round(pipe.delay / horizon.step)
        arrives = (1 - pipe.loss_share) * (np.eye(sheet.steps, k=-late) @ enters)
        sheet.meets[pipe.from_node_id].append(-enters)
        sheet.meets[pipe.to_node_id].append(arrives)
        sheet.pay(pipe.cost_per_kwh * sheet.hours * cp.sum(enters))
    for node in park.nodes:
        lacking, spilled = sheet.size(), sheet.size()
        sheet.pay_excess(lacking)
        if node.spill_cost_per_kwh is None:
            sheet.pay_excess(spilled)
        else:
            sheet.pay(node.spill_cost_per_kwh * sheet.hours * cp.sum(spilled))
        sheet.hold(sum(sheet.meets[node.node_id], start=lacking) - spilled == 0)


def groups(sheet: Sheet) -> None:
    """What nobody decides may be more than a group has; then nothing comes on top."""
    none = np.zeros(sheet.steps)
    for group in sheet.view.park.groups:
        parts = [sheet.parts[name] for name in group.resource_ids]
        if np.isfinite(group.max_draw_kw):
            draws = [part.draw for part in parts if part.draw is not None]
            given = sum((part.given_draw for part in parts), start=none)
            sheet.hold(sum(draws, start=none) <= np.maximum(group.max_draw_kw, given))
        if group.max_running is not None:
            running = [part.running for part in parts]
            given = sum((part.given_running for part in parts), start=none)
            sheet.hold(sum(running, start=none) <= np.maximum(group.max_running, given))
