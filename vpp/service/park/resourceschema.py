"""A resource in the park file, key by key.

Only shape and ranges stand here; what joins one place with another is in `checks.py`. Field
names are those of the nouns in `vpp/model/resource`, but for these, which read better in a file:

    node               -> node_id
    rest_minutes: 30   -> rest = timedelta(minutes=30), and so on for every length
    days: [mon, tue]   -> (0, 1)
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field, StringConstraints

from vpp.model import resource as nouns
from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId
from vpp.service.park.schematypes import (
    WEEK,
    WORK_WEEK,
    Cost,
    Count,
    Day,
    DegC,
    Fraction,
    Hour,
    Id,
    LocalTime,
    Minutes,
    Positive,
    Section,
    SeriesId,
    Share,
    Size,
    Tag,
    day_numbers,
)


class _Part(Section):
    """What becomes a noun, field by field."""

    NOUN: ClassVar[type[Any]]

    def fields(self) -> dict[str, Any]:
        """The noun's own fields; what is left out keeps the noun's default."""
        given = self.model_fields_set - _NO_FIELDS
        return _usual(type(self)) | _fields({name: getattr(self, name) for name in given})

    def noun(self) -> Any:
        """The noun.

        Raises:
            DataError: Values that are fine alone contradict each other.
        """
        return self.NOUN(**self.fields())


_NO_FIELDS = frozenset({"id", "kind", "tags"})
"""Keys that say nothing of the noun itself, or are given beside it."""


@cache
def _usual(part: type[_Part]) -> dict[str, Any]:
    """The fields of the noun where a file gives none: the same for all, so worked out once."""
    optional = {
        name: field.get_default(call_default_factory=True)
        for name, field in part.model_fields.items()
        if name not in _NO_FIELDS and not field.is_required()
    }
    return _fields(optional)


def _fields(values: dict[str, Any]) -> dict[str, Any]:
    """Keys of the file as fields of the noun."""
    return dict(_field(name, value) for name, value in values.items() if value is not None)


def _field(name: str, value: Any) -> tuple[str, Any]:
    """One key of the file as a field of the noun."""
    if name == "node":
        return "node_id", value
    if name.endswith("_minutes"):
        return name.removesuffix("_minutes"), timedelta(minutes=value)
    if name.endswith("days"):
        return name, day_numbers(value)
    return name, _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, _Part):
        return value.noun()
    if isinstance(value, list):
        return tuple(_plain(item) for item in value)
    return value


class OnOff(_Part):
    """A machine that is either on or off."""

    NOUN = nouns.OnOffRules
    min_power_kw: Size = 0.0
    """Least power while on."""
    min_up_minutes: Minutes = 0
    """Once started it stays on at least this long."""
    min_down_minutes: Minutes = 0
    """Once stopped it stays off at least this long."""
    start_cost: Size = 0.0
    """Paid for each start."""
    max_starts_per_day: Count | None = None
    """Starts on one local day; leave out where nothing limits them."""


class _Resource(_Part):
    id: Id
    tags: list[Tag] = Field(default_factory=list)
    """Words by which strategies speak of it; those of its enterprise are its own too."""
    max_age_s: Positive = 180.0
    """A reading older than this is unknown, and the resource is not commanded."""
    ramp_kw_per_min: Positive | None = None
    """How fast the device changes its power; leave out where it is quicker than anyone looks."""
    response_delay_s: Size = 0.0
    """Time between a set-point's arrival and the first change of power."""

    def resource(self, enterprise_id: str, connection_point_id: str) -> nouns.Resource:
        """The resource behind its connection point.

        Raises:
            DataError: Values that are fine alone contradict each other.
        """
        resource: nouns.Resource = self.NOUN(
            resource_id=ResourceId(self.id),
            enterprise_id=EnterpriseId(enterprise_id),
            connection_point_id=ConnectionPointId(connection_point_id),
            **self.fields(),
        )
        return resource


