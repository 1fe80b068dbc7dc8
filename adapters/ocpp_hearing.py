"""What a station says becomes what we know: boots, plugs, stays and meters, and what each call is answered.

A message of before (a station keeps them while it is away) is booked at its own time. A station that boots in
a loop is put off, and none of its data is used meanwhile. Whatever changes what may be drawn is split anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from adapters.ocpp_carpark import CarPark
from adapters.ocpp_station import OLDEST, Point, Station
from adapters.ocpp_words import (
    Asked,
    Began,
    Booted,
    Ended,
    Metered,
    Needs,
    Plug,
    Sample,
    Status,
    Went,
    Word,
)
from vpp.model.charging import CentralSpec, StayBegun
from vpp.ports import StayLedger

AHEAD = timedelta(seconds=5)
"""How far a station's clock may run ahead of ours."""
LEAD = 86_400
"""How many numbers may be given ahead of the clock, in seconds; beyond it they are a station's own names."""
CLOCK = "its clock is wrong"
CAR_KW = 0.5
"""A car that takes more or less than before by this is worth a new split."""

Tell = Callable[[str, str, str], None]
"""A kind of event, who it is about, and what a person should hear of it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What an answer needs beside its word."""

    status: str = "Accepted"
    interval_s: int = 0
    transaction: str = "0"


