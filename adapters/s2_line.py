"""A device that speaks S2 and the connection that it has now: whether it is there, and how often it came."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from adapters.s2_device import S2State
from adapters.s2_session import Session
from adapters.s2_wire import Control, ResourceManagerDetails

CONNECTIONS_PER_MINUTE = 12
"""Of one device: one that starts in a loop is sent away for the rest of the minute."""


@dataclass(slots=True, kw_only=True)
class Line:
    """A device and the connection that it has now."""

    state: S2State
    session: Session | None = None
    details: ResourceManagerDetails | None = None
    selected: Control | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    connections: int = 0
    lately_s: deque[float] = field(default_factory=lambda: deque(maxlen=CONNECTIONS_PER_MINUTE))
    away: str | None = "has not connected yet"

    def unoffered(self) -> str | None:
        """Why it cannot be steered as the park file has it; None where it can."""
        wanted = self.state.device.control.value
        if self.state.device.read_only or self.details is None:
            return None
        if wanted in self.details.available_control_types:
            return None
        return f"it does not offer {wanted}"

    def ill(self) -> str | None:
        """What is wrong with it; None while all is well."""
        return self.away or self.unoffered() or self.state.fault
