"""One charging station as we know it: its points, the cars at them, what was asked of it and what it does.

    word ─▶ hear ─▶ Point: plug, stay, samples          wanted ─▶ due ─▶ call ─▶ in force ─▶ watched

A point that takes its limit and draws more all the same, that somebody else has given another limit, or that
refuses ours cannot be steered: what it draws counts as fixed, and the others make room (`ocpp_split.py`).
Nothing here awaits: the link asks what is due and says what came of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from adapters.ocpp_words import Limit, Plug, Sample
from vpp.model.charging import CarParkSpec, StationSpec, StayBegun

MORE_KWH = 5.0
"""A car that has got what was assumed and still draws is taken to want so much more."""
STAYS_ON = timedelta(minutes=30)
"""A car that has not left when it was taken to is taken to stay for so long still."""
STANDS_IN = timedelta(days=1)
"""Of a car that is not heard of any more the last power counts for so long at most."""
LEFT_ALONE = timedelta(minutes=10)
"""Who was changed by somebody else, or refuses, is asked again after this."""
OLDEST = timedelta(days=31)
"""An older message is no buffer but a wrong clock."""
TOLERANCE_KW, TOLERANCE_SHARE = 0.5, 0.1
STRIKES = 2
"""Readings above its limit before a point is said not to follow."""
TAKES_LESS = 0.9
"""A car that draws less than this share of its limit has its own most."""


@dataclass(slots=True, kw_only=True)
class Stay:
    """A car that charges, or could."""

    transaction: str
    tag: str
    began_at: datetime
    begun_wh: float | None
    wanted_kwh: float
    departs_at: datetime
    exact: bool
    got_kwh: float = 0.0

    def left_kwh(self, plug: Plug) -> float:
        """What it still wants."""
        if plug is Plug.SUSPENDED_EV:
            return 0.0
        left = max(self.wanted_kwh - self.got_kwh, 0.0)
        return left if self.exact else max(left, MORE_KWH)

    def leaves_at(self, now: datetime) -> datetime:
        return self.departs_at if self.departs_at > now else now + STAYS_ON


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a point is to be limited to."""

    kw: float
    until: datetime


