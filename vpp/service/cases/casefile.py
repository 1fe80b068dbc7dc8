"""Read a case, its park and its series: all of it valid, or every fault at once.

    CASE.yaml or a request's body ──▶ Document ──▶ CaseSection ─┐
    the park: shipped, beside the case, or the live one ────────┼──▶ faults, or view + terms = Case
    series: CSV beside the case, or in it ──▶ CaseSeries ───────┘

A request may name no files: whoever sends it is not whoever owns the machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from vpp.errors import ConfigError, DataError
from vpp.model.horizon import Floats, Profile
from vpp.model.ids import ResourceId
from vpp.model.market import MarketProduct
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
    Converter,
    CurtailableLoad,
    EvFleet,
    FixedLoad,
    FlexibleLoad,
    Generator,
    InterruptibleLoad,
    Resource,
    ShiftableRun,
    Storage,
    ThermalZone,
)
from vpp.model.resource.series import (
    arriving_series,
    available_series,
    outdoor_series,
    power_series,
    share_series,
)
from vpp.plan.demand import paid_peaks
from vpp.plan.problem import Problem, SolveOptions
from vpp.plan.terms import Term
from vpp.plan.view import OpenProduct, PaidPeak, PlanningView
from vpp.service.cases.schema import CaseBid, CaseSection, StateSection
from vpp.service.cases.series import CaseSeries, read_series
from vpp.service.cases.terms import orders_of, terms_of
from vpp.service.park.config import ConfigErrors, Document, Fault, KeyPath, read_document
from vpp.service.park.parkfile import ParkFile, load_park, shipped_park
from vpp.service.park.units import Quantity
from vpp.service.planning.futures import Strategy
from vpp.service.quotas import peaks as quotapeaks
from vpp.service.quotas import prices as quotaprices
from vpp.service.quotas.peaks import coming
from vpp.service.quotas.prices import QuotaState
from vpp.service.quotas.schema import PeakQuota
from vpp.service.quotas.tally import Tally

LIVE = "live"
"""The park that the service runs, as a request names it."""

GRID_CARBON = "carbon.grid"
"""The column with the carbon of a kWh imported, where there is one."""

NO_STRATEGIES = "none"
"""The version that a plan without strategies names."""

_CASE: TypeAdapter[CaseSection] = TypeAdapter(CaseSection)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """All that one plan needs."""

    name: str
    file: ParkFile
    view: PlanningView
    problem: Problem
    hard_s: float
    quotas: tuple[QuotaState, ...]
    """How the budgets of the case stand when it begins."""

    unheard: tuple[ResourceId, ...]
    """Resources of which the case says nothing, though a plan would have to know: they are not moved."""

    strategy: Strategy
    """What all strategies ask together."""

    more: tuple[Term, ...]
    """Terms that no strategy makes."""

    bid: CaseBid | None
    """How the case wants bids to be made; None: from the plan."""

    prices_per_kwh: Floats
    """The scenarios that `bid` names, shape (S, T); none where it is None."""

    digest: str
    """SHA-256 of the case and of the park file. The series count in the schedule's own digest."""


def read_case(path: Path) -> Case:
    """The case of a file.

    Raises:
        ConfigErrors: Faults of the case file, its series or its park, all at once.
    """
    return case_of(read_document(path), name=path.stem, folder=path.parent, live=None)


def case_of(document: Document, *, name: str, folder: Path | None, live: ParkFile | None) -> Case:
    """The case of a document; files are looked for in `folder`, and nowhere where that is None.

    Raises:
        ConfigErrors: As above.
    """
    if not isinstance(document.tree, dict):
        what = "is no mapping of keys to values"
        raise ConfigErrors([*document.faults, document.fault((), what)])
    section = document.parse(_CASE, (), document.tree)
    if isinstance(section, list) or document.faults:
        raise ConfigErrors([*document.faults, *(section if isinstance(section, list) else [])])
    file = _park(document, section, folder, live)
    series = read_series(document, section, file.park, folder)
    faults = [*_unknown_states(document, section, file.park)]
    if isinstance(series, list):
        raise ConfigErrors([*series, *faults])
    series.faults += faults
    return _case(name, section, file, series)


