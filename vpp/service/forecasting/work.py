"""What a forecaster does with a question, in whatever process: the only place of the service that names models.

Models and the libraries they need are imported when one is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter

from vpp.errors import VppError
from vpp.model.forecast import LEVELS, Forecast
from vpp.model.horizon import Horizon, Profile
from vpp.sense.forecast.base import Fitted, Model, Past
from vpp.service.forecasting.jobs import Choice, Issued, IssueJob, Learnt, TrainJob
from vpp.service.forecasting.past import ahead

__all__ = ["Learnt", "Trained", "issue", "train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """The model of one series, fitted."""

    model: str
    fitted: Fitted

    def issue(self, past: Past, horizon: Horizon) -> Forecast:
        """Forecast from what was known at `past.issued_at`."""
        quantiles = self.fitted.quantiles(past, horizon)
        return Forecast(
            series_id=past.series_id,
            unit=past.unit,
            issued_at=past.issued_at,
            model=self.model,
            expected=Profile(horizon, quantiles[LEVELS.index(0.5)]),
            quantiles=quantiles,
        )


def models() -> Mapping[str, Model]:
    """Every model by the name that a park file gives it."""
    from vpp.sense.forecast.naive import MEAN_OF_LAST, SAME_WEEKDAY, YESTERDAY

    return {model.name.split("/")[0]: model for model in (YESTERDAY, SAME_WEEKDAY, MEAN_OF_LAST)}


def train(job: TrainJob) -> tuple[Choice, Trained | None]:
    """Learn one series; None where no candidate can."""
    began = perf_counter()
    known, refused, trained = models(), {}, None
    for name in job.candidates:
        if name not in known:
            refused[name] = "there is no such model"
            continue
        try:
            trained = Trained(model=known[name].name, fitted=known[name].fit(job.past))
            break
        except VppError as error:
            refused[name] = str(error)
    choice = Choice(
        series_id=job.past.series_id,
        trained_at=job.past.issued_at,
        model="" if trained is None else trained.model,
        scores={},
        refused=refused,
        seconds=perf_counter() - began,
    )
    return choice, trained


def issue(job: IssueJob, learnt: Mapping[str, Trained]) -> Issued:
    """Forecast every series of the job that was learnt; those that others go by come first."""
    named = {name for past in job.pasts for name in past.regressors}
    forecasts: dict[str, Forecast] = {}
    failed: dict[str, str] = {}
    for past in sorted(job.pasts, key=lambda past: past.series_id not in named):
        try:
            seen = ahead(past, {name: f.expected for name, f in forecasts.items()})
            forecasts[past.series_id] = learnt[past.series_id].issue(seen, job.horizon)
        except VppError as error:
            failed[past.series_id] = str(error)
    return Issued(forecasts=forecasts, failed=failed, scenarios=None)