@dataclass(slots=True, kw_only=True)
class Point:
    """One place where a car charges."""

    number: int
    plug: Plug = Plug.FREE
    error: str = ""
    stay: Stay | None = None
    newest: Sample | None = None
    power_kw: float = 0.0
    powered_at: datetime | None = None
    """When `power_kw` was measured; None: not since this car came."""
    odd_meter: bool = False
    """Whether its meter told a power last that no point can have."""
    soc: float | None = None

    wanted: Wanted | None = None
    limit: Limit | None = None
    """In force, as the station has confirmed."""
    limit_kw: float = 0.0
    may_hold: bool = True
    """It may follow a limit of ours of which we know nothing: from before we began, or while it was away."""
    taken_at: datetime | None = None
    """When `limit_kw` was confirmed first."""
    shown_at: datetime | None = None
    """When it was asked last what it goes by."""
    shown_kw: float | None = None
    """What it goes by where that is less than we allow; until `shown_until` no more is asked of it."""
    shown_until: datetime | None = None
    car_kw: float | None = None
    """The most that its car takes, where that was seen."""
    strikes: int = 0
    stray: bool = False
    alone_until: datetime | None = None
    """Until when it is left alone, and `why`."""
    refusals: int = 0
    """Of its limit, in a row."""
    why: str = ""

    @property
    def obeys(self) -> bool:
        """Whether what is wanted is in force, as far as the station has confirmed; so where nothing is."""
        wanted, limit = self.wanted, self.limit
        return wanted is None or (
            limit is not None and self.limit_kw == wanted.kw and limit.ends_at == wanted.until
        )

    def has_work(self, now: datetime, read_back: timedelta) -> bool:
        """Whether its station is to be asked for something."""
        if self.stay is None:
            return False
        if self.wanted is None:
            return self.limit is not None or self.may_hold
        return not self.obeys or self.is_to_be_read(now, read_back)

    def is_to_be_read(self, now: datetime, read_back: timedelta) -> bool:
        """Whether it was not asked for a while what limit it goes by."""
        at = self.shown_at or self.taken_at
        return at is not None and now - at >= read_back

    def take(self, sample: Sample, *, late: bool, most_kw: float) -> float | None:
        """A meter's sample: its power in kW; None where nothing is to be learnt of it, or it is older.

        `late`: it is of before, and says nothing of what is drawn now. Beyond `most_kw` no power is believed.
        """
        before = self.newest
        if before is not None and sample.at <= before.at:
            return None
        told = (sample.power_kw, None if before is None else _between(before, sample))
        self_kw = next((kw for kw in told if kw is not None and abs(kw) <= most_kw), None)
        self.newest = sample
        if sample.soc is not None:
            self.soc = sample.soc
        stay = self.stay
        if stay is not None and sample.energy_wh is not None:
            if stay.begun_wh is None:
                stay.begun_wh = sample.energy_wh
            stay.got_kwh = max((sample.energy_wh - stay.begun_wh) / 1000, 0.0)
        if not late:
            self.odd_meter = self_kw is None and told != (None, None)
            if self_kw is not None:
                self.power_kw, self.powered_at = self_kw, sample.at
        return self_kw

    def is_silent(self, now: datetime, fresh: timedelta) -> bool:
        """Whether a car is there whose power was not measured for longer than `fresh`."""
        stay = self.stay
        return stay is not None and now - (self.powered_at or stay.began_at) > fresh

    def draw_kw(self, now: datetime, fresh: timedelta) -> float:
        """What it draws now, as far as is known: its last power, which stands in for a while.

        Where a car is there until it was to leave, for half an hour at least and a day at most; without a
        car while it is `fresh`: where no transaction goes on nothing is drawn.
        """
        return self.power_kw if self.stands_in(now, fresh) else 0.0

    def stands_in(self, now: datetime, fresh: timedelta) -> bool:
        """Whether what was heard last of it still counts."""
        stay = self.stay
        if stay is None:
            return self.powered_at is not None and now - self.powered_at <= fresh
        heard = self.powered_at or stay.began_at
        until = min(max(stay.departs_at, heard + STAYS_ON), heard + STANDS_IN)
        return now <= max(until, heard + fresh)

    def begin(self, begun: StayBegun, spec: CarParkSpec, *, fresh: bool, now: datetime) -> None:
        """A car is here; `fresh`: it came now, so no limit of ours can be in force for it.

        Whatever its station's clock says: it came before now, and not in another year.
        """
        wish, came = spec.wish_of(begun.tag), max(min(begun.at, now), now - OLDEST)
        self.stay = Stay(
            transaction=begun.transaction,
            tag=begun.tag,
            began_at=came,
            begun_wh=begun.energy_wh,
            wanted_kwh=wish.wanted_kwh,
            departs_at=wish.departs_at(came, spec.zone),
            exact=wish.exact,
        )
        self.powered_at = None
        if self.plug is Plug.FREE:
            self.plug = Plug.OCCUPIED
        self._forget_limit()
        self.may_hold = not fresh

    def end(self) -> None:
        """Its car charges no more; a limit of its transaction has ended with it."""
        self.stay, self.power_kw, self.soc = None, 0.0, None
        self.powered_at = None
        self._forget_limit()
        self.may_hold = False

    def _forget_limit(self) -> None:
        self.limit = self.taken_at = self.shown_at = self.shown_kw = self.car_kw = None
        self.strikes, self.refusals, self.stray, self.alone_until, self.why = 0, 0, False, None, ""
        self.shown_until = None

    def lost(self) -> None:
        """Its station went away: what it holds, nobody knows."""
        self.may_hold = self.may_hold or self.limit is not None
        self.limit = self.taken_at = self.shown_at = None
        self.refusals = 0  # a line that was lost is none

    def leave_alone(self, why: str, now: datetime, wait: timedelta | None = None) -> None:
        """It cannot be steered for a while."""
        self.alone_until, self.why = now + (wait or LEFT_ALONE), why

    def took(self, limit: Limit, kw: float, now: datetime) -> None:
        """The station has confirmed a limit."""
        if self.limit is None or self.limit_kw != kw:
            self.taken_at, self.strikes = now, 0
        self.limit, self.limit_kw, self.may_hold = limit, kw, True
        self.alone_until, self.why, self.refusals = None, "", 0

    def let_go(self) -> None:
        """It holds no limit of ours."""
        self.limit = self.taken_at = self.shown_at = self.shown_kw = None
        self.may_hold = self.stray = False

    def watched(self, sample: Sample, kw: float, settle: timedelta) -> str | None:
        """What a new sample says of the limit in force: a text where something changed."""
        if self.limit is None or self.taken_at is None or sample.at < self.taken_at + settle:
            return None
        if kw > self.limit_kw + max(TOLERANCE_KW, TOLERANCE_SHARE * self.limit_kw):
            self.strikes += 1
            if self.strikes >= STRIKES and not self.stray:
                self.stray = True
                return f"draws {kw:.1f} kW, though it has taken a limit of {self.limit_kw:.1f} kW"
            return None
        self.strikes = 0
        if self.stray:
            self.stray = False
            return "keeps its limit again"
        takes_less = self.plug is not Plug.SUSPENDED_EV and 0 < kw < TAKES_LESS * self.limit_kw
        if takes_less or (self.car_kw is not None and kw > self.car_kw * 0.95):
            self.car_kw = kw * 1.1  # a little more, so that it shows when it takes more again
        return None

    def compare(self, shown_kw: float | None, asked_kw: float, now: datetime) -> str | None:
        """What the station goes by, beside what it was told: a text where somebody else changed it.

        Where it goes by more than we allow it is left alone, where by less that counts.
        """
        self.shown_at = now
        if self.limit is None:
            return None
        room = max(0.2, 0.02 * asked_kw)
        if shown_kw is None or shown_kw > asked_kw + room:
            goes_by = "no limit" if shown_kw is None else f"{shown_kw:.1f} kW"
            why = f"goes by {goes_by}, asked for {asked_kw:.1f} kW: somebody else changed it"
            self.leave_alone(why, now)
            return why
        if shown_kw < asked_kw - room:
            known = self.shown_kw is not None and abs(self.shown_kw - shown_kw) <= room
            self.shown_kw, self.shown_until = shown_kw, now + LEFT_ALONE
            goes_by = f"goes by {shown_kw:.1f} kW, less than the {asked_kw:.1f} kW that we allow"
            return None if known else f"{goes_by}: somebody else limits it"
        if self.shown_kw is not None and asked_kw > self.shown_kw + room:
            self.shown_kw = self.shown_until = None
        return None


