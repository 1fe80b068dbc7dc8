"""SunSpec as data: which models we read and write, where their points stand, and the map they make.

    "SunS" ▸ model 1 ▸ model … ▸ 0xFFFF          each: id, length, then its points at fixed offsets
    models found ──map_of──▶ RegisterMap         the newest model that says a thing is the one we go by

Offsets and types are facts of the SunSpec information models (found; the public definitions that
pysunspec2 1.3.7 carries hold the tests). Powers of inverters and of DER are counted as they feed; those of
meters (201 to 214) as they draw, which is recalled and differs between makers: the park file may say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from vpp.model.registers import Image, Kind, Register, RegisterMap, Table, What, Write

MARK = (0x5375, 0x6E53)
"""The words "SunS" before the first model."""

BASES = (40000, 50000, 0)
"""Where they may stand, in the order in which they are looked for."""

END = 0xFFFF
"""The id that no model has."""

_UNKNOWN = {
    Kind.INT16: 0x8000,
    Kind.UINT16: 0xFFFF,
    Kind.INT32: 0x8000_0000,
    Kind.UINT32: 0xFFFF_FFFF,
    Kind.INT64: 0x8000_0000_0000_0000,
    Kind.UINT64: 0xFFFF_FFFF_FFFF_FFFF,
}
"""What a point holds that the device does not implement; a float is not a number then."""

ACC32 = 0
"""What a counter (acc32) holds that is not implemented, and one that never counted."""


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a model."""

    at: int
    """From the model's id on."""
    kind: Kind = Kind.UINT16
    scale_at: int | None = None
    """Where its scale factor stands, counted the same."""
    scale: float = 1.0
    """Our unit for each of SunSpec's."""
    unknown: int | None = None


def _accumulator(at: int, scale_at: int | None, scale: float = 1.0) -> Point:
    return Point(at, Kind.UINT32, scale_at, scale, ACC32)


_INVERTER = {"W": Point(14, Kind.INT16, 15, 0.001), "WH": _accumulator(24, 26, 0.001)}
_INVERTER_FLOAT = {
    "W": Point(22, Kind.FLOAT32, None, 0.001),
    "WH": Point(32, Kind.FLOAT32, None, 0.001),
}
_METER = {
    "W": Point(18, Kind.INT16, 22, 0.001),
    "TotWhExp": _accumulator(38, 54),
    "TotWhImp": _accumulator(46, 54),
}
_METER_FLOAT = {
    "W": Point(28, Kind.FLOAT32, None, 0.001),
    "TotWhExp": Point(60, Kind.FLOAT32),
    "TotWhImp": Point(68, Kind.FLOAT32),
}

POINTS: Mapping[int, Mapping[str, Point]] = {
    **dict.fromkeys((101, 102, 103), _INVERTER),
    **dict.fromkeys((111, 112, 113), _INVERTER_FLOAT),
    120: {"WRtg": Point(3, scale_at=4, scale=0.001)},
    121: {"WMax": Point(2, scale_at=22, scale=0.001)},
    123: {
        "WMaxLimPct": Point(5, scale_at=23, scale=0.01),
        "WMaxLimPct_RvrtTms": Point(7),
        "WMaxLim_Ena": Point(9),
    },
    124: {
        "WChaMax": Point(2, scale_at=18, scale=0.001),
        "StorCtl_Mod": Point(5),
        "ChaState": Point(8, scale_at=22, scale=0.01),
        "OutWRte": Point(12, Kind.INT16, 25, 0.01),
        "InWRte": Point(13, Kind.INT16, 25, 0.01),
        "InOutWRte_RvrtTms": Point(15),
    },
    **dict.fromkeys((201, 202, 203, 204), _METER),
    **dict.fromkeys((211, 212, 213, 214), _METER_FLOAT),
    701: {
        "W": Point(10, Kind.INT16, 116, 0.001),
        "TotWhInj": Point(19, Kind.UINT64, 120),
        "TotWhAbs": Point(23, Kind.UINT64, 120),
    },
    702: {
        "WMaxRtg": Point(2, scale_at=45, scale=0.001),
        "WMax": Point(26, scale_at=45, scale=0.001),
    },
    704: {
        "WSetEna": Point(22),
        "WSetMod": Point(23),
        "WSet": Point(24, Kind.INT32, 55, 0.001),
        "WSetEnaRvrt": Point(30),
        "WSetRvrtTms": Point(31, Kind.UINT32),
    },
    713: {"SoC": Point(4, scale_at=8, scale=0.01)},
    802: {"SoC": Point(11, scale_at=56, scale=0.01)},
}
"""By model and the name SunSpec gives the point."""

_READ: tuple[tuple[str, tuple[tuple[tuple[int, ...], str], ...]], ...] = (
    (
        "power_kw",
        (
            ((701,), "W"),
            ((101, 102, 103, 111, 112, 113), "W"),
            ((201, 202, 203, 204, 211, 212, 213, 214), "W"),
        ),
    ),
    ("energy_kwh", (((101, 102, 103, 111, 112, 113), "WH"),)),
    ("export_wh", (((201, 202, 203, 204, 211, 212, 213, 214), "TotWhExp"), ((701,), "TotWhInj"))),
    ("import_wh", (((201, 202, 203, 204, 211, 212, 213, 214), "TotWhImp"), ((701,), "TotWhAbs"))),
    ("soc", (((713,), "SoC"), ((802,), "SoC"), ((124,), "ChaState"))),
)
"""What we read, each from the first of these models that is there and implements it."""

METERS = frozenset({*range(201, 205), *range(211, 215)})