class _AtNode(_Resource):
    node: Id | None = None
    """The node of another carrier where its energy enters; leave out for electricity."""


class FixedLoad(_AtNode):
    """A load nobody moves: measured, forecast, paid for."""

    NOUN = nouns.FixedLoad
    kind: Literal["fixed_load"]
    max_draw_kw: Positive
    """The most it can draw; readings above are refused as implausible."""
    forecast_as: Id | None = None
    """A name that like resources share: they are measured and forecast as one, each by its size."""


class Storage(_AtNode):
    """A battery, or a store of another carrier at its node; idle by default."""

    NOUN = nouns.Storage
    kind: Literal["storage"]
    capacity_kwh: Positive
    """Usable energy between 0 % and 100 % state of charge."""
    max_charge_kw: Positive
    max_discharge_kw: Positive
    charge_efficiency: Fraction = 0.96
    """kWh stored per kWh drawn."""
    discharge_efficiency: Fraction = 0.96
    """kWh fed per kWh taken out of the store."""
    min_soc: Share = 0.0
    """Share of the capacity that stays in the store."""
    final_soc: Share | None = None
    """Least share at the end of every horizon."""
    reserve_soc: Share = 0.0
    """Share kept for outages; going below costs `reserve_cost_per_kwh_h`."""
    reserve_cost_per_kwh_h: Size = 0.0
    """Price of each kWh that the reserve lacks, for each hour."""
    standing_loss_per_h: Share = 0.0
    """Share of what is stored that is lost in an hour."""
    charge_taper_soc: Share = 1.0
    """Above this share the charging power falls in a straight line, to nothing when full."""
    discharge_taper_soc: Share = 0.0
    """Below this share the discharging power falls in a straight line, to nothing when empty."""
    max_cycles_per_day: Size | None = None
    """Energy taken out on one local day, in capacities."""
    power_series_id: SeriesId | None = None
    """Series of the share of both power limits that is available, 0 to 1."""
    wear_cost_per_kwh: Size = 0.0
    """What one kWh through the terminals, in or out, costs the owner."""


class Panels(_Part):
    """How the panels of a PV plant stand."""

    NOUN = nouns.Panels
    tilt_deg: Annotated[float, Field(ge=0, le=90)]
    """From the ground: 0 lies flat, 90 stands upright."""
    azimuth_deg: Annotated[float, Field(ge=0, lt=360)]
    """Where they face, from north over east: 180 is south."""


class Generator(_AtNode):
    """A source: PV or wind by default, else an engine, a well, a contract for heat or gas."""

    NOUN = nouns.Generator
    kind: Literal["generator"]
    max_feed_kw: Positive
    weather_driven: bool = True
    """Whether what it has is a forecast series; false: `max_feed_kw` at any time."""
    forecast_as: Id | None = None
    """A name that like resources share: they are measured and forecast as one, each by its size."""
    cost_per_kwh: Cost = 0.0
    """What a kWh fed costs (fuel, contract)."""
    curtailment_cost_per_kwh: Size = 0.0
    """What a kWh had and not fed costs."""
    must_run_share: Share = 0.0
    """Share of what it has that it always feeds."""
    kgco2_per_kwh: Size = 0.0
    """Carbon of a kWh fed."""
    green: bool = False
    """Whether a kWh of it counts as green."""
    on_off: OnOff | None = None
    """Leave out where it may feed any little."""
    max_hours_per_day: Annotated[float, Field(ge=0, le=25)] | None = None
    """Hours on, on one local day; needs `on_off`."""
    panels: Panels | None = None
    """Of PV, as built; where left out, the clear-sky models find it from what was measured."""


