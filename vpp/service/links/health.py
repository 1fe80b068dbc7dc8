"""How each link to devices does, as the page, the metrics and the events show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

NATIVE = "mqtt"
"""The link to our own broker: it carries every device that the park file gives to no gateway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkHealth:
    """How one link does."""

    name: str
    """`mqtt`, or the id of a gateway in the park file."""

    connected: bool
    since: datetime
    """When `connected` last changed."""

    fault: str | None
    """What is wrong with it, or with devices behind it while it stands; None while all is well."""

    reconnects: int
    devices: int
    """Resources and main meters that it carries."""


Links: TypeAlias = Callable[[], tuple[LinkHealth, ...]]
"""Each link of a plant, asked anew each time."""


def no_links() -> tuple[LinkHealth, ...]:
    """Of a plant whose devices are in its own process."""
    return ()
