"""What goes wrong with simulated devices, and when: nouns, and a plan that is drawn from a seed.

    Fault    which devices, one of which things (`Lie`, `Silence`, …), when, in what share of the time
    FaultPlan.active(device, now)   what is wrong with a device at a moment, and since when

A plan is a pure function of its seed, the device and the simulated time since the opening: it keeps no
state, so a fleet that is restored, or played again, meets the same faults. `faultydevice.py` does them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from math import inf, isfinite
from random import Random
from typing import TypeAlias

from vpp.errors import DataError
from vpp.model.ids import ResourceId

LASTS = timedelta(minutes=10)
"""How long one failure at random takes where nobody says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """A set-point takes effect so much later than the device's own delay."""

    seconds: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowRamp:
    """Power moves by so much of the device's size a minute at most."""

    share_per_min: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What is told of power scatters, normally, by so much of the device's size."""

    sd_share: float = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What is told of power moves away from the truth by so much of the size an hour; may be below 0."""

    share_per_h: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """Values stand still. `fresh`: under new times and numbers; else the same message again and again."""

    fresh: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Spike:
    """One message in `1 / chance`, at random, tells a power that is wrong by so much of the size."""

    chance: float = 0.01
    share: float = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A unit or a sign mistaken: power, energy and registers are told times `factor` (1000, -1)."""

    factor: float = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSkew:
    """The device's clock is so far ahead; below 0 behind."""

    seconds: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lie:
    """Set-points are acknowledged, in telemetry too, and nothing is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Every set-point is refused."""

    reason: str = "not now"


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """Only this share of a set-point is done."""

    share: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """The device's own watchdog: it goes to its default where nothing came for so long, whatever the expiry."""

    after_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Somebody sets the device at its own panel: it runs at this share of its size (above 0 feeds).

    `refuses`: and answers set-points with "in local mode"; else it takes them and does not do them.
    """

    share: float = 0.0
    refuses: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLoss:
    """No power: it does nothing, says nothing, forgets its set-points, and counts anew when it is back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """The line is cut both ways; the device runs on by itself."""


class Register(StrEnum):
    """What befalls a register."""

    ROLL_OVER = "roll_over"
    """It has few digits and begins again at 0."""

    RESET = "reset"
    """It is set to 0."""

    SWAP = "swap"
    """Another meter, with another reading, is in its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterRegister:
    """A register does not go on as before; what it lost stays lost when the fault ends."""

    how: Register = Register.RESET
    digits: int = 6
    """Of whole kWh, where it rolls over."""

    other_kwh: float = 123_456.0
    """What the other meter shows."""


What: TypeAlias = (
    Delay
    | SlowRamp
    | Noise
    | Drift
    | Stuck
    | Spike
    | Scale
    | ClockSkew
    | Lie
    | Refuse
    | Partial
    | Fallback
    | Panel
    | PowerLoss
    | Silence
    | MeterRegister
)

KINDS: Mapping[str, type[What]] = {
    "delay": Delay,
    "slow_ramp": SlowRamp,
    "noise": Noise,
    "drift": Drift,
    "stuck": Stuck,
    "spike": Spike,
    "scale": Scale,
    "clock_skew": ClockSkew,
    "lie": Lie,
    "refuse": Refuse,
    "partial": Partial,
    "fallback": Fallback,
    "panel": Panel,
    "power_loss": PowerLoss,
    "silence": Silence,
    "meter_register": MeterRegister,
}
"""Every kind by the name that it has in files and counters."""

_NAMES = {kind: name for name, kind in KINDS.items()}

FAILURES: tuple[What, ...] = (Silence(), PowerLoss(), Lie(), Refuse(), Partial(), Stuck())
"""What befalls devices that "fail at random"."""


def kind_of(what: What) -> str:
    """The name of a fault in files and counters."""
    return _NAMES[type(what)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One of some things goes wrong with some devices, for a while or again and again."""

    whats: tuple[What, ...]
    """One of them each time, drawn anew."""

    devices: frozenset[ResourceId] | None = None
    """Resources and main meters; None stands for every resource, and no main meter."""

    begins_after: timedelta = timedelta(0)
    """Since the devices were opened; not before."""

    ends_after: timedelta | None = None
    """Since the devices were opened; None for ever."""

    share: float = 1.0
    """In what share of the time, in pieces of `lasts` at random; 1 all the time."""

    lasts: timedelta = LASTS

    def __post_init__(self) -> None:
        ends = timedelta.max if self.ends_after is None else self.ends_after
        fits = 0 <= self.share <= 1 and timedelta(0) <= self.begins_after < ends
        if not fits or self.lasts <= timedelta(0) or not self.whats:
            raise DataError(
                f"share {self.share}, from {self.begins_after} to {self.ends_after}, lasts {self.lasts},"
                f" {len(self.whats)} kinds",
                where="Fault",
                fix="Give a share from 0 to 1, an end after the beginning, and at least one kind",
            )