def _park(
    document: Document, section: CaseSection, folder: Path | None, live: ParkFile | None
) -> ParkFile:
    if section.park == LIVE and live is not None:
        return live
    is_file = section.park.endswith((".yaml", ".yml"))
    if is_file and folder is None:
        what = "a file cannot be named here: give `live` or a shipped park"
        raise ConfigErrors([document.fault(("park",), what)])
    if is_file and folder is not None:
        return load_park(folder / section.park)
    try:
        return load_park(shipped_park(section.park))
    except ConfigErrors:
        raise
    except ConfigError as error:
        raise ConfigErrors([document.fault(("park",), f"{error.what}: {error.fix}")]) from error


def _unknown_states(document: Document, section: CaseSection, park: Park) -> Iterable[Fault]:
    for name in section.states:
        if name not in park.resource_by_id:
            yield document.fault(("states", name), f"the park has no resource {name!r}")


def _case(name: str, section: CaseSection, file: ParkFile, series: CaseSeries) -> Case:
    strategies = file.strategies
    asked = section.strategies == "park" and strategies.given
    ask = strategies.terms if asked else _nothing
    view = _view(section, file, series)
    own = terms_of(series, section.terms)
    quotas = _quotas(section, series)
    prices = _price_scenarios(section, series)
    settings = section.solver
    gap = file.planning.gap if settings.gap is None else settings.gap
    method = file.planning.method if settings.method is None else settings.method
    soft_s = file.planning.soft_s if settings.soft_s is None else settings.soft_s
    hard_s = file.planning.hard_s if settings.hard_s is None else settings.hard_s
    if soft_s >= hard_s:
        series.fault(("solver",), f"soft_s {soft_s:g} is not below hard_s {hard_s:g}")
    if not asked and not section.terms:
        where: KeyPath = ("terms",) if section.strategies == "none" else ("strategies",)
        series.fault(where, "neither a strategy nor a term says what anything costs")
    if series.faults or view is None:
        raise ConfigErrors(dict.fromkeys(series.faults))
    more = (*own, *quotaprices.terms_of(quotas, view))
    terms = (*ask(view), *more)
    problem = Problem(
        view=view,
        terms=terms,
        options=SolveOptions(
            plan_id=name,
            strategy_version=strategies.version if asked else NO_STRATEGIES,
            gap=gap,
            soft_s=soft_s,
            limit_excess_price_per_kwh=file.planning.limit_excess_per_kwh,
            method=method,
        ),
        preferred_starts={},
    )
    unheard = tuple(s.resource_id for s in view.state.resources if isinstance(s, Unknown))
    digest = hashlib.sha256(f"{series.document.digest} {file.digest}".encode()).hexdigest()
    return Case(
        name=name,
        file=file,
        view=view,
        problem=problem,
        hard_s=hard_s,
        quotas=quotas,
        unheard=unheard,
        strategy=ask,
        more=more,
        bid=section.bid,
        prices_per_kwh=prices,
        digest=digest,
    )


def _nothing(view: PlanningView) -> tuple[Term, ...]:
    """What is asked where no strategy is."""
    return ()


def _price_scenarios(section: CaseSection, series: CaseSeries) -> Floats:
    """Courses of the day-ahead price per kWh, shape (S, T); what is wrong with them becomes faults."""
    if section.bid is None:
        return np.zeros((0, series.horizon.steps))
    if section.strategies == "none":
        what = "nothing follows these prices where no strategy is asked: terms bring their own"
        series.fault(("bid", "price_scenarios"), what)
    return np.array(
        [
            series.values(name, Quantity.PRICE, ("bid", "price_scenarios", place))
            for place, name in enumerate(section.bid.price_scenarios)
        ]
    )


def _quotas(section: CaseSection, series: CaseSeries) -> tuple[QuotaState, ...]:
    """The budgets of the case, priced at its first step; what is wrong with them becomes faults."""
    park = series.park
    resources: dict[str, Resource] = {r.resource_id: r for r in park.resources}
    for place, quota in enumerate(section.quotas):
        for key, what in quotaprices.faults_of(quota, resources, resources):
            series.fault(("quotas", place, key), what)
    for place, key, what in quotapeaks.faults_of(section.quotas, park.point_by_id):
        series.fault(("quotas", place, key), what)
    return tuple(
        state
        for quota in section.quotas
        if not isinstance(quota, PeakQuota)
        for state in quotaprices.states_until(
            quota,
            park,
            Tally(),
            series.horizon.start,
            series.horizon.span.end,
            from_start=True,
        )
    )


