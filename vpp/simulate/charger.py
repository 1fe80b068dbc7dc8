"""A charging station as it behaves: cars that stay, profiles that run out, and what its meter counts.

    profiles (purpose, stack level, validity) ─▶ limit of a connector now ─▶ what its car draws ─▶ register

Power counts draw here, as charging stations count it, and `draw` is in its name. Rules:

* Of the profiles of one purpose that hold now, the one with the highest stack level counts; a car's own
  profile comes before the default one, and that of the whole station bounds what all draw together
  (OCPP 1.6, 3.13 "Smart Charging"; OCPP 2.0.1 part 2, K).
* Where none holds, a car draws what the station gives it by itself: `default_kw`.
* Limits are judged at the start of each step and hold to its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from math import inf

from vpp.errors import DataError

HOUR = timedelta(hours=1)
MOST_STACK_LEVEL = 20
MOST_PERIODS = 96
MOST_PROFILES = 24


class Dialect(StrEnum):
    """Which OCPP a station speaks; the value is the name of the websocket's subprotocol."""

    V16 = "ocpp1.6"
    V201 = "ocpp2.0.1"


class Purpose(StrEnum):
    """What a profile is for."""

    STATION = "station"
    DEFAULT = "default"
    TRANSACTION = "transaction"
    EXTERNAL = "external"
    """Somebody else's: a local energy manager or a panel; central systems cannot set it."""


