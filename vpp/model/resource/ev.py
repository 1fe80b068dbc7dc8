"""Cars that come and go."""

from __future__ import annotations

from dataclasses import dataclass

from vpp.model.resource.common import Common, require_fraction, require_size


@dataclass(frozen=True, slots=True, kw_only=True)
class EvFleet(Common):
    """Charging points of one car park, steered as one; cars come and go as sessions."""

    charger_kw: float
    """The most one car draws."""

    max_draw_kw: float
    """The most the whole car park draws."""

    charge_efficiency: float = 1.0
    """kWh counted to the session per kWh drawn, in (0, 1]."""

    unserved_cost_per_kwh: float
    """Price of a kWh that a car wanted and left without."""

    max_car_feed_kw: float = 0.0
    """The most one car feeds back; 0 where none does. What a car lends is said by its session."""

    discharge_efficiency: float = 1.0
    """kWh fed per kWh taken out of a car, in (0, 1]."""

    wear_cost_per_kwh: float = 0.0
    """Paid to the cars' owners for each kWh fed back."""

    guaranteed: bool = False
    """Whether a car leaves with all that its stay and its charger allow, whatever that costs."""

    def __post_init__(self) -> None:
        Common.__post_init__(self)
        require_size(self, "charger_kw", "max_draw_kw", "unserved_cost_per_kwh")
        require_size(self, "max_car_feed_kw", "wear_cost_per_kwh")
        require_fraction(self, "charge_efficiency", "discharge_efficiency")

    @property
    def draw_kw(self) -> float:
        return self.max_draw_kw

    @property
    def feed_kw(self) -> float:
        return self.max_draw_kw if self.max_car_feed_kw else 0.0
