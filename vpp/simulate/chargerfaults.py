"""What goes wrong with charging stations, and when: drawn from a seed.

ChargerFault   which station, what (`Ignores`, `Away`, …), from when to when
drawn(…)       such faults for a fleet, from a random stream
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import TypeAlias

from vpp.model.time import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignores:
    """Profiles are accepted, and its cars draw what they drew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuses:
    """Every profile is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mute:
    """What it is asked stays without an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meddled:
    """Somebody else holds it below a limit: a panel, or the energy manager of a building."""

    limit_kw: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiped:
    """Somebody else drops every profile, once, when it begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootLoop:
    """It starts anew every so often, and forgets its profiles each time."""

    every_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Twice:
    """Everything that it says is sent a second time, under the same id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbled:
    """A broken frame before everything that it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """The line is cut; it charges on, and tells what belongs to a transaction when the line is back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skewed:
    """Its clock is so far ahead; below 0 behind."""

    seconds: float = 600.0


ChargerTrouble: TypeAlias = (
    Ignores | Refuses | Mute | Meddled | Wiped | BootLoop | Twice | Garbled | Away | Skewed
)

TROUBLES: tuple[ChargerTrouble, ...] = (
    *(Ignores(), Refuses(), Mute(), Meddled(), Wiped()),
    *(BootLoop(), Twice(), Garbled(), Away(), Skewed()),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargerFault:
    """One thing is wrong with one station for a while."""

    charger_id: str
    what: ChargerTrouble
    during: Interval


def drawn(
    charger_ids: Iterable[str],
    chance: Random,
    *,
    share: float,
    within: Interval,
    lasts: timedelta = timedelta(minutes=2),
    whats: Sequence[ChargerTrouble] = TROUBLES,
) -> tuple[ChargerFault, ...]:
    """Faults of about this share of the stations, each once for `lasts` somewhere `within`."""
    found = []
    for charger_id in charger_ids:
        fails, what, at = chance.random() < share, chance.choice(whats), chance.random()
        if fails:
            start = within.start + at * max(within.end - within.start - lasts, timedelta(0))
            found.append(
                ChargerFault(
                    charger_id=charger_id, what=what, during=Interval(start, start + lasts)
                )
            )
    return tuple(found)


def active(
    faults: Iterable[ChargerFault], charger_id: str, now: datetime
) -> frozenset[ChargerTrouble]:
    """What is wrong with a station at `now`."""
    return frozenset(
        fault.what for fault in faults if fault.charger_id == charger_id and now in fault.during
    )


BROKEN_FRAMES: tuple[str | bytes, ...] = (
    *("", "[", "[]", "null", "{}", "7", '"text"', "[2]", '[2,"a"]', '[2,"a","Heartbeat"]'),
    *('[2,7,"Heartbeat",{}]', '[2,"a",7,{}]', '[2,"a","Heartbeat",[]]', '[9,"a","b",{}]'),
    *('[2,"","Heartbeat",{}]', '[2,"a","NoSuchThing",{}]', '[3,"nobody-asked",{}]', "[3,7,null]"),
    *(
        '[4,"nobody-asked","GenericError","",{}]',
        "[" * 5_000,
        '[2,"a","Heartbeat",{}]x',
        b"\x00\xff",
    ),
    '[2,"a","MeterValues",{"connectorId":1,"meterValue":[]}]',
    '[2,"a","MeterValues",{"connectorId":-1,"meterValue":[{"timestamp":"soon","sampledValue":[]}]}]',
    (
        '[2,"a","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"2025-12-03T12:00:00Z",'
        '"sampledValue":[{"value":"NaN","measurand":"Power.Active.Import","unit":"W"}]}]}]'
    ),
    (
        '[2,"a","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"9999-12-31T23:59:59-14:00",'
        '"sampledValue":[{"value":"1e999","measurand":"Power.Active.Import","unit":"W"}]}]}]'
    ),
    '[2,"a","MeterValues",{"connectorId":99999999999999999999,"meterValue":[{"timestamp":'
    '"2025-12-03T12:00:00Z","sampledValue":[{"value":"' + "9" * 400 + '"}]}]}]',
    (
        '[2,"a","StopTransaction",{"transactionId":123456789,"meterStop":1,"timestamp":'
        '"2025-12-03T12:00:00Z"}]'
    ),
    '[2,"a","BootNotification",{"chargePointVendor":"' + "v" * 5_000 + '","chargePointModel":"m"}]',
    '[2,"' + "i" * 5_000 + '","Heartbeat",{}]',
    '[2,"a","Heartbeat",{"deep":' + "[" * 500 + "]" * 500 + "}]",
    '[2,"a","TransactionEvent",{"eventType":"Started"}]',
)
"""What no station should send, and some do."""
