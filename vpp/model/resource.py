"""What enterprises own and the planner may move: a few general kinds.

A catalogue of devices is data; here are the physics that the planner, the guard and the
simulated devices agree on. Powers are net injection at the AC terminals: positive feeds the
grid, negative draws from it. Sizes and limits are never negative. Every kind says what the
device does by itself when nobody commands it: its *default*, which is also where it falls back
to when a set-point expires.

| kind              | default                                    | a set-point means                    |
|-------------------|--------------------------------------------|--------------------------------------|
| FixedLoad         | the load as it comes                       | (never commanded)                    |
| Storage           | idle                                       | the power to run at                  |
| Generator         | all that the source gives                  | the most it may feed                 |
| InterruptibleLoad | runs at its rated draw in operating hours  | the draw during a call (0 = off)     |
| ShiftableRun      | starts at `default_start`                  | 0 = hold, below 0 = start now        |
| ThermalZone       | a thermostat holds `target_degc`           | the power to run at                  |
| EvFleet           | charges on arrival at full power           | the draw of the whole fleet          |
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time, timedelta
from math import exp, inf
from typing import TypeAlias

from vpp.errors import DataError
from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId, require_id

WORKDAYS = (0, 1, 2, 3, 4)
EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Resource:
    """What every kind has."""

    resource_id: ResourceId
    enterprise_id: EnterpriseId
    connection_point_id: ConnectionPointId

    max_age_s: float = 180.0
    """A reading older than this is unknown, and the resource is not commanded."""

    ramp_kw_per_min: float = inf
    """How fast the device changes its power; inf where it is quicker than anyone looks."""

    response_delay_s: float = 0.0
    """Time between a set-point's arrival and the first change of power."""

    def __post_init__(self) -> None:
        require_id(self.resource_id, where="resource_id")
        _require_positive(self, "max_age_s", "ramp_kw_per_min")
        _require_size(self, "response_delay_s")