class CurtailableLoad(_AtNode):
    """A load that comes by itself and can be turned down for a price."""

    NOUN = nouns.CurtailableLoad
    kind: Literal["curtailable_load"]
    max_draw_kw: Positive
    """The most it can draw; readings above are refused as implausible."""
    curtailable_share: Share
    """Share of what it would draw that can be turned down."""
    forecast_as: Id | None = None
    """A name that like resources share: they are measured and forecast as one, each by its size."""
    curtailment_cost_per_kwh: Size
    """What the owner asks for one kWh not drawn."""
    max_calls_per_day: Count | None = None
    """Unbroken spans of being turned down on one local day."""
    rest_minutes: Minutes = 0
    """Least time between two calls."""
    longest_call_minutes: Annotated[int, Field(ge=1, le=44_640)] | None = None
    notice_minutes: Minutes = 0
    """How long before its start a call must be announced."""


class Rebound(_Part):
    """What is drawn more after a call."""

    NOUN = nouns.Rebound
    share: Annotated[float, Field(ge=0, le=10)]
    """kWh drawn later per kWh not drawn during the call."""
    delay_minutes: Minutes = 0
    """From the end of the call."""
    length_minutes: Annotated[int, Field(ge=1, le=1440)]


class InterruptibleLoad(_AtNode):
    """A process that can be switched off for a while, called on the hour."""

    NOUN = nouns.InterruptibleLoad
    kind: Literal["interruptible_load"]
    rated_draw_kw: Positive
    operating_from: LocalTime
    operating_to: LocalTime
    operating_days: list[Day] = WORK_WEEK
    call_length_minutes: Annotated[int, Field(ge=15, le=1440, multiple_of=15)]
    """Length of a call; the shortest one where `longest_call_minutes` is given."""
    longest_call_minutes: Annotated[int, Field(ge=15, le=1440, multiple_of=15)] | None = None
    notice_minutes: Minutes = 0
    """How long before its start a call must be announced."""
    rest_minutes: Minutes = 0
    """Least time of running between two calls."""
    rebound: Rebound | None = None
    """Leave out where what is not drawn is lost."""
    callable_hours: list[Hour]
    """Local hours on which a call may start."""
    max_calls_per_day: Annotated[int, Field(ge=0, le=24)] = 1
    call_cost_per_kwh: Size
    """What the owner asks for one kWh not drawn during a call."""


class ShiftableRun(_AtNode):
    """A job that must run on each of its days, at a time that may be chosen; never stopped."""

    NOUN = nouns.ShiftableRun
    kind: Literal["shiftable_run"]
    profile_kw: Annotated[list[Size], Field(min_length=1, max_length=96)]
    """Mean draw in each quarter-hour of the run."""
    earliest_start: LocalTime
    latest_end: LocalTime
    """23:59 means the end of the day."""
    default_start: LocalTime
    run_days: list[Day] = WORK_WEEK
    runs_per_day: Annotated[int, Field(ge=1, le=96)] = 1
    """How often it runs on each of its days."""
    after: Id | None = None
    """The run that must have ended on the same day before this one starts."""


class EnergyWindow(_Part):
    """A span of local time, and how much is to be done in it."""

    NOUN = nouns.EnergyWindow
    start: LocalTime
    end: LocalTime
    """23:59 means the end of the day; earlier than `start`: the next day."""
    days: list[Day] = WEEK
    """Weekdays on which it starts."""
    least_units: Size = 0.0
    most_units: Size | None = None


class FlexibleLoad(_AtNode):
    """A load whose power may be chosen inside windows, so long as the work of each is done."""

    NOUN = nouns.FlexibleLoad
    kind: Literal["flexible_load"]
    max_draw_kw: Positive
    windows: Annotated[list[EnergyWindow], Field(min_length=1, max_length=100)]
    unit: Annotated[str, StringConstraints(min_length=1, max_length=20)] = "kWh"
    """What its work is counted in."""
    kwh_per_unit: Positive = 1.0
    unserved_cost_per_unit: Size | None = None
    """Price of a unit that a window lacks; leave out where each window must get its least."""
    value_per_unit: Cost = 0.0
    """What a unit done earns."""
    default_draw_kw: Size = 0.0
    """What it draws inside its windows when nobody commands."""
    bands_kw: Annotated[list[Positive], Field(max_length=20)] = Field(default_factory=list)
    """The only draws beside 0 that it knows."""
    on_off: OnOff | None = None
    """Leave out where it may draw any little."""


