"""A resource in the park file, key by key, and the types of value that every section uses.

Only shape and ranges stand here; what joins one place with another is in `parkchecks.py`. Field
names are those of `vpp/model/resource.py`.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
)

from vpp.model import resource as nouns
from vpp.model.ids import ID_PATTERN, ConnectionPointId, EnterpriseId, ResourceId


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no IANA time zone such as Europe/Stockholm") from error
    return name


def _local(at: time) -> time:
    if at.tzinfo is not None or at.second or at.microsecond:
        raise ValueError(f"{at} is no local time of the form 06:00")
    return at


def whole_minute(moment: datetime) -> datetime:
    """Refuse a moment that lies within a minute."""
    if moment.second or moment.microsecond:
        raise ValueError(f"{moment} does not lie on a whole minute")
    return moment


Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
SeriesId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]{1,64}$")]
FileName = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Size = Annotated[float, Field(ge=0, le=1e9)]
Positive = Annotated[float, Field(gt=0, le=1e9)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(ge=0, le=1)]
DegC = Annotated[float, Field(ge=-273.15, le=2000)]
Hour = Annotated[int, Field(ge=0, le=23)]
Zone = Annotated[str, AfterValidator(_known_zone)]
LocalTime = Annotated[time, AfterValidator(_local)]
Money = Annotated[Decimal, Field(max_digits=18)]
Price = Annotated[Decimal, Field(ge=0, max_digits=18)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Day: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEK: list[Day] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WORK_WEEK: list[Day] = ["mon", "tue", "wed", "thu", "fri"]


def day_numbers(days: list[Day]) -> tuple[int, ...]:
    """Weekdays as the nouns count them: 0 is Monday."""
    return tuple(DAYS.index(day) for day in days)


class Section(BaseModel):
    """Frozen, unknown keys refused, every number finite, no reading of one type as another."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class _Resource(Section):
    NOUN: ClassVar[type[Any]]

    id: Id
    max_age_s: Positive = 180.0
    """A reading older than this is unknown, and the resource is not commanded."""
    ramp_kw_per_min: Positive | None = None
    """How fast the device changes its power; leave out where it is quicker than anyone looks."""
    response_delay_s: Size = 0.0
    """Time between a set-point's arrival and the first change of power."""

    def fields(self) -> dict[str, Any]:
        """The noun's own fields."""
        return self.model_dump(exclude={"id", "kind"}, exclude_none=True)

    def noun(self, enterprise_id: str, connection_point_id: str) -> nouns.Resource:
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


class FixedLoad(_Resource):
    """A load nobody moves: measured, forecast, paid for."""

    NOUN = nouns.FixedLoad
    kind: Literal["fixed_load"]
    max_draw_kw: Positive
    """The most it can draw; readings above are refused as implausible."""


class Storage(_Resource):
    """A battery; idle by default."""

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
    wear_cost_per_kwh: Size = 0.0
    """What one kWh through the terminals, in or out, costs the owner."""


class Generator(_Resource):
    """PV or wind: feeds all that the source gives by default."""

    NOUN = nouns.Generator
    kind: Literal["generator"]
    max_feed_kw: Positive


class InterruptibleLoad(_Resource):
    """A process that can be switched off for one fixed span, called on the hour."""

    NOUN = nouns.InterruptibleLoad
    kind: Literal["interruptible_load"]
    rated_draw_kw: Positive
    operating_from: LocalTime
    operating_to: LocalTime
    operating_days: list[Day] = WORK_WEEK
    call_length_minutes: Annotated[int, Field(ge=15, le=1440, multiple_of=15)]
    callable_hours: list[Hour]
    """Local hours on which a call may start."""
    max_calls_per_day: Annotated[int, Field(ge=0, le=24)] = 1
    call_cost_per_kwh: Size
    """What the owner asks for one kWh not drawn during a call."""

    def fields(self) -> dict[str, Any]:
        own = super().fields()
        own["operating_days"] = day_numbers(self.operating_days)
        own["callable_hours"] = tuple(self.callable_hours)
        own["call_length"] = timedelta(minutes=own.pop("call_length_minutes"))
        return own


class ShiftableRun(_Resource):
    """A job that must run once each of its days, at a time that may be chosen; never stopped."""

    NOUN = nouns.ShiftableRun
    kind: Literal["shiftable_run"]
    profile_kw: Annotated[list[Size], Field(min_length=1, max_length=96)]
    """Mean draw in each quarter-hour of the run."""
    earliest_start: LocalTime
    latest_end: LocalTime
    """23:59 means the end of the day."""
    default_start: LocalTime
    run_days: list[Day] = WORK_WEEK

    def fields(self) -> dict[str, Any]:
        own = super().fields()
        return own | {
            "profile_kw": tuple(self.profile_kw),
            "run_days": day_numbers(self.run_days),
        }


class ThermalZone(_Resource):
    """A cold store or a heated building: one heat capacity, one leak, one machine."""

    NOUN = nouns.ThermalZone
    kind: Literal["thermal_zone"]
    heating: bool
    """True where the machine adds heat, false where it takes heat away."""
    max_draw_kw: Positive
    cop: Positive
    """kWh of heat moved per kWh of electricity."""
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


AnyResource: TypeAlias = Annotated[
    FixedLoad | Storage | Generator | InterruptibleLoad | ShiftableRun | ThermalZone | EvFleet,
    Field(discriminator="kind"),
]