# ---------------------------------------------------------------- view


def _view(section: CaseSection, file: ParkFile, series: CaseSeries) -> PlanningView | None:
    """The view; None where series or states have faults."""
    park, horizon = file.park, series.horizon
    spot = _spot(section, file, series)
    committed: Floats = np.zeros(horizon.steps)
    if section.committed_kw is not None:
        committed = series.values(section.committed_kw, Quantity.POWER, ("committed_kw",))
    states = tuple(_state(series, section, r, horizon.start) for r in park.resources)
    base_kw = _by_resource(series, power_series)
    available_kw = _by_resource(series, available_series)
    arriving_kw = _by_resource(series, arriving_series)
    for kind, powers, who in (
        ("power", base_kw, "a load draws"),
        ("arriving", arriving_kw, "cars that arrive draw"),
    ):
        for name, profile in powers.items():
            what = f"{who}, so this is never above 0"
            series.within(f"{kind}.{name}", profile.values, -np.inf, 0.0, what=what)
    power_share = {
        name: _profile(series, name, Quantity.SHARE) for name in _named(park, share_series)
    }
    for series_id, profile in power_share.items():
        series.within(series_id, profile.values, 0.0, 1.0, what="a share lies from 0 to 1")
    outdoor_degc = {
        name: _profile(series, name, Quantity.TEMPERATURE) for name in _named(park, outdoor_series)
    }
    carbon = None
    if GRID_CARBON in series.columns:
        carbon = _profile(series, GRID_CARBON, Quantity.CARBON)
    orders = orders_of(series, section.limit_orders)
    # Strategies alone ask for demand charges; a case that brings its terms brings its own.
    peaks = () if section.strategies == "none" else _paid_peaks(section, series)
    if series.faults:
        return None
    return PlanningView(
        now=horizon.start,
        park=park,
        horizon=horizon,
        state=ParkState(taken_at=horizon.start, resources=states),
        base_kw=base_kw,
        available_kw=available_kw,
        arriving_kw=arriving_kw,
        outdoor_degc=outdoor_degc,
        # Strategies alone read it; without them nobody asks what energy is worth.
        spot_per_kwh=Profile.constant(horizon, 0.0) if spot is None else spot,
        committed_kw=committed,
        open_products=() if spot is None else _open_products(file, spot),
        import_per_kwh={
            p.connection_point_id: park.tariff_by_id[p.tariff_id].import_per_kwh(
                horizon, park.timezone
            )
            for p in park.connection_points
        },
        paid_peaks=peaks,
        power_share=power_share,
        limit_orders=orders,
        grid_kgco2_per_kwh=carbon,
    )


def _spot(section: CaseSection, file: ParkFile, series: CaseSeries) -> Profile | None:
    """The day-ahead price that strategies go by; None where none are asked."""
    if section.strategies == "none":
        return None
    if section.spot is not None:
        return series.profile(section.spot, Quantity.PRICE, ("spot",))
    for product in file.products:
        if product.kind == "energy_da" and product.trades_energy:
            return _profile(series, product.price_series_id, Quantity.PRICE)
    if file.strategies.given:
        what = "missing: the park trades no energy_da product, and its strategies go by a price"
        series.fault(("spot",), what)
    return None


def _open_products(file: ParkFile, spot: Profile) -> tuple[OpenProduct, ...]:
    return tuple(
        OpenProduct(
            product_id=product.product_id,
            price_per_kwh=spot,
            max_kw=np.full(spot.horizon.steps, _most_kw(product, file.park)),
            informative=product.kind == "energy_da",
        )
        for product in file.products
        if product.trades_energy
    )


def _most_kw(product: MarketProduct, park: Park) -> float:
    """What the product lets one unit trade; where it says nothing, as far as the park can move."""
    if product.max_quantity_mw is not None:
        return product.most_kw
    return float(sum(r.draw_kw + r.feed_kw for r in park.electric))


