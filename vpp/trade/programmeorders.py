"""What the signals of a programme ask of us: payloads of an event as orders, in our units and our sign.

A payload means nothing by itself: the park file says which series a price is, which place a limit is of, and
which product a dispatch calls (`Uses`). What it does not say, and what is not understood, becomes a
`DataError` that the caller reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from vpp.errors import DataError
from vpp.model.programme import PayloadUnits, PayloadValue

# ---------------------------------------------------------------- what a payload does here


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesUse:
    """It is a value of a series."""

    series_id: str
    unit: str
    """`EUR/MWh`, `EUR/kWh`, `gCO2/kWh`: what it is converted to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitUse:
    """It limits what a place may draw or feed."""

    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What a level of SIMPLE asks for: one of the two, both sizes of draw that is shed."""

    kw: float | None = None
    share: float | None = None
    """Of what would be drawn otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallUse:
    """It calls a unit in a product."""

    product_id: str
    unit_id: str | None = None
    levels: Mapping[int, Level] | None = None
    """For SIMPLE alone. Level 0 asks for nothing, here or not."""


Use: TypeAlias = SeriesUse | LimitUse | CallUse
Uses: TypeAlias = Mapping[str, Mapping[str, Use]]
"""By id of the program and type of the payload."""

# ---------------------------------------------------------------- what is asked


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalOrder:
    """A price or a carbon intensity, to be believed."""

    event_id: str
    series_id: str
    unit: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityOrder:
    """A limit, to be kept."""

    event_id: str
    place: str
    imports: bool
    """What may be drawn; False: what may be fed."""

    most_kw: float
    """A size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetpointOrder:
    """An absolute net injection, to be held."""

    event_id: str
    product_id: str
    unit_id: str | None
    net_kw: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeOrder:
    """So much more net injection than there would be without it; below 0 less. Both add up."""

    event_id: str
    product_id: str
    unit_id: str | None
    change_kw: float = 0.0
    change_share: float = 0.0
    """Of what would be drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertOrder:
    """A warning, to be told to people."""

    event_id: str
    alert: str
    text: str


ProgrammeOrder: TypeAlias = SignalOrder | CapacityOrder | SetpointOrder | ChangeOrder | AlertOrder

Slot: TypeAlias = tuple[str, ...]
"""Of two orders with one slot only one can be followed at a time."""


def slot_of(order: ProgrammeOrder) -> Slot:
    """What an order lays hold of."""
    match order:
        case SignalOrder(series_id=series_id):
            return "series", series_id
        case CapacityOrder(place=place, imports=imports):
            return "limit", place, "import" if imports else "export"
        case SetpointOrder() | ChangeOrder():
            return "call", order.product_id, order.unit_id or ""
        case AlertOrder(event_id=event_id, alert=alert):
            return "alert", event_id, alert
        case _:
            assert_never(order)


# ---------------------------------------------------------------- from one to the other

PRICES = ("PRICE", "EXPORT_PRICE")
MOST = 1e9
"""No number of a payload is greater; also what is not finite is refused by it."""

SPLIT = (*PRICES, "GHG")
"""Several values of these in one interval are one after the other."""

LIMITS = {"IMPORT_CAPACITY_LIMIT": True, "EXPORT_CAPACITY_LIMIT": False}
ALERTS = "ALERT_"
KNOWN = (*SPLIT, *LIMITS, "SIMPLE", "DISPATCH_SETPOINT", "DISPATCH_SETPOINT_RELATIVE")

_KW = {"KW": 1.0, "MW": 1000.0, "W": 0.001}
_PER_MWH = {"KWH": 1000.0, "MWH": 1.0}


def order_of(
    event_id: str, payload_type: str, value: PayloadValue, units: PayloadUnits, use: Use | None
) -> ProgrammeOrder:
    """What one value of a payload asks for.

    Raises:
        DataError: A type that nobody knows or that does nothing in this park, a unit or a value that does
            not fit it.
    """
    if payload_type.startswith(ALERTS):
        return AlertOrder(event_id=event_id, alert=payload_type, text=str(value))
    if payload_type not in KNOWN:
        raise _refused(event_id, f"payload type {payload_type!r} is not known", "Nothing is done")
    number = _number(event_id, payload_type, value)
    match use:
        case SeriesUse() if payload_type in SPLIT:
            return _signal(event_id, payload_type, number, units, use)
        case LimitUse() if payload_type in LIMITS:
            return _limit(event_id, payload_type, number, units, use)
        case CallUse() if payload_type not in SPLIT and payload_type not in LIMITS:
            return _call(event_id, payload_type, number, units, use)
        case _:
            what = f"{payload_type} does nothing in this park"
            raise _refused(event_id, what, "Say in the park file what it does")


