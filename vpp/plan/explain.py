"""Why a resource does what it is planned to do, in sentences made of shadow prices.

    bess-1 draws 50.0 kW from 03:15 to 03:30.
    A kWh drawn behind gate costs 0.0600 EUR then: 0.0500 market, 0.0100 network energy.
    In the store it becomes 0.900 kWh, each worth 0.3000 EUR later, 0.0200 EUR wear: a kWh drawn gains
    0.1900 EUR.
    Later it feeds most dearly at 18:00, for 0.3300 EUR a kWh.
    bess-1: max_charge_kw binds: one unit of room more would save 0.0475 EUR.

Nothing is guessed: each number is one of the schedule, the view or the terms. Prices hold for one
kWh more or less; where there are on/off decisions they hold with those decisions as taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from vpp.errors import DataError
from vpp.model.ids import ResourceId
from vpp.model.resource import Converter, FixedLoad, Generator
from vpp.model.schedule import Schedule
from vpp.plan.reasons import IDLE_KW, SMALL, Moment, of_kind
from vpp.plan.terms import (
    Commitment,
    EnergyPrice,
    EnergyTarget,
    PeakCharge,
    ReserveHeadroom,
    Term,
)
from vpp.plan.view import PlanningView

OF_MANY_STEPS = {
    *("least_units", "most_units", "max_cycles_per_day", "max_calls_per_day", "runs_per_day"),
    *("max_starts_per_day", "max_hours_per_day", "rest", "final_soc"),
}
"""Limits of a day, a window or a whole plan: their price stands in one of its last steps."""

OF_PEAKS = {"paid peak": "new peak", "margin below paid peak": "risk of a new peak"}
"""Limits of a metering interval, whose price stands in its first step, and what they make a kWh cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why one resource does what it does in one step."""

    resource_id: ResourceId
    start: datetime
    end: datetime
    power_kw: float
    """Planned net injection."""

    value_per_kwh: float | None
    """What one more kWh fed at its place saves; None where the schedule does not say."""

    stored_value_per_kwh: float | None
    """What one more kWh in it is worth at the end of the step; storages only."""

    binding: tuple[tuple[str, float], ...]
    """Limits that bind, in the words of the park file, and what one unit of room more would save."""

    sentences: tuple[str, ...]


def explain(
    schedule: Schedule,
    view: PlanningView,
    terms: Sequence[Term],
    resource_id: ResourceId,
    moment: datetime,
) -> Explanation:
    """Why `resource_id` does what it does at `moment`. `view` and `terms` are those of the plan.

    Raises:
        DataError: The park has no such resource, or the plan does not cover the moment.
    """
    resource = view.park.resource_by_id.get(resource_id)
    if resource is None:
        known = sorted(view.park.resource_by_id)
        raise DataError(
            f"the park has no resource {resource_id!r}",
            where="explain",
            fix=f"Name one of {', '.join(known[:12])}{', …' if len(known) > 12 else ''}",
        )
    horizon = schedule.horizon
    step = horizon.index(moment)
    if not 0 <= step < horizon.steps:
        raise DataError(
            f"{moment} is outside the plan",
            where="explain",
            fix=f"Ask from {horizon.start} to {horizon.end}",
        )
    at = Moment(schedule, view, tuple(terms), resource, step)
    stored = schedule.stored_value_per_kwh.get(resource_id)
    binding = tuple(_binding(at))
    start = horizon.start + step * horizon.step
    return Explanation(
        resource_id=resource_id,
        start=start,
        end=start + horizon.step,
        power_kw=at.power_kw,
        value_per_kwh=at.value,
        stored_value_per_kwh=None if stored is None else float(stored[step]),
        binding=binding,
        sentences=tuple(_sentences(at, binding)),
    )


def moment_of(view: PlanningView, clock: str) -> datetime:
    """The first moment of the plan at which the park's clock shows `clock`, such as 03:15.

    Raises:
        DataError: It is no time of day, or the plan does not cover it.
    """
    try:
        wanted = datetime.strptime(clock, "%H:%M").time()  # noqa: DTZ007 - a wall clock, no moment
    except ValueError as error:
        raise DataError(
            f"{clock!r} is no time of day", where="explain", fix="Write 03:15"
        ) from error
    horizon, zone = view.horizon, view.park.timezone
    minute = horizon.start
    while minute < min(horizon.end, horizon.start + timedelta(hours=26)):
        if minute.astimezone(zone).time() == wanted:
            return minute
        minute += timedelta(minutes=1)
    raise DataError(
        f"the plan does not cover {clock} on the clock of {zone.key}",
        where="explain",
        fix=f"Ask from {horizon.start.astimezone(zone):%H:%M} on, up to its end",
    )


# ---------------------------------------------------------------- what holds


def _binding(at: Moment) -> Iterator[tuple[str, float]]:
    """Limits with a price that this resource meets: its own, its places', the tree's.

    Prices are those of the step, and for what speaks of a day, a window or the whole plan, or of a
    later moment that is worked for now (a target), the sum of its prices from here on.
    """
    others = {r.resource_id for r in at.view.park.resources} - {at.resource.resource_id}
    for limit in at.schedule.limit_prices:
        head, _, field = limit.limit.partition(": ")
        if head in others or not _meets(at, head):
            continue
        if field in OF_MANY_STEPS or not field or _is_target(at, field):
            price = -float(limit.per_unit[at.step :].sum())
        else:
            step = _interval_start(at, at.step) if field in OF_PEAKS else at.step
            price = -float(limit.per_unit[step])
        if price > SMALL:
            yield limit.limit, price


def _is_target(at: Moment, field: str) -> bool:
    return any(
        isinstance(term, EnergyTarget)
        and (term.resource_id, term.reason) == (at.resource.resource_id, field)
        for term in at.terms
    )


def _meets(at: Moment, head: str) -> bool:
    """Whether a limit of the tree, a node, a pipe or a group concerns the resource."""
    park, resource = at.view.park, at.resource
    kind, _, name = head.partition(" ")
    point = park.point_by_id[resource.connection_point_id]
    electric = resource.node_id is None
    match kind:
        case "connection":
            return electric and head == f"connection point {point.connection_point_id}"
        case "enterprise":
            return electric and name == point.enterprise_id
        case "feeder":
            return electric and name == point.feeder_id
        case "group":
            group = next((g for g in park.groups if g.group_id == name), None)
            return group is not None and resource.resource_id in group.resource_ids
        case "order" | "cap":
            places = (
                park.park_id, point.feeder_id, point.enterprise_id, point.connection_point_id,
            )  # fmt: skip
            return electric and any(place and head.endswith(f"at {place}") for place in places)
        case "reserve":
            return any(
                isinstance(term, ReserveHeadroom)
                and (term.key, resource.resource_id in term.resource_ids) == (name, True)
                for term in at.terms
            )
        case "pipe" | "node":
            return resource.node_id is not None or isinstance(resource, Converter)
        case _:
            return True


def _interval_start(at: Moment, step: int) -> int:
    """The first step of the metering interval that a step lies in: there stands its price."""
    for term in at.terms:
        if (
            isinstance(term, PeakCharge)
            and term.connection_point_id == at.resource.connection_point_id
            and term.first_step <= step < term.last_step
        ):
            into = (step - term.first_step + term.elapsed_steps) % term.interval_steps
            return max(step - into, term.first_step)
    return step


# ---------------------------------------------------------------- sentences


def _sentences(at: Moment, binding: tuple[tuple[str, float], ...]) -> Iterator[str]:
    name, kw = at.resource.resource_id, at.power_kw
    does = f"feeds {kw:,.1f} kW" if kw > IDLE_KW else f"draws {-kw:,.1f} kW"
    does = "stands still" if abs(kw) <= IDLE_KW else does
    yield f"{name} {does} from {at.clock(at.step)} to {at.clock(at.step + 1)}."
    if at.view.state.reading(name) is None and not isinstance(at.resource, FixedLoad | Generator):
        yield f"{name} is not heard: it is left to itself, and the plan does not move it."
    yield from _worth(at)
    yield from of_kind(at)
    yield from _reserve(at)
    for words, price in binding:
        yield f"{words} binds: one unit of room more would save {at.money(price)}."
    if at.schedule.binaries:
        yield "These prices hold with the on/off decisions as taken."


def _worth(at: Moment) -> Iterator[str]:
    """What a kWh costs or earns at the resource's place, and what that is made of."""
    if at.value is None:
        yield "The plan says no price of energy at its place."
        return
    parts = list(_parts(at))
    rest = at.value - sum(amount for _, amount in parts)
    if parts and abs(rest) > SMALL:
        parts.append(("other limits and terms", rest))
    made_of = ", ".join(f"{amount + 0.0:.4f} {what}" for what, amount in parts)
    verb = "fed" if at.power_kw > IDLE_KW else "drawn"
    what = "saves" if at.power_kw > IDLE_KW else "costs"
    told = f"A kWh {verb} at {at.place} {what} {at.money(at.value)} then"
    yield f"{told}: {made_of}." if made_of else f"{told}."


