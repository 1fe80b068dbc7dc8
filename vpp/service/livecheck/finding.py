"""What was looked at, how it is, and what to do where it is not well."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """It runs, and somebody should look."""
    FAULT = "fault"
    """`vpp run` would not start, or not do what it is for."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    area: str
    """port, disk, clock, broker, market, device, people, redis, certificate."""

    name: str
    state: State
    what: str
    do: str = ""
    """Empty where there is nothing to do."""
