"""SunSpec discovery: what a device says of itself becomes the register map that it is read by.

    40000, 50000, 0: "SunS"? ─▶ id, length ─▶ id, length ─▶ … ─▶ 0xFFFF ─▶ the models we know ─▶ map

Two registers are read at each step and no more, for some devices refuse to read beyond a model. The
tables of models stand in `vpp/model/sunspec.py`.
"""

from __future__ import annotations

from adapters.modbus_wire import ModbusLine
from vpp.errors import RejectedError
from vpp.model.registers import Place, RegisterMap, Span, Table
from vpp.model.sunspec import BASES, END, MARK, Choices, Model, known, map_of

MOST_MODELS = 128
"""A chain that is longer goes round in circles, or is no chain."""

AT_ONCE = 100
"""Registers of a model that are read with one request."""

_MAKER, _PRODUCT = (2, 16), (18, 16)
"""Where model 1 tells who made the device and what it is: offset and registers."""


async def discover(line: ModbusLine, unit: int, choices: Choices) -> RegisterMap:
    """The register map of a SunSpec device.

    Raises:
        RejectedError: It is none, or has no model that we know.
        UnavailableError: It does not answer, or not all of it.
    """
    models = await scan(line, unit)
    image: dict[Place, int] = {}
    wanted = known(models)
    for model in wanted:
        image |= await _words(line, unit, model.at, model.length + 2)
    found = map_of(await _name(line, unit, models), wanted, image, choices)
    if "power_kw" not in found.points:
        ids = sorted(model.id for model in models)
        raise RejectedError(
            f"SunSpec models {ids} tell no power",
            where=f"{line.address} unit {unit}",
            fix="Write a register map for this device",
        )
    return found


async def scan(line: ModbusLine, unit: int) -> tuple[Model, ...]:
    """The models that a device has, in its order.

    Raises:
        RejectedError: No "SunS" where it may stand, or a chain without an end.
        UnavailableError: It does not answer.
    """
    at = await _base(line, unit) + len(MARK)
    models: list[Model] = []
    for _ in range(MOST_MODELS):
        model_id, length = await line.read(unit, Span(Table.HOLDING, at, 2))
        if model_id == END:
            return tuple(models)
        models.append(Model(model_id, at, length))
        at += length + 2
        if at > 0xFFFE:
            break
    raise RejectedError(
        f"a chain of {len(models)} SunSpec models has no end",
        where=f"{line.address} unit {unit}",
        fix="Write a register map for this device",
    )


async def _base(line: ModbusLine, unit: int) -> int:
    for base in BASES:
        try:
            words = await line.read(unit, Span(Table.HOLDING, base, len(MARK)))
        except RejectedError:
            continue  # no such register: it may stand elsewhere
        if words == MARK:
            return base
    raise RejectedError(
        f"no SunSpec at any of {BASES}",
        where=f"{line.address} unit {unit}",
        fix="Write a register map for this device",
    )


async def _words(line: ModbusLine, unit: int, at: int, count: int) -> dict[Place, int]:
    found: dict[Place, int] = {}
    for start in range(at, at + count, AT_ONCE):
        span = Span(Table.HOLDING, start, min(AT_ONCE, at + count - start))
        words = await line.read(unit, span)
        found |= {(Table.HOLDING, start + n): word for n, word in enumerate(words)}
    return found


async def _name(line: ModbusLine, unit: int, models: tuple[Model, ...]) -> str:
    """Maker and product, as model 1 tells them."""
    # One that is too short for its names may end at the last address there is.
    common = next((m for m in models if m.id == 1 and m.length + 2 >= sum(_PRODUCT)), None)
    if common is None:
        return "SunSpec device"
    told = []
    for offset, count in (_MAKER, _PRODUCT):
        words = await line.read(unit, Span(Table.HOLDING, common.at + offset, count))
        text = b"".join(word.to_bytes(2, "big") for word in words)
        told.append(text.rstrip(b"\0 ").decode("utf-8", "replace"))
    return " ".join(told)
