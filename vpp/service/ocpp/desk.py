"""What is remembered of the central systems of a park: who is connected, and what a person should hear."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from aiohttp import web

from vpp.model.charging import Notice, StationShown
from vpp.service.listeners import OuterFace
from vpp.service.ocpp.schema import OcppSection

PATH = "/ocpp/{station}"
"""Where stations connect to: the last part is their identity."""
MOST_TOLD = 10
"""Of one kind about one station a minute: what is beyond is counted, and told with the next."""
MOST_KNOWN = 2000
"""Of which station, and what of it."""
STRANGER = "charger_unknown"
"""Told of all strangers together so often: one can come with another name each time."""
MINUTE = timedelta(minutes=1)


class CentralSystem(Protocol):
    """The door that charging stations come through."""

    def news(self) -> Iterable[Notice]:
        """What happened since this was asked last, oldest first."""
        ...

    def shown(self) -> Iterable[StationShown]:
        """How each station of the park file stands."""
        ...

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Serve one station until it goes."""
        ...

    async def let_go(self) -> None:
        """Take back every limit, as far as time allows."""
        ...


@dataclass(slots=True)
class Told:
    """What was told of one thing about one station lately."""

    since: datetime
    count: int = 0
    beyond: int = 0


@dataclass(slots=True, kw_only=True)
class ChargerDesk:
    """One central system."""

    section: OcppSection
    port: CentralSystem
    told: dict[tuple[str, str], Told] = field(default_factory=dict)

    @property
    def face(self) -> OuterFace:
        """Where its stations connect to."""
        return OuterFace(
            name=f"ocpp-{self.section.id}",
            listen=self.section.listen,
            routes=(web.get(PATH, self.port.connect),),
        )

    def worth_telling(self, notice: Notice, now: datetime) -> int | None:
        """How many like it were left out before this one; None where it is left out too."""
        key = notice.kind, "" if notice.kind == STRANGER else notice.who
        told = self.told.setdefault(key, Told(now))
        beyond = 0
        if now - told.since >= MINUTE:
            beyond = told.beyond
            self.told[key] = told = Told(now)
        if len(self.told) > MOST_KNOWN:
            self.told.pop(next(iter(self.told)))
        told.count += 1
        if told.count > MOST_TOLD:
            told.beyond += 1
            return None
        return beyond
