"""The park file's section `modbus`, and the file that a register map is written in: shape and ranges.

    modbus: [{id, host, devices: [{resource, unit, map | sunspec}]}]     config/devices/modbus/NAME.yaml
                                                └────────────────────────────▶ points, setpoint, sources

What joins them with the park is in `devicechecks.py`; how a map becomes a noun in `registermaps.py`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from vpp.service.park.schematypes import Id, Section, Text
from vpp.service.park.templates import Origin

PointName = Literal[
    "power_kw",
    "energy_kwh",
    "soc",
    "temperature_degc",
    "available_kw",
    "hours_on_today",
    "done_kwh",
    "discharged_today_kwh",
    "reactive_kvar",
    "import_wh",
    "export_wh",
    "rated_kw",
]
"""Fields of the telemetry that we speak inside, and the size that shares are of."""

Address = Annotated[int, Field(ge=0, le=65535)]
Order = Literal["big", "little"]
Counts = Literal["feed", "draw"]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
_HEX = re.compile(r"0x[0-9a-fA-F]{1,16}")


def _raw(given: Any) -> Any:
    """A raw value as people find it in data sheets: 0x8000."""
    return int(given, 16) if isinstance(given, str) and _HEX.fullmatch(given) else given


_Hex = Annotated[str, StringConstraints(pattern=rf"^{_HEX.pattern}$")]
Raw = Annotated[
    int, BeforeValidator(_raw, json_schema_input_type=int | _Hex), Field(ge=0, lt=2**64)
]


class RegisterSection(Section):
    """Where a number stands and what it means."""

    at: Address
    """Address of its first register, from 0: the 40001 of many data sheets is holding register 0."""
    type: Literal["int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"] = (
        "uint16"
    )
    table: Literal["holding", "input"] | None = None
    """Left out: that of the map."""
    scale: Annotated[float, Field(ge=-1e12, le=1e12)] = 1.0
    """Our unit (kW, kWh, Wh, degC, 1 for soc) for each count."""
    scale_at: Address | None = None
    """A signed register with a power of ten, read with it each time."""
    of: Literal["rated_kw"] | None = None
    """The value is a share of this size."""
    counts: Counts = "feed"
    """Which direction is positive in the device."""
    word_order: Order | None = None
    byte_order: Order | None = None
    unknown: Annotated[list[Raw], Field(max_length=10)] = Field(default_factory=list)
    """What it holds, read without a sign, where the device does not know: numbers, or text such as
    "0x8000". """


class WriteSection(RegisterSection):
    """A register that is written for a set-point."""

    what: Literal["power_kw", "value", "revert_s", "enable"]
    """power_kw: the power wanted. value: always `value`, such as a mode. revert_s: seconds after which the
    device goes back by itself. enable: the flag that makes it follow, always the last one."""
    value: float | None = None
    """Of `value` and `enable`: what is written."""
    released: float | None = None
    """What is written to let the device go."""
    code: Literal[6, 16] = 16
    """Function code; 6 writes a single register."""
    tolerance: Annotated[float, Field(ge=0, le=1e9)] = 0.0
    """How far the value that is read back may lie from the one written."""
    reads_back: bool = True

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.table == "input":
            raise ValueError("input registers cannot be written")
        if (self.value is None) != (self.what in ("power_kw", "revert_s")):
            raise ValueError("`value` belongs to what: value and what: enable, and to no other")
        if self.what == "enable" and self.released is None:
            raise ValueError("say with `released` what lets the device go")
        if self.code == 6 and self.type not in ("int16", "uint16"):
            raise ValueError("function code 6 writes one register: use 16")
        return self


class SetpointSection(Section):
    """What is written for a set-point, in this order."""

    writes: Annotated[list[WriteSection], Field(min_length=1, max_length=20)]
    revert_s: Seconds | None = None
    """What the revert timer is set to; it is renewed at half of that."""

    @model_validator(mode="after")
    def _can_be_let_go(self) -> Self:
        kinds = [write.what for write in self.writes]
        if "power_kw" not in kinds:
            raise ValueError("one of the writes must be what: power_kw")
        if kinds.count("enable") > 1 or "enable" in kinds[:-1]:
            raise ValueError("the enable flag is one, and written last")
        if ("revert_s" in kinds) != (self.revert_s is not None):
            raise ValueError("a revert timer needs both: its register in `writes`, and `revert_s`")
        if "revert_s" not in kinds and all(write.released is None for write in self.writes):
            raise ValueError(
                "nothing lets the device go: give an enable flag, a `released` value or a revert timer"
            )
        return self


class RegisterMapSection(Section):
    """One kind of device, register by register."""

    registers: Id
    """The file's own name."""
    name: Text
    table: Literal["holding", "input"] = "holding"
    word_order: Order = "big"
    byte_order: Order = "big"
    max_words: Annotated[int, Field(ge=4, le=125)] = 100
    """Registers asked for at once."""
    gap: Annotated[int, Field(ge=0, le=100)] = 0
    """Registers between two points that may be read along."""
    points: Annotated[dict[PointName, RegisterSection], Field(min_length=1)]
    setpoint: SetpointSection | None = None
    """Left out: a device that is only read."""
    sources: dict[str, Origin]
    """Where the registers of each point, and of `setpoint`, are from."""


class SunSpecSection(Section):
    """A device that says by itself what it has."""

    meter_counts: Counts = "draw"
    """Which direction a SunSpec meter counts as positive; makers differ."""
    revert_s: Seconds = 60.0
    """What its revert timer is set to, where it has one."""


MapName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,32}$|^.{1,400}\.yaml$")]


class ModbusDeviceSection(Section):
    """A resource or a main meter behind a gateway."""

    resource: Id
    """Id of a resource or a main meter of the park."""
    unit: Annotated[int, Field(ge=0, le=255)]
    map: MapName | None = None
    """A map that is shipped, by its name, or a file beside the park file that ends in .yaml."""
    sunspec: SunSpecSection | None = None
    poll_s: Annotated[float, Field(ge=0.1, le=3600)] = 1.0
    read_only: bool = True
    """True: no function that writes ever leaves for this unit."""
    rated_kw: Annotated[float, Field(gt=0, le=1e9)] | None = None
    """What shares are of, where the device does not say it."""
    write_s: Annotated[float, Field(ge=0.05, le=3600)] = 1.0
    """Set-points follow each other no faster; of those between, the newest counts."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.map is None) == (self.sunspec is None):
            raise ValueError("give either `map` or `sunspec`")
        return self


class ModbusSection(Section):
    """A Modbus TCP gateway, or a device with a network port of its own."""

    id: Id
    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:_-]{1,253}$")]
    port: Annotated[int, Field(ge=1, le=65535)] = 502
    timeout_s: Annotated[float, Field(ge=0.05, le=30)] = 1.0
    """For one answer; a device that is late by more is asked anew over a new connection."""
    connect_timeout_s: Annotated[float, Field(ge=0.1, le=30)] = 3.0
    devices: Annotated[list[ModbusDeviceSection], Field(min_length=1, max_length=247)]
