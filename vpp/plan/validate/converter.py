"""Converters: what flows at their ports is a mixture of their operating points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.optimize import nnls

from vpp.model.horizon import Floats
from vpp.model.ids import NodeId
from vpp.model.resource import Converter
from vpp.plan.validate.case import Case, measured
from vpp.plan.validate.compare import TOLERANCE, equal
from vpp.plan.validate.machines import on_off_faults, ramp_faults


def converter_faults(case: Case, machine: Converter) -> Iterator[str]:
    """Flows that no mixture of its points gives, in the state it is said to be in."""
    name = machine.resource_id
    ends, flows = flows_kw(case, machine)
    if machine.on_off is not None:
        # One that is not heard stands still, ready.
        may = np.full(case.steps, case.reading(name) is not None)
        yield from on_off_faults(case, name, machine.on_off, may=may)
    if machine.on_off is None and case.reading(name) is None:
        for end, flow in zip(ends, flows, strict=True):
            yield from equal(f"{name}: not heard, at {end or 'the grid'}", flow, case.zeros())
        return
    yield from _mixtures(case, machine, ends, flows)
    if case.reading(name) is not None:
        yield from _ramps(case, machine, ends, flows)


def _ramps(
    case: Case, machine: Converter, ends: list[NodeId | None], flows: Floats
) -> Iterator[str]:
    """How fast its electric power changes, or what flows at its first port where it has none."""
    ports = measured(machine)
    end = ends.index(machine.ports[ports[0]].node_id)
    points = points_at(case, machine, ends, only=ports)[:, end]
    standby = -machine.standby_kw if 0 in ports else 0.0
    least = np.minimum(points.min(axis=1), standby)
    most = np.maximum(points.max(axis=1), 0.0)
    running = (float(points[0].min()), float(points[0].max()))
    yield from ramp_faults(case, machine, flows[end], least, most, running)


def flows_kw(case: Case, machine: Converter) -> tuple[list[NodeId | None], Floats]:
    """Where the machine meets a node (None for electricity), and what it feeds there, (E, T)."""
    ends = list(dict.fromkeys(port.node_id for port in machine.ports))
    ports = case.schedule.port_kw.get(machine.resource_id, {})
    flows = [
        case.power(machine.resource_id) if end is None else ports.get(end, case.zeros())
        for end in ends
    ]
    return ends, np.array(flows)


def points_at(
    case: Case,
    machine: Converter,
    ends: list[NodeId | None],
    *,
    only: Sequence[int] | None = None,
) -> Floats:
    """What flows at each end at each operating point in each step, shape (T, E, K).

    `only` picks ports by number; left out, all count.
    """
    outdoor = None
    if machine.outdoor_series_id is not None:
        outdoor = case.view.outdoor_degc[machine.outdoor_series_id].values
    flows = np.zeros((case.steps, len(ends), len(machine.points_kw)))
    for p, port in enumerate(machine.ports):
        if only is not None and p not in only:
            continue
        factor = np.ones(case.steps)
        if outdoor is not None:  # the cold never turns a flow round
            factor = np.maximum(1 + port.per_degc * (outdoor - port.reference_degc), 0.0)
        column = np.array([point[p] for point in machine.points_kw])
        flows[:, ends.index(port.node_id)] += factor[:, None] * column
    return flows


def _mixtures(
    case: Case, machine: Converter, ends: list[NodeId | None], flows: Floats
) -> Iterator[str]:
    """Weights of the points, not below 0, that add up to the flows, to 1 (or to on) in each step."""
    name = machine.resource_id
    points = points_at(case, machine, ends)
    expected = flows.T.copy()
    on = np.ones(case.steps, dtype=bool)
    if machine.on_off is not None:
        on = case.schedule.on[name]
        expected[~on, ends.index(machine.ports[0].node_id)] += machine.standby_kw
    size = np.abs(points).sum(axis=(1, 2))
    for step in range(case.steps):
        allowed = TOLERANCE * max(1.0, float(size[step]))
        off = _distance(points[step], expected[step], on=bool(on[step]), must=bool(machine.on_off))
        if not off <= allowed:
            yield (
                f"{name}: points_kw: {np.round(flows[:, step], 6)} kW in step {step} is no mixture of"
                f" its points, {off:.6f} kW off"
            )
            return


def _distance(points: Floats, flow: Floats, *, on: bool, must: bool) -> float:
    """How far `flow` (E,) lies from the mixtures of `points` (E, K), in kW."""
    if not on:
        return float(np.abs(flow).max())
    if not must and not flow.any():
        return 0.0
    # The weights' sum stands beside the flows as one more thing that flows, as large as they are.
    scale = max(float(np.abs(points).max(initial=0.0)), 1.0)
    ends, count = points.shape
    matrix = np.zeros((ends + 1, count + (not must)))
    matrix[:ends, :count] = points
    matrix[ends] = scale  # standing still, where it is allowed, takes what is left of 1
    _, off = nnls(matrix, np.append(flow, scale))
    return float(off)