def _between(before: Sample, after: Sample) -> float | None:
    """Mean power between two registers, where both are known and one follows the other."""
    if before.energy_wh is None or after.energy_wh is None or after.energy_wh < before.energy_wh:
        return None
    hours = (after.at - before.at) / timedelta(hours=1)
    return (after.energy_wh - before.energy_wh) / 1000 / hours


@dataclass(slots=True, kw_only=True)
class Station:
    """One charging station."""

    spec: StationSpec
    park: CarParkSpec
    points: tuple[Point, ...] = field(default=())
    connected: bool = False
    heard: bool = False
    """Whether it ever connected since we began."""
    subprotocol: str = ""
    made_by: str = ""
    since: datetime | None = None
    """When `connected` last changed."""
    lost_at: datetime | None = None
    back_at: datetime | None = None
    late_at: datetime | None = None
    """When a sample of before came last."""
    connections: int = 0
    boots: deque[datetime] = field(default_factory=lambda: deque(maxlen=1001))
    put_off: int = 0
    """Boots in a row that were put off."""
    put_off_until: datetime | None = None
    refused: int = 0
    """Messages that could not be read."""
    fault: str = ""

    def __post_init__(self) -> None:
        self.points = tuple(Point(number=at + 1) for at in range(self.spec.kind.points))

    @property
    def name(self) -> str:
        return self.spec.station_id

    def point(self, number: int | None) -> Point | None:
        """One of its points; None for the whole station, and for one that the park file does not give it."""
        return self.points[number - 1] if number and 1 <= number <= len(self.points) else None

    def with_transaction(self, transaction: str) -> Point | None:
        """The point where a transaction goes on."""
        for point in self.points:
            if point.stay is not None and point.stay.transaction == transaction:
                return point
        return None

    def is_put_off(self, now: datetime) -> bool:
        return self.put_off_until is not None and now < self.put_off_until

    def boots_at(self, now: datetime, *, most: int) -> int | None:
        """Take a boot: for how many seconds it is put off, None where it is welcome."""
        while self.boots and now - self.boots[0] > timedelta(hours=1):
            self.boots.popleft()
        self.boots.append(now)
        if len(self.boots) <= most:
            self.put_off, self.put_off_until = 0, None
            return None
        wait_s = min(60 << self.put_off, 3600)
        self.put_off = min(self.put_off + 1, 6)
        self.put_off_until = now + timedelta(seconds=wait_s)
        return wait_s

    def came(self, now: datetime, subprotocol: str) -> None:
        self.connected, self.since, self.back_at = True, now, now
        self.heard, self.subprotocol = True, subprotocol
        self.connections += 1

    def went(self, now: datetime) -> None:
        self.connected, self.since, self.lost_at = False, now, now
        for point in self.points:
            point.lost()

    def stays(self) -> Iterator[tuple[Point, Stay]]:
        """Every car that is here."""
        for point in self.points:
            if point.stay is not None and point.plug is not Plug.FREE:
                yield point, point.stay