def _require_size(of: _Resource, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(of, name) < inf:
            raise DataError(
                f"{name} is {getattr(of, name)}",
                where=of.resource_id,
                fix="Give a size, finite and not negative; the sign lives in the set-point",
            )


def _require_positive(of: _Resource, *names: str) -> None:
    for name in names:
        if not getattr(of, name) > 0:
            raise DataError(
                f"{name} is {getattr(of, name)}", where=of.resource_id, fix="Give a number above 0"
            )


def _require_fraction(of: _Resource, *names: str) -> None:
    for name in names:
        if not 0 < getattr(of, name) <= 1:
            raise DataError(
                f"{name} is {getattr(of, name)}",
                where=of.resource_id,
                fix="Give a fraction such as 0.96, not a percentage",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedLoad(_Resource):
    """A load nobody moves: measured, forecast, paid for."""

    max_draw_kw: float
    """The most it can draw; readings above are refused as implausible."""

    def __post_init__(self) -> None:
        _Resource.__post_init__(self)
        _require_size(self, "max_draw_kw")

    @property
    def draw_kw(self) -> float:
        return self.max_draw_kw

    @property
    def feed_kw(self) -> float:
        return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage(_Resource):
    """A battery. Its state is the energy stored; power above 0 discharges."""

    capacity_kwh: float
    """Usable energy between 0 % and 100 % state of charge."""

    max_charge_kw: float
    max_discharge_kw: float

    charge_efficiency: float = 0.96
    """kWh stored per kWh drawn, in (0, 1]."""

    discharge_efficiency: float = 0.96
    """kWh fed per kWh taken out of the store, in (0, 1]."""

    min_soc: float = 0.0
    """Share of the capacity that stays in the store, in [0, 1)."""

    wear_cost_per_kwh: float = 0.0
    """What one kWh through the terminals, in or out, costs the owner."""

    def __post_init__(self) -> None:
        _Resource.__post_init__(self)
        _require_size(self, "capacity_kwh", "max_charge_kw", "max_discharge_kw")
        _require_size(self, "wear_cost_per_kwh")
        _require_fraction(self, "charge_efficiency", "discharge_efficiency")
        if not 0 <= self.min_soc < 1:
            raise DataError(
                f"min_soc is {self.min_soc}",
                where=self.resource_id,
                fix="Give a share below 1, such as 0.1",
            )

    @property
    def draw_kw(self) -> float:
        return self.max_charge_kw

    @property
    def feed_kw(self) -> float:
        return self.max_discharge_kw

    def stored_kwh_after(self, stored_kwh: float, power_kw: float, hours: float) -> float:
        """Energy in the store after running at `power_kw` for `hours`."""
        if power_kw > 0:
            return stored_kwh - power_kw * hours / self.discharge_efficiency
        return stored_kwh - power_kw * hours * self.charge_efficiency


@dataclass(frozen=True, slots=True, kw_only=True)
class Generator(_Resource):
    """PV or wind: feeds what the source gives, less what is curtailed."""

    max_feed_kw: float

    def __post_init__(self) -> None:
        _Resource.__post_init__(self)
        _require_size(self, "max_feed_kw")

    @property
    def draw_kw(self) -> float:
        return 0.0

    @property
    def feed_kw(self) -> float:
        return self.max_feed_kw


@dataclass(frozen=True, slots=True, kw_only=True)
class InterruptibleLoad(_Resource):
    """A process that can be switched off for one fixed span, called on the hour."""

    rated_draw_kw: float
    operating_from: time
    operating_to: time
    operating_days: tuple[int, ...] = WORKDAYS
    """0 is Monday. Outside its hours the process draws nothing and cannot be called."""

    call_length: timedelta
    callable_hours: tuple[int, ...]
    """Local hours on which a call may start."""

    max_calls_per_day: int = 1
    call_cost_per_kwh: float
    """What the owner asks for one kWh not drawn during a call."""

    def __post_init__(self) -> None:
        _Resource.__post_init__(self)
        _require_size(self, "rated_draw_kw", "call_cost_per_kwh")
        _require_days(self, self.operating_days)
        if self.operating_to <= self.operating_from:
            raise DataError(
                f"operating hours {self.operating_from} … {self.operating_to}",
                where=self.resource_id,
                fix="Let them end after they begin, within one day",
            )
        if self.call_length <= timedelta(0) or self.max_calls_per_day < 0:
            raise DataError(
                f"calls of {self.call_length}, {self.max_calls_per_day} a day",
                where=self.resource_id,
                fix="Give calls a positive length and a count not below 0",
            )

    @property
    def draw_kw(self) -> float:
        return self.rated_draw_kw

    @property
    def feed_kw(self) -> float:
        return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftableRun(_Resource):
    """A job that must run once each working day, at a time that may be chosen; it is never stopped."""

    profile_kw: tuple[float, ...]
    """Mean draw in each quarter-hour of the run; sizes, so not negative."""

    earliest_start: time
    latest_end: time
    """Local times between which the whole run must lie."""

    default_start: time
    run_days: tuple[int, ...] = WORKDAYS
    """0 is Monday."""

    def __post_init__(self) -> None:
        _Resource.__post_init__(self)
        if not self.profile_kw or not all(0 <= kw < inf for kw in self.profile_kw):
            raise DataError(
                f"profile_kw is {self.profile_kw}",
                where=self.resource_id,
                fix="Give one size for each quarter-hour of the run",
            )
        _require_days(self, self.run_days)
        latest = _minutes(self.latest_end) - 15 * len(self.profile_kw)
        if not _minutes(self.earliest_start) <= _minutes(self.default_start) <= latest:
            raise DataError(
                f"a run of {len(self.profile_kw)} quarter-hours started at {self.default_start} does"
                f" not lie between {self.earliest_start} and {self.latest_end}",
                where=self.resource_id,
                fix="Widen the window or move default_start",
            )

    @property
    def draw_kw(self) -> float:
        return max(self.profile_kw)

    @property
    def feed_kw(self) -> float:
        return 0.0

    @property
    def length(self) -> timedelta:
        return timedelta(minutes=15 * len(self.profile_kw))


@dataclass(frozen=True, slots=True, kw_only=True)
class ThermalZone(_Resource):
    """A cold store or a heated building: one heat capacity, one leak, one machine.

        C dT/dt = (T_out - T) / R + gain + sign·COP·draw        sign: -1 cooling, +1 heating

    The draw is continuous. Leaving the comfort band costs `discomfort_cost_per_degc_h`.
    """

    heating: bool
    """True where the machine adds heat, False where it takes heat away."""

    max_draw_kw: float
    cop: float
    """kWh of heat moved per kWh of electricity."""

    resistance_degc_per_kw: float
    capacity_kwh_per_degc: float
    internal_gain_kw: float = 0.0
    """Heat given off inside (people, lamps, goods)."""

    min_degc: float
    max_degc: float
    target_degc: float
    """What the thermostat holds when nobody commands."""

    discomfort_cost_per_degc_h: float
    outdoor_series_id: str

    def __post_init__(self) -> None:
        _Resource.__post_init__(self)
        _require_size(self, "max_draw_kw", "internal_gain_kw", "discomfort_cost_per_degc_h")
        _require_positive(self, "cop", "resistance_degc_per_kw", "capacity_kwh_per_degc")
        if not self.min_degc <= self.target_degc <= self.max_degc:
            raise DataError(
                f"target {self.target_degc} outside {self.min_degc} … {self.max_degc}",
                where=self.resource_id,
                fix="Put target_degc inside the comfort band",
            )

    @property
    def draw_kw(self) -> float:
        return self.max_draw_kw

    @property
    def feed_kw(self) -> float:
        return 0.0

    def decay(self, hours: float) -> float:
        """Share of a temperature difference that is left after `hours` without the machine."""
        return exp(-hours / (self.resistance_degc_per_kw * self.capacity_kwh_per_degc))

    @property
    def degc_per_kw(self) -> float:
        """Steady temperature change per kW of electric draw; negative for cooling."""
        return (1 if self.heating else -1) * self.cop * self.resistance_degc_per_kw

    def temperature_after(
        self, temperature_degc: float, power_kw: float, outdoor_degc: float, hours: float
    ) -> float:
        """Temperature after `hours` at constant `power_kw` (not above 0) and outdoor temperature."""
        decay = self.decay(hours)
        settled = (
            outdoor_degc
            + self.internal_gain_kw * self.resistance_degc_per_kw
            - self.degc_per_kw * power_kw
        )
        return decay * temperature_degc + (1 - decay) * settled


@dataclass(frozen=True, slots=True, kw_only=True)
class EvFleet(_Resource):
    """Charging points of one car park, steered as one; cars come and go as sessions."""

    charger_kw: float
    """The most one car draws."""

    max_draw_kw: float
    """The most the whole car park draws."""

    charge_efficiency: float = 1.0
    """kWh counted to the session per kWh drawn, in (0, 1]."""

    unserved_cost_per_kwh: float
    """Price of a kWh that a car wanted and left without."""

    def __post_init__(self) -> None:
        _Resource.__post_init__(self)
        _require_size(self, "charger_kw", "max_draw_kw", "unserved_cost_per_kwh")
        _require_fraction(self, "charge_efficiency")

    @property
    def draw_kw(self) -> float:
        return self.max_draw_kw

    @property
    def feed_kw(self) -> float:
        return 0.0


Resource: TypeAlias = (
    FixedLoad | Storage | Generator | InterruptibleLoad | ShiftableRun | ThermalZone | EvFleet
)


def _minutes(at: time) -> int:
    """Minutes since midnight; 00:00 as the end of a window means 24:00 and is written 23:59."""
    return at.hour * 60 + at.minute + (1 if at == time(23, 59) else 0)


def _require_days(of: _Resource, days: tuple[int, ...]) -> None:
    if not set(days) <= set(EVERY_DAY) or len(set(days)) != len(days):
        raise DataError(
            f"days {days}", where=of.resource_id, fix="Name each weekday at most once, 0 is Monday"
        )
