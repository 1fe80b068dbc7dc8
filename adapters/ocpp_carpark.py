"""One car park: what its stations add up to inward, and what it may draw, split among its cars.

samples ─▶ tick ─▶ TelemetryMessage, net injection          Setpoint ─▶ share ─▶ Point.wanted ─▶ stations
                                                             all in force ─▶ AckMessage
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal

from adapters.ocpp_late import MOST_TICKS, Gap, Late, Mended
from adapters.ocpp_shown import ill
from adapters.ocpp_split import Seeker, split
from adapters.ocpp_station import Point, Station, Wanted
from adapters.ocpp_words import Plug
from vpp.model.charging import CarParkSpec
from vpp.model.command import Setpoint
from vpp.model.time import isoformat
from vpp.wire import AckMessage, SessionMessage, TelemetryMessage

OVER_KW = 0.5
"""So much more than allowed may be fixed before a set-point is refused."""

STARTS = timedelta(seconds=60)
"""After our start, before a car park is told without stations that were never heard."""


class CarPark:
    """An EV fleet of the park."""

    def __init__(self, spec: CarParkSpec, *, sample_s: float, began_at: datetime) -> None:
        """Nothing is known of its cars but what is taken up with `Station` objects."""
        self.spec = spec
        self.stations = tuple(Station(spec=one, park=spec) for one in spec.stations)
        self.setpoint: Setpoint | None = None
        self.changed = False
        """Whether it was split anew since the stations were told."""
        self._acknowledged: int | None = None
        """Number of the set-point that was answered."""
        self._taken_seq: int | None = None
        self._seq = 0
        self._began_at = began_at
        self._fresh = timedelta(seconds=3 * sample_s + 5)
        self.late = Late(self._fresh)
        self.mends: deque[Mended] = deque(maxlen=MOST_TICKS)
        """Ticks that are to be told anew, oldest first."""
        self._away: dict[str, dict[int, float | None]] = {}

    # ------------------------------------------------------------ inward

    def tick(self, now: datetime) -> Iterator[TelemetryMessage]:
        """What is told now; numbers of ticks that are not sure are kept free for what comes later."""
        away = {
            station.name: {point.number: self._held_kw(point, now) for point in station.points}
            for station in self.stations
            if station.heard and not station.connected
        }
        if away == self._away:
            away = self._away  # an absence of a day is thousands of ticks, and one object
        self._away = away
        somebody = any(station.connected for station in self.stations) and not self._is_deaf(now)
        unheard = not all(station.heard for station in self.stations)
        if not any(station.heard for station in self.stations) or (
            unheard and now - self._began_at < STARTS
        ):
            return
        if not (somebody or away):
            return  # what was told grows old where it is used
        kw = sum(self._held_kw(p, now) or 0.0 for one in self.stations for p in one.points)
        self._seq += 1
        if somebody:
            doubtful = bool(away) or unheard or self._has_stale(now)
            yield self._telemetry(now, self._seq, kw, "uncertain" if doubtful else "good", now)
            self._seq += bool(away)
        if away:
            gap = Gap(at=now, seq=self._seq, kw=kw, told=somebody, away=away)
            if (mended := self.late.gap(gap)) is not None:
                yield self.mended(mended)

    def _held_kw(self, point: Point, now: datetime) -> float | None:
        """What counts as drawn at a point; None where nothing is known to be there."""
        draw_kw = point.draw_kw(now, self._fresh)
        return None if point.stay is None and draw_kw == 0.0 else draw_kw

    def mended(self, tick: Mended) -> TelemetryMessage:
        """A tick of before, as it really was."""
        return TelemetryMessage(
            ts=isoformat(tick.at),
            seq=tick.seq,
            power_kw=_net(tick.kw),
            quality="good" if tick.sure else "uncertain",
        )

    def _telemetry(
        self,
        at: datetime,
        seq: int,
        draw_kw: float,
        quality: Literal["good", "uncertain"],
        now: datetime,
    ) -> TelemetryMessage:
        return TelemetryMessage(
            ts=isoformat(at),
            seq=seq,
            power_kw=_net(draw_kw),
            quality=quality,
            sessions=tuple(self._sessions(now)),
            setpoint_seq=self._taken_seq,
        )

    def _sessions(self, now: datetime) -> Iterator[SessionMessage]:
        for station in self.stations:
            for point, stay in station.stays():
                if not (station.connected or point.stands_in(now, self._fresh)):
                    continue  # nobody has heard of it since it was to leave
                yield SessionMessage(
                    f"{station.name}-{stay.transaction}"[:80],
                    isoformat(stay.leaves_at(now)),
                    round(stay.left_kwh(point.plug), 3),
                )

    def _has_stale(self, now: datetime) -> bool:
        """Whether a meter of a car that charges was not heard for three samples."""
        return any(self._stale(now))

    def _is_deaf(self, now: datetime) -> bool:
        """Whether cars charge and none of their meters was."""
        stale = self._stale(now)
        return bool(stale) and all(stale)

    def _stale(self, now: datetime) -> list[bool]:
        """Of each car that charges at a station that is connected."""
        return [
            point.is_silent(now, self._fresh)
            for station in self.stations
            if station.connected
            for point, _ in station.stays()
            if point.plug is Plug.CHARGING or point.power_kw != 0.0
        ]

    # ------------------------------------------------------------ outward

    def take(self, setpoint: Setpoint, now: datetime) -> None:
        """The newest command counts."""
        self.setpoint, self._acknowledged = setpoint, None
        self.share(now)

    def share(self, now: datetime) -> None:
        """Split what may be drawn among the cars that are here now."""
        self.changed = True
        setpoint = self.setpoint
        if setpoint is not None and setpoint.expires_at <= now:
            self.setpoint = setpoint = None
        seekers: list[Seeker] = []
        points: dict[str, Point] = {}
        for station, point in self._cars():
            if setpoint is None or not self._can_steer(station, point, now):
                point.wanted = None
                if setpoint is not None and point.stray and station.connected:
                    # It is asked for its limit still: it may come to its senses.
                    point.wanted = Wanted(kw=point.limit_kw, until=setpoint.expires_at)
                continue
            name = f"{station.name}/{point.number}"
            points[name] = point
            seekers.append(_seeker(name, station, point, now))
        if setpoint is None:
            return
        given = split(-setpoint.power_kw - self.fixed_kw(now), seekers, now)
        for name, point in points.items():
            point.wanted = Wanted(kw=given[name], until=setpoint.expires_at)

    def is_to_be_shared(self, now: datetime) -> bool:
        """Whether time alone has changed what each may draw: a command has ended, a point may be tried again."""
        if self.setpoint is None:
            return False
        return self.setpoint.expires_at <= now or any(
            point.wanted is None and self._can_steer(station, point, now)
            for station, point in self._cars()
        )

    def fixed_kw(self, now: datetime) -> float:
        """What is drawn that nobody can steer now."""
        return sum(
            max(point.draw_kw(now, self._fresh), 0.0)
            for station in self.stations
            for point in station.points
            if self.is_fixed(station, point, now)
        )

    def is_fixed(self, station: Station, point: Point, now: datetime) -> bool:
        """Whether what a point draws is nothing that we can change now."""
        return point.stay is None or not self._can_steer(station, point, now)

    def _cars(self) -> Iterator[tuple[Station, Point]]:
        for station in self.stations:
            for point in station.points:
                if point.stay is not None:
                    yield station, point
                else:
                    point.wanted = None

    @staticmethod
    def _can_steer(station: Station, point: Point, now: datetime) -> bool:
        alone = point.alone_until is not None and now < point.alone_until
        return station.connected and not station.is_put_off(now) and not (point.stray or alone)

    def answer(self, now: datetime) -> AckMessage | None:
        """What became of the set-point in force, once; None while that is not known yet."""
        setpoint = self.setpoint
        if setpoint is None or self._acknowledged == setpoint.seq:
            return None
        if any(not point.obeys for _, point in self._cars()):
            return None
        self._acknowledged = setpoint.seq
        over_kw = self.fixed_kw(now) + setpoint.power_kw
        why = None
        if over_kw > OVER_KW:
            why = (
                f"{over_kw:.1f} kW more than that are drawn and cannot be steered: {self.ill(now)}"
            )
        else:
            self._taken_seq = setpoint.seq
        return AckMessage(
            command_id=setpoint.command_id,
            seq=setpoint.seq,
            ts=isoformat(now),
            accepted=why is None,
            reason=None if why is None else why[:200],
        )

    # ------------------------------------------------------------ how it does

    def ill(self, now: datetime) -> str:
        """What is wrong with its stations, the first few of them; empty while all is well."""
        found = [text for station in self.stations if (text := ill(station, now))]
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        return "; ".join(found[:5]) + more


def _seeker(name: str, station: Station, point: Point, now: datetime) -> Seeker:
    kind, stay = station.spec.kind, point.stay
    assert stay is not None
    most_kw = kind.max_kw if point.car_kw is None else min(kind.max_kw, point.car_kw)
    most_kw = max(most_kw, kind.min_kw)
    if point.shown_kw is not None and point.shown_until is not None and now < point.shown_until:
        most_kw = min(most_kw, point.shown_kw)
    return Seeker(
        name=name,
        least_kw=kind.min_kw,
        most_kw=most_kw,
        left_kwh=stay.left_kwh(point.plug),
        leaves_at=stay.leaves_at(now),
        charges=point.wanted is not None and point.wanted.kw > 0,
    )


def _net(draw_kw: float) -> float:
    """OCPP counts draw: here it becomes net injection."""
    return -draw_kw + 0.0