def _parts(at: Moment) -> Iterator[tuple[str, float]]:
    """Market, network and peak, where they can be told apart: electricity that is not at a kink."""
    if at.resource.node_id is not None:
        return
    point, step = at.resource.connection_point_id, at.step
    flow_kw = float(at.schedule.connection_point_kw[point][step])
    if abs(flow_kw) <= IDLE_KW:
        return  # between drawing and feeding the price lies between two
    if any(isinstance(term, Commitment) for term in at.terms):
        yield "market", float(at.schedule.net_value_per_kwh[step])
    network = [
        term.import_per_kwh[step] if flow_kw < 0 else term.export_per_kwh[step]
        for term in at.terms
        if isinstance(term, EnergyPrice) and term.connection_point_id == point
    ]
    if network:
        yield "network energy", float(np.sum(network))
    for field, what in OF_PEAKS.items():
        words = f"connection point {point}: {field}"
        price = sum(price for binding, price in _binding(at) if binding == words)
        if price > SMALL:
            yield what, price / at.hours / _interval_steps(at)


def _interval_steps(at: Moment) -> int:
    found = [
        term.interval_steps
        for term in at.terms
        if isinstance(term, PeakCharge)
        and term.connection_point_id == at.resource.connection_point_id
        and term.first_step <= at.step < term.last_step
    ]
    return found[0] if found else 1


def _reserve(at: Moment) -> Iterator[str]:
    """What is kept free, and what is sold already."""
    for name, reserve in at.schedule.reserve.items():
        kept = reserve.kept_kw.get(at.resource.resource_id)
        if kept is not None and kept[at.step] > IDLE_KW:
            yield f"It keeps {kept[at.step]:,.1f} kW free for {name}."
    committed = float(at.schedule.committed_kw[at.step])
    if abs(committed) > IDLE_KW and at.resource.node_id is None:
        sold = "sold" if committed > 0 else "bought"
        net = float(at.schedule.net_kw[at.step])
        yield (
            f"The park has {sold} {abs(committed):,.1f} kW for this time; its plan comes to"
            f" {net:+,.1f} kW."
        )