@dataclass(frozen=True, slots=True)
class Model:
    """A model that a device has."""

    id: int
    at: int
    """Address of its id."""
    length: int
    """Registers after id and length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What a device cannot say of itself."""

    meter_counts: Literal["feed", "draw"] = "draw"
    revert_s: float = 60.0
    """What its revert timer is set to, where it has one."""


def known(models: Iterable[Model]) -> tuple[Model, ...]:
    """Those that we know, and that are as long as their points need."""
    return tuple(
        model
        for model in models
        if model.id in POINTS
        and all(
            point.at + _register(model, point).words <= model.length + 2
            for point in POINTS[model.id].values()
        )
    )


def map_of(name: str, models: Iterable[Model], image: Image, choices: Choices) -> RegisterMap:
    """What a device with these models can be read and commanded by.

    `image` holds the words of all of `known(models)`: points that are not implemented are left out.
    """
    there: dict[int, Model] = {}
    for one in known(models):
        there.setdefault(one.id, one)  # of several of a kind the first is the device as a whole
    points: dict[str, Register] = {}
    for ours, places in _READ:
        for ids, theirs in places:
            model = next((there[i] for i in ids if i in there), None)
            if model is None or not _implemented(model, theirs, image):
                continue
            draws = ours == "power_kw" and model.id in METERS and choices.meter_counts == "draw"
            points[ours] = _register(model, POINTS[model.id][theirs], "draw" if draws else "feed")
            break
    writes, rated, revert = _controls(there, image)
    if rated is not None:
        points["rated_kw"] = rated
    return RegisterMap(
        map_id="sunspec",
        name=name,
        points=points,
        writes=writes,
        revert_s=choices.revert_s if revert else None,
    )


def _controls(
    there: Mapping[int, Model], image: Image
) -> tuple[tuple[Write, ...], Register | None, bool]:
    """What is written for a set-point, what shares are of, and whether there is a revert timer."""
    for model_id, controls, rated_by in _CONTROLS:
        model = there.get(model_id)
        writes = () if model is None else controls(model)
        needed = [write for write in writes if write.what in (What.POWER, What.ENABLE)]
        if not needed or not all(_holds(write.register, image) for write in needed):
            continue
        rated = (
            _register(there[rating], POINTS[rating][point])
            for rating, point in rated_by
            if rating in there and _implemented(there[rating], point, image)
        )
        kept = tuple(write for write in writes if _holds(write.register, image))
        return kept, next(rated, None), any(write.what is What.REVERT for write in kept)
    return (), None, False


def _watts(model: Model) -> tuple[Write, ...]:
    """704: an active power in watts. When its time is over the function is off."""
    point = _of(model)
    return (
        Write(register=point("WSetMod"), what=What.FIXED, value=1),
        Write(register=point("WSet"), what=What.POWER),
        Write(register=point("WSetEnaRvrt"), what=What.FIXED, value=0),
        Write(register=point("WSetRvrtTms"), what=What.REVERT),
        Write(register=point("WSetEna"), what=What.ENABLE, value=1, released=0),
    )


def _storage(model: Model) -> tuple[Write, ...]:
    """124: what may flow out and in at most, as shares of WChaMax.

    One the negative of the other leaves a single power. With StorCtl_Mod 3 both are on.
    """
    point = _of(model)
    return (
        Write(register=point("OutWRte", of="rated_kw"), what=What.POWER),
        Write(register=point("InWRte", of="rated_kw", counts="draw"), what=What.POWER),
        Write(register=point("InOutWRte_RvrtTms"), what=What.REVERT),
        Write(register=point("StorCtl_Mod"), what=What.ENABLE, value=3, released=0),
    )


def _limit(model: Model) -> tuple[Write, ...]:
    """123: what it may feed at most, as a share of WMax."""
    point = _of(model)
    return (
        Write(register=point("WMaxLimPct", of="rated_kw"), what=What.POWER),
        Write(register=point("WMaxLimPct_RvrtTms"), what=What.REVERT),
        Write(register=point("WMaxLim_Ena"), what=What.ENABLE, value=1, released=0),
    )


_CONTROLS: tuple[
    tuple[int, Callable[[Model], tuple[Write, ...]], tuple[tuple[int, str], ...]], ...
] = (
    (704, _watts, ()),
    (124, _storage, ((124, "WChaMax"),)),
    (123, _limit, ((702, "WMax"), (121, "WMax"), (702, "WMaxRtg"), (120, "WRtg"))),
)
"""The first that is there is used: its model, what is written, and where its whole stands."""


def _of(model: Model) -> Callable[..., Register]:
    def point(
        name: str, *, of: str | None = None, counts: Literal["feed", "draw"] = "feed"
    ) -> Register:
        return _register(model, POINTS[model.id][name], counts, of)

    return point


def _register(
    model: Model, point: Point, counts: Literal["feed", "draw"] = "feed", of: str | None = None
) -> Register:
    unknown = _UNKNOWN.get(point.kind) if point.unknown is None else point.unknown
    return Register(
        at=model.at + point.at,
        kind=point.kind,
        table=Table.HOLDING,
        scale=point.scale,
        scale_at=None if point.scale_at is None else model.at + point.scale_at,
        of=of,
        counts=counts,
        unknown=frozenset() if unknown is None else frozenset({unknown}),
    )


def _implemented(model: Model, name: str, image: Image) -> bool:
    return _holds(_register(model, POINTS[model.id][name]), image)


def _holds(register: Register, image: Image) -> bool:
    """Whether a point is implemented; what it counts in may follow later."""
    words = [image[register.table, register.at + n] for n in range(register.words)]
    raw = int.from_bytes(b"".join(word.to_bytes(2, "big") for word in words), "big")
    counter = register.kind is Kind.UINT32 and register.unknown == {ACC32}
    return counter or raw not in register.unknown
