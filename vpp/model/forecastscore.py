"""How forecasts of one series did on one day, as sums: they add up over days, models and leads."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSums:
    """Sums over values that were forecast and came. Errors in the unit of the series."""

    cases: int = 0
    abs_error: float = 0.0
    square_error: float = 0.0
    abs_value: float = 0.0
    """Of what came: the size that errors are measured by."""

    pinball: float = 0.0
    """Mean over the levels, summed over the cases."""

    crps: float = 0.0
    unsure: int = 0
    """Cases that could be missed: all but those met exactly by a forecast without spread."""

    within80: int = 0
    """Of these, within the quantiles 0.1 and 0.9."""

    within90: int = 0
    compared: int = 0
    """Cases for which the naive forecast had a value too."""

    compared_abs_error: float = 0.0
    naive_abs_error: float = 0.0
    """Of the naive forecast in the same cases."""

    def __add__(self, other: ScoreSums) -> ScoreSums:
        return ScoreSums(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        )

    @property
    def mae(self) -> float | None:
        """Mean absolute error of the median; None without a case, as all that follow."""
        return self.abs_error / self.cases if self.cases else None

    @property
    def nrmse(self) -> float | None:
        """Root mean square error over the mean size of what came."""
        if not self.cases or not self.abs_value:
            return None
        return float((self.square_error / self.cases) ** 0.5 * self.cases / self.abs_value)

    @property
    def mean_pinball(self) -> float | None:
        return self.pinball / self.cases if self.cases else None

    @property
    def mean_crps(self) -> float | None:
        return self.crps / self.cases if self.cases else None

    @property
    def coverage80(self) -> float | None:
        """Share of what could be missed that came within the quantiles 0.1 and 0.9."""
        return self.within80 / self.unsure if self.unsure else None

    @property
    def coverage90(self) -> float | None:
        return self.within90 / self.unsure if self.unsure else None

    @property
    def naive_mae(self) -> float | None:
        return self.naive_abs_error / self.compared if self.compared else None

    @property
    def skill(self) -> float | None:
        """1 - our error / the naive one: below 0 the naive forecast was better."""
        if not self.naive_abs_error:
            return None
        return 1 - self.compared_abs_error / self.naive_abs_error


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreKey:
    """Which forecasts a sum is of."""

    series_id: str
    day: date
    """Local day of what came."""

    model: str
    lead: str
    """A bucket of `vpp.sense.forecast.scores.LEAD_BUCKETS`."""
