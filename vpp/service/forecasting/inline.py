"""Learn and forecast in the calling process and block it: for tests, back-tests and one-off commands."""

from __future__ import annotations

from vpp.service.forecasting import work
from vpp.service.forecasting.forecaster import Answer
from vpp.service.forecasting.jobs import Ill, Issued, IssueJob, TrainJob


class InlineForecaster:
    """A `Forecaster` without processes of its own; nothing holds its limits."""

    def __init__(self) -> None:
        self._models = work.Models()

    async def train(self, job: TrainJob, *, hard_s: float) -> Answer | Ill:
        """Learn now."""
        choice, trained = work.train(job)
        if trained is None:
            return choice, None
        self._models.take({choice.series_id: trained})
        return choice, work.errors_of(trained, job.seen.calendar)

    async def issue(self, job: IssueJob, *, hard_s: float) -> Issued | Ill:
        """Forecast now."""
        return self._models.issue(job)

    async def rest(self) -> None:
        """There is nothing to let go of."""
