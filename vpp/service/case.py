"""`vpp plan CASE.yaml`: one horizon from files, planned here and now, to be checked by anyone.

    park: demo                     # a shipped park, or a file beside the case
    series: day.csv                # interval_start and one column for each series the plan needs
    states:                        # how resources stand at the first interval
      bess-1: {soc: 0.5}
      cold-1: {temperature_degc: -22}
    committed_kw: sold             # optional: the column that holds what is sold already

Columns are named as the service names its series (see `vpp/service/inputs.py`); powers are kW
net injection, prices per MWh. A resource without a state is unknown: nobody commands it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from pydantic import AwareDatetime, Field, TypeAdapter
from rich.console import Console
from rich.table import Table

from vpp.errors import ConfigError, DataError, PlanError
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.measurement import (
    EvSession,
    ParkState,
    Quality,
    Reading,
    ResourceState,
    RunPhase,
    Unknown,
)
from vpp.model.park import Park
from vpp.model.resource import (
    EvFleet,
    FixedLoad,
    Generator,
    InterruptibleLoad,
    Resource,
    ShiftableRun,
    ThermalZone,
)
from vpp.model.schedule import Optimal, Schedule, Unsolved
from vpp.model.time import isoformat
from vpp.plan.demand import paid_peaks
from vpp.plan.problem import Problem, SolveOptions
from vpp.plan.solve import solve
from vpp.plan.validate import violations
from vpp.plan.view import OpenProduct, PaidPeak, PlanningView
from vpp.service.config import ConfigErrors, Document, Fault, KeyPath, read_document
from vpp.service.cycle import LIMIT_EXCESS_PRICE_PER_KWH
from vpp.service.parkfile import ParkFile, load_park, shipped_park
from vpp.service.schematypes import Section
from vpp.service.seriestable import read_profiles, read_rows
from vpp.service.wiring import load_strategies, strategy_version


class CarState(Section):
    """A car that is plugged in."""

    session_id: str
    departs_at: AwareDatetime
    wanted_kwh: float = Field(ge=0, le=10_000)


class StateSection(Section):
    """How one resource stands; only what its kind has."""

    soc: float | None = Field(default=None, ge=0, le=1)
    temperature_degc: float | None = Field(default=None, ge=-100, le=200)
    phase: RunPhase | None = None
    phase_since: AwareDatetime | None = None
    calls_today: int | None = Field(default=None, ge=0)
    sessions: list[CarState] | None = None


class CaseSection(Section):
    """One horizon to plan."""

    park: str
    """A shipped park by name, or a file, relative to the case."""
    series: str
    """CSV file of the horizon, relative to the case."""
    states: dict[str, StateSection] = Field(default_factory=dict)
    committed_kw: str | None = None
    """The column that holds what is sold already, kW net injection."""


_CASE: TypeAdapter[CaseSection] = TypeAdapter(CaseSection)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Case:
    document: Document
    section: CaseSection
    file: ParkFile
    table: dict[str, Profile]


def plan_case(path: Path) -> dict[str, Any]:
    """Plan the case and give schedule, costs by cause and figures, JSON-ready.

    Raises:
        ConfigErrors: Faults of the case file, its series or its park, all at once.
        PlanError: No plan was found, or it failed its check.
    """
    case = _load(path)
    view = _view(case)
    strategies = load_strategies(case.file.strategies)
    terms = tuple(term for strategy in strategies for term in strategy(view))
    planning = case.file.planning
    outcome = solve(
        Problem(
            view=view,
            terms=terms,
            options=SolveOptions(
                plan_id=path.stem,
                strategy_version=strategy_version(case.file.strategies),
                gap=planning.gap,
                soft_s=planning.soft_s,
                limit_excess_price_per_kwh=LIMIT_EXCESS_PRICE_PER_KWH,
            ),
            preferred_starts={},
        ),
        perf_counter,
    )
    if isinstance(outcome, Unsolved):
        raise PlanError(outcome.reason, where=str(path), fix="Look at the case's states and limits")
    schedule = outcome.schedule
    wrong = violations(schedule, view, terms, limit_excess_price_per_kwh=LIMIT_EXCESS_PRICE_PER_KWH)
    if wrong:
        raise PlanError("; ".join(wrong), where=str(path), fix="Report this: the planner is wrong")
    status = "optimal" if isinstance(outcome, Optimal) else "feasible"
    return _document(case, schedule, status)


def _load(path: Path) -> _Case:
    document = read_document(path)
    section = document.parse(_CASE, (), document.tree)
    if isinstance(section, list) or document.faults:
        raise ConfigErrors([*document.faults, *(section if isinstance(section, list) else [])])
    source = path.parent / section.park
    file = load_park(source if source.suffix in (".yaml", ".yml") else shipped_park(section.park))
    faults: list[Fault] = []
    csv_file = path.parent / section.series
    rows = read_rows(csv_file, document.fault(("series",), ""), faults)
    table: dict[str, Profile] | None = None
    if rows is not None:
        table, found = read_profiles(csv_file, rows)
        faults += found
    known = {r.resource_id for r in file.park.resources}
    for name in section.states:
        if name not in known:
            faults.append(document.fault(("states", name), f"the park has no resource {name!r}"))
    if table is not None:
        for column in _columns(file, section):
            if column not in table:
                what = f"{csv_file} has no column {column!r}"
                faults.append(document.fault(("series",), what))
    if faults or table is None:
        raise ConfigErrors(faults)
    return _Case(document=document, section=section, file=file, table=table)


def _columns(file: ParkFile, section: CaseSection) -> list[str]:
    """Names of the series that a plan of this park needs."""
    names: dict[str, None] = {_spot_column(file): None}
    for resource in file.park.resources:
        match resource:
            case FixedLoad():
                names[f"power.{resource.resource_id}"] = None
            case Generator():
                names[f"available.{resource.resource_id}"] = None
            case ThermalZone():
                names[resource.outdoor_series_id] = None
            case EvFleet():
                names[f"arriving.{resource.resource_id}"] = None
            case _:
                pass  # decided by the plan, or described by the park file alone
    if section.committed_kw is not None:
        names[section.committed_kw] = None
    return list(names)


def _spot_column(file: ParkFile) -> str:
    for product in file.products:
        if product.kind == "energy_da":
            return product.price_series_id
    raise ConfigError(
        "the park trades no energy_da product", where="markets", fix="Name a day-ahead market file"
    )


def _view(case: _Case) -> PlanningView:
    file, table = case.file, case.table
    park = file.park
    spot_per_mwh = table[_spot_column(file)]
    horizon = spot_per_mwh.horizon
    spot = Profile(horizon, spot_per_mwh.values / 1000)
    committed: Floats = np.zeros(horizon.steps)
    if case.section.committed_kw is not None:
        committed = table[case.section.committed_kw].values
    return PlanningView(
        now=horizon.start,
        park=park,
        horizon=horizon,
        state=ParkState(
            taken_at=horizon.start,
            resources=tuple(_state(case, r, horizon.start) for r in park.resources),
        ),
        base_kw=_pick(park, table, FixedLoad, "power."),
        available_kw=_pick(park, table, Generator, "available."),
        arriving_kw=_pick(park, table, EvFleet, "arriving."),
        outdoor_degc={
            r.outdoor_series_id: table[r.outdoor_series_id]
            for r in park.resources
            if isinstance(r, ThermalZone)
        },
        spot_per_kwh=spot,
        committed_kw=committed,
        open_products=tuple(
            OpenProduct(
                product_id=product.product_id,
                price_per_kwh=spot,
                max_kw=np.full(horizon.steps, float(product.max_quantity_mw) * 1000),
                informative=product.price_series_id == _spot_column(file),
            )
            for product in file.products
        ),
        import_per_kwh={
            p.connection_point_id: park.tariff_by_id[p.tariff_id].import_per_kwh(
                horizon, park.timezone
            )
            for p in park.connection_points
        },
        paid_peaks=_paid_peaks(park, horizon),
    )


def _pick(
    park: Park, table: dict[str, Profile], kind: type[Resource], prefix: str
) -> dict[ResourceId, Profile]:
    return {
        r.resource_id: table[prefix + r.resource_id] for r in park.resources if isinstance(r, kind)
    }


def _paid_peaks(park: Park, horizon: Horizon) -> tuple[PaidPeak, ...]:
    """The park file's period-to-date peaks in the first billing month; later ones begin at nothing."""
    return paid_peaks(
        park,
        horizon,
        paid_kw=lambda name, moment: (
            park.point_by_id[name].period_to_date_peak_kw if moment == horizon.start else 0.0
        ),
        running_kw=lambda name: 0.0,
    )


