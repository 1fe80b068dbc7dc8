"""The section `openadr` of a park file: utilities whose programmes this park takes part in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from vpp.service.feeds.schema import Unit
from vpp.service.markets.schema import ProductName
from vpp.service.park.schematypes import Fraction, Id, Positive, Section, SeriesId
from vpp.service.secretfiles import SecretSection
from vpp.service.venues.schema import CertificateSection
from vpp.trade.programmeorders import CallUse, Level, LimitUse, SeriesUse, Use

Url = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Target = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class SeriesUseSection(Section):
    """Its values are those of a series."""

    series: SeriesId
    unit: Unit
    """What they are converted to: `EUR/MWh` or `EUR/kWh` for prices, `gCO2/kWh` for GHG."""


class LimitUseSection(Section):
    """It limits what a place may draw or feed."""

    place: Id
    """The park, a feeder, an enterprise or a connection point."""


class CallUseSection(Section):
    """It calls a unit in a product of this park."""

    product: ProductName
    unit: Id | None = None
    """Left out: the first bidding unit."""


class LevelSection(Section):
    """What is shed at one level of SIMPLE: so many kW, or a share of what would be drawn."""

    kw: Positive | None = None
    percent: Annotated[float, Field(gt=0, le=100)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.kw is None) == (self.percent is None):
            raise ValueError("give kw or percent")
        return self


class LevelsUseSection(CallUseSection):
    """It calls a unit, by levels."""

    levels: Annotated[dict[Literal["1", "2", "3"], LevelSection], Field(min_length=1)]
    """What each level sheds; 0 is always normal."""


class PayloadsSection(Section):
    """What each payload does here. Alerts are told to people, whatever stands here."""

    PRICE: SeriesUseSection | None = None
    EXPORT_PRICE: SeriesUseSection | None = None
    GHG: SeriesUseSection | None = None
    IMPORT_CAPACITY_LIMIT: LimitUseSection | None = None
    EXPORT_CAPACITY_LIMIT: LimitUseSection | None = None
    SIMPLE: LevelsUseSection | None = None
    DISPATCH_SETPOINT: CallUseSection | None = None
    DISPATCH_SETPOINT_RELATIVE: CallUseSection | None = None

    def uses(self) -> Mapping[str, Use]:
        """The same by type of payload."""
        given = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: _use(section) for name, section in given.items() if section is not None}


class ProgramSection(Section):
    """One program of the utility."""

    name: Name
    """As the utility calls it: its `programName`."""
    does: PayloadsSection = PayloadsSection()


class UtilitySection(Section):
    """One utility's server (VTN), asked time and again."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,12}$")]
    url: Url
    """Base of its paths, as https, or http on this machine: `https://utility.example/openadr3/3.1.0`; of 2.0b
    it ends in `/OpenADR2/Simple/2.0b`."""
    ven_name: Name
    """What we are called there."""
    register_ven: bool = True
    """Whether we make ourselves known where we are not; some utilities do it by hand. In 2.0b always."""
    certificate: CertificateSection | None = None
    """What we show of ourselves (mutual TLS)."""
    targets: Annotated[list[Target], Field(max_length=100)] = Field(default_factory=list)
    """Events that name targets, and none of these, are not for us; empty: all that we are given are."""
    programs: Annotated[list[ProgramSection], Field(min_length=1, max_length=50)]
    poll_s: Annotated[float, Field(ge=5, le=3600)] = 60.0
    report_s: Annotated[float, Field(ge=60, le=86_400, multiple_of=60)] = 900.0
    """How long an interval of a report is where the event's own has no end; of 2.0b, how often power is sampled."""

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        names = [program.name for program in self.programs]
        if len(set(names)) < len(names):
            raise ValueError("name each program once")
        return self


class OpenAdrSection(UtilitySection):
    """A server of OpenADR 3."""

    version: Literal["3.0", "3.1"]
    client_id: SecretSection
    client_secret: SecretSection
    token_url: Url | None = None
    """Left out: `{url}/auth/token`."""
    scope: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None
    target_type: Name | None = None
    """What 3.0 asks for beside targets, for example GROUP."""
    timeout_s: Annotated[float, Field(ge=1, le=120)] = 10.0
    max_bytes: Annotated[int, Field(ge=1000, le=50_000_000)] = 5_000_000
    """Of one list; a larger one is refused."""


class OpenAdr2bSection(UtilitySection):
    """A server of OpenADR 2.0b, through openleadr (`vpp[openadr2b]`); its programs are market contexts."""

    version: Literal["2.0b"]
    ven_id: Name | None = None
    """Left out: as the server says."""
    vtn_fingerprint: Name | None = None
    """Of the server's certificate, where its messages are signed."""


AnyUtility = Annotated[OpenAdrSection | OpenAdr2bSection, Field(discriminator="version")]


def _use(section: Section) -> Use:
    match section:
        case SeriesUseSection():
            return SeriesUse(series_id=section.series, unit=section.unit)
        case LimitUseSection():
            return LimitUse(place=section.place)
        case LevelsUseSection():
            return CallUse(
                product_id=section.product,
                unit_id=section.unit,
                levels={int(n): _level(level) for n, level in section.levels.items()},
            )
        case CallUseSection():
            return CallUse(product_id=section.product, unit_id=section.unit)
        case _:
            raise TypeError(section)


def _level(section: LevelSection) -> Level:
    share: Fraction | None = None if section.percent is None else section.percent / 100
    return Level(kw=section.kw, share=share)
