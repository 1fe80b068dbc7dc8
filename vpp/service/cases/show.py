"""A plan for people: what it costs, what the park does hour by hour, and which limits bind."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import datetime

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.resource import FlexibleLoad, Generator, Resource, Storage
from vpp.model.schedule import HowSolved, LimitPrice, Schedule
from vpp.model.time import parse_utc
from vpp.service.cases.case import Ran
from vpp.service.planning.views import ExplanationView, WhatIfView

MOST_LIMITS = 12
"""The dearest limits that bind; the others are in `--json`."""

MOST_ROWS = 30
"""A finer plan is shown by the hour."""

IDLE_KWH = 0.05

UNITS = {"_kw": " kW", "_kwh": " kWh", "_degc": " °C", "_soc": " kWh"}
"""By how the key of a limit ends; a state of charge is missed in kWh."""


def show_plan(ran: Ran, document: WhatIfView, console: Console) -> None:
    """Print what a person looks at first; `--json` has the rest."""
    schedule = ran.schedule
    if schedule is None:
        console.print(f"no plan: {document.reason}", markup=False)
        return
    for line in _head(ran, schedule, document):
        console.print(line, highlight=False, markup=False)
    console.print(_costs(ran, schedule))
    console.print(_hours(ran, schedule))
    console.print(_resources(ran, schedule))
    if schedule.limit_prices:
        console.print(_limits(ran, schedule))
    for sentence in document.changes.sentences if document.changes is not None else ():
        console.print(sentence, highlight=False, markup=False)


def show_reasons(reasons: ExplanationView, console: Console) -> None:
    """Print why."""
    for sentence in reasons.sentences:
        console.print(sentence, highlight=False, markup=False)


def _head(ran: Ran, schedule: Schedule, document: WhatIfView) -> Iterator[str]:
    size = schedule.size
    park = ran.case.file.park
    yield (
        f"{schedule.plan_id}: {document.status}, gap {schedule.gap:.1e}; {schedule.horizon.steps}"
        f" steps of {schedule.horizon.step.total_seconds() / 60:g} minutes, times of"
        f" {park.timezone.key}"
    )
    yield (
        f"{size.rows:,} rows, {size.columns:,} columns, {size.nonzeros:,} nonzeros,"
        f" {size.binaries:,} binaries; build {schedule.build_s:.2f} s, solve"
        f" {schedule.solve_s:.2f} s, check {ran.validate_s or 0:.2f} s"
    )
    yield _solved_by(schedule.how)
    yield f"digest of the input {schedule.input_digest[:16]}"
    if document.reason:
        yield document.reason
    for broken in schedule.broken:
        yield (
            f"BROKEN {broken.limit}, by up to {broken.most:,.1f}{_unit(ran, broken.limit)}, from"
            f" {_local(ran, broken.span.start):%a %H:%M} to {_local(ran, broken.span.end):%a %H:%M}"
        )
    if ran.case.unheard:
        names = ", ".join(ran.case.unheard)
        yield f"not moved, since the case gives no state of them: {names}"
    for name, kwh in schedule.unserved_kwh.items():
        if kwh > IDLE_KWH:
            yield f"{name} leaves without {kwh:,.1f} kWh"
    for key, units in schedule.undone_units.items():
        if units > 1e-3:
            name, _, began = key.partition("/")
            load = park.resource_by_id[ResourceId(name)]
            unit = load.unit if isinstance(load, FlexibleLoad) else ""
            start = _local(ran, parse_utc(began, where="undone_units"))
            yield f"the window of {name} from {start:%a %H:%M} lacks {units:,.2f} {unit}"


def _solved_by(how: HowSolved) -> str:
    """What solved it and why that; its own proof, where it has one beside that of the whole plan."""
    said = [f"solved by {how.method}{how.why and f' ({how.why})'}"]
    if how.structured:
        said.append(f"which proves a gap of {how.gap:.1e} by itself, after {how.iterations} steps")
    if how.fallbacks:
        said.append(f"{how.fallbacks:,} trees given up and solved by HiGHS")
    return "; ".join(said)


def _unit(ran: Ran, limit: str) -> str:
    """What the number of a broken limit is counted in, with a space before it."""
    owner, _, words = limit.partition(": ")
    if words == "least_units":
        load = ran.case.file.park.resource_by_id.get(ResourceId(owner))
        return f" {load.unit}" if isinstance(load, FlexibleLoad) else ""
    return next((unit for end, unit in UNITS.items() if words.endswith(end)), "")


def _costs(ran: Ran, schedule: Schedule) -> Table:
    table = Table(title="cost by cause", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("cause")
    table.add_column(ran.case.file.park.currency, justify="right")
    for cause, cost in schedule.cost_by_cause.items():
        if abs(cost) >= 0.005:
            table.add_row(cause, f"{cost:,.2f}")
    table.add_section()
    table.add_row("total", f"{schedule.cost:,.2f}")
    return table


def _hours(ran: Ran, schedule: Schedule) -> Table:
    """What the park does, by step, or by hour where that would be too long to read."""
    park, horizon = ran.case.file.park, schedule.horizon
    stores = [r for r in park.resources if isinstance(r, Storage) and r.node_id is None]
    capacity = sum(r.capacity_kwh for r in stores if r.resource_id in schedule.stored_kwh)
    stored = np.sum(
        [schedule.stored_kwh[r.resource_id] for r in stores if r.resource_id in schedule.stored_kwh]
        or [np.zeros(horizon.steps)],
        axis=0,
    )
    sources = [r for r in park.resources if isinstance(r, Generator) and r.node_id is None]
    values = np.mean(list(schedule.point_value_per_kwh.values()) or [schedule.net_value_per_kwh], 0)
    starts: dict[int, list[str]] = {}
    for name, steps in schedule.starts.items():
        for step in steps:
            starts.setdefault(step, []).append(str(name))
    table = Table(
        title="the park (feeding above 0, drawing below)", title_justify="left", box=SIMPLE_HEAD
    )
    for title in ("from", "net kW", "sources kW", "storages kW"):
        table.add_column(title, justify="right")
    table.add_column("stored", justify="right")
    table.add_column(f"a kWh, {park.currency}", justify="right")
    table.add_column("begins", overflow="fold")
    clock = _clock(ran, schedule)
    source_kw, store_kw = _sum(schedule, sources), _sum(schedule, stores)
    for part in _parts(schedule):
        last = part.stop - 1
        names = [name for step in range(part.start, part.stop) for name in starts.get(step, ())]
        table.add_row(
            clock(part.start),
            f"{schedule.net_kw[part].mean():,.0f}",
            f"{source_kw[part].mean():,.0f}",
            f"{store_kw[part].mean():,.0f}",
            f"{stored[last] / capacity:.0%}" if capacity else "",
            f"{values[part].mean():.4f}",
            ", ".join(dict.fromkeys(names)),
        )
    return table


def _sum(schedule: Schedule, of: list[Resource] | list[Storage] | list[Generator]) -> Floats:
    rows = [schedule.row_of[r.resource_id] for r in of]
    total: Floats = schedule.power_kw[rows].sum(axis=0)
    return total


def _parts(schedule: Schedule) -> Iterator[slice]:
    """The steps, one by one or by the full hour."""
    horizon = schedule.horizon
    together = 1 if horizon.steps <= MOST_ROWS else max(round(1 / horizon.step_hours), 1)
    into = round((horizon.start.minute / 60) / horizon.step_hours) % together
    edges = [0, *range(together - into, horizon.steps, together), horizon.steps]
    for first, last in itertools.pairwise(edges):
        if last > first:
            yield slice(first, last)


def _resources(ran: Ran, schedule: Schedule) -> Table:
    table = Table(title="resources", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("resource", no_wrap=True)
    for title in ("drawn kWh", "fed kWh", "least kW", "most kW", "ends at"):
        table.add_column(title, justify="right")
    table.add_column("begins", overflow="fold")
    hours = schedule.horizon.step_hours
    clock = _clock(ran, schedule)
    for row, resource in enumerate(ran.case.file.park.resources):
        name, kw = resource.resource_id, schedule.power_kw[row]
        starts = schedule.starts.get(name, ())
        table.add_row(
            f"{name} at {resource.node_id}" if resource.node_id else name,
            f"{-np.minimum(kw, 0).sum() * hours + 0.0:,.0f}",
            f"{np.maximum(kw, 0).sum() * hours:,.0f}",
            f"{kw.min():,.0f}",
            f"{kw.max():,.0f}",
            _ends(schedule, resource),
            ", ".join(clock(step) for step in starts),
        )
    return table


def _ends(schedule: Schedule, resource: Resource) -> str:
    name = resource.resource_id
    if isinstance(resource, Storage) and name in schedule.stored_kwh and resource.capacity_kwh:
        return f"{schedule.stored_kwh[name][-1] / resource.capacity_kwh:.0%}"
    if name in schedule.temperature_degc:
        return f"{schedule.temperature_degc[name][-1]:.1f} °C"
    return ""


def _limits(ran: Ran, schedule: Schedule) -> Table:
    """The dearest limits that bind."""
    fixed = " (on/off decisions fixed)" if schedule.binaries else ""
    table = Table(title=f"limits that bind{fixed}", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("limit", overflow="fold")
    table.add_column("steps", justify="right")
    table.add_column("from … to", no_wrap=True)
    table.add_column(f"one unit of room saves, {ran.case.file.park.currency}", justify="right")
    clock = _clock(ran, schedule)
    dearest = sorted(schedule.limit_prices, key=_saved, reverse=True)
    for limit in dearest[:MOST_LIMITS]:
        steps = np.flatnonzero(limit.per_unit)
        table.add_row(
            limit.limit,
            f"{len(steps)}",
            f"{clock(int(steps[0]))} … {clock(int(steps[-1]) + 1)}",
            f"{_saved(limit):,.4f}",
        )
    if len(dearest) > MOST_LIMITS:
        table.add_row(f"and {len(dearest) - MOST_LIMITS} more", "", "", "")
    return table


def _saved(limit: LimitPrice) -> float:
    return float(-limit.per_unit.sum())


def _local(ran: Ran, moment: datetime) -> datetime:
    return moment.astimezone(ran.case.file.park.timezone)


def _clock(ran: Ran, schedule: Schedule) -> Callable[[int], str]:
    """The beginning of a step on the park's clock, with the day after the first."""
    horizon = schedule.horizon
    first = _local(ran, horizon.start).date()

    def clock(step: int) -> str:
        local = _local(ran, horizon.start + step * horizon.step)
        return f"{local:%H:%M}" if local.date() == first else f"{local:%a %H:%M}"

    return clock
