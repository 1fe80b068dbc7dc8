"""Rooms and cold stores whose warmth is a store."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import overload

import numpy as np

from vpp.errors import DataError
from vpp.model.horizon import Floats
from vpp.model.resource.common import Common, require_positive, require_size

LEAST_COP = 1e-3
"""A machine moves some heat at any outdoor temperature, however little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThermalZone(Common):
    """A cold store or a heated building: one heat capacity, one leak, one machine.

        C dT/dt = (T_out - T) / R + gain + sign·COP·draw        sign: -1 cooling, +1 heating

    The draw is continuous. Leaving the comfort band costs `discomfort_cost_per_degc_h`.
    """

    heating: bool
    """True where the machine adds heat, False where it takes heat away."""

    max_draw_kw: float
    cop: float
    """kWh of heat moved per kWh drawn, at `cop_outdoor_degc`."""

    cop_per_degc: float = 0.0
    """Change of the COP for each degree outdoors; below 0 for cooling."""

    cop_outdoor_degc: float = 7.0
    """Outdoor temperature at which `cop` holds."""

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
        Common.__post_init__(self)
        require_size(self, "max_draw_kw", "internal_gain_kw", "discomfort_cost_per_degc_h")
        require_positive(self, "cop", "resistance_degc_per_kw", "capacity_kwh_per_degc")
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

    @overload
    def cop_at(self, outdoor_degc: float) -> float: ...
    @overload
    def cop_at(self, outdoor_degc: Floats) -> Floats: ...
    def cop_at(self, outdoor_degc: float | Floats) -> float | Floats:
        """KWh of heat moved per kWh drawn at an outdoor temperature, or at each; never below 1e-3."""
        cop = self.cop + self.cop_per_degc * (outdoor_degc - self.cop_outdoor_degc)
        if isinstance(cop, np.ndarray):
            return np.maximum(cop, LEAST_COP)
        return max(float(cop), LEAST_COP)  # a plain number: devices send and store it

    @overload
    def degc_per_kw(self, outdoor_degc: float) -> float: ...
    @overload
    def degc_per_kw(self, outdoor_degc: Floats) -> Floats: ...
    def degc_per_kw(self, outdoor_degc: float | Floats) -> float | Floats:
        """Steady temperature change per kW drawn; negative for cooling."""
        sign = 1 if self.heating else -1
        return sign * self.cop_at(outdoor_degc) * self.resistance_degc_per_kw

    def temperature_after(
        self, temperature_degc: float, power_kw: float, outdoor_degc: float, hours: float
    ) -> float:
        """Temperature after `hours` at constant `power_kw` (not above 0) and outdoor temperature."""
        decay = self.decay(hours)
        settled = (
            outdoor_degc
            + self.internal_gain_kw * self.resistance_degc_per_kw
            - self.degc_per_kw(outdoor_degc) * power_kw
        )
        return decay * temperature_degc + (1 - decay) * settled