def _signal(
    event_id: str, payload_type: str, number: float, units: PayloadUnits, use: SeriesUse
) -> SignalOrder:
    currency, _, per = use.unit.partition("/")
    if payload_type in PRICES:
        if units.currency is not None and units.currency.upper() != currency:
            what = f"{payload_type} is in {units.currency}, the series in {use.unit}"
            raise _refused(event_id, what, "Ask for prices in the park's currency")
        per_mwh = number * _factor(event_id, payload_type, units.units, _PER_MWH, "KWH")
        number = per_mwh if per == "MWh" else per_mwh / 1000
    elif units.units not in (None, "GHG", "KWH"):
        what = f"{payload_type} is counted in {units.units}, not in g/kWh"
        raise _refused(event_id, what, "Send it in g/kWh")
    return SignalOrder(
        event_id=event_id, series_id=use.series_id, unit=use.unit, value=round(number, 9)
    )


def _limit(
    event_id: str, payload_type: str, number: float, units: PayloadUnits, use: LimitUse
) -> CapacityOrder:
    kw = number * _factor(event_id, payload_type, units.units, _KW, "KW")
    if not 0 <= kw <= 1e9:
        raise _refused(event_id, f"{payload_type} is {kw:g} kW", "Send a size")
    return CapacityOrder(
        event_id=event_id, place=use.place, imports=LIMITS[payload_type], most_kw=kw
    )


def _call(
    event_id: str, payload_type: str, number: float, units: PayloadUnits, use: CallUse
) -> SetpointOrder | ChangeOrder:
    product, unit = use.product_id, use.unit_id
    if payload_type == "SIMPLE":
        level = _level(event_id, number, use)
        return ChangeOrder(
            event_id=event_id,
            product_id=product,
            unit_id=unit,
            change_kw=level.kw or 0.0,
            change_share=level.share or 0.0,
        )
    # OpenADR counts what is drawn, we what is fed: this line is where it turns.
    fed = -number + 0.0
    if payload_type == "DISPATCH_SETPOINT_RELATIVE" and (units.units or "").upper() == "PERCENT":
        if abs(number) > 1:  # the standard counts 100 % as 1.0
            raise _refused(event_id, f"{number:g} times what is drawn", "Send -1.0 to 1.0")
        return ChangeOrder(
            event_id=event_id, product_id=product, unit_id=unit, change_share=round(fed, 9)
        )
    kw = round(fed * _factor(event_id, payload_type, units.units, _KW, "KW"), 6)
    if payload_type == "DISPATCH_SETPOINT":
        return SetpointOrder(event_id=event_id, product_id=product, unit_id=unit, net_kw=kw)
    return ChangeOrder(event_id=event_id, product_id=product, unit_id=unit, change_kw=kw)


def _level(event_id: str, number: float, use: CallUse) -> Level:
    if number == 0:
        return Level()
    level = (use.levels or {}).get(int(number)) if number == int(number) else None
    if level is None:
        raise _refused(
            event_id, f"level {number:g} of SIMPLE does nothing here", "Say in the park file what it does"
        )  # fmt: skip
    return level


def _number(event_id: str, payload_type: str, value: PayloadValue) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MOST:
        raise _refused(event_id, f"{payload_type} is {value!r:.40}", "Send a number")
    return float(value)


def _factor(
    event_id: str, payload_type: str, units: str | None, known: Mapping[str, float], usual: str
) -> float:
    factor = known.get((units or usual).upper())
    if factor is None:
        what = f"{payload_type} is counted in {units!r:.40}"
        raise _refused(event_id, what, f"Send it in one of {sorted(known)}")
    return factor


def _refused(event_id: str, what: str, fix: str) -> DataError:
    return DataError(what, where=f"event {event_id[:80]}", fix=fix)
