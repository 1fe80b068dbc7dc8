"""The central system of OCPP: a link to car parks inward, whose charging stations come through a door.

    `ocpp_door.py` ─▶ car park ─▶ messages()
    send() ─▶ car park: split ─▶ a worker for each connection: set, take back, ask what is in force

Limits end by themselves at the station, which then goes by its own default; they are taken back besides when
they end, and when the service stops.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime

from aiohttp import web

from adapters.link_life import InboxLink
from adapters.ocpp_carpark import CarPark
from adapters.ocpp_door import Door, Seat
from adapters.ocpp_hearing import Hearing
from adapters.ocpp_shown import shown
from adapters.ocpp_station import Station
from vpp.model.charging import CarParkSpec, CentralSpec, Notice, StationShown
from vpp.model.command import Setpoint, unknown_resource
from vpp.ports import StayLedger, Unsent
from vpp.wire import AckMessage, TelemetryMessage

LOOK_S = 1.0
QUIET_S = 30.0
"""A station that sent nothing of before for so long has brought all."""
LET_GO_S = 2.0
MOST_NOTICES = 200
"""That wait to be told; the oldest give way."""


class OcppLink(InboxLink):
    """A `MessageSource` and `SetpointSink` over charging stations; `connected` where any of them is."""

    def __init__(
        self,
        spec: CentralSpec,
        parks: Iterable[CarParkSpec],
        *,
        now: Callable[[], datetime],
        ledger: StayLedger,
        capacity: int = 10_000,
    ) -> None:
        """`capacity` messages wait for the reader; the oldest give way."""
        super().__init__("charging stations", now=now, capacity=capacity)
        self._spec = spec
        began = now()
        self._parks = {
            one.resource_id: CarPark(one, sample_s=spec.sample_s, began_at=began) for one in parks
        }
        self._seats = {
            station.name: Seat(park, station)
            for park in self._parks.values()
            for station in park.stations
        }
        self.notices: deque[Notice] = deque(maxlen=MOST_NOTICES)
        self._take_up(ledger)
        self._door = Door(
            spec,
            self._seats,
            Hearing(spec, ledger, self._tell, began_at=began),
            now=now,
            tell=self._tell,
            changed=self._settle,
            broken=self.inbox.break_off,
        )
        self._room = capacity // 2
        """What comes late leaves the other half to what is said of now."""
        self._stopping = False

    def _take_up(self, ledger: StayLedger) -> None:
        """Stays that went on when the service ended."""
        for stay in ledger.going_on():
            seat = self._seats.get(stay.station_id)
            point = None if seat is None else seat.station.point(stay.point)
            if seat is not None and point is not None:
                point.begin(stay, seat.park.spec, fresh=False, now=self._now())

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Serve one station, named by the last part of its path, until it goes."""
        return await self._door.connect(request)

    # ------------------------------------------------------------ how it does

    @property
    def reconnects(self) -> int:
        """How often stations came back, all together."""
        return sum(max(seat.station.connections - 1, 0) for seat in self._seats.values())

    @property
    def fault(self) -> str | None:
        """What is wrong with stations; None while all is well."""
        now = self._now()
        ill = [text for park in self._parks.values() if (text := park.ill(now))]
        if (late := self.inbox.late) is not None:
            ill.insert(0, late)
        return "; ".join(ill)[:500] or None

    def shown(self) -> tuple[StationShown, ...]:
        """How each station of the park file stands, in its order."""
        now = self._now()
        return tuple(
            shown(station, park.spec.resource_id, now)
            for park in self._parks.values()
            for station in park.stations
        )

    def news(self) -> list[Notice]:
        """What happened since this was asked last, oldest first."""
        told = list(self.notices)
        self.notices.clear()
        return told

    def _tell(self, kind: str, who: str, text: str) -> None:
        notice = Notice(kind, who, text)
        if notice not in self.notices:  # nobody has heard it yet
            self.notices.append(notice)

    def _count(self) -> None:
        self._standing.turn(any(seat.talk is not None for seat in self._seats.values()))

    # ------------------------------------------------------------ in

    def _say(self, park: CarPark, told: TelemetryMessage | AckMessage) -> None:
        spec = park.spec
        self.inbox.tell(spec.enterprise_id, spec.site_id, spec.resource_id, told)

    # ------------------------------------------------------------ out

    async def send(self, setpoints: Sequence[Setpoint]) -> tuple[Unsent, ...]:
        """Split each command among the cars of its park; return those that no station can hear.

        What becomes of a command is told as an acknowledgement once all its cars have their limits.

        Raises:
            DataError: A set-point names no car park of this link, or another enterprise's.
        """
        now, unsent = self._now(), []
        for setpoint in setpoints:
            park = self._parks.get(setpoint.resource_id)
            if park is None or park.spec.enterprise_id != setpoint.enterprise_id:
                raise unknown_resource(setpoint)
            if park.spec.read_only or self._stopping:
                reason = "is read-only" if park.spec.read_only else "the service stops"
                unsent.append(Unsent(setpoint=setpoint, reason=reason))
            elif not any(station.connected for station in park.stations):
                why = f"none of its stations is connected: {park.ill(now)}"
                unsent.append(Unsent(setpoint=setpoint, reason=why))
            else:
                park.take(setpoint, now)
                self._settle(park)
        return tuple(unsent)

    def _settle(self, park: CarPark) -> None:
        """Let the stations of a park do what is wanted now, and tell what became of its command."""
        now = self._now()
        if park.changed:
            park.changed = False
            self._count()
            for station in park.stations:
                self._look_at(station, now)
        if (answer := park.answer(now)) is not None:
            self._say(park, answer)

    def _look_at(self, station: Station, now: datetime) -> None:
        worker = self._seats[station.name].worker
        if worker is not None:
            worker.look(now)

    async def settled(self) -> None:
        """Wait until every station that is connected was asked for all that is wanted of it."""
        for worker in [seat.worker for seat in self._seats.values()]:
            if worker is not None:
                await worker.settled()

    # ------------------------------------------------------------ its own time

    async def _live(self, stop: asyncio.Event) -> None:
        """Tell car parks inward and see to what ends, until `stop`; then take all limits back."""
        stopped = asyncio.create_task(stop.wait(), name="ocpp-stop")
        step_s, reported_s = min(LOOK_S, self._spec.report_s), -float("inf")
        loop = asyncio.get_running_loop()
        try:
            while not stopped.done():
                report = loop.time() - reported_s >= self._spec.report_s
                reported_s = loop.time() if report else reported_s
                self.look(report=report)
                await asyncio.wait({stopped}, timeout=step_s)
        finally:
            stopped.cancel()
            await self.let_go()

    def look(self, *, report: bool) -> None:
        """See to what ends and to what came late; `report`: and tell how each car park stands now."""
        now = self._now()
        for park in self._parks.values():
            if park.is_to_be_shared(now):
                park.share(now)
            for station in park.stations:
                if park.late.is_waiting(station.name) and self._has_brought_all(station, now):
                    park.mends += park.late.through(station.name)
                self._look_at(station, now)
            for told in park.tick(now) if report else ():
                self._say(park, told)
            while park.mends and len(self.inbox) < self._room:
                self._say(park, park.mended(park.mends.popleft()))
            self._settle(park)

    @staticmethod
    def _has_brought_all(station: Station, now: datetime) -> bool:
        if not station.connected or station.back_at is None:
            return False
        newest = max(station.back_at, station.late_at or station.back_at)
        return (now - newest).total_seconds() >= QUIET_S

    async def let_go(self) -> None:
        """Take no more commands, and every limit back as far as time allows; what stays ends by itself."""
        self._stopping = True
        for park in self._parks.values():
            park.setpoint = None
            park.share(self._now())
        workers = [seat.worker for seat in self._seats.values() if seat.worker is not None]
        with suppress(TimeoutError):
            async with asyncio.timeout(LET_GO_S):
                await asyncio.gather(*(worker.let_go() for worker in workers))