def _state(case: _Case, resource: Resource, now: datetime) -> ResourceState:
    """What the case says of a resource; loads and generators need no state."""
    said = case.section.states.get(resource.resource_id)
    path: KeyPath = ("states", resource.resource_id)
    if said is None:
        if isinstance(resource, FixedLoad | Generator | EvFleet):
            return _reading(resource, StateSection(), now)
        if isinstance(resource, ShiftableRun | InterruptibleLoad):
            return _reading(resource, StateSection(phase=RunPhase.WAITING, calls_today=0), now)
        return Unknown(resource_id=resource.resource_id, reason="the case says nothing of it")
    try:
        return _reading(resource, said, now)
    except DataError as error:
        raise ConfigErrors([case.document.fault(path, error.what)]) from error


def _reading(resource: Resource, said: StateSection, now: datetime) -> Reading:
    utc = now.tzinfo
    return Reading(
        resource_id=resource.resource_id,
        enterprise_id=EnterpriseId(resource.enterprise_id),
        measured_at=now,
        received_at=now,
        seq=0,
        quality=Quality.GOOD,
        power_kw=0.0,
        soc=said.soc,
        temperature_degc=said.temperature_degc,
        phase=said.phase,
        phase_since=said.phase_since.astimezone(utc) if said.phase_since else None,
        calls_today=said.calls_today,
        sessions=tuple(
            EvSession(
                session_id=car.session_id,
                departs_at=car.departs_at.astimezone(utc),
                wanted_kwh=car.wanted_kwh,
            )
            for car in said.sessions or ()
        ),
    )


