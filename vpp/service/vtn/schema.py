"""The park file's section `openadr_vtn`: sites whose devices are reached over our own OpenADR 3 server."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from vpp.service.iec104.schema import ShortId
from vpp.service.listenerschema import ListenSection
from vpp.service.park.schematypes import Id, Section
from vpp.service.secretfiles import SecretSection
from vpp.service.security import is_loopback

ObjectName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,128}$")]
Scope = Literal[
    "read_all",
    "read_targets",
    "read_ven_objects",
    "write_reports",
    "write_subscriptions",
    "write_vens",
]


def _origin(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    host, colon, port = rest.rpartition(":") if rest.count(":") else (rest, "", "")
    if not separator or "/" in rest or "@" in rest or (colon and not port.isdecimal()):
        raise ValueError(f"{text!r} is not of the form https://host or https://host:port")
    host = host or rest
    if scheme != "https" and not (scheme == "http" and is_loopback(host)):
        raise ValueError(f"{text!r}: give https; http on this machine alone")
    return f"{scheme}://{host.lower()}:{port or (443 if scheme == 'https' else 80)}"


Origin = Annotated[str, StringConstraints(max_length=300), AfterValidator(_origin)]


PublicUrl = Annotated[
    str,
    StringConstraints(
        max_length=300, pattern=r"^https://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?$"
    ),
]


class SiteDeviceSection(Section):
    """A device of a site."""

    resource: Id
    sends: Literal["DISPATCH_SETPOINT", "IMPORT_CAPACITY_LIMIT", "EXPORT_CAPACITY_LIMIT"] | None = (
        "DISPATCH_SETPOINT"
    )
    """What a set-point is sent as; null: nothing is ever asked of it."""
    report_s: Annotated[int, Field(ge=1, le=86_400)] = 60
    """How often its power is to be reported."""


class SiteSection(Section):
    """A client of the server, and what is behind it."""

    id: ShortId
    """Name of the link."""
    client_id: SecretSection
    client_secret: SecretSection
    """Where they are kept: `{env: NAME}` or `{file: NAME}`; another secret ends the tokens of the old one."""
    ven_name: ObjectName | None = None
    """As the site calls itself; left out: as the link."""
    program: ObjectName | None = None
    """Name of the program that its events belong to; left out: as the link."""
    scopes: Annotated[list[Scope], Field(min_length=1)] = Field(
        default_factory=lambda: list(get_args(Scope))
    )
    """What its token may do at most."""
    callbacks: Annotated[list[Origin], Field(max_length=10)] = Field(default_factory=list)
    """Where it may be notified: https://host:port. Left out: it has to ask."""
    silent_s: Annotated[int, Field(ge=1, le=86_400)] = 180
    """A site that has not asked for so long is away."""
    limits_of: Annotated[list[Id], Field(max_length=100)] = Field(default_factory=list)
    """Enterprises or connection points whose limit orders it is told."""
    devices: Annotated[list[SiteDeviceSection], Field(min_length=1, max_length=1000)]

    @property
    def known_as(self) -> str:
        return self.ven_name or self.id


class VtnSection(Section):
    """Our OpenADR 3 server."""

    listen: ListenSection
    public_url: PublicUrl | None = None
    """`https://host` or `https://host:port`, as sites reach it through a proxy; left out: as each asked."""
    token_s: Annotated[int, Field(ge=60, le=3600)] = 900
    """Life of a token."""
    sites: Annotated[list[SiteSection], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _sites_differ(self) -> Self:
        names = [site.id for site in self.sites]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{twice} stands there twice")
        return self
