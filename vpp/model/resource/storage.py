"""Stores of energy, of any carrier."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from vpp.errors import DataError
from vpp.model.resource.common import (
    Common,
    require_fraction,
    require_share,
    require_size,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage(Common):
    """A battery, a tank, a pile of ice: its state is the energy stored; power above 0 discharges.

    A store of another carrier than electricity names its node; its powers are of that carrier.
    """

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

    final_soc: float | None = None
    """Least share at the end of every horizon; None where a value of what is left suffices."""

    reserve_soc: float = 0.0
    """Share kept for outages. Going below is possible, at `reserve_cost_per_kwh_h`."""

    reserve_cost_per_kwh_h: float = 0.0
    """Price of each kWh that the reserve lacks, for each hour."""

    standing_loss_per_h: float = 0.0
    """Share of what is stored that is lost in an hour, in [0, 1)."""

    charge_taper_soc: float = 1.0
    """Above this share the charging power falls in a straight line, to nothing when full."""

    discharge_taper_soc: float = 0.0
    """Below this share the discharging power falls in a straight line, to nothing when empty."""

    max_cycles_per_day: float | None = None
    """Energy taken out on one local day, in capacities; None where nothing limits it."""

    power_series_id: str | None = None
    """Series of the share of both power limits that is available, 0 to 1; None: always all."""

    wear_cost_per_kwh: float = 0.0
    """What one kWh through the terminals, in or out, costs the owner."""

    def __post_init__(self) -> None:
        Common.__post_init__(self)
        require_size(self, "capacity_kwh", "max_charge_kw", "max_discharge_kw")
        require_size(self, "wear_cost_per_kwh")
        require_fraction(self, "charge_efficiency", "discharge_efficiency")
        require_size(self, "reserve_cost_per_kwh_h")
        require_share(self, "reserve_soc", "charge_taper_soc", "discharge_taper_soc")
        for name in ("min_soc", "standing_loss_per_h"):
            if not 0 <= getattr(self, name) < 1:
                raise DataError(
                    f"{name} is {getattr(self, name)}",
                    where=self.resource_id,
                    fix="Give a share below 1, such as 0.1",
                )
        if self.final_soc is not None and not self.min_soc <= self.final_soc <= 1:
            raise DataError(
                f"final_soc is {self.final_soc}",
                where=self.resource_id,
                fix="Give a share from min_soc to 1",
            )
        if self.max_cycles_per_day is not None and not 0 <= self.max_cycles_per_day < inf:
            raise DataError(
                f"max_cycles_per_day is {self.max_cycles_per_day}",
                where=self.resource_id,
                fix="Give a number not below 0, or leave it out",
            )

    @property
    def draw_kw(self) -> float:
        return self.max_charge_kw

    @property
    def feed_kw(self) -> float:
        return self.max_discharge_kw

    def most_charge_kw(self, soc: float) -> float:
        """How hard it can be charged at a state of charge; a size."""
        falls_over = 1 - self.charge_taper_soc
        return self.max_charge_kw * (min((1 - soc) / falls_over, 1.0) if falls_over else 1.0)

    def most_discharge_kw(self, soc: float) -> float:
        """How hard it can be discharged at a state of charge; a size."""
        falls_over = self.discharge_taper_soc
        return self.max_discharge_kw * (min(soc / falls_over, 1.0) if falls_over else 1.0)

    def kept(self, hours: float) -> float:
        """Share of what is stored that is left after `hours` without charge or discharge."""
        return float((1 - self.standing_loss_per_h) ** hours)

    def stored_kwh_after(self, stored_kwh: float, power_kw: float, hours: float) -> float:
        """Energy in the store after running at `power_kw` for `hours`."""
        stored_kwh *= self.kept(hours)
        if power_kw > 0:
            return stored_kwh - power_kw * hours / self.discharge_efficiency
        return stored_kwh - power_kw * hours * self.charge_efficiency
