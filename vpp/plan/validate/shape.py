"""What keeps a schedule from being read at all: other names, other shapes, no numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import TypeVar

import numpy as np

from vpp.model.ids import ResourceId
from vpp.model.measurement import RunPhase
from vpp.model.resource import (
    Converter,
    CurtailableLoad,
    EvFleet,
    FlexibleLoad,
    Generator,
    InterruptibleLoad,
    ShiftableRun,
    Storage,
    ThermalZone,
)
from vpp.model.rows import Rows
from vpp.model.schedule import Schedule
from vpp.plan.terms import OpenTrade, ReserveHeadroom, Term
from vpp.plan.validate.loads import limited
from vpp.plan.view import PlanningView

Name = TypeVar("Name", bound=str)


def misfits(schedule: Schedule, view: PlanningView, terms: Sequence[Term]) -> Iterator[str]:
    """Everything that is checked before a single number is looked at."""
    steps, resources = view.horizon.steps, view.park.resources
    if schedule.horizon != view.horizon:
        yield f"it stands on {schedule.horizon}, the view on {view.horizon}"
    if schedule.resource_ids != tuple(r.resource_id for r in resources):
        yield "its resources are not the park's, in the park's order"
    yield from _numbers("power_kw", schedule.power_kw, (len(resources), steps))
    for name in ("net_kw", "committed_kw", "net_value_per_kwh"):
        yield from _numbers(name, getattr(schedule, name), (steps,))
    if not np.isfinite([*schedule.cost_by_cause.values(), schedule.gap]).all():
        yield "a cost or the gap is not finite"
    if not schedule.gap >= 0:
        yield f"the gap is {schedule.gap}"
    yield from _states(schedule, view)
    yield from _places(schedule, view, terms)
    yield from _reserves(schedule, view, terms)
    yield from _starts(schedule, view)


def _states(schedule: Schedule, view: PlanningView) -> Iterator[str]:
    """What is said of resources by their names."""
    kindred, heard = view.park.kindred, view.state.reading
    storages = {
        r.resource_id
        for r in kindred(Storage).units
        if (told := heard(r.resource_id)) and told.soc is not None
    }
    zones = {r.resource_id for r in kindred(ThermalZone).units if heard(r.resource_id)}
    cars = {
        f"{r.resource_id}/{session.session_id}"
        for r in kindred(EvFleet).units
        if (reading := heard(r.resource_id))
        for session in reading.sessions or ()
    }
    for name in ("stored_kwh", "stored_value_per_kwh"):
        yield from _profiles(name, getattr(schedule, name), view, storages, storages)
    yield from _profiles("temperature_degc", schedule.temperature_degc, view, zones, zones)
    yield from _profiles("cars_kw", schedule.cars_kw, view, cars, cars)
    yield from _names("unserved_kwh", schedule.unserved_kwh, cars, cars)
    loads = {r.resource_id for r in kindred(CurtailableLoad).units}
    yield from _profiles("curtailed_kw", schedule.curtailed_kw, view, set(), loads)
    machines: list[Generator | FlexibleLoad | Converter] = [
        *kindred(Generator).units,
        *kindred(FlexibleLoad).units,
        *kindred(Converter).units,
    ]
    may = {r.resource_id for r in machines if r.on_off is not None}
    must = {
        r.resource_id
        for r in machines
        if r.on_off is not None and (isinstance(r, Generator) or heard(r.resource_id))
    }
    yield from _profiles("on", schedule.on, view, must, may, kind="b")
    flexible = {r.resource_id for r in kindred(FlexibleLoad).units}
    strangers = {key for key in schedule.undone_units if key.partition("/")[0] not in flexible}
    if strangers:
        yield f"undone_units speaks of {sorted(strangers)}, not of {sorted(flexible)}"
    for key, value in (*schedule.unserved_kwh.items(), *schedule.undone_units.items()):
        if not np.isfinite(value):
            yield f"{key}: what is missing is not finite"


def _places(schedule: Schedule, view: PlanningView, terms: Sequence[Term]) -> Iterator[str]:
    """What is said of connection points, nodes, pipes and products."""
    park = view.park
    points = {p.connection_point_id for p in park.connection_points}
    nodes = {node.node_id for node in park.nodes}
    pipes = {pipe.pipe_id for pipe in park.pipes}
    products = {term.product_id for term in terms if isinstance(term, OpenTrade)}
    nothing: set[str] = set()
    yield from _profiles("connection_point_kw", schedule.connection_point_kw, view, points, points)
    yield from _profiles("trade_kw", schedule.trade_kw, view, products, products)
    worth = schedule.point_value_per_kwh
    yield from _profiles("point_value_per_kwh", worth, view, nothing, points)
    yield from _profiles("node_value_per_kwh", schedule.node_value_per_kwh, view, nothing, nodes)
    for limit in schedule.limit_prices:
        yield from _numbers(f"price of {limit.limit}", limit.per_unit, (view.horizon.steps,))
    yield from _profiles("pipe_kw", schedule.pipe_kw, view, nothing, pipes)
    yield from _profiles("spilled_kw", schedule.spilled_kw, view, nothing, nodes)
    yield from _profiles("lacking_kw", schedule.lacking_kw, view, nothing, nodes)
    ports = {
        r.resource_id: {port.node_id for port in r.ports if port.node_id is not None}
        for r in park.kindred(Converter).units
    }
    yield from _names("port_kw", schedule.port_kw, nothing, ports.keys())
    for name, flows in schedule.port_kw.items():
        mine = ports.get(name, set())
        yield from _profiles(f"port_kw of {name}", flows, view, nothing, mine)


def _reserves(schedule: Schedule, view: PlanningView, terms: Sequence[Term]) -> Iterator[str]:
    products = {term.key for term in terms if isinstance(term, ReserveHeadroom)}
    yield from _names("reserve", schedule.reserve, products, products)
    if not schedule.reserve:
        return
    names, steps = {r.resource_id for r in view.park.resources}, (view.horizon.steps,)
    for key, reserve in schedule.reserve.items():
        yield from _numbers(f"sold_kw of {key}", reserve.sold_kw, steps)
        yield from _numbers(f"lacking_kw of {key}", reserve.lacking_kw, steps)
        kept = reserve.kept_kw
        yield from _profiles(f"kept_kw of {key}", kept, view, set(), names)
        yield from _profiles(f"relief_kw of {key}", reserve.relief_kw, view, set(), kept.keys())


def _starts(schedule: Schedule, view: PlanningView) -> Iterator[str]:
    steps, resources = view.horizon.steps, view.park.resource_by_id
    for name, chosen in schedule.starts.items():
        resource = resources.get(name)
        usual = _usual_length(view, name)
        lengths = schedule.start_lengths.get(name, (usual,) * len(chosen))
        if usual == 0 or not all(0 <= step < steps for step in chosen):
            yield f"{name}: cannot start in steps {chosen}"
        elif len(lengths) != len(chosen) or not all(length > 0 for length in lengths):
            yield f"{name}: starts in steps {chosen}, for {lengths} steps"
        elif isinstance(resource, ShiftableRun) and set(lengths) - {usual}:
            yield f"{name}: runs for {lengths} steps, its profile has {usual}"
    for name, step in schedule.longer_until.items():
        resource, reading = resources.get(name), None
        if isinstance(resource, InterruptibleLoad) and resource.longest_call is not None:
            reading = view.state.reading(name)
        if reading is None or reading.phase is not RunPhase.CALLED or not 0 < step <= steps:
            yield f"{name}: has no call under way that could last until step {step}"
    if strangers := schedule.start_lengths.keys() - schedule.starts.keys():
        yield f"start_lengths speaks of {sorted(strangers)}, which start nowhere"


def _usual_length(view: PlanningView, name: ResourceId) -> int:
    """Steps that a start lasts where nothing else is said; 0 where nothing can start."""
    resource, step = view.park.resource_by_id.get(name), view.horizon.step
    match resource:
        case ShiftableRun():
            return len(resource.profile_kw)
        case InterruptibleLoad():
            return max(resource.call_length // step, 1)
        case CurtailableLoad() if limited(resource):
            return 1
        case _:
            return 0


def _names(name: str, found: Mapping[Name, object], must: Set[str], may: Set[str]) -> Iterator[str]:
    if not must <= set(found) <= may:
        wanted = sorted(may) if must == may else f"some of {sorted(may)} with all of {sorted(must)}"
        yield f"{name} speaks of {sorted(found)}, not of {wanted}"


def _profiles(
    name: str,
    profiles: Mapping[Name, object],
    view: PlanningView,
    must: Set[str],
    may: Set[str],
    *,
    kind: str = "f",
) -> Iterator[str]:
    """One array of shape (T,) for each name."""
    yield from _names(name, profiles, must, may)
    if isinstance(profiles, Rows):
        whole = profiles.values_by_row
        if not any(_numbers(name, whole, (len(profiles), view.horizon.steps), kind=kind)):
            return  # all of them are in order
    for key, values in profiles.items():
        yield from _numbers(f"{name} of {key}", values, (view.horizon.steps,), kind=kind)


def _numbers(
    name: str, values: object, shape: tuple[int, ...], *, kind: str = "f"
) -> Iterator[str]:
    if not isinstance(values, np.ndarray) or values.dtype.kind != kind or values.shape != shape:
        yield f"{name} is no array of numbers in shape {shape}"
    elif not np.isfinite(values).all():
        yield f"{name}: a value is not finite"
