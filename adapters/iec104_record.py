"""What a controlled station remembers of each master on its list: whether it is here, and what it ordered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from adapters.iec104_line import Line
from adapters.iec104_master import Outbox
from vpp.model.telecontrol import Master, MasterHealth


@dataclass(slots=True)
class Record:
    """Of one master, from the station's beginning on."""

    since: datetime | None = None
    gone_because: str | None = None
    orders: int = 0
    refused: int = 0
    ordered_at: datetime | None = None

    def made(self, at: datetime) -> None:
        """A connection was made."""
        self.since, self.gone_because = at, None

    def lost(self, at: datetime, why: str) -> None:
        """The last one ended."""
        self.since, self.gone_because = at, why

    def ordered(self, at: datetime) -> None:
        """An order of it was taken."""
        self.orders += 1
        self.ordered_at = at

    def health(self, master: Master, lines: Mapping[Line, Outbox]) -> MasterHealth:
        """How it does, with the connections that stand."""
        return MasterHealth(
            host=master.host,
            may_order=master.may_order,
            connections=len(lines),
            gets_data=any(line.session.started for line in lines),
            since=self.since,
            gone_because=self.gone_because,
            orders=self.orders,
            refused=self.refused,
            ordered_at=self.ordered_at,
            given_way=sum(outbox.lost for outbox in lines.values()),
        )
