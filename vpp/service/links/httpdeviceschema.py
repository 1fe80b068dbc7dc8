"""The park file's section `http_devices`: devices that are asked over HTTP, or that call us.

    http_devices: {listen, gateways: [{id, map, pull | push, devices: [{resource, names}]}]}
                                           └──▶ config/devices/http/NAME.yaml, as of MQTT gateways

What joins it with the park is in `gatewaychecks.py`.
"""

from __future__ import annotations

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from vpp.service.links.deviceschema import MapName
from vpp.service.links.payloadschema import GatewayDeviceSection
from vpp.service.listenerschema import ListenSection
from vpp.service.park.schematypes import FileName, Id, Section
from vpp.service.secretfiles import SecretSection, no_list_of_values
from vpp.service.security import is_loopback


def _an_address(text: str) -> str:
    parts = urlsplit(text)
    try:
        port, host = parts.port, (parts.hostname or "").encode("idna")
    except (ValueError, UnicodeError) as error:  # a port or a label of a name that cannot be
        raise ValueError(f"{text!r} is no address: {error}") from error
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise ValueError(f"{text!r} is no address: write http://host or https://host")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("an address has no user, password, query or fragment")
    return text


HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")]


class PullSection(Section):
    """Devices that are asked."""

    url: Annotated[str, StringConstraints(max_length=300), AfterValidator(_an_address)]
    """Topics of the map are paths under it."""
    poll_s: Annotated[float, Field(ge=0.1, le=3600)] = 5.0
    timeout_s: Annotated[float, Field(ge=0.05, le=30)] = 3.0
    """For one answer."""
    username: SecretSection | None = None
    password: SecretSection | None = None
    headers: Annotated[
        dict[HeaderName, SecretSection], BeforeValidator(no_list_of_values), Field(max_length=10)
    ] = Field(default_factory=dict)
    """Sent with each request, such as Authorization or X-Api-Key."""
    trusts: FileName | None = None
    """A certificate, as PEM, that is trusted instead of those that the machine trusts."""
    in_the_clear: bool = False
    """Credentials over http beyond loopback: whoever listens on the way can read them."""

    @model_validator(mode="after")
    def _kept_secret(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("give both username and password, or neither")
        parts = urlsplit(self.url)
        bare = parts.scheme == "http" and not is_loopback(parts.hostname or "")
        if bare and (self.username or self.headers) and not self.in_the_clear:
            raise ValueError(
                "credentials would be sent in the clear: use https, or say in_the_clear: true"
            )
        return self


class PushSection(Section):
    """A gateway that calls us."""

    token: SecretSection
    """Its own; at least 16 characters."""
    silent_after_s: Annotated[float, Field(ge=1, le=86_400)] = 90.0
    """A gateway that has not called for so long is away."""


class HttpGatewaySection(Section):
    """Devices of one kind behind one address, or behind one gateway that calls."""

    id: Id
    map: MapName
    """A map that is shipped, by its name, or a file beside the park file that ends in .yaml."""
    pull: PullSection | None = None
    push: PushSection | None = None
    devices: Annotated[list[GatewayDeviceSection], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.pull is None) == (self.push is None):
            raise ValueError("give either `pull` or `push`")
        return self


class HttpDevicesSection(Section):
    """Everything that speaks HTTP."""

    listen: ListenSection | None = None
    """Where gateways call; needed where one of them does."""
    gateways: Annotated[list[HttpGatewaySection], Field(max_length=200)] = Field(
        default_factory=list
    )

    @model_validator(mode="after")
    def _listens(self) -> Self:
        if self.listen is None and any(one.push is not None for one in self.gateways):
            raise ValueError("a gateway that calls needs `listen`: say where")
        return self
