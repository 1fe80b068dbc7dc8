"""Sources: PV, wind, engines, heat and fuel that is bought."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from vpp.errors import DataError
from vpp.model.resource.common import Common, OnOffRules, require_share, require_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Panels:
    """How the panels of a PV plant stand."""

    tilt_deg: float
    """From the ground: 0 lies flat, 90 stands upright."""

    azimuth_deg: float
    """Where they face, from north over east: 180 is south."""

    def __post_init__(self) -> None:
        if not (0 <= self.tilt_deg <= 90 and 0 <= self.azimuth_deg < 360):
            raise DataError(
                f"tilt {self.tilt_deg}, azimuth {self.azimuth_deg}",
                where="Panels",
                fix="Give degrees: the tilt from 0 to 90, the azimuth from 0 up to 360",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Generator(Common):
    """A source: feeds at most what it has, less what is curtailed.

    PV and wind have what the weather gives (`weather_driven`); an engine, a well, a contract for
    heat or gas have `max_feed_kw` whenever they are wanted. What heat sources and engines are in a
    catalogue (biomass, geothermal, waste heat, a heat contract) differs in these numbers only.
    """

    max_feed_kw: float

    weather_driven: bool = True
    """Whether what it has is a forecast series; False: `max_feed_kw` at any time."""

    forecast_as: str | None = None
    """Whose course it shares: all that name the same are measured and forecast as one (`series.py`)."""

    cost_per_kwh: float = 0.0
    """What a kWh fed costs (fuel, contract); below 0 where taking it is paid for."""

    curtailment_cost_per_kwh: float = 0.0
    """What a kWh had and not fed costs."""

    must_run_share: float = 0.0
    """Share of what it has that it always feeds."""

    kgco2_per_kwh: float = 0.0
    """Carbon of a kWh fed."""

    green: bool = False
    """Whether a kWh of it counts as green."""

    on_off: OnOffRules | None = None
    """None where it may feed any little."""

    max_hours_per_day: float | None = None
    """Hours on, on one local day; needs `on_off`. What must run, or go on since it was started lately,
    does so all the same."""

    panels: Panels | None = None
    """Of PV, as built; None: forecasts find it from what was measured, or there are none."""

    def __post_init__(self) -> None:
        Common.__post_init__(self)
        require_size(self, "max_feed_kw", "curtailment_cost_per_kwh", "kgco2_per_kwh")
        require_share(self, "must_run_share")
        if not -inf < self.cost_per_kwh < inf:
            raise DataError(
                f"cost_per_kwh is {self.cost_per_kwh}",
                where=self.resource_id,
                fix="Give a finite number",
            )
        if self.max_hours_per_day is not None and not 0 <= self.max_hours_per_day < inf:
            raise DataError(
                f"max_hours_per_day is {self.max_hours_per_day}",
                where=self.resource_id,
                fix="Give hours that are not negative, or leave it out",
            )
        if self.panels is not None and not self.weather_driven:
            raise DataError(
                "panels of a source that no weather drives",
                where=self.resource_id,
                fix="Leave panels out, or weather_driven",
            )
        if self.max_hours_per_day is not None and self.on_off is None:
            raise DataError(
                "max_hours_per_day without on_off",
                where=self.resource_id,
                fix="Add on_off, so that hours on can be counted",
            )

    @property
    def draw_kw(self) -> float:
        return 0.0

    @property
    def feed_kw(self) -> float:
        return self.max_feed_kw

    @property
    def only_wanted(self) -> bool:
        """Whether it feeds for no other reason than that its energy is wanted where it stands."""
        can_stop = not self.must_run_share and self.on_off is None
        at_once = self.weather_driven or self.ramp_kw_per_min == inf
        rewarded = self.green or self.cost_per_kwh < 0 or self.curtailment_cost_per_kwh > 0
        return can_stop and at_once and not rewarded