def _paid_peaks(section: CaseSection, series: CaseSeries) -> tuple[PaidPeak, ...]:
    """The park file's period-to-date peaks in the first billing month; later ones begin at nothing."""
    park, horizon = series.park, series.horizon
    try:
        peaks = paid_peaks(
            park,
            horizon,
            paid_kw=lambda name, moment: (
                park.point_by_id[name].period_to_date_peak_kw if moment == horizon.start else 0.0
            ),
            running_kw=lambda name: 0.0,
        )
        return coming(peaks, section.quotas, horizon, park.timezone)[0]
    except DataError as error:  # steps that do not fill its measuring intervals
        series.fault(("series",), f"{error.where}: {error.what}: {error.fix}")
        return ()


def _by_resource(
    series: CaseSeries, series_of: Callable[[Resource], str | None]
) -> dict[ResourceId, Profile]:
    """Powers of the resources that have such a series."""
    return {
        r.resource_id: _profile(series, name, Quantity.POWER).times(
            series.park.part_of_series(r.resource_id)
        )
        for r in series.park.resources
        if (name := series_of(r)) is not None
    }


def _profile(series: CaseSeries, name: str, quantity: Quantity) -> Profile:
    """A series that the park needs; what lacks is told where the case names its series."""
    return series.profile(name, quantity, ("series",))


def _named(park: Park, series_of: Callable[[Resource], str | None]) -> list[str]:
    """Series that several resources may share, each once."""
    found = (series_of(resource) for resource in park.resources)
    return list(dict.fromkeys(name for name in found if name is not None))


# ---------------------------------------------------------------- states

SPEAKS_FOR_ITSELF = (FixedLoad, Generator, EvFleet, CurtailableLoad, FlexibleLoad, Converter)
"""Kinds that are planned without a state: at rest, with nothing done or called today."""


def _state(
    series: CaseSeries, section: CaseSection, resource: Resource, now: datetime
) -> ResourceState:
    """What the case says of a resource; a store or a zone of which it says nothing is unknown."""
    said = section.states.get(resource.resource_id)
    if said is None:
        if isinstance(resource, SPEAKS_FOR_ITSELF):
            return _reading(resource, StateSection(calls_today=0), now)
        if isinstance(resource, ShiftableRun | InterruptibleLoad):
            return _reading(resource, StateSection(phase=RunPhase.WAITING, calls_today=0), now)
        return Unknown(resource_id=resource.resource_id, reason="the case says nothing of it")
    needed = "soc" if isinstance(resource, Storage) else "temperature_degc"
    if isinstance(resource, Storage | ThermalZone) and getattr(said, needed) is None:
        what = f"no {needed} is given, and without it nothing can be planned for it"
        series.fault(("states", resource.resource_id), what)
        return Unknown(resource_id=resource.resource_id, reason=what)
    try:
        return _reading(resource, said, now)
    except DataError as error:
        series.fault(("states", resource.resource_id), error.what)
        return Unknown(resource_id=resource.resource_id, reason=error.what)


def _reading(resource: Resource, said: StateSection, now: datetime) -> Reading:
    utc = now.tzinfo
    return Reading(
        resource_id=resource.resource_id,
        enterprise_id=resource.enterprise_id,
        measured_at=now,
        received_at=now,
        seq=0,
        quality=Quality.GOOD,
        power_kw=said.power_kw,
        soc=said.soc,
        temperature_degc=said.temperature_degc,
        phase=said.phase,
        phase_since=said.phase_since.astimezone(utc) if said.phase_since else None,
        calls_today=said.calls_today,
        hours_on_today=said.hours_on_today,
        done_kwh=said.done_kwh,
        discharged_today_kwh=said.discharged_today_kwh,
        sessions=tuple(
            EvSession(
                session_id=car.session_id,
                departs_at=car.departs_at.astimezone(utc),
                wanted_kwh=car.wanted_kwh,
                arrives_at=None if car.arrives_at is None else car.arrives_at.astimezone(utc),
                lends_kwh=car.lends_kwh,
            )
            for car in said.sessions or ()
        ),
    )
