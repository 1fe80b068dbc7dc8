"""How soon a lost connection is tried again, and how often at most."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTiming:
    """Patience of the link, in seconds of the wall: a broker's recovery is not simulated."""

    first_delay_s: float = 0.5
    """Bound of the first wait; doubles with each failure."""

    longest_delay_s: float = 30.0
    stable_after_s: float = 10.0
    """A connection that lasted so long makes the delays start anew."""

    connect_timeout_s: float = 5.0
    publish_timeout_s: float = 5.0
    keepalive_s: int = 15
    survives_s: float = 1.0
    """How much longer than ours a second connection must stand, to say that the broker is not the cause."""
    attempts_a_minute: int = 12
    """Some brokers shut a client out that comes more often (EMQX: 15)."""

    def delay_s(self, failures: int, jitter: Random) -> float:
        """How long to wait after so many failures in a row (at least 1)."""
        # 2**30 half-seconds is far above any bound; the exponent must not grow for ever.
        bound = min(self.longest_delay_s, self.first_delay_s * 2 ** min(failures - 1, 30))
        return jitter.uniform(0, bound)


class Pace:
    """Waits of one link, from its own failures. Knows no clock: moments are seconds of any."""

    def __init__(self, timing: LinkTiming, jitter: Random) -> None:
        self._timing, self._jitter = timing, jitter
        self._failures = 0
        self._attempts: deque[float] = deque(maxlen=timing.attempts_a_minute)

    def attempt(self, at: float) -> None:
        """A connection is tried now."""
        self._attempts.append(at)

    def wait_s(self, began: float, ended: float) -> float:
        """How long to wait after a connection, or the failure to make one, that lasted from `began` to `ended`."""
        lasted = ended - began >= self._timing.stable_after_s
        self._failures = 1 if lasted else self._failures + 1
        wait_s = self._timing.delay_s(self._failures, self._jitter)
        if len(self._attempts) == self._attempts.maxlen:
            wait_s = max(wait_s, self._attempts[0] + 60 - ended)
        return wait_s
