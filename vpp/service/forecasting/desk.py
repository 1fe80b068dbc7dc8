"""What a plant keeps of its forecasts between one plan and the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime

from vpp.model.forecast import Forecast, Scenarios
from vpp.model.forecastscore import ScoreKey, ScoreSums
from vpp.ports import ForecastRecord
from vpp.sense.forecast.seasonal import SeasonalBaseline
from vpp.sense.forecast.spread import Spread
from vpp.service.forecasting.forecaster import Forecaster
from vpp.service.forecasting.jobs import Choice, Errors


@dataclass(slots=True, kw_only=True)
class ForecastDesk:
    """What one plant keeps of its forecasts."""

    forecaster: Forecaster
    record: ForecastRecord
    baseline: SeasonalBaseline
    seed: int
    """Of the scenarios: the same seed and moment draw the same."""

    choices: dict[str, Choice] = field(default_factory=dict)
    """The newest choice of each series that was learnt."""

    tried_at: dict[str, datetime] = field(default_factory=dict)
    """When each series was learnt, or tried, the last time."""

    errors: dict[str, Errors] = field(default_factory=dict)
    """How far each learnt series came out above its forecasts, kept up to date once a day."""

    updated_on: dict[str, date] = field(default_factory=dict)
    """Local day on which the calibration of each learnt series was brought up to date."""

    ill: str | None = None
    """Why the forecaster did not answer; None where it did."""

    borrowed: set[str] = field(default_factory=set)
    """Series without history that take the course of their neighbours."""

    failing: dict[str, str] = field(default_factory=dict)
    """Why a model that was learnt makes no forecast, by series."""

    scenarios: Scenarios | None = None
    """Of the newest plan; None where none were drawn."""

    spreads: dict[str, Spread] = field(default_factory=dict)
    """Of the baseline."""

    spreads_of: date | None = None
    """Local day on which they were measured."""

    waiting: dict[str, list[Forecast]] = field(default_factory=dict)
    """Forecasts that are still to be scored, by series, oldest first."""

    scored_until: dict[str, datetime] = field(default_factory=dict)
    """Up to which moment each series is scored."""

    scored_from: dict[str, datetime] = field(default_factory=dict)
    """From which moment on each series was scored: the day it lies in is not judged."""

    sums: dict[ScoreKey, ScoreSums] = field(default_factory=dict)
    """Scores of today and yesterday; all that is kept stands in the record."""

    days_above: dict[str, int] = field(default_factory=dict)
    """Series that were told to do worse than the naive forecast, and on how many days in a row they no longer did."""

    tidied_on: date | None = None
    record_fault: str | None = None
    """Why the record did not take what was written last; None where it did."""

    def has_learnt(self, series_id: str) -> bool:
        """Whether some model can forecast the series."""
        return series_id in self.choices
