"""Where models learn and forecast: beside the service, never in it.

    learners  a process for each core, while there is something to learn: one series a question
    issuer    a warm process with the models that were learnt: all series a question

Apart, so that a plan never waits for a model that learns. What is learnt travels as bytes that this
process does not open: it loads no model and none of the libraries they need. A process that hangs,
dies or runs out of memory is killed and replaced, and whoever asked is told (`Ill`): a plan goes on
with the seasonal baseline.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from contextlib import AsyncExitStack
from typing import Protocol, Self, TypeAlias

from vpp.service.forecasting.jobs import Choice, Errors, Ill, Issued, IssueJob, Learnt, TrainJob
from vpp.service.solving.warmchild import Failed, WarmChild

LOADING_S = 60.0
"""Within this an issuer has loaded the models of a park, and the libraries they need."""

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
        """Nothing is left to learn for now: let go of what only learning needs, and make ready to issue."""
        ...


class ProcessForecaster:
    """Learners and an issuer, each a child process. Use as an async context manager."""

    def __init__(
        self,
        command: tuple[str, ...] = CHILD,
        *,
        learners: int | None = None,
        recycle_after: int = 500,
    ) -> None:
        """Run `command` as every child, and a fresh issuer after `recycle_after` answers.

        `learners` is how many learn at once; as many as there are cores, where it is None.
        """
        self._command = command
        self._issuer = WarmChild(command, name="forecasting", recycle_after=recycle_after)
        self._most_learners = learners or cores()
        self._free = asyncio.Semaphore(self._most_learners)
        self._idle: list[WarmChild] = []
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
        self._idle = []
        await self._learning.aclose()
        await self._issuer.__aexit__()

    @property
    def pids(self) -> list[int]:
        """Of the issuer, and of the learners that wait for a question."""
        children = [self._issuer, *self._idle]
        return [child.pid for child in children if child.pid is not None]

    async def train(self, job: TrainJob, *, hard_s: float) -> Answer | Ill:
        """Learn one series in a learner that is free, or will be; the time counts from then on."""
        async with self._free:
            learner = self._idle.pop() if self._idle else await self._another()
            try:
                answer = await learner.ask(lambda: _dumped(job), _learnt, hard_s=hard_s)
            finally:
                self._idle.append(learner)
        if isinstance(answer, Failed):
            return Ill(reason=answer.reason)
        if answer.model is not None:
            self._learnt[answer.choice.series_id] = answer.model
        return answer.choice, answer.errors

    async def issue(self, job: IssueJob, *, hard_s: float) -> Issued | Ill:
        """Forecast in the issuer; what it has not been told yet goes along."""
        answer = await self._issuer.ask(lambda: self._told_with(job), _issued, hard_s=hard_s)
        return Ill(reason=answer.reason) if isinstance(answer, Failed) else answer

    def _told_with(self, job: IssueJob | None) -> bytes:
        """A question to the issuer that is there now, with the models it has not got yet."""
        if self._told_pid != self._issuer.pid:
            self._told_pid, self._told = self._issuer.pid, {}
        fresh = {name: m for name, m in self._learnt.items() if self._told.get(name) is not m}
        question = _dumped((fresh, job))
        self._told |= fresh  # what there was no memory to put down is not told
        return question

    async def _another(self) -> WarmChild:
        learner = WarmChild((*self._command, "--learn"), name="learning", recycle_after=10_000)
        return await self._learning.enter_async_context(learner)

    async def rest(self) -> None:
        """End the learners, give their memory back, and let the issuer load what was learnt.

        So the next plan does not wait for it. An issuer that fails at it is replaced, and tells of it
        when it is asked for forecasts.
        """
        self._idle = []
        await self._learning.aclose()
        if self._learnt:
            await self._issuer.ask(lambda: self._told_with(None), _issued, hard_s=LOADING_S)


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _dumped(question: object) -> bytes:
    return pickle.dumps(question, protocol=pickle.HIGHEST_PROTOCOL)


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
