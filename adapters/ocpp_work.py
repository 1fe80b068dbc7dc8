"""What is asked of one station over one connection: settings after a boot, limits, and what is in force.

    came, or booted ─▶ settings, default, status
    wanted changed ─▶ limit set | taken back        now and then ─▶ asked what limit it goes by

Of what is wanted the newest counts: nothing waits in a queue. A station of a car park that is read-only is
asked how it stands, and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from adapters.ocpp_carpark import CarPark
from adapters.ocpp_hearing import Tell
from adapters.ocpp_station import Point, Station
from adapters.ocpp_talk import Talk
from adapters.ocpp_words import Dialect, Limit, WordError
from vpp.errors import RejectedError, UnavailableError
from vpp.model.charging import CentralSpec

SPEAKS_FIRST_S = 2.0
"""A station that comes begins with its boot; one that does not has only lost its line."""
TAKES_IN_S = 0.1
"""A station that was just told the number of a transaction may not know it yet when the next call comes."""
TRIES_S = (2.0, 10.0)
"""A point that does not take its limit is tried again after these; then it is left alone for long."""


class Worker:
    """Asks one station for what is wanted of it."""

    def __init__(
        self,
        park: CarPark,
        station: Station,
        dialect: Dialect,
        talk: Talk,
        *,
        spec: CentralSpec,
        now: Callable[[], datetime],
        tell: Tell,
        changed: Callable[[], None],
    ) -> None:
        """`changed` is called when something happened that may be an answer to a command."""
        self._park, self._station, self._dialect, self._talk = park, station, dialect, talk
        self._spec, self._now, self._tell, self._changed = spec, now, tell, changed
        self._awake, self._spoke = asyncio.Event(), asyncio.Event()
        self._idle = asyncio.Event()
        self._prepared, self._quiet_until_s = False, 0.0
        self._read_back = timedelta(seconds=spec.read_back_s)
        self._asks = True
        """Whether the station can say what limit it goes by."""

    def look(self, now: datetime) -> None:
        """Wake where something is to be asked of the station."""
        if self._station.is_put_off(now) or self._park.spec.read_only:
            return
        if any(point.has_work(now, self._read_back) for point in self._station.points):
            self._wake()

    def _wake(self) -> None:
        self._idle.clear()
        self._awake.set()

    async def settled(self) -> None:
        """Wait until nothing is wanted of the station that it was not asked for."""
        await self._idle.wait()

    def spoke(self) -> None:
        """The station says something: it is ready to be asked."""
        self._spoke.set()

    def began(self) -> None:
        """A transaction is being answered: its limit may come a moment later."""
        self._quiet_until_s = asyncio.get_running_loop().time() + TAKES_IN_S

    def booted(self, *, accepted: bool) -> None:
        """The station has booted: what it was told before is to be told again."""
        self._prepared = not accepted
        for point in self._station.points:
            point.lost()
        self._spoke.set()
        self._wake()

    async def run(self) -> None:
        """See to the station until cancelled, or until it does not answer any more."""
        try:
            async with asyncio.timeout(SPEAKS_FIRST_S):
                await self._spoke.wait()
        except TimeoutError:
            pass
        while True:
            self._awake.clear()
            if not self._station.is_put_off(self._now()):
                await self._prepare()
                for point in self._station.points:
                    await self._see_to(point)
            if not self._awake.is_set():
                self._idle.set()
            await self._awake.wait()

    async def _prepare(self) -> None:
        if self._prepared:
            return
        self._prepared = True
        kind = self._station.spec.kind
        calls = [self._dialect.ask_status()]
        if not self._park.spec.read_only:
            calls += self._dialect.settings(self._spec.sample_s)
            if kind.safe_kw is not None:
                most = kind.counts(kind.safe_kw)
                calls.append(self._dialect.safe(most, kind.unit, kind.phases))
        for action, payload in calls:
            why = await self._try(action, payload)
            if why is not None:
                self._tell("charger_setting", self._station.name, f"{action}: {why}")

    async def _try(self, action: str, payload: Any) -> str | None:
        """Ask for something; why it was not done, None where it was."""
        try:
            return self._dialect.accepted(await self._talk.call(action, payload))
        except (RejectedError, UnavailableError) as error:
            return error.what
        except WordError as error:
            return str(error)

    # ------------------------------------------------------------ limits

    async def _see_to(self, point: Point) -> None:
        if self._park.spec.read_only or point.stay is None:
            return
        if not point.obeys:
            await self._set(point)
        elif point.wanted is None:
            if point.limit is not None or point.may_hold:
                await self._take_back(point)
        elif self._asks and point.is_to_be_read(self._now(), self._read_back):
            await self._ask(point)

    async def _set(self, point: Point) -> None:
        quiet_s = self._quiet_until_s - asyncio.get_running_loop().time()
        if quiet_s > 0:
            await asyncio.sleep(quiet_s)
        kind, stay, wanted, now = self._station.spec.kind, point.stay, point.wanted, self._now()
        if stay is None or wanted is None or wanted.until <= now:
            return
        limit = Limit(
            point=point.number,
            transaction=stay.transaction,
            most=kind.counts(wanted.kw),
            unit=kind.unit,
            begins_at=now,
            ends_at=wanted.until,
        )
        point.may_hold = True
        try:
            payload = await self._talk.call(*self._dialect.limit(limit))
            why = self._dialect.accepted(payload)
        except (RejectedError, UnavailableError) as error:
            why = error.what
        except WordError as error:
            why = str(error)
        if point.stay is not stay:
            return  # that car has gone meanwhile
        now = self._now()
        if why is None:
            point.took(limit, wanted.kw, now)
        else:
            self._was_refused(point, why, now)
            self._park.share(now)
        self._changed()

    def _was_refused(self, point: Point, why: str, now: datetime) -> None:
        tried, point.refusals = point.refusals, point.refusals + 1
        wait = timedelta(seconds=TRIES_S[tried]) if tried < len(TRIES_S) else None
        point.leave_alone(f"does not take its limit: {why}", now, wait)
        if tried == 0:
            self._tell("charger_limit", self._where(point), point.why)

    async def _take_back(self, point: Point) -> None:
        why = await self._try(*self._dialect.clear(point.number))
        if why in (None, "Unknown"):  # Unknown: there was none
            point.let_go()
        elif point.limit is not None or point.may_hold:
            point.let_go()  # it ends by itself; told, since until then it holds
            self._tell(
                "charger_limit", self._where(point), f"its limit could not be taken back: {why}"
            )

    async def _ask(self, point: Point) -> None:
        kind = self._station.spec.kind
        try:
            payload = await self._talk.call(*self._dialect.ask_limit(point.number, kind.unit))
            shown = self._dialect.shown_limit(payload)
        except RejectedError as error:
            if error.what.startswith(("NotImplemented", "NotSupported")):
                self._asks = False
            shown = None
        except (WordError, UnavailableError):
            shown = None
        now = self._now()
        point.shown_at = now
        if shown is None:
            return
        shown_kw = None if shown.most is None else kind.kw(shown.most, shown.unit)
        before, asked_kw = point.shown_kw, kind.kw(kind.counts(point.limit_kw), kind.unit)
        said = point.compare(shown_kw, asked_kw, now)
        if said is not None:
            self._tell("charger_limit", self._where(point), said)
        if said is not None or point.shown_kw != before:
            self._park.share(now)
            self._changed()

    async def let_go(self) -> None:
        """Take back what is in force; a read-only park holds nothing of ours."""
        if self._park.spec.read_only:
            return
        for point in self._station.points:
            if point.limit is not None:
                await self._take_back(point)

    def _where(self, point: Point) -> str:
        return f"{self._station.name}/{point.number}"
