"""What joins nodes, pipes, groups and runs of a park file with the resources that they name."""

from __future__ import annotations

from vpp.model.ids import ResourceId
from vpp.model.resource import Converter, FlexibleLoad, Generator, InterruptibleLoad, ShiftableRun
from vpp.service.park.parts import Found, Parts, require


def check_networks(parts: Parts) -> None:
    """Every contradiction."""
    nodes = parts.known("node")
    for path, pipe in parts.pipes:
        for key, end in (("from_node", pipe.from_node_id), ("to_node", pipe.to_node_id)):
            require(parts, (*path, key), end, nodes, "node")
    for found in parts.resources:
        if found.resource.node_id is not None:
            require(parts, (*found.path, "node"), found.resource.node_id, nodes, "node")
        ports = found.resource.ports if isinstance(found.resource, Converter) else ()
        for place, port in enumerate(ports):
            if port.node_id is not None:
                where = (*found.path, "ports", place, "node")
                require(parts, where, port.node_id, nodes, "node")
    _check_groups(parts)
    _check_order(parts)


def _check_groups(parts: Parts) -> None:
    names, kinds = parts.known("resource"), parts.by_id()
    for path, group in parts.groups:
        for place, name in enumerate(group.resource_ids):
            where = (*path, "resources", place)
            if not require(parts, where, name, names, "resource"):
                continue
            if name in group.resource_ids[:place]:
                parts.fault(where, f"{name} is named twice")
            if group.max_running is not None and name in kinds and not _runs(kinds[name]):
                parts.fault(where, f"{name} is neither on nor off, so it cannot be counted running")


def _runs(resource: object) -> bool:
    match resource:
        case Generator() | FlexibleLoad() | Converter():
            return resource.on_off is not None
        case ShiftableRun() | InterruptibleLoad():
            return True
        case _:
            return False


def _check_order(parts: Parts) -> None:
    """Each run waits for a run of the same days, and none for itself by a detour."""
    runs = {
        found.resource.resource_id: (found, found.resource)
        for found in parts.resources
        if isinstance(found.resource, ShiftableRun)
    }
    known, kinds = parts.known("resource"), parts.by_id()
    for found, run in runs.values():
        if run.after is None:
            continue
        where = (*found.path, "after")
        if not require(parts, where, run.after, known, "resource"):
            continue
        if run.after not in runs:
            if run.after in kinds:
                parts.fault(where, f"{run.after} is no shiftable_run")
            continue
        first = runs[run.after][1]
        if not set(run.run_days) <= set(first.run_days):
            parts.fault(where, f"{run.after} does not run on all of its days")
        if first.runs_per_day < run.runs_per_day:
            what = f"{run.after} runs {first.runs_per_day} times a day, this {run.runs_per_day}"
            parts.fault(where, what)
        if _in_circle(run, runs):
            parts.fault(where, "each of these runs waits for the other")


def _in_circle(run: ShiftableRun, runs: dict[ResourceId, tuple[Found, ShiftableRun]]) -> bool:
    seen, name = {run.resource_id}, run.after
    while name is not None and name in runs:
        if name == run.resource_id:
            return True
        if name in seen:
            return False  # a circle further on, told where it is
        seen.add(name)
        name = runs[name][1].after
    return False
