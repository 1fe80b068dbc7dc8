"""What a forecaster does with a question, in whatever process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from vpp.errors import VppError
from vpp.model.calendar import Calendar
from vpp.model.forecast import Forecast, Scenarios, mean_of
from vpp.model.time import QUARTER
from vpp.sense.cleaning import CleaningRules, clean
from vpp.sense.forecast.base import Past
from vpp.sense.forecast.choose import Trial
from vpp.sense.forecast.pasts import PastAt, StoredPast
from vpp.sense.forecast.trained import Trained
from vpp.sense.forecast.trained import train as train_series
from vpp.service.forecasting.jobs import Choice, Errors, Issued, IssueJob, TrainJob
from vpp.service.forecasting.models import model
from vpp.service.forecasting.past import CleanPast, ahead, cleaned_past

if TYPE_CHECKING:
    from vpp.sense.forecast.scenarios import Dependence

MOST_STEPS = 192
"""Dependence over time is learnt for two days at least, so that a horizon that grows asks for nothing new."""


def train(job: TrainJob) -> tuple[Choice, Trained | None]:
    """Learn one series; None where no candidate can."""
    began = perf_counter()
    past, past_at, defects = _to_learn(job)
    models = [model(name) for name in job.candidates]
    trial = Trial(horizon=max(job.horizon, Trial().horizon))
    trained, refused = None, {}
    try:
        trained = train_series(
            past, models if len(models) > 1 else models[0], trial, past_at=past_at
        )
        refused = dict(trained.choice.refused)
    except VppError as error:
        refused = {"auto" if len(models) > 1 else models[0].name: str(error)}
    choice = Choice(
        series_id=past.series_id,
        trained_at=job.issued_at,
        model="" if trained is None else trained.model,
        scores={}
        if trained is None
        else {name: one.overall for name, one in trained.choice.scores.items()},
        refused=refused,
        defects=defects,
        seconds=perf_counter() - began,
    )
    return choice, trained


def _to_learn(job: TrainJob) -> tuple[Past, PastAt, tuple[str, ...]]:
    """The past without its defects, how it was known before, and what the defects are."""
    past, past_at = job.seen(job.issued_at), _without_defects(job.seen, job.issued_at, job.rules)
    if isinstance(past_at, CleanPast):
        words = tuple(str(one) for one in past_at.cleaned.findings)
        return cleaned_past(past, past_at.cleaned.profile, past_at.rules), past_at, words
    return past, past_at, ()


def _without_defects(seen: StoredPast, now: datetime, rules: CleaningRules | None) -> PastAt:
    if rules is None:
        return seen
    return CleanPast(seen=seen, rules=rules, cleaned=clean(seen(now).values, rules))


def errors_of(trained: Trained, calendar: Calendar) -> Errors:
    """How the series came out against what a plan would go by: the means of its track's fans.

    Calibrated as they would be today, not as they were: plans of today are what the errors are for. The
    calibration has learnt from these very rows, so that they are a little kinder than those to come. What
    it can have learnt is its shifts alone, which are drawn back where they may be chance (`conformal.py`).
    """
    track = trained.track
    means = [
        mean_of(trained.calibration.apply(fan, track.starts(i), calendar))
        for i, fan in enumerate(track.quantiles)
    ]
    return Errors(origins=track.origins, above=track.actual - np.array(means))


class Models:
    """The models that were learnt, what their errors have in common, and what they forecast."""

    def __init__(self) -> None:
        self.trained: dict[str, Trained] = {}
        self._dependence: Dependence | None = None

    def take(self, fresh: Mapping[str, Trained]) -> None:
        """Models that were learnt anew."""
        if fresh:
            self.trained |= fresh
            self._dependence = None

    def ready(self) -> Issued:
        """Work out beforehand what the next scenarios need; forecasts nothing."""
        if self._dependence is None:
            self._learn_dependence(QUARTER, MOST_STEPS)
        return Issued(forecasts={}, failed={}, scenarios=None, errors={})

    def issue(self, job: IssueJob) -> Issued:
        """Forecast every series of the job; those that others go by come first."""
        errors, failed = self._update(job)
        named = {name for past in job.pasts for name in past.regressors}
        forecasts: dict[str, Forecast] = {}
        known = {f.series_id: f.expected for f in job.others}
        for past in sorted(job.pasts, key=lambda past: past.series_id not in named):
            if past.series_id in failed:
                continue
            try:
                clear = past
                if (rules := job.rules.get(past.series_id)) is not None:
                    clear = cleaned_past(past, clean(past.values, rules).profile, rules)
                forecast = self.trained[past.series_id].issue(ahead(clear, known), job.horizon)
            except VppError as error:
                failed[past.series_id] = str(error)
                continue
            forecasts[past.series_id] = forecast
            known[past.series_id] = forecast.expected
        scenarios = None
        if job.scenarios:
            every = [*forecasts.values(), *job.others]
            scenarios = self._draw(job, [one for one in every if one.series_id in job.drawn])
        return Issued(forecasts=forecasts, failed=failed, scenarios=scenarios, errors=errors)

    def _update(self, job: IssueJob) -> tuple[dict[str, Errors], dict[str, str]]:
        """Errors of the series that are up to date now, and why others are not: they sit this issue out."""
        errors: dict[str, Errors] = {}
        failed: dict[str, str] = {}
        for seen in job.update:
            try:
                past_at = _without_defects(seen, job.issued_at, job.rules.get(seen.series_id))
                past = past_at(job.issued_at)
                trained = self.trained[past.series_id].updated(past, past_at=past_at)
            except VppError as error:
                failed[seen.series_id] = str(error)
                continue
            self.trained[past.series_id] = trained
            errors[past.series_id] = errors_of(trained, past.calendar)
            self._dependence = None
        return errors, failed

    def _draw(self, job: IssueJob, forecasts: Sequence[Forecast]) -> Scenarios:
        """Joint courses; the same seed and moment draw the same."""
        from vpp.sense.forecast.scenarios import draw_scenarios

        dependence = self._dependence
        if dependence is None or dependence.steps < job.horizon.steps:
            dependence = self._learn_dependence(job.horizon.step, job.horizon.steps)
        chance = np.random.default_rng([job.seed, int(job.issued_at.timestamp())])
        return draw_scenarios(forecasts, dependence, job.scenarios, chance)

    def _learn_dependence(self, step: timedelta, steps: int) -> Dependence:
        """What the errors of all series have in common, for horizons of `steps` at least."""
        from vpp.sense.forecast.scenarios import learn_dependence

        self._dependence = learn_dependence(
            [trained.track for trained in self.trained.values()],
            step=step,
            steps=max(steps, MOST_STEPS),
            bounds={name: (one.low, one.high) for name, one in self.trained.items()},
        )
        return self._dependence