class ThermalZone(_AtNode):
    """A cold store or a heated building: one heat capacity, one leak, one machine."""

    NOUN = nouns.ThermalZone
    kind: Literal["thermal_zone"]
    heating: bool
    """True where the machine adds heat, false where it takes heat away."""
    max_draw_kw: Positive
    cop: Positive
    """kWh of heat moved per kWh drawn, at `cop_outdoor_degc`."""
    cop_per_degc: Annotated[float, Field(ge=-10, le=10)] = 0.0
    """Change of the COP for each degree outdoors; below 0 for cooling."""
    cop_outdoor_degc: DegC = 7.0
    resistance_degc_per_kw: Positive
    capacity_kwh_per_degc: Positive
    internal_gain_kw: Size = 0.0
    """Heat given off inside (people, lamps, goods)."""
    min_degc: DegC
    max_degc: DegC
    target_degc: DegC
    """What the thermostat holds when nobody commands."""
    discomfort_cost_per_degc_h: Size
    outdoor_series_id: SeriesId


class EvFleet(_Resource):
    """Charging points of one car park, steered as one."""

    NOUN = nouns.EvFleet
    kind: Literal["ev_fleet"]
    charger_kw: Positive
    """The most one car draws."""
    max_draw_kw: Positive
    """The most the whole car park draws."""
    charge_efficiency: Fraction = 1.0
    """kWh counted to the session per kWh drawn."""
    unserved_cost_per_kwh: Size
    """Price of a kWh that a car wanted and left without."""
    max_car_feed_kw: Size = 0.0
    """The most one car feeds back; 0 where none does."""
    discharge_efficiency: Fraction = 1.0
    """kWh fed per kWh taken out of a car."""
    wear_cost_per_kwh: Size = 0.0
    """Paid to the cars' owners for each kWh fed back."""
    guaranteed: bool = False
    """Whether a car leaves with all that its stay and its charger allow, whatever that costs."""


class Port(_Part):
    """Where a converter meets a node."""

    NOUN = nouns.Port
    node: Id | None = None
    """Leave out for electricity at its connection point."""
    per_degc: Annotated[float, Field(ge=-1, le=1)] = 0.0
    """Relative change of what flows here for each degree outdoors."""
    reference_degc: DegC = 7.0
    """Outdoor temperature at which the points hold."""

    def fields(self) -> dict[str, Any]:
        return {"node_id": None, **super().fields()}


class Converter(_Resource):
    """CHP, boiler, heat pump, chiller, electrolyser, fuel cell, heat exchanger."""

    NOUN = nouns.Converter
    kind: Literal["converter"]
    ports: Annotated[list[Port], Field(min_length=1, max_length=8)]
    points_kw: Annotated[list[list[Cost]], Field(min_length=1, max_length=40)]
    """Operating points, one row each: what flows at each port, fed above 0, drawn below."""
    outdoor_series_id: SeriesId | None = None
    """Needed where a port's flow follows the temperature outdoors."""
    running_cost_per_h: Size = 0.0
    """Paid for each hour on, beside the energy; needs `on_off`."""
    standby_kw: Size = 0.0
    """Draw at the first port while off but ready; needs `on_off`."""
    on_off: OnOff | None = None
    """Leave out where it may run at any little; `min_power_kw` is said by the points."""


AnyResource: TypeAlias = Annotated[
    FixedLoad
    | Storage
    | Generator
    | CurtailableLoad
    | InterruptibleLoad
    | ShiftableRun
    | FlexibleLoad
    | ThermalZone
    | EvFleet
    | Converter,
    Field(discriminator="kind"),
]