class Unit(StrEnum):
    """What the limits of a profile are in."""

    WATT = "W"
    AMPERE = "A"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargerSpec:
    """One charging station, as it came from its maker and was set up."""

    charger_id: str
    dialect: Dialect = Dialect.V16
    connectors: int = 1
    max_kw: float = 22.08
    """The most one connector gives: 32 A on three phases of 230 V."""

    default_kw: float = 4.14
    """What one connector gives where no profile holds."""

    least_kw: float = 0.0
    """Below this a car pauses; 4.14 is what IEC 61851 makes of less than 6 A on three phases."""

    phase_v: float = 230.0
    phases: int = 3
    sample_s: float = 10.0
    """How often it tells its meter."""

    heartbeat_s: float = 300.0
    vendor: str = "vpp"
    model: str = "simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A limit from some moment of a schedule to the next period."""

    starts_s: int
    limit: float
    phases: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargingProfile:
    """A charging profile as it was installed."""

    profile_id: int
    purpose: Purpose
    stack_level: int
    connector: int
    """0 stands for all of the station."""

    starts_at: datetime
    unit: Unit
    periods: tuple[Period, ...]
    duration_s: int | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    transaction: str | None = None

    def period_at(self, moment: datetime) -> Period | None:
        """The period that holds at `moment`; None where the profile does not hold then."""
        into_s = (moment - self.starts_at) / timedelta(seconds=1)
        if (
            into_s < 0
            or (self.duration_s is not None and into_s >= self.duration_s)
            or (self.valid_from is not None and moment < self.valid_from)
            or (self.valid_to is not None and moment >= self.valid_to)
        ):
            return None
        begun = [period for period in self.periods if period.starts_s <= into_s]
        return begun[-1] if begun else None

    def changes(self) -> Iterable[datetime]:
        """Moments at which its limit may change."""
        yield from (self.starts_at + timedelta(seconds=period.starts_s) for period in self.periods)
        if self.duration_s is not None:
            yield self.starts_at + timedelta(seconds=self.duration_s)
        yield from (moment for moment in (self.valid_from, self.valid_to) if moment is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Car:
    """Who comes to charge."""

    token: str = "card-1"
    wanted_kwh: float = 20.0
    most_kw: float = 11.04
    holds_kwh: float = 60.0
    soc: float = 0.5
    """Of what it holds, in [0, 1], when it comes."""


@dataclass(slots=True, kw_only=True)
class Stay:
    """One car at one connector, from plugging in to leaving."""

    connector: int
    car: Car
    began_at: datetime
    began_kwh: float
    """The register of the connector then."""

    local_id: str
    """What the station itself calls the transaction."""

    transaction: str | None = None
    """What both sides call it; None while the central system has not named it."""

    drawn_kwh: float = 0.0
    told: int = 0
    """Events about it that were told."""

    @property
    def left_kwh(self) -> float:
        """What the car still wants."""
        return max(self.car.wanted_kwh - self.drawn_kwh, 0.0)

    @property
    def soc(self) -> float:
        """State of charge of the car, in [0, 1]."""
        return min(self.car.soc + self.drawn_kwh / self.car.holds_kwh, 1.0)


@dataclass(slots=True)
class Connector:
    """One outlet and its meter."""

    register_kwh: float = 0.0
    draw_kw: float = 0.0
    """Mean of the step that has just ended."""

    stay: Stay | None = None


@dataclass(slots=True)
class Charger:
    """The station; synchronous, its time is what it is told."""

    spec: ChargerSpec
    now: datetime
    obeys: bool = True
    """Whether profiles that it takes have any effect; what it shows of them is the same."""

    profiles: list[ChargingProfile] = field(default_factory=list)
    connectors: Mapping[int, Connector] = field(init=False)
    _stays: int = 0

    def __post_init__(self) -> None:
        self.connectors = {n + 1: Connector() for n in range(self.spec.connectors)}

    # ------------------------------------------------------------ cars

    def plug_in(self, connector: int, car: Car) -> Stay:
        """A car comes.

        Raises:
            DataError: Another one stands there.
        """
        outlet = self.connectors[connector]
        if outlet.stay is not None:
            raise DataError(
                "is taken", where=f"{self.spec.charger_id}/{connector}", fix="Unplug it first"
            )
        self._stays += 1
        outlet.stay = Stay(
            connector=connector,
            car=car,
            began_at=self.now,
            began_kwh=outlet.register_kwh,
            local_id=f"{self.spec.charger_id}-{self._stays}",
        )
        return outlet.stay

    def unplug(self, connector: int) -> Stay:
        """The car leaves, and its own profiles with it.

        Raises:
            DataError: None stands there.
        """
        outlet = self.connectors[connector]
        if outlet.stay is None:
            raise DataError(
                "is free", where=f"{self.spec.charger_id}/{connector}", fix="Plug in a car first"
            )
        stay, outlet.stay, outlet.draw_kw = outlet.stay, None, 0.0
        self.profiles = [
            profile
            for profile in self.profiles
            if profile.purpose is not Purpose.TRANSACTION or profile.connector != connector
        ]
        return stay

    def stay_of(self, transaction: str) -> Stay | None:
        """The car whose transaction has this name; None where none has."""
        stays = (outlet.stay for outlet in self.connectors.values())
        return next((stay for stay in stays if stay and stay.transaction == transaction), None)

    def live(self, now: datetime) -> None:
        """Live through the span from the last moment to `now`; nothing happens where none has passed."""
        hours = (now - self.now) / HOUR
        if hours <= 0:
            return
        left_kw = self._bound_kw(self.now, believed=self.obeys)
        for number, outlet in self.connectors.items():
            draw_kw = min(self.draw_kw(number), left_kw)
            if outlet.stay is not None and draw_kw > 0:
                drawn_kwh = min(draw_kw * hours, outlet.stay.left_kwh)
                outlet.stay.drawn_kwh += drawn_kwh
                outlet.register_kwh += drawn_kwh
                draw_kw = drawn_kwh / hours
            outlet.draw_kw = draw_kw
            left_kw -= draw_kw
        self.now = now

    def draw_kw(self, connector: int) -> float:
        """What the car at a connector draws now, before the station's own bound."""
        stay = self.connectors[connector].stay
        if stay is None or stay.left_kwh <= 0:
            return 0.0
        limit_kw = self.limit_kw(connector, self.now, believed=self.obeys)
        draw_kw = min(limit_kw, stay.car.most_kw)
        return 0.0 if draw_kw < self.spec.least_kw else draw_kw

    # ------------------------------------------------------------ profiles

    def install(self, profile: ChargingProfile) -> str | None:
        """Take a profile in the place of one with its id, or of its purpose, level and connector.

        Answers why not, or None. A profile of a car that is not there is refused.
        """
        if not 0 <= profile.stack_level <= MOST_STACK_LEVEL:
            return f"stack level {profile.stack_level}"
        if not profile.periods or len(profile.periods) > MOST_PERIODS:
            return f"{len(profile.periods)} periods"
        if profile.periods[0].starts_s != 0:
            return "the first period does not start at 0"
        if profile.connector not in self.connectors and profile.connector != 0:
            return f"no connector {profile.connector}"
        if profile.purpose is Purpose.TRANSACTION and not self._belongs(profile):
            return "no such transaction"
        kept = [
            other
            for other in self.profiles
            if other.profile_id != profile.profile_id and _place(other) != _place(profile)
        ]
        if len(kept) >= MOST_PROFILES:
            return f"{MOST_PROFILES} profiles are installed"
        self.profiles = [*kept, profile]
        return None

    def _belongs(self, profile: ChargingProfile) -> bool:
        outlet = self.connectors.get(profile.connector)
        if outlet is None or outlet.stay is None:
            return False
        return profile.transaction in (None, outlet.stay.transaction)

    def clear(
        self,
        *,
        profile_id: int | None = None,
        connector: int | None = None,
        purpose: Purpose | None = None,
        stack_level: int | None = None,
    ) -> int:
        """Drop the profiles that all of this is true of; how many they were."""
        kept = [
            profile
            for profile in self.profiles
            if profile.purpose is Purpose.EXTERNAL
            or profile_id not in (None, profile.profile_id)
            or connector not in (None, profile.connector)
            or purpose not in (None, profile.purpose)
            or stack_level not in (None, profile.stack_level)
        ]
        dropped = len(self.profiles) - len(kept)
        self.profiles = kept
        return dropped

    def meddle(self, limit_kw: float | None) -> None:
        """Somebody else sets a limit here; None: that one lets go."""
        self.profiles = [one for one in self.profiles if one.purpose is not Purpose.EXTERNAL]
        if limit_kw is not None:
            self.profiles.append(
                ChargingProfile(
                    profile_id=-1,
                    purpose=Purpose.EXTERNAL,
                    stack_level=0,
                    connector=0,
                    starts_at=self.now,
                    unit=Unit.WATT,
                    periods=(Period(starts_s=0, limit=1000 * limit_kw),),
                )
            )

    def limit_kw(self, connector: int, moment: datetime, *, believed: bool = True) -> float:
        """The most a connector gives at `moment`; 0 asks for the whole station.

        `believed`: as its profiles say; else as somebody draws who does not look at them.
        """
        if connector == 0:
            whole_kw = sum(self.limit_kw(number, moment) for number in self.connectors)
            return min(whole_kw, self._bound_kw(moment, believed=True))
        own_kw = self._strongest_kw(Purpose.TRANSACTION, connector, moment)
        if own_kw is None:
            own_kw = self._strongest_kw(Purpose.DEFAULT, connector, moment)
        if own_kw is None or not believed:
            own_kw = self.spec.default_kw
        return min(own_kw, self.spec.max_kw, self._bound_kw(moment, believed=believed))

    def composite(
        self, connector: int, duration_s: int, unit: Unit, starts_at: datetime
    ) -> list[Period]:
        """What holds from `starts_at` on, all profiles taken together, in `unit`."""
        ends_at = starts_at + timedelta(seconds=duration_s)
        changes = {change for profile in self.profiles for change in profile.changes()}
        moments = [starts_at, *sorted(c for c in changes if starts_at < c < ends_at)]
        periods: list[Period] = []
        for moment in moments:
            limit = round(self._in(unit, self.limit_kw(connector, moment)), 1)
            if not periods or periods[-1].limit != limit:
                into_s = round((moment - starts_at) / timedelta(seconds=1))
                periods.append(Period(starts_s=into_s, limit=limit))
        return periods

    def _bound_kw(self, moment: datetime, *, believed: bool) -> float:
        """What all connectors may draw together."""
        bounds = [self._strongest_kw(Purpose.EXTERNAL, 0, moment)]
        if believed:
            bounds.append(self._strongest_kw(Purpose.STATION, 0, moment))
        return min((bound for bound in bounds if bound is not None), default=inf)

    def _strongest_kw(self, purpose: Purpose, connector: int, moment: datetime) -> float | None:
        held = [
            (profile.stack_level, profile.connector, self._kw(profile, period))
            for profile in self.profiles
            if profile.purpose is purpose and profile.connector in (0, connector)
            if (period := profile.period_at(moment)) is not None
        ]
        return max(held)[2] if held else None

    def _kw(self, profile: ChargingProfile, period: Period) -> float:
        if profile.unit is Unit.WATT:
            return period.limit / 1000
        return period.limit * self.spec.phase_v * (period.phases or self.spec.phases) / 1000

    def _in(self, unit: Unit, kw: float) -> float:
        return 1000 * kw / (1 if unit is Unit.WATT else self.spec.phase_v * self.spec.phases)


def _place(profile: ChargingProfile) -> tuple[Purpose, int, int]:
    return profile.purpose, profile.stack_level, profile.connector
