"""Messages of the HTTP contract that are made for a view of the page: what it shows at once, and no more.

Powers are kW net injection, energies kWh, times UTC; money is text that holds a decimal. See `wire.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from vpp.wire import WireModel

Rung = Literal["normal", "no_new_bids", "hold", "release", "killed"]


class EnterpriseName(WireModel):
    enterprise_id: str
    name: str


class StatusView(WireModel):
    """What stands above every view: whose park, what time there, and whether all is well."""

    park_id: str
    name: str
    timezone: str
    currency: str
    now: datetime
    safe_state: Rung
    safe_state_reason: str
    kill_reason: str | None
    """Null where nothing is stopped."""
    broker_connected: bool
    broker_since: datetime
    enterprises: list[EnterpriseName]
