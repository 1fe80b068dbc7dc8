"""Learn and forecast in the calling process and block it: for tests, back-tests and one-off commands."""

from __future__ import annotations

from vpp.service.forecasting import work
from vpp.service.forecasting.jobs import Choice, Ill, Issued, IssueJob, TrainJob


class InlineForecaster:
    """A `Forecaster` without processes of its own; nothing holds its limits."""

    def __init__(self) -> None:
        self._learnt: dict[str, work.Trained] = {}

    async def train(self, job: TrainJob, *, hard_s: float) -> Choice | Ill:
        """Learn now."""
        choice, trained = work.train(job)
        if trained is not None:
            self._learnt[choice.series_id] = trained
        return choice

    async def issue(self, job: IssueJob, *, hard_s: float) -> Issued | Ill:
        """Forecast now."""
        return work.issue(job, self._learnt)

    async def rest(self) -> None:
        """There is nothing to let go of."""
