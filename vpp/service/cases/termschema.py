"""Terms as a case writes them: one entry for each kind of `vpp/plan/terms.py`, under its name.

    terms:
      - {term: energy_price, at: gate, import_per_kwh: price.buy, export_per_kwh: 0.04}
      - {term: peak_charge, at: gate, price_per_kw: 9.5, free_kw: 800}

Where a number may change from step to step it is a `Course`: a number in the unit of its name, or the
name of a column, whose own unit is turned into that one.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import AwareDatetime, Field, WithJsonSchema

from vpp.plan.terms import Activity
from vpp.service.park.schematypes import (
    WEEK,
    Cost,
    Day,
    Id,
    LocalTime,
    Minutes,
    Section,
    Share,
    Size,
    Text,
)

ColumnName = Annotated[str, Field(min_length=1, max_length=120)]
Course: TypeAlias = Annotated[
    Cost | ColumnName,
    # One schema of two types: a reader of alternatives would try every combination of them.
    WithJsonSchema({"type": ["number", "string"], "description": "A number, or a column."}),
]


class EnergyPriceTerm(Section):
    """What a kWh costs on its way in, and earns on its way out."""

    term: Literal["energy_price"]
    at: Id
    """A connection point, or `all` of them."""
    import_per_kwh: Course
    export_per_kwh: Course = 0.0


class CommitmentTerm(Section):
    """What is sold already, with a price for falling short and one for going over."""

    term: Literal["commitment"]
    base_kw: Course = 0.0
    short_per_kwh: Course
    long_per_kwh: Course


class OpenTradeTerm(Section):
    """A product that can still be traded."""

    term: Literal["open_trade"]
    product: Id
    sell_per_kwh: Course
    buy_per_kwh: Course
    max_kw: Course
    """Most that may be sold, and bought; 0 in steps whose gate is closed."""


class CapTerm(Section):
    """A limit on a place of the tree, for a price."""

    term: Literal["cap"]
    place: Id
    """The park, a feeder, an enterprise or a connection point."""
    import_kw: Course | None = None
    export_kw: Course | None = None
    excess_per_kwh: Size
    reason: Text


class ClockWindow(Section):
    """Local times of some weekdays."""

    start: LocalTime
    end: LocalTime
    """23:59 means the end of the day."""
    days: list[Day] = WEEK


class PeakChargeTerm(Section):
    """A price on the highest mean import of some metering intervals."""

    term: Literal["peak_charge"]
    at: Id
    price_per_kw: Size
    free_kw: Size = 0.0
    """What is paid already, or included."""
    start: AwareDatetime | None = None
    """Left out: from the first step on."""
    end: AwareDatetime | None = None
    interval_minutes: Annotated[int, Field(ge=1, le=1440)] | None = None
    """Left out: one step."""
    elapsed_minutes: Minutes = 0
    """Of the first interval, before its first step."""
    elapsed_kw: Size = 0.0
    windows: list[ClockWindow] | None = None
    """Peak hours; left out: all count."""


class EnergyTargetTerm(Section):
    """So much must be in a store by a time."""

    term: Literal["energy_target"]
    resource: Id
    by: AwareDatetime
    stored_kwh: Size
    shortfall_per_kwh: Size
    reason: Text


class StoredFloorTerm(Section):
    """So much stays in stores at the end of each step."""

    term: Literal["stored_floor"]
    least_kwh: Annotated[dict[Id, Size], Field(min_length=1)]
    shortfall_per_kwh_h: Size
    """Price of a kWh that lacks for an hour."""
    reason: Text


class CarDeadlineTerm(Section):
    """So much is charged into one car by a time."""

    term: Literal["car_deadline"]
    resource: Id
    session_id: Annotated[str, Field(min_length=1, max_length=80)]
    by: AwareDatetime
    charged_kwh: Size
    shortfall_per_kwh: Size


class ReserveTerm(Section):
    """Power kept free for a reserve product."""

    term: Literal["reserve"]
    product: Id
    up: bool
    """True: more net injection when called; false: less."""
    resources: Annotated[list[Id], Field(min_length=1)]
    """Who may keep it."""
    firm_kw: Course = 0.0
    """Owed."""
    shortfall_per_kw_h: Size
    open_kw: Course = 0.0
    """Most that may still be sold."""
    price_per_kw_h: Course = 0.0
    activation_minutes: Minutes
    called_share: Share = 0.0
    called_per_kwh: Course | None = None
    block_minutes: Annotated[int, Field(ge=1, le=1440)] | None = None
    """The quantity is the same over so long; left out: one step."""
    elapsed_minutes: Minutes = 0
    """Of the first block, before the horizon."""
    survives_largest: bool = False
    """Whether the rest must suffice when any one of the resources fails."""


class CarbonPriceTerm(Section):
    """A price on carbon."""

    term: Literal["carbon_price"]
    price_per_kgco2: Size
    grid_kgco2_per_kwh: Course | None = None
    """Left out: the figure of the park file."""


class GreenShareTerm(Section):
    """At least this share of what is used is green and the park's own."""

    term: Literal["green_share"]
    share: Share
    shortfall_per_kwh: Size


class ChangePenaltyTerm(Section):
    """A price on each kWh that differs from what was announced."""

    term: Literal["change_penalty"]
    announced_kw: dict[Id, Course]
    """Net injection, by resource."""
    price_per_kwh: Size


class ActivityPriceTerm(Section):
    """A price on doing something of which only so much is left."""

    term: Literal["activity_price"]
    activity: Activity
    resource: Id | None = None
    """Left out: of the whole park."""
    price_per_unit: Cost
    reason: Text


class EqualBurdenTerm(Section):
    """A price on the highest relative burden among members."""

    term: Literal["equal_burden"]
    borne_kwh: dict[Id, Size]
    """What each bore before; its keys are the members."""
    price_per_share: Size


class StoredEnergyValueTerm(Section):
    """What energy left in stores at the end is worth."""

    term: Literal["stored_energy_value"]
    price_per_kwh: Cost


AnyTerm: TypeAlias = Annotated[
    EnergyPriceTerm
    | CommitmentTerm
    | OpenTradeTerm
    | CapTerm
    | PeakChargeTerm
    | EnergyTargetTerm
    | StoredFloorTerm
    | CarDeadlineTerm
    | ReserveTerm
    | CarbonPriceTerm
    | GreenShareTerm
    | ChangePenaltyTerm
    | ActivityPriceTerm
    | EqualBurdenTerm
    | StoredEnergyValueTerm,
    Field(discriminator="term"),
]
