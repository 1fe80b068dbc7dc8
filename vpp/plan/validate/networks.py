"""Carrier nodes are balanced in every step, pipes carry what they can, groups share what they must."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.ids import NodeId, ResourceId
from vpp.model.network import Pipe
from vpp.model.park import PowerGroup
from vpp.model.resource import Converter, EvFleet, FixedLoad, InterruptibleLoad, ShiftableRun
from vpp.plan.validate import calls, runs
from vpp.plan.validate.case import Case
from vpp.plan.validate.compare import between, equal, slack
from vpp.plan.validate.machines import Bools


def network_faults(case: Case) -> Iterator[str]:
    """Nodes that are not balanced, and pipes beyond their size."""
    schedule = case.schedule
    for pipe in case.view.park.pipes:
        yield from between(f"pipe {pipe.pipe_id}: max_kw", _entering(case, pipe), 0.0, pipe.max_kw)
    for node in case.view.park.nodes:
        spilled = schedule.spilled_kw.get(node.node_id, case.zeros())
        lacking = schedule.lacking_kw.get(node.node_id, case.zeros())
        yield from between(f"node {node.node_id}: spilled", spilled, 0.0, inf)
        yield from between(f"node {node.node_id}: lacking", lacking, 0.0, inf)
        flows = [*_flows(case, node.node_id), -spilled, lacking]
        yield from equal(
            f"node {node.node_id}: balance", np.sum(flows, axis=0), case.zeros(), *flows
        )


def _entering(case: Case, pipe: Pipe) -> Floats:
    return case.schedule.pipe_kw.get(pipe.pipe_id, case.zeros())


def _flows(case: Case, node_id: NodeId) -> Iterator[Floats]:
    """All that enters a node (leaves it below 0), shape (T,) each."""
    for resource in case.view.park.resources:
        if isinstance(resource, Converter):
            ports = case.schedule.port_kw.get(resource.resource_id, {})
            if node_id in ports:
                yield ports[node_id]
        elif resource.node_id == node_id:
            yield case.power(resource.resource_id)
    for pipe in case.view.park.pipes:
        enters = _entering(case, pipe)
        if pipe.from_node_id == node_id:
            yield -enters
        if pipe.to_node_id == node_id:
            later = min(round(pipe.delay / case.view.horizon.step), case.steps)
            # Nothing is under way as the horizon begins.
            arrives = np.concatenate([np.zeros(later), enters[: case.steps - later]])
            yield (1 - pipe.loss_share) * arrives


def group_faults(case: Case) -> Iterator[str]:
    """Resources that draw too much together, or run when another one must not."""
    for group in case.view.park.groups:
        draws = [np.maximum(-case.power(name), 0.0) for name in group.resource_ids]
        together = np.sum(draws, axis=0)
        given = np.sum(
            [case.zeros(), *(_given_kw(case, name) for name in group.resource_ids)], axis=0
        )
        most = np.maximum(group.max_draw_kw, given)
        yield from between(f"group {group.group_id}: max_draw_kw", together, 0.0, most, *draws)
        if group.max_running is not None:
            yield from _running_together(case, group, group.max_running)


def _running_together(case: Case, group: PowerGroup, most: int) -> Iterator[str]:
    count = np.sum([running(case, name) for name in group.resource_ids], axis=0)
    given = np.sum([_runs_by_itself(case, name) for name in group.resource_ids], axis=0)
    bad = np.flatnonzero(count > np.maximum(most, given))
    if len(bad):
        step = bad[0]
        yield (
            f"group {group.group_id}: max_running: {count[step]} run in step {step}, allowed {most}"
        )


def _given_kw(case: Case, name: ResourceId) -> Floats:
    """What a member of a group draws that nobody decides, shape (T,): it may be more than is allowed."""
    resource = case.view.park.resource_by_id[name]
    if isinstance(resource, ShiftableRun):
        return runs.given_kw(case, resource)
    if isinstance(resource, EvFleet):
        return np.maximum(-case.view.arriving_kw[name].values, 0.0)
    if isinstance(resource, FixedLoad) or case.reading(name) is None:
        return np.maximum(-case.power(name), 0.0)
    return case.zeros()


def _runs_by_itself(case: Case, name: ResourceId) -> Bools:
    """Steps in which a member runs that nobody decides, shape (T,)."""
    resource = case.view.park.resource_by_id[name]
    if isinstance(resource, ShiftableRun):
        return runs.given_progress(case, resource)
    decided = case.reading(name) is not None or name in case.schedule.on
    return np.zeros(case.steps, dtype=bool) if decided else running(case, name)


def running(case: Case, name: ResourceId) -> Bools:
    """Steps in which a resource runs that is on or off, shape (T,)."""
    resource = case.view.park.resource_by_id[name]
    if isinstance(resource, ShiftableRun):
        return runs.in_progress(case, resource)
    if isinstance(resource, InterruptibleLoad):
        return calls.runs(case, resource)
    if name in case.schedule.on:
        return case.schedule.on[name]
    power = case.power(name)
    return np.asarray(np.abs(power) > slack(power))