class Hearing:
    """Takes the words of all stations of one central system."""

    def __init__(
        self, spec: CentralSpec, ledger: StayLedger, tell: Tell, *, began_at: datetime
    ) -> None:
        self._spec, self._ledger, self._tell = spec, ledger, tell
        self._last_number = ledger.last_number(int(began_at.timestamp()) + LEAD)

    async def hear(self, park: CarPark, station: Station, word: Word, now: datetime) -> Reply:
        """One word of a station that may be heard.

        Raises:
            UnavailableError: The record refuses, and nothing was taken: the station shall tell it again.
        """
        match word:
            case Booted():
                return self._booted(station, word, now)
            case Status():
                await self._status(park, station, word, now)
            case Metered():
                await self._metered(park, station, word, now)
            case Began():
                return await self._began(park, station, word, now)
            case Went():
                await self._went(park, station, word, now)
                return Reply() if word.tag is None else Reply(self._welcome(park, word.tag))
            case Ended():
                await self._ended(park, station, word, now)
            case Asked():
                return Reply(status=self._welcome(park, word.tag))
            case Needs():
                self._needs(park, station, word, now)
        return Reply()

    # ------------------------------------------------------------ the station

    def _booted(self, station: Station, word: Booted, now: datetime) -> Reply:
        station.made_by = f"{word.vendor} {word.model} {word.firmware}".strip()
        wait_s = station.boots_at(now, most=self._spec.boots_per_hour)
        if wait_s is None:
            return Reply(interval_s=self._spec.heartbeat_s)
        self._tell(
            "charger_boots",
            station.name,
            f"booted {len(station.boots)} times within the hour: it is put off for {wait_s} s",
        )
        return Reply(status="Rejected", interval_s=wait_s)

    async def _status(self, park: CarPark, station: Station, word: Status, now: datetime) -> None:
        point = station.point(word.point)
        if point is None:
            if word.point == 0:
                station.fault = word.error
            return
        if word.error != point.error and word.error:
            self._tell("charger_fault", f"{station.name}/{point.number}", word.error)
        point.error = word.error
        # Of 2.0.1 the status says occupied only; what the car does stands in its transaction.
        if word.plug is Plug.OCCUPIED and point.stay and station.subprotocol != "ocpp1.6":
            return
        if point.plug is not word.plug:
            point.plug = word.plug
            if word.plug is Plug.FREE:
                await self._leave(station, point, word.at or now)
            park.share(now)

    # ------------------------------------------------------------ stays

    async def _began(self, park: CarPark, station: Station, word: Began, now: datetime) -> Reply:
        welcome = self._welcome(park, word.tag)
        point = station.point(word.point)
        if point is None:
            self._unknown_point(station, word.point)
            return Reply(status=welcome, transaction=word.transaction or self._number(now))
        stay = await self._record(
            station, point, word.transaction, word.tag, word.at, word.energy_wh, now
        )
        known = point.stay
        if known is None or known.transaction != stay.transaction:
            if known is not None:  # its end never came
                await self._leave(station, point, word.at)
            fresh = self._is_right(station, word.at, now) and not self._is_late(station, word.at)
            point.begin(stay, park.spec, fresh=fresh, now=now)
        if word.plug is not None:
            point.plug = word.plug
        self._take(park, station, point, word.samples, now)
        park.share(now)
        return Reply(status=welcome, transaction=stay.transaction)

    async def _went(self, park: CarPark, station: Station, word: Went, now: datetime) -> None:
        point = station.with_transaction(word.transaction)
        if point is None:
            point = station.point(word.point)
            if point is None:
                self._unknown_point(station, word.point)
                return
            if self._is_over(station, word.transaction, word.at):
                self._take(park, station, point, self._late_ones(station, word.samples), now)
                return
            await self._found(park, station, point, word.transaction, word.at, word.samples, now)
        stay = point.stay
        if word.tag and stay is not None and not stay.tag:  # the card came after the cable
            wish = park.spec.wish_of(word.tag)
            stay.tag, stay.wanted_kwh, stay.exact = word.tag, wish.wanted_kwh, wish.exact
            stay.departs_at = wish.departs_at(stay.began_at, park.spec.zone)
        if word.plug is not None and word.plug is not point.plug:
            point.plug = word.plug
            park.share(now)
        self._take(park, station, point, word.samples, now)

    async def _metered(self, park: CarPark, station: Station, word: Metered, now: datetime) -> None:
        point = station.point(word.point)
        if point is None:
            return  # the meter of the whole station: its points tell the same
        known = point.stay
        if word.transaction is not None and (
            known is None or known.transaction != word.transaction
        ):
            at = word.samples[0].at if word.samples else now
            if self._is_over(
                station, word.transaction, word.samples[-1].at if word.samples else at
            ):
                self._take(park, station, point, self._late_ones(station, word.samples), now)
                return
            await self._found(park, station, point, word.transaction, at, word.samples, now)
        self._take(park, station, point, word.samples, now)

    async def _found(
        self,
        park: CarPark,
        station: Station,
        point: Point,
        transaction: str,
        at: datetime,
        samples: Iterable[Sample],
        now: datetime,
    ) -> None:
        """A transaction goes on of which we have no beginning."""
        energy = next((s.energy_wh for s in samples if s.energy_wh is not None), None)
        stay = await self._record(station, point, transaction, "", at, energy, now)
        if point.stay is not None:
            await self._leave(station, point, at)
        point.begin(stay, park.spec, fresh=False, now=now)
        if point.plug is Plug.OCCUPIED:
            point.plug = Plug.CHARGING
        park.share(now)

    def _is_over(self, station: Station, transaction: str, at: datetime) -> bool:
        """Whether a transaction had ended then: its last readings may come after its end."""
        ended_at = self._ledger.ended_at(station.name, transaction)
        return ended_at is not None and at <= ended_at

    def _late_ones(self, station: Station, samples: Iterable[Sample]) -> list[Sample]:
        """Those that say what was drawn while the station was away, and nothing of now."""
        return [sample for sample in samples if self._is_late(station, sample.at)]

    async def _ended(self, park: CarPark, station: Station, word: Ended, now: datetime) -> None:
        await self._ledger.ended(station.name, word.transaction, word.at, word.energy_wh)
        point = station.with_transaction(word.transaction)
        if point is None:
            return  # told again, or begun before our record
        self._take(park, station, point, word.samples, now)
        if self._is_late(station, word.at):
            park.late.sample(station.name, point.number, word.at, 0.0)
        point.end()
        if point.plug is not Plug.FREE:
            point.plug = Plug.OCCUPIED
        park.share(now)

    async def _leave(self, station: Station, point: Point, at: datetime) -> None:
        """No car is here any more, whether or not the end of its transaction was told."""
        if point.stay is not None:
            await self._ledger.ended(station.name, point.stay.transaction, at, None)
        point.end()

    async def forget(self, station: Station, now: datetime) -> None:
        """A station speaks another version than before: its transactions have other names now.

        Raises:
            UnavailableError: The record refuses.
        """
        for point in station.points:
            await self._leave(station, point, now)

    def _needs(self, park: CarPark, station: Station, word: Needs, now: datetime) -> None:
        """What a car says itself goes before what is assumed."""
        point = station.point(word.point)
        if point is None or point.stay is None:
            return
        stay = point.stay
        if word.departs_at is not None and now < word.departs_at <= now + OLDEST:
            stay.departs_at = word.departs_at
        if word.energy_kwh is not None and 0 <= word.energy_kwh <= 1000:
            stay.wanted_kwh, stay.exact = stay.got_kwh + word.energy_kwh, True
        park.share(now)

    async def _record(
        self,
        station: Station,
        point: Point,
        transaction: str | None,
        tag: str,
        at: datetime,
        energy_wh: float | None,
        now: datetime,
    ) -> StayBegun:
        stay = StayBegun(
            station_id=station.name,
            point=point.number,
            transaction=self._number(now) if transaction is None else transaction,
            tag=tag,
            at=at,
            energy_wh=energy_wh,
        )
        return await self._ledger.began(stay)

    def _number(self, now: datetime) -> str:
        """A number that no transaction had before, not before a restart either.

        It follows the clock, and the record where that is ahead: many may have begun in one second.
        """
        self._last_number = max(self._last_number + 1, int(now.timestamp()))
        return str(self._last_number)

    def _welcome(self, park: CarPark, tag: str) -> str:
        return "Invalid" if park.spec.only_drivers and tag not in park.spec.drivers else "Accepted"

    def _unknown_point(self, station: Station, number: int) -> None:
        self._tell(
            "charger_fault", station.name, f"has a point {number} that the park file does not know"
        )

    # ------------------------------------------------------------ meters

    def _take(
        self,
        park: CarPark,
        station: Station,
        point: Point,
        samples: Iterable[Sample],
        now: datetime,
    ) -> None:
        for sample in samples:
            if not self._is_right(station, sample.at, now):
                continue
            late = self._is_late(station, sample.at)
            drew_kw, was_odd = point.power_kw, point.odd_meter
            kw = point.take(sample, late=late, most_kw=2 * station.spec.kind.max_kw)
            if point.odd_meter and not was_odd:
                text = "its meter tells a power that no point has: it is not used"
                self._tell("charger_fault", f"{station.name}/{point.number}", text)
            if kw is None:
                continue
            if late:
                station.late_at = now
                if station.lost_at is not None:  # else nobody was told of that time
                    park.late.sample(station.name, point.number, sample.at, kw)
                continue
            before_kw = point.car_kw
            said = point.watched(sample, kw, timedelta(seconds=self._spec.settle_s))
            if said is not None:
                self._tell("charger_limit", f"{station.name}/{point.number}", said)
            fixed = abs(kw - drew_kw) > CAR_KW and park.is_fixed(station, point, now)
            if fixed or said is not None or _differs(before_kw, point.car_kw):
                park.share(now)

    def _is_right(self, station: Station, at: datetime, now: datetime) -> bool:
        """Whether a station's clock can be right; where it cannot, and begins to, it is told."""
        right = now - OLDEST <= at <= now + AHEAD
        if not right and station.fault != CLOCK:
            self._tell("charger_fault", station.name, f"{CLOCK}: it says {at}")
            station.fault = CLOCK
        elif right and station.fault == CLOCK:
            station.fault = ""
        return right

    @staticmethod
    def _is_late(station: Station, at: datetime) -> bool:
        """Whether it is of before the station came: it says nothing of now."""
        return station.back_at is not None and at < station.back_at


def _differs(before_kw: float | None, kw: float | None) -> bool:
    """Whether what a car takes at most is another now, by enough to split anew for."""
    if before_kw is None or kw is None:
        return before_kw is not kw
    return abs(before_kw - kw) > CAR_KW
