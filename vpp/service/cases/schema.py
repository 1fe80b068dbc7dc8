"""A case, key by key: one horizon to plan, as `vpp plan` reads it and `POST /v1/plan` takes it.

    park: demo                     # a shipped park, or a file beside the case
    series: day.csv                # interval_start and one column for each series, each with its unit
    states:                        # how resources stand at the first interval
      bess-1: {soc: 0.5}
    strategies: park               # whose terms steer: those of the park file, or `none`
    terms:                         # and those that the case brings itself
      - {term: stored_energy_value, price_per_kwh: 0.05}

`docs/planning.md` shows how to write one.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AwareDatetime, Discriminator, Field, Tag

from vpp.model.measurement import RunPhase
from vpp.plan.problem import Method
from vpp.service.bids.curveschema import CurveSettings
from vpp.service.cases.termschema import AnyTerm, ColumnName
from vpp.service.park.schematypes import Id, Section, Share, Size, Text
from vpp.service.quotas.schema import QuotaList


class CarState(Section):
    """A car that is plugged in, or will be."""

    session_id: Annotated[str, Field(min_length=1, max_length=80)]
    departs_at: AwareDatetime
    wanted_kwh: Annotated[float, Field(ge=0, le=10_000)]
    """Still to be charged, counted in the car."""
    arrives_at: AwareDatetime | None = None
    """Leave out where the car is here."""
    lends_kwh: Annotated[float, Field(ge=0, le=10_000)] = 0.0
    """How much may be taken out of it on the way."""


class StateSection(Section):
    """How one resource stands; only what its kind has."""

    power_kw: Annotated[float, Field(ge=-1e9, le=1e9)] = 0.0
    """Net injection just before the first interval: what ramps begin from."""
    soc: Share | None = None
    temperature_degc: Annotated[float, Field(ge=-273.15, le=2000)] | None = None
    phase: RunPhase | None = None
    phase_since: AwareDatetime | None = None
    calls_today: Annotated[int, Field(ge=0, le=10_000)] | None = None
    """Calls, starts or runs since local midnight."""
    hours_on_today: Annotated[float, Field(ge=0, le=25)] | None = None
    done_kwh: Size | None = None
    """Drawn so far in the window of work that is open."""
    discharged_today_kwh: Size | None = None
    sessions: Annotated[list[CarState], Field(max_length=10_000)] | None = None


class OrderSection(Section):
    """Somebody narrows the limits of one place for a while."""

    id: Id
    place: Id
    """The park, a feeder, an enterprise or a connection point."""
    start: AwareDatetime
    end: AwareDatetime
    import_kw: Size | None = None
    export_kw: Size | None = None
    source: Text
    priority: Annotated[int, Field(ge=0, le=100)] = 0


class InlineSeries(Section):
    """Series in the case itself instead of a file."""

    start: AwareDatetime
    step_minutes: Literal[5, 10, 15, 20, 30, 60]
    columns: Annotated[dict[ColumnName, list[float]], Field(min_length=1, max_length=5000)]
    """By header with unit, such as `power.base [kW]`; one number a step."""


class SolverSection(Section):
    """Where the park file's own settings shall not hold."""

    gap: Annotated[float, Field(gt=0, lt=1)] | None = None
    method: Method | None = None
    soft_s: Annotated[float, Field(gt=0, le=3600)] | None = None
    hard_s: Annotated[float, Field(gt=0, le=3600)] | None = None


def _form(given: Any) -> str:
    return "file" if isinstance(given, str) else "inline"


AnySeries: TypeAlias = Annotated[
    Annotated[str, Field(min_length=1, max_length=500), Tag("file")]
    | Annotated[InlineSeries, Tag("inline")],
    Discriminator(_form),
]
"""By its form, so that a fault of the one is not told as a fault of the other too."""


class CaseBid(CurveSettings):
    """Prices that a bid is to be good for, where the park's own plans would draw them."""

    price_scenarios: Annotated[list[ColumnName], Field(min_length=2, max_length=10)]
    """Columns with the day-ahead price, equally likely courses of it."""
    seed: Annotated[int, Field(ge=0, le=2**32)] = 1
    """Of the price paths on which the curves are tried."""


class CaseSection(Section):
    """One horizon to plan."""

    park: Annotated[str, Field(min_length=1, max_length=500)]
    """A shipped park by name; in a file also a park file, relative to the case; over HTTP also `live`."""
    series: AnySeries
    """A CSV file of the horizon, relative to the case; over HTTP the series themselves."""
    until: AwareDatetime | None = None
    """The series must reach so far; left out: the horizon is what they cover."""
    constants: dict[ColumnName, Annotated[str, Field(pattern=r"^\s*[-+0-9.eE]+\s+\S+\s*$")]] = (
        Field(default_factory=dict)
    )
    """Series that are the same in every step, number and unit: `{arriving.cars: 0 kW}`."""
    states: dict[str, StateSection] = Field(default_factory=dict)
    committed_kw: ColumnName | None = None
    """The column that holds what is sold already, net injection."""
    spot: ColumnName | None = None
    """The column of the day-ahead price; left out: the one that the park's day-ahead product names."""
    strategies: Literal["park", "none"] = "park"
    """Whose terms steer: the park file's strategies, or only the `terms` of the case."""
    terms: Annotated[list[AnyTerm], Field(max_length=1000)] = Field(default_factory=list)
    quotas: QuotaList = Field(default_factory=list)
    """Budgets that reach beyond the horizon; what is used so far stands in `used_at_start…`."""
    limit_orders: Annotated[list[OrderSection], Field(max_length=200)] = Field(default_factory=list)
    bid: CaseBid | None = None
    """For `vpp bid` of a day-ahead product: curves over price scenarios instead of the point plan's."""
    solver: SolverSection = SolverSection()
