"""How each link to devices does, as the page, the metrics and the events show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkHealth:
    """How one link does."""

    name: str
    """`mqtt`, or the id of a gateway in the park file."""

    connected: bool
    since: datetime
    """When `connected` last changed."""

    fault: str | None
    """Why it is down; None while it stands."""

    reconnects: int
    devices: int
    """Resources and main meters that it carries."""


Links: TypeAlias = Callable[[], tuple[LinkHealth, ...]]
"""Each link of a plant, asked anew each time."""


def no_links() -> tuple[LinkHealth, ...]:
    """Of a plant whose devices are in its own process."""
    return ()
