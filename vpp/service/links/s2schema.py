"""The park file's section `s2`: devices that speak S2 and connect to us as their energy manager.

    s2: {listen, devices: [{resource, token, control}]}

What joins it with the park is in `s2checks.py`.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from vpp.service.listenerschema import ListenSection
from vpp.service.park.schematypes import Id, Section, Size
from vpp.service.secretfiles import SecretSection


class FillLevelSection(Section):
    """What the fill level of a storage is here."""

    field: Annotated[Literal["soc", "temperature_degc"], Field(alias="as")] = "soc"
    scale: Annotated[float, Field(gt=0, le=1e6)] = 0.01
    """Our unit for each of theirs: 0.01 where the device counts per cent, 1 for degC."""


class S2DeviceSection(Section):
    """A resource that connects."""

    resource: Id
    token: SecretSection
    """Its own; at least 16 characters. It connects to `/s2/{resource}` with it as bearer."""
    control: Literal["frbc", "pebc"]
    """frbc: fill rate based (battery, charging point, buffer of heat). pebc: within an envelope of power (PV)."""
    limits: Literal["feed", "draw", "power"] | None = None
    """Of pebc: a set-point is the most it may feed, the most it may draw, or its very power."""
    fill_level: FillLevelSection | None = None
    """Of frbc; left out: a state of charge in per cent."""
    idle_kw: Annotated[float, Field(ge=-1e9, le=1e9)] = 0.0
    """Of frbc: net injection that it falls back to where a command ends and nobody can tell it so."""
    keeps_later: bool = True
    """Of frbc: false for a device that carries out at once what it is told for later."""
    tolerance_kw: Size = 0.1
    """A set-point that lies outside what the device offers by no more than this is its nearest end."""
    read_only: bool = True
    """True: no control type is selected and no instruction leaves; a fill level is told by few devices then."""

    @model_validator(mode="after")
    def _of_its_kind(self) -> Self:
        if (self.control == "pebc") != (self.limits is not None):
            raise ValueError("`limits` belongs to control: pebc, which needs it")
        if self.control == "pebc" and self.fill_level is not None:
            raise ValueError("`fill_level` belongs to control: frbc")
        return self


class S2Section(Section):
    """Where devices connect, and which may."""

    id: Id = "s2"
    """Name of this link, as on the page and in events."""
    listen: ListenSection
    answer_s: Annotated[float, Field(ge=0.1, le=60)] = 5.0
    """How long a device may take to say that it has received a message."""
    devices: Annotated[list[S2DeviceSection], Field(min_length=1, max_length=1000)]
