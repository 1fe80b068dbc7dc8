"""A charging station with its line: what it says of itself, and what befalls it.

    cars, meter ─▶ what is to be said ─▶ ChargerLine ─▶ central system
    central system ─▶ Answers ─▶ Charger

What belongs to a transaction must arrive; the rest is worth nothing later. Times are those of the station's
own clock, also of what is said hours after.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from random import Random

import aiohttp

from vpp.simulate.charger import Car, Charger, ChargerSpec, Dialect, Stay
from vpp.simulate.chargercalls import Answers
from vpp.simulate.chargerfaults import (
    Away,
    BootLoop,
    ChargerTrouble,
    Garbled,
    Ignores,
    Meddled,
    Mute,
    Refuses,
    Skewed,
    Twice,
    Wiped,
)
from vpp.simulate.chargerline import ChargerLine, LineTiming, Said
from vpp.simulate.chargerwords import Payload, Words, WordsError, reading_of
from vpp.simulate.chargerwords16 import Words16
from vpp.simulate.chargerwords201 import Words201

BOOT = "BootNotification"


class ChargePoint:
    """One station. `run` holds the line; `tick`, or `tell` and its like, say what is to be said."""

    def __init__(
        self,
        spec: ChargerSpec,
        url: str,
        session: aiohttp.ClientSession,
        *,
        now: Callable[[], datetime],
        chance: Random,
        password: str | None = None,
        timing: LineTiming | None = None,
    ) -> None:
        """`url` is that of the central system, to which the station adds its own name."""
        self.spec, self._now = spec, now
        self.charger = Charger(spec, now())
        self._words: Words = Words16() if spec.dialect is Dialect.V16 else Words201()
        self._answers = Answers(
            self.charger, self._words, say=self._say_again, restart=self._restart_soon
        )
        self.line = ChargerLine(
            url,
            spec.charger_id,
            spec.dialect.value,
            session,
            chance=chance,
            password=password,
            timing=timing or LineTiming(),
            opened=self._opened,
            answer=self._answers.to,
        )
        self.standing: str | None = None
        """What the central system made of the newest BootNotification: `Accepted`, `Pending`, `Rejected`."""
        self._boot_due, self._why = True, "power"
        self._boots_at: datetime | None = None
        """When it says again who it is, after it was not accepted."""
        self._troubles: frozenset[ChargerTrouble] = frozenset()
        self._skew = timedelta(0)
        self._meter_due = self._beat_due = self._restart_due = now()

    @property
    def counts(self) -> Counter[str]:
        """What happened on the line."""
        return self.line.counts

    async def run(self, stop: asyncio.Event) -> None:
        """Hold the line until `stop` is set."""
        await self.line.run(stop)

    # ------------------------------------------------------------ what befalls it

    def plug_in(self, connector: int = 1, car: Car | None = None) -> Stay:
        """A car comes, and its transaction begins.

        Raises:
            DataError: Another one stands there.
        """
        stay = self.charger.plug_in(connector, car or Car())
        self._tell_status(connector)
        at = reading_of(self.charger.connectors[connector], self.charger.now)
        said = self._words.began(stay, at, offline=not self.line.connected.is_set())
        self._say(*said, stay=stay, done=partial(self._named, stay))
        return stay

    def unplug(self, connector: int = 1) -> None:
        """The car leaves, and its transaction ends.

        Raises:
            DataError: None stands there.
        """
        at = reading_of(self.charger.connectors[connector], self.charger.now)
        stay = self.charger.unplug(connector)
        offline = not self.line.connected.is_set()
        self._say(*self._words.ended(stay, at, offline=offline), stay=stay)
        self._tell_status(connector)

    def tell(self) -> None:
        """Tell what the meter of each connector shows."""
        offline = not self.line.connected.is_set()
        for number, outlet in self.charger.connectors.items():
            at = reading_of(outlet, self.charger.now)
            said = self._words.metered(number, outlet.stay, at, offline=offline)
            self._say(*said, stay=outlet.stay)

    def tick(self, now: datetime) -> None:
        """Live up to `now`, and tell what is due then; `now` is the true time."""
        self.charger.live(now + self._skew)
        if now >= self._meter_due:
            self._meter_due = max(self._meter_due, now - self._answers.sample)
            self._meter_due += self._answers.sample
            self.tell()
        if self._boots_at is not None and now >= self._boots_at and self.line.connected.is_set():
            self._boots_at = None
            self._boot()
        if now >= self._beat_due:
            self._beat_due = now + self._answers.heartbeat
            self._say("Heartbeat", {})
        for trouble in self._troubles:
            if isinstance(trouble, BootLoop) and now >= self._restart_due:
                self._restart_due = now + timedelta(seconds=trouble.every_s)
                self.restart()

    def first_due(self, at: datetime) -> None:
        """Tell the meter for the first time at `at`: a fleet does not speak all at once."""
        self._meter_due = at

    def restart(self, why: str = "power") -> None:
        """Switch it off and on: profiles are forgotten, cars stand where they stood."""
        self.counts["restarts"] += 1
        self.charger.clear()
        self._boot_due, self._why = True, why
        self.line.hang_up()

    def suffer(self, troubles: Iterable[ChargerTrouble]) -> None:
        """Live with these troubles from now on, and with no others."""
        before, self._troubles = self._troubles, frozenset(troubles)
        if before == self._troubles:
            return
        self.charger.obeys = not self._has(Ignores)
        self._answers.refuses = self._has(Refuses)
        self.line.mute, self.line.twice = self._has(Mute), self._has(Twice)
        self.line.garbles = self._has(Garbled)
        meddled = [one for one in self._troubles if isinstance(one, Meddled)]
        self.charger.meddle(meddled[0].limit_kw if meddled else None)
        if any(isinstance(one, Wiped) for one in self._troubles - before):
            self.charger.clear()
        skew = timedelta(seconds=sum(o.seconds for o in self._troubles if isinstance(o, Skewed)))
        self.charger.now += skew - self._skew
        self._skew = skew
        if self._has(Away):
            self.line.cut()
        else:
            self.line.mend()

    def _has(self, kind: type[ChargerTrouble]) -> bool:
        return any(isinstance(trouble, kind) for trouble in self._troubles)

    # ------------------------------------------------------------ saying

    def _say(
        self,
        action: str,
        payload: Payload,
        *,
        stay: Stay | None = None,
        done: Callable[[Payload | None], None] = lambda answer: None,
    ) -> None:
        """Say something; what belongs to a stay must arrive."""
        self.line.put(
            Said(
                action=action,
                payload=partial(self._words.addressed, action, payload, stay),
                done=done,
                kept=stay is not None,
            )
        )

    def _named(self, stay: Stay, answer: Payload | None) -> None:
        """The beginning of a transaction was answered."""
        if answer is None:
            return
        try:
            stay.transaction = self._words.named(stay, answer)
        except WordsError:
            self.counts["odd"] += 1

    def _opened(self) -> None:
        if self._boot_due:
            self._boot()
        else:
            self._tell_all_statuses()

    def _boot(self) -> None:
        """Say who it is, before anything else."""
        self.line.admit(admitted=False)
        self.standing = None
        action, payload = self._words.boot(self.spec, self._why)
        self.line.put(
            Said(action=action, payload=lambda: payload, done=self._booted, first=True),
        )

    def _booted(self, answer: Payload | None) -> None:
        said = answer or {}
        interval, self.standing = said.get("interval"), str(said.get("status"))
        every_s = interval if isinstance(interval, int) and interval > 0 else 60
        if self.standing != "Accepted":
            self._boots_at = self._now() + timedelta(seconds=every_s)
            return
        self._boot_due, self._boots_at = False, None
        self.line.admit(admitted=True)
        self._answers.settings["HeartbeatInterval"] = str(every_s)
        self._beat_due = self._now() + timedelta(seconds=every_s)
        self._tell_all_statuses()

    def _tell_all_statuses(self) -> None:
        for connector in self.charger.connectors:
            self._tell_status(connector)

    def _tell_status(self, connector: int) -> None:
        outlet = self.charger.connectors[connector]
        self._say(*self._words.status(connector, outlet, self.charger.now))

    def _say_again(self, name: str, connector: int | None) -> bool:
        """Say what somebody asks for; whether it is known here."""
        known: dict[str, Callable[[], None]] = {
            BOOT: self._boot,
            "Heartbeat": partial(self._say, "Heartbeat", {}),
            "MeterValues": self.tell,
            "TransactionEvent": self.tell,
            "StatusNotification": self._tell_all_statuses,
        }
        if name not in known:
            return False
        known[name]()
        return True

    def _restart_soon(self) -> None:
        """Restart once the answer has left."""
        asyncio.get_running_loop().call_soon(self.restart, "reset")
