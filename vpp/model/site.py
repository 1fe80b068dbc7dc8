"""How a site does that asks our OpenADR server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteHealth:
    """One site, and what was exchanged with it since the server began."""

    name: str
    ven_name: str
    connected: bool
    since: datetime
    """When `connected` last changed."""
    heard_from: str
    """Address of its newest request; empty where there was none."""
    tokens: int
    """That are valid now."""
    reports: int
    """That are kept for it."""
    subscriptions: int
    notified: int
    not_notified: int
    """Notifications that it did not take, or that gave way to newer ones."""