@dataclass(frozen=True, slots=True)
class Active:
    """Something that is wrong now."""

    what: What
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """All faults of a fleet. The same seed gives the same failures of the same devices at the same times."""

    faults: tuple[Fault, ...]
    seed: int = 0
    _drawn: dict[tuple[int, ResourceId, int], What | None] = field(
        default_factory=dict, repr=False, compare=False
    )
    """What was drawn before; only saves time."""

    @classmethod
    def at_random(
        cls,
        share: float,
        *,
        seed: int,
        lasts: timedelta = LASTS,
        whats: tuple[What, ...] = FAILURES,
    ) -> FaultPlan:
        """At any moment about this share of all resources fails, each for `lasts`, in one of some ways."""
        return cls(faults=(Fault(whats=whats, share=share, lasts=lasts),), seed=seed)

    def touches(self, device_id: ResourceId, *, meter: bool) -> bool:
        """Whether anything ever befalls this device; `meter` says that it is a main meter."""
        return any(_meant(fault, device_id, meter=meter) for fault in self.faults)

    def active(
        self, device_id: ResourceId, now: datetime, opened_at: datetime, *, meter: bool = False
    ) -> tuple[Active, ...]:
        """What is wrong with a device at `now`, in the order of the plan; devices were opened at `opened_at`."""
        found = []
        for number, fault in enumerate(self.faults):
            if _meant(fault, device_id, meter=meter):
                one = self._active(number, fault, device_id, now, opened_at)
                if one is not None:
                    found.append(one)
        return tuple(found)

    def draws(self, device_id: ResourceId, purpose: str, now: datetime) -> Random:
        """Chance of one device at one moment."""
        return Random(f"{self.seed}/{purpose}/{device_id}/{now.timestamp()}")

    def unknown(self, known: Iterable[ResourceId]) -> tuple[ResourceId, ...]:
        """Devices that are named here and are none of `known`."""
        named = {name for fault in self.faults for name in fault.devices or ()}
        return tuple(sorted(named.difference(known)))

    def _active(
        self, number: int, fault: Fault, device_id: ResourceId, now: datetime, opened_at: datetime
    ) -> Active | None:
        begins = opened_at + fault.begins_after
        if now < begins or (fault.ends_after is not None and now >= opened_at + fault.ends_after):
            return None
        if fault.share == 1 and len(fault.whats) == 1:
            return Active(fault.whats[0], begins)
        # Devices do not all fail at the same moments: each has its own beat.
        beat = Random(f"{self.seed}/{number}/{device_id}").random() * fault.lasts
        index = (now - begins + beat) // fault.lasts
        what = self._draw(number, fault, device_id, index)
        if what is None:
            return None
        return Active(what, max(begins, begins - beat + index * fault.lasts))

    def _draw(self, number: int, fault: Fault, device_id: ResourceId, index: int) -> What | None:
        key = (number, device_id, index)
        if key not in self._drawn:
            chance = Random(f"{self.seed}/{number}/{device_id}/{index}")
            fails = chance.random() < fault.share
            self._drawn[key] = chance.choice(fault.whats) if fails else None
            if len(self._drawn) > _MOST_DRAWN:
                self._drawn.pop(next(iter(self._drawn)))
        return self._drawn[key]


_MOST_DRAWN = 100_000
NO_FAULTS = FaultPlan(faults=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """What faults change in the physics of one device, for the span to come."""

    delay: timedelta = timedelta(0)
    ramp_kw_per_h: float = inf
    held_kw: float | None = None
    """Where somebody at its panel holds it, net injection."""

    without_power: bool = False


UNDISTURBED = Disturbance()


def require_sound(what: What) -> None:
    """Refuse a fault whose numbers cannot be meant.

    Raises:
        DataError: Something that is not finite, or below 0 where that has no meaning.
    """
    signed = isinstance(what, Drift | Scale | ClockSkew | Panel | Spike)
    for name in what.__dataclass_fields__:
        value = getattr(what, name)
        if isinstance(value, bool | str):
            continue
        if not isfinite(value) or (value < 0 and not signed):
            raise DataError(
                f"{name} is {value}", where=kind_of(what), fix="Give a finite number, not below 0"
            )


def _meant(fault: Fault, device_id: ResourceId, *, meter: bool) -> bool:
    return not meter if fault.devices is None else device_id in fault.devices
