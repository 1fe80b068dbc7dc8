"""What goes wrong with simulated devices, as people write it: a file, or a share of all devices.

    vpp demo --faults 5%            at any moment about 5 % of all resources fail, in one of some ways
    vpp demo --faults faults.yaml   what the file says

    seed: 7                         optional; that of the run where left out
    faults:
      - devices: [bess-1]           resources and main meters by name, or all: every resource
        what: [{kind: delay, seconds: 30}]
      - devices: all
        share: 0.05                 of the time, in pieces of lasts_s at random; left out: always
        lasts_s: 600
        from_s: 3600                since the devices were opened
        what: [{kind: lie}, {kind: silence}, {kind: stuck, fresh: true}]      one of these each time

Every kind with its numbers stands in `vpp/simulate/devicefaults.py`, and in `vpp schema faults`.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_type_hints

from pydantic import Field, TypeAdapter, create_model

from vpp.errors import ConfigError, DataError
from vpp.model.ids import ResourceId
from vpp.service.park.config import ConfigErrors, read_document
from vpp.service.park.schematypes import Id, Positive, Section, Share
from vpp.simulate.devicefaults import KINDS, Fault, FaultPlan, What, require_sound


def _section(name: str, kind: type[What]) -> type[Section]:
    """The section of one kind: its fields and defaults are those of the noun."""
    hints = get_type_hints(kind)
    described: dict[str, Any] = {"kind": (Literal[name], ...)}
    for one in fields(kind):
        hint, default = hints[one.name], one.default
        if isinstance(hint, type) and issubclass(hint, StrEnum):
            hint, default = Literal[tuple(hint)], str(default)
        described[one.name] = (hint, ... if one.default is MISSING else default)
    made: type[Section] = create_model(
        f"{kind.__name__}Section", __base__=Section, __doc__=kind.__doc__, **described
    )
    return made


AnyWhat: Any = Annotated[
    Union[tuple(_section(name, kind) for name, kind in KINDS.items())],  # noqa: UP007
    Field(discriminator="kind"),
]


class FaultSection(Section):
    """One of some things goes wrong with some devices."""

    devices: Literal["all"] | Annotated[list[Id], Field(min_length=1)]
    """Resources and main meters by name, or `all`: every resource."""
    what: Annotated[list[AnyWhat], Field(min_length=1)]
    """One of these each time, drawn anew."""
    share: Share = 1.0
    """Of the time, in pieces of `lasts_s` at random; 1 is always."""
    lasts_s: Positive = 600.0
    from_s: Annotated[float, Field(ge=0, le=1e9)] = 0.0
    """Since the devices were opened."""
    to_s: Positive | None = None
    """Since the devices were opened; left out: for ever."""


class FaultsSection(Section):
    """A file of faults."""

    seed: Annotated[int, Field(ge=0, le=2**31)] | None = None
    """That of the run where left out."""
    faults: list[FaultSection]


_FILE: TypeAdapter[FaultsSection] = TypeAdapter(FaultsSection)


def faults_asked(text: str, *, seed: int) -> FaultPlan:
    """The plan of `5%`, or of a file.

    Raises:
        ConfigError: No such file, no share from 0 to 100 %, or a file with faults of its own.
    """
    if not text.endswith("%"):
        return read_faults(Path(text), seed=seed)
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ConfigError(f"{text!r} is no share", where="--faults", fix="Say 5%, or name a file")
    return FaultPlan.at_random(share, seed=seed)


def read_faults(path: Path, *, seed: int) -> FaultPlan:
    """The plan of a file.

    Raises:
        ConfigErrors: What is wrong with it, and where.
    """
    document = read_document(path)
    section = document.parse(_FILE, (), document.tree)
    faults = list(document.faults)
    if isinstance(section, list):
        raise ConfigErrors([*faults, *section])
    made: list[Fault] = []
    for place, one in enumerate(section.faults):
        try:
            made.append(_fault(one))
        except DataError as error:
            faults.append(document.fault(("faults", place), f"{error.where}: {error.what}"))
    if faults:
        raise ConfigErrors(faults)
    return FaultPlan(faults=tuple(made), seed=seed if section.seed is None else section.seed)


def _fault(section: FaultSection) -> Fault:
    whats = tuple(_what(one) for one in section.what)
    for what in whats:
        require_sound(what)
    named = None if section.devices == "all" else frozenset(map(ResourceId, section.devices))
    return Fault(
        whats=whats,
        devices=named,
        begins_after=timedelta(seconds=section.from_s),
        ends_after=None if section.to_s is None else timedelta(seconds=section.to_s),
        share=section.share,
        lasts=timedelta(seconds=section.lasts_s),
    )


def _what(section: Section) -> What:
    said = section.model_dump()
    kind = KINDS[said.pop("kind")]
    hints = get_type_hints(kind)
    return kind(**{name: _as(hints[name], value) for name, value in said.items()})


def _as(hint: Any, value: Any) -> Any:
    return hint(value) if isinstance(hint, type) and issubclass(hint, StrEnum) else value