def _document(case: _Case, schedule: Schedule, status: str) -> dict[str, Any]:
    return {
        "plan_id": schedule.plan_id,
        "status": status,
        "gap": schedule.gap,
        "binaries": schedule.binaries,
        "build_s": round(schedule.build_s, 4),
        "solve_s": round(schedule.solve_s, 4),
        "input_digest": schedule.input_digest,
        "currency": case.file.park.currency,
        "cost": round(schedule.cost, 6),
        "cost_by_cause": {cause: round(c, 6) for cause, c in schedule.cost_by_cause.items()},
        "interval_start": [isoformat(start) for start in schedule.horizon.starts()],
        "net_kw": _round(schedule.net_kw),
        "net_value_per_kwh": _round(schedule.net_value_per_kwh, 6),
        "committed_kw": _round(schedule.committed_kw),
        "trade_kw": {name: _round(kw) for name, kw in schedule.trade_kw.items()},
        "power_kw": {
            name: _round(row)
            for name, row in zip(schedule.resource_ids, schedule.power_kw, strict=True)
        },
        "stored_kwh": {name: _round(kwh) for name, kwh in schedule.stored_kwh.items()},
        "temperature_degc": {name: _round(t) for name, t in schedule.temperature_degc.items()},
        "starts": {
            name: [isoformat(schedule.horizon.starts()[step]) for step in steps]
            for name, steps in schedule.starts.items()
        },
    }


def _round(values: Floats, digits: int = 3) -> list[float]:
    rounded: list[float] = (np.round(values, digits) + 0.0).tolist()  # + 0.0: no negative zero
    return rounded


def show_plan(document: dict[str, Any], console: Console) -> None:
    """Print costs by cause and the park's hours as tables."""
    costs = Table(title=f"{document['plan_id']}: {document['status']}, gap {document['gap']:.1e}")
    costs.add_column("cost by cause")
    costs.add_column(document["currency"], justify="right")
    for cause, cost in document["cost_by_cause"].items():
        if cost:
            costs.add_row(cause, f"{cost:,.2f}")
    costs.add_section()
    costs.add_row("total", f"{document['cost']:,.2f}")
    console.print(costs)
    hours = Table(title="net injection of the park, and of its storages together")
    for name in ("from", "park kW", "storages kW", "value per MWh"):
        hours.add_column(name, justify="right")
    stores = list(document["stored_kwh"])
    for step, start in enumerate(document["interval_start"]):
        stored_kw = sum(document["power_kw"][name][step] for name in stores)
        hours.add_row(
            start,
            f"{document['net_kw'][step]:,.0f}",
            f"{stored_kw:,.0f}",
            f"{document['net_value_per_kwh'][step] * 1000:,.2f}",
        )
    console.print(hours)
