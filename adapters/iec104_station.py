"""The controlled station of IEC 60870-5-104: what the plant shows to dispatch centres, and what they order.

    publish() ─▶ newest picture ─▶ each master's outbox (`iec104_master.py`) ─▶ its line
    a command ─▶ may it? ─▶ selected? ─▶ one after the other: operate() ─▶ confirmed

`operate` puts the order on record and says yes or no; only then is it confirmed. One selection stands at a
time, belongs to the connection that made it, and ends by itself. The machine's clock is never set: a master's
time is compared with ours and the difference told.

What the other side may do wrong ends its connection and nothing else. A master that acknowledges nothing is
sent k frames and let go after t1; who is not on the list is not answered.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

import structlog

from adapters.iec104_asdu import EVERYBODY, STATION, Asdu, Cause, Element, Type, command
from adapters.iec104_line import Line
from adapters.iec104_master import Outbox
from adapters.iec104_record import Record
from adapters.iec104_selection import Selector
from vpp.errors import UnavailableError
from vpp.model.telecontrol import (
    DispatchOrder,
    Flaw,
    MasterHealth,
    OrderPoint,
    Shown,
    ShownPoint,
    StationSpec,
)

log = structlog.get_logger(__name__)

Operate = Callable[[DispatchOrder], Awaitable[str | None]]
"""Does what is ordered; says why not, None where it is on record and in force."""

Tell = Callable[[str, str], None]
"""Told what a person should hear: who it is about, and what."""

MOST_ORDERS = 32
"""That wait for their turn; beyond, they are refused."""

MINUTE_S = 60.0
BEATS = 5
"""Turns within t1. Who had none for all of t1 was frozen: a master has given up what it sent before."""

CONNECTIONS = 2
"""Of one master at a time; a further one ends the oldest, which may be half-open."""

MOST_STRANGERS = 100
"""Addresses that it was told of that they are not on the list."""

_CONTROL = {Type.C_SC_NA_1: True, Type.C_SE_NC_1: False}
"""Whether a command is a switch."""


class Station:
    """One controlled station; `run` serves it."""

    def __init__(self, spec: StationSpec, *, now: Callable[[], datetime]) -> None:
        self.spec, self._now = spec, now
        at = now()
        self._shown = {p.address: Shown(0.0, Flaw.INVALID, at) for p in spec.points}
        self._told = dict(self._shown)
        """As every master knows them, for the dead bands."""
        self._points = {point.address: point for point in spec.points}
        self._orders = {point.address: point for point in spec.orders}
        self._masters = {master.host: master for master in spec.masters}
        self._records = {master.host: Record() for master in spec.masters}
        self._lines: dict[Line, Outbox] = {}
        self._cycles: dict[float, list[int]] = defaultdict(list)
        for point in spec.points:
            if point.cyclic_s is not None:
                self._cycles[point.cyclic_s].append(point.address)
        for addresses in self._cycles.values():  # kinds together: they share ASDUs
            addresses.sort(key=lambda address: (not self._points[address].is_state, address))
        self._waiting: asyncio.Queue[tuple[Line, Asdu, DispatchOrder]] = asyncio.Queue(MOST_ORDERS)
        self._selector = Selector(spec.select_s)
        self._beat_s = float("inf")
        """When we last had our turn: what came while we stood still is old."""
        self._ordered: dict[str, deque[float]] = defaultdict(
            lambda: deque(maxlen=spec.orders_per_minute)
        )
        """When each master gave its newest orders."""
        self._greeted: set[str] = set()
        self._strangers: set[str] = set()
        self._tell: Tell = _nobody
        self._port = spec.port
        self._listens = False
        self._begun = command(
            Type.M_EI_NA_1,
            Element(0),
            common_address=spec.common_address,
            zone=spec.zone,
            cause=Cause.INITIALISED,
        ).octets()

    # ------------------------------------------------------------ how it does

    @property
    def port(self) -> int:
        """Where it listens, also where the system chose."""
        return self._port

    @property
    def listens(self) -> bool:
        """Whether masters can connect now."""
        return self._listens

    def health(self) -> tuple[MasterHealth, ...]:
        """How each master on the list does, in the order of the list."""
        return tuple(
            self._records[host].health(
                master, {line: box for line, box in self._lines.items() if line.peer == host}
            )
            for host, master in self._masters.items()
        )

    # ------------------------------------------------------------ its life

    async def run(self, operate: Operate, tell: Tell, stop: asyncio.Event) -> None:
        """Listen and serve until `stop`; then close every connection.

        Raises:
            UnavailableError: The address cannot be bound.
        """
        self._tell = tell
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(self._line, self.spec.host, self.spec.port)
        except OSError as error:
            raise UnavailableError(
                f"cannot listen: {error.strerror or error}",
                where=f"{self.spec.host}:{self.spec.port}",
                fix="Give an address of this machine and a port that is free",
            ) from error
        self._port, self._listens = server.sockets[0].getsockname()[1], True
        tasks = [asyncio.create_task(self._work(operate), name=f"{self.spec.name}-orders")]
        tasks.append(asyncio.create_task(self._beat(), name=f"{self.spec.name}-beat"))
        tasks += [
            asyncio.create_task(self._cycle(period_s), name=f"{self.spec.name}-{period_s:g}s")
            for period_s in self._cycles
        ]
        stopped = asyncio.create_task(stop.wait(), name=f"{self.spec.name}-stop")
        try:
            done, _ = await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopped}:
                task.result()
        finally:
            self._listens = False
            for task in (stopped, *tasks):
                task.cancel()
            server.close()
            for line in tuple(self._lines):
                line.close("we stop")
            await asyncio.gather(stopped, *tasks, return_exceptions=True)

    def _line(self) -> Line:
        return Line(
            self.spec.timing,
            self.spec.zone,
            controlling=False,
            made=self._made,
            take=self._take,
            give=self._give,
            turned=self._turned,
            lost=self._lost,
        )

    def _made(self, line: Line) -> bool:
        host = line.peer
        if host not in self._masters:
            if host not in self._strangers and len(self._strangers) < MOST_STRANGERS:
                self._strangers.add(host)
                self._tell(host, "is no master on the list and was not answered")
            return False
        same = [one for one in self._lines if one.peer == host]
        if len(same) >= CONNECTIONS:
            same[0].close("gave way to a newer connection")
        self._lines[line] = Outbox(self.spec, self._shown)
        self._records[host].made(self._now())
        return True

    def _lost(self, line: Line, why: str) -> None:
        outbox = self._lines.pop(line, None)
        if outbox is None:
            return  # a stranger
        self._selector.forget(line)
        if not any(one.peer == line.peer for one in self._lines):
            self._records[line.peer].lost(self._now(), why)
        if line.session.started:
            self._tell(line.peer, f"is gone: {why}")
        log.info("104 master gone", station=self.spec.name, master=line.peer, reason=why)

    # ------------------------------------------------------------ what is shown

    def publish(self, shown: Mapping[int, Shown]) -> None:
        """Take the newest picture of some points; tell at once what moved beyond its dead band.

        A point that is not of the table is a KeyError: the caller's bug.
        """
        moved = []
        for address, now in shown.items():
            point, told = self._points[address], self._told[address]
            self._shown[address] = now
            if now.flaw != told.flaw or _moved(point, told.value, now.value):
                self._told[address] = now
                moved.append((point, now))
        for line, outbox in self._lines.items():
            if line.session.started:
                for point, now in moved:
                    outbox.changed(point, now)
                line.pump()

    async def _beat(self) -> None:
        loop, every_s = asyncio.get_running_loop(), self.spec.timing.t1_s / BEATS
        while True:
            self._beat_s = loop.time()
            await asyncio.sleep(every_s)

    async def _cycle(self, period_s: float) -> None:
        """Let points of one period be told; what a slow master has not taken counts once."""
        loop, addresses = asyncio.get_running_loop(), self._cycles[period_s]
        due_s = loop.time()
        while True:
            for line, outbox in tuple(self._lines.items()):
                if line.session.started:
                    outbox.due(addresses)
                    line.pump()
            now_s = loop.time()
            due_s += period_s * max(1, int((now_s - due_s) // period_s) + 1)
            await asyncio.sleep(due_s - now_s)

    def _give(self, line: Line) -> bytes | None:
        if line.peer not in self._greeted:  # once to each master: the station has begun
            self._greeted.add(line.peer)
            return self._begun
        return self._lines[line].next()

    def _turned(self, line: Line) -> None:
        """A master wants data now, or no more."""
        if line.session.started:
            self._tell(line.peer, "gets data")
        else:
            self._lines[line].clear()
            self._tell(line.peer, "wants no data")

    # ------------------------------------------------------------ what is asked

    def _take(self, line: Line, asdu: Asdu) -> None:
        """One ASDU of a master."""
        everybody = asdu.type in (Type.C_IC_NA_1, Type.C_CS_NA_1)
        if asdu.common_address != self.spec.common_address and not (
            everybody and asdu.common_address == EVERYBODY
        ):
            self._answer(line, asdu, Cause.UNKNOWN_STATION, negative=True)
        elif asdu.type == Type.C_IC_NA_1:
            self._interrogation(line, asdu)
        elif asdu.type == Type.C_CS_NA_1:
            self._clock(line, asdu)
        elif asdu.type in _CONTROL:
            self._command(line, asdu)
        else:
            self._answer(line, asdu, Cause.UNKNOWN_TYPE, negative=True)

    def _answer(self, line: Line, asdu: Asdu, cause: Cause, *, negative: bool = False) -> None:
        if line.gone or line not in self._lines:
            return  # it will never know
        if not self._lines[line].confirm(asdu.answered(cause, negative=negative).octets()):
            line.close("takes no answers")
            return
        line.pump()

    def _interrogation(self, line: Line, asdu: Asdu) -> None:
        """Tell everything; asked again meanwhile, the answer begins anew."""
        outbox = self._lines[line]
        if asdu.cause == Cause.DEACTIVATION:
            outbox.stop_interrogation()
            self._answer(line, asdu, Cause.DEACTIVATION_CON)
            return
        if asdu.cause != Cause.ACTIVATION:
            self._answer(line, asdu, Cause.UNKNOWN_CAUSE, negative=True)
            return
        refused = asdu.elements[0].qualifier != STATION
        self._answer(line, asdu, Cause.ACTIVATION_CON, negative=refused)
        if not refused:
            outbox.interrogate(self._own(asdu).answered(Cause.ACTIVATION_END).octets())
            line.pump()

    def _own(self, asdu: Asdu) -> Asdu:
        """An answer carries our own address, also where everybody was asked."""
        return Asdu(
            asdu.type,
            asdu.cause,
            self.spec.common_address,
            asdu.body,
            originator=asdu.originator,
            elements=asdu.elements,
        )

    def _clock(self, line: Line, asdu: Asdu) -> None:
        """Compare a master's time with ours; refused where they differ, for we never set the clock."""
        if asdu.cause != Cause.ACTIVATION:
            self._answer(line, asdu, Cause.UNKNOWN_CAUSE, negative=True)
            return
        now, theirs = self._now(), asdu.elements[0].at
        off_s = None if theirs is None else (theirs - now).total_seconds()
        agrees = off_s is not None and abs(off_s) <= self.spec.clock_tolerance_s
        if not agrees:
            what = (
                "gives no valid time" if off_s is None else f"its clock is {off_s:+.3f} s off ours"
            )
            self._tell(line.peer, f"{what}: not taken over")
        ours = command(
            Type.C_CS_NA_1,
            Element(0, at=now),
            common_address=self.spec.common_address,
            zone=self.spec.zone,
            originator=asdu.originator,
        )
        self._answer(line, ours, Cause.ACTIVATION_CON, negative=not agrees)

    # ------------------------------------------------------------ what is ordered

    def _command(self, line: Line, asdu: Asdu) -> None:
        if asdu.cause not in (Cause.ACTIVATION, Cause.DEACTIVATION):
            self._answer(line, asdu, Cause.UNKNOWN_CAUSE, negative=True)
            return
        element = asdu.elements[0]
        point = self._orders.get(element.address)
        if point is None or point.is_switch is not _CONTROL[Type(asdu.type)] or asdu.count != 1:
            self._answer(line, asdu, Cause.UNKNOWN_OBJECT, negative=True)
            return
        now_s = asyncio.get_running_loop().time()
        if asdu.cause == Cause.DEACTIVATION:
            held = self._selector.cancel(line, element.address, now_s)
            self._answer(line, asdu, Cause.DEACTIVATION_CON, negative=not held)
        elif (why := self._refusal(line, asdu, point, now_s)) is not None:
            self._refuse(line, asdu, why)
        elif element.select:
            self._answer(line, asdu, Cause.ACTIVATION_CON)
        else:
            self._execute(line, asdu, now_s)

    def _refusal(self, line: Line, asdu: Asdu, point: OrderPoint, now_s: float) -> str | None:
        """Why a command is not taken; None where it is. A wrong execution ends the selection."""
        element = asdu.elements[0]
        if not self._masters[line.peer].may_order:
            return "this master may not order"
        if asdu.test:
            return "it is a test"
        if now_s - self._beat_s > self.spec.timing.t1_s:
            return "it came while we stood still, and nobody knows how old it is"
        if (why := point.refuses(element.value)) is not None:
            return why
        turn = self._selector.select if element.select else self._selector.execute
        return turn(line, point, element, now_s)

    def _refuse(self, line: Line, asdu: Asdu, why: str) -> None:
        self._records[line.peer].refused += 1
        self._tell(line.peer, f"order at {asdu.elements[0].address} refused: {why}")
        self._answer(line, asdu, Cause.ACTIVATION_CON, negative=True)

    def _execute(self, line: Line, asdu: Asdu, now_s: float) -> None:
        """Let it wait for its turn, within what one master may order."""
        element, given = asdu.elements[0], self._ordered[line.peer]
        if len(given) == given.maxlen and now_s - given[0] < MINUTE_S:
            self._refuse(line, asdu, f"more than {given.maxlen} orders a minute")
            return
        given.append(now_s)
        order = DispatchOrder(
            station=self.spec.name,
            master=line.peer,
            address=element.address,
            value=element.value,
            received_at=self._now(),
        )
        try:
            self._waiting.put_nowait((line, asdu, order))
        except asyncio.QueueFull:
            self._refuse(line, asdu, "too many orders wait")

    async def _work(self, operate: Operate) -> None:
        """Carry orders out one after the other, in the order in which they came."""
        while True:
            line, asdu, order = await self._waiting.get()
            why = await operate(order)
            if why is not None:
                self._refuse(line, asdu, why)
                continue
            self._records[order.master].ordered(order.received_at)
            self._answer(line, asdu, Cause.ACTIVATION_CON)
            self._answer(line, asdu, Cause.ACTIVATION_END)


def _moved(point: ShownPoint, before: float, now: float) -> bool:
    """Whether a value is to be told at once."""
    return before != now if point.is_state else abs(now - before) > point.dead_band


def _nobody(who: str, what: str) -> None:
    """Before it runs there is nobody to tell."""
