"""Where models learn and forecast: beside the service, never in it.

    learner   a process that lives while there is something to learn: one series a question
    issuer    a warm process with the models that were learnt: all series a question

Two, so that a plan never waits for a model that learns. What is learnt travels as bytes that this
process does not open: it loads no model and none of the libraries they need. A process that hangs,
dies or runs out of memory is killed and replaced, and whoever asked is told (`Ill`): a plan goes on
with the seasonal baseline.
"""

from __future__ import annotations

import pickle
import sys
from contextlib import AsyncExitStack
from typing import Protocol, Self, TypeAlias

from vpp.service.forecasting.jobs import Choice, Errors, Ill, Issued, IssueJob, Learnt, TrainJob
from vpp.service.warmchild import Failed, WarmChild

CHILD = (sys.executable, "-m", "vpp.service.forecasting.child")


Answer: TypeAlias = tuple[Choice, Errors | None]
"""What a series was given, and how that erred on the past; no errors where nothing was learnt."""


class Forecaster(Protocol):
    """A place where models learn and forecast."""

    async def train(self, job: TrainJob, *, hard_s: float) -> Answer | Ill:
        """Learn one series within `hard_s` of wall time, and keep what was learnt for `issue`."""
        ...

    async def issue(self, job: IssueJob, *, hard_s: float) -> Issued | Ill:
        """Forecast with what was learnt, within `hard_s` of wall time."""
        ...

    async def rest(self) -> None:
        """Nothing is left to learn for now: let go of what only learning needs."""
        ...


class ProcessForecaster:
    """A learner and an issuer, each a child process. Use as an async context manager."""

    def __init__(self, command: tuple[str, ...] = CHILD, *, recycle_after: int = 500) -> None:
        """Run `command` as either child, and a fresh issuer after `recycle_after` answers."""
        self._command = command
        self._issuer = WarmChild(command, name="forecasting", recycle_after=recycle_after)
        self._learner: WarmChild | None = None
        self._learning = AsyncExitStack()
        self._learnt: dict[str, bytes] = {}
        """What each series' model learnt, pickled."""
        self._told: dict[str, bytes] = {}
        """What of it the issuer has; one that fails to answer is replaced, and told anew."""
        self._told_pid: int | None = None

    async def __aenter__(self) -> Self:
        await self._issuer.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.rest()
        await self._issuer.__aexit__()

    @property
    def pids(self) -> tuple[int | None, int | None]:
        """Of issuer and learner; None while there is none."""
        return self._issuer.pid, None if self._learner is None else self._learner.pid

    async def train(self, job: TrainJob, *, hard_s: float) -> Answer | Ill:
        """Learn one series in the learner, which is started where there is none."""
        if self._learner is None:
            learner = WarmChild((*self._command, "--learn"), name="learning", recycle_after=10_000)
            self._learner = await self._learning.enter_async_context(learner)
        payload = pickle.dumps(job, protocol=pickle.HIGHEST_PROTOCOL)
        answer = await self._learner.ask(lambda: payload, _learnt, hard_s=hard_s)
        if isinstance(answer, Failed):
            return Ill(reason=answer.reason)
        if answer.model is not None:
            self._learnt[answer.choice.series_id] = answer.model
        return answer.choice, answer.errors

    async def issue(self, job: IssueJob, *, hard_s: float) -> Issued | Ill:
        """Forecast in the issuer; what it has not been told yet goes along."""

        def payload() -> bytes:
            if self._told_pid != self._issuer.pid:
                self._told_pid, self._told = self._issuer.pid, {}
            fresh = {name: m for name, m in self._learnt.items() if self._told.get(name) is not m}
            self._told |= fresh
            return pickle.dumps((fresh, job), protocol=pickle.HIGHEST_PROTOCOL)

        answer = await self._issuer.ask(payload, _issued, hard_s=hard_s)
        return Ill(reason=answer.reason) if isinstance(answer, Failed) else answer

    async def rest(self) -> None:
        """End the learner and give its memory back."""
        self._learner = None
        await self._learning.aclose()


def _learnt(content: bytes) -> Learnt:
    answer = pickle.loads(content)
    if not isinstance(answer, Learnt):
        raise TypeError(f"{type(answer).__name__} is nothing learnt")
    return answer


def _issued(content: bytes) -> Issued:
    answer = pickle.loads(content)
    if not isinstance(answer, Issued):
        raise TypeError(f"{type(answer).__name__} is no forecast")
    return answer
