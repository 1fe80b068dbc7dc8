"""The section `listen` of whatever takes connections from outside: where, with what certificate, how much."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from vpp.service.park.schematypes import FileName, Section
from vpp.service.security import is_loopback


def _an_address(text: str) -> str:
    try:
        ip_address(text)
    except ValueError:
        raise ValueError(f"{text!r} is no IP address of this machine") from None
    return text


class ListenerTlsSection(Section):
    """What the listener shows, as PEM; renewed files are used from the next connection on."""

    certificate_file: FileName
    """With the chain up to an authority that the other side knows; beside the park file or absolute."""
    key_file: FileName


class ListenSection(Section):
    """A listener of its own, apart from the operator's API."""

    host: Annotated[str, AfterValidator(_an_address)] = "127.0.0.1"
    """Address of this machine that it listens at."""
    port: Annotated[int, Field(ge=1, le=65_535)]
    tls: ListenerTlsSection | None = None
    without_tls: bool = False
    """Beyond loopback in the clear: behind a proxy that ends TLS, or in a network of its own."""
    connections: Annotated[int, Field(ge=1, le=20_000)] = 1000
    """At one time; a further one is closed at once."""
    connections_per_address: Annotated[int, Field(ge=1, le=20_000)] = 100
    """Of them from one address. Behind a proxy or a NAT all come from one: give more."""
    requests_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 1200
    """From one address; one that is refused for its credentials or asks for nothing known counts tenfold."""
    body_bytes: Annotated[int, Field(ge=1000, le=10_000_000)] = 1_000_000
    """The largest body, or message over a websocket, that is read."""

    @model_validator(mode="after")
    def _not_in_the_clear(self) -> Self:
        if self.tls is not None and self.without_tls:
            raise ValueError("tls and without_tls exclude each other")
        if self.tls is None and not self.without_tls and not is_loopback(self.host):
            raise ValueError(f"{self.host} is beyond loopback: give tls, or say without_tls: true")
        return self
