"""The loop that asyncio gets in tests: what the machine does not give us is no time that has gone by.

A time limit is there for a side that does not answer. On a busy machine it also ends what was about to be answered:
the process is stopped for a second, and when it goes on the limit is over before a byte is read. Then a test fails
that is right. So the clock of this loop

    while it waits      goes as that of the machine does, `LONGEST_WAIT_S` at a time: a stop counts for no more
    as something came   stays just before what is due next: what came is looked at first
    while it works      goes by `MOST_WORK_S` in a turn, however long the turn took

A side that is silent is given up after the same time as ever; one that sits in this process is never given up because
both were slow, and one in another process has the time that both ran. What is slow by itself, such as the start of a
process, has `tests.patience`.
"""

from __future__ import annotations

import asyncio
import selectors
from time import monotonic

MOST_WORK_S = 0.005
"""Of the loop's clock, for all that is done between two waits."""

LONGEST_WAIT_S = 0.05
JUST_BEFORE_S = 0.001


class CalmSelector(selectors.DefaultSelector):
    """Waits as ever, and keeps the time that counts."""

    def __init__(self) -> None:
        super().__init__()
        self._counted_s = self._mark_s = monotonic()

    def now_s(self) -> float:
        return self._counted_s + min(monotonic() - self._mark_s, MOST_WORK_S)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._counted_s, self._mark_s = self.now_s(), monotonic()
        began_s = self._mark_s
        if timeout is not None:
            timeout = min(timeout, LONGEST_WAIT_S)
        found = super().select(timeout)
        self._mark_s = monotonic()
        waited_s = self._mark_s - began_s
        if timeout is not None:
            waited_s = min(waited_s, max(0.0, timeout - JUST_BEFORE_S) if found else timeout)
        self._counted_s += waited_s
        return found


class CalmLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._calm = CalmSelector()
        super().__init__(self._calm)

    def time(self) -> float:
        return self._calm.now_s()


class CalmPolicy(asyncio.DefaultEventLoopPolicy):
    """Every `asyncio.run` of a test gets such a loop."""

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return CalmLoop()
