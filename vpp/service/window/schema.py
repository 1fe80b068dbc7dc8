"""The section `redis` of a park file: a window for other processes, and how it is reached."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Self
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import Field, StringConstraints, model_validator

from vpp.service.park.schematypes import Section
from vpp.service.secretfiles import SecretSection
from vpp.service.venues.schema import CertificateSection

Prefix = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
Length = Annotated[int, Field(ge=1, le=1_000_000)]


class StreamLengths(Section):
    """How many entries each stream holds; the oldest go."""

    state: Length = 1000
    setpoints: Length = 1000
    plan: Length = 100


class RedisSection(Section):
    """Where the newest state, plans and set-points are shown."""

    url: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    """rediss://host:6379/0; without TLS (redis://) on this machine alone, or unix:///path."""
    username: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    password: SecretSection | None = None
    """Where it is kept: `{env: NAME}` or `{file: NAME}`; read anew for each connection."""
    certificate: CertificateSection | None = None
    """What we show over TLS, and whom we trust."""
    prefix: Prefix = "vpp"
    """Of every key, before the park's id."""
    ttl_s: Annotated[int, Field(ge=5, le=86_400)] = 300
    """So long after the service fell silent its hashes are gone."""
    streams: StreamLengths = StreamLengths()
    timeout_s: Annotated[float, Field(ge=0.1, le=10)] = 2.0
    """For one picture, connecting included; nothing but the window waits for it."""
    longest_retry_s: Annotated[float, Field(ge=0.1, le=25)] = 10.0
    """Bound of the time between two tries while the server is away; the first is a fifth of a second."""

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        try:
            parts = urlsplit(self.url)
            host, _ = parts.hostname or "", parts.port
        except ValueError as error:
            raise ValueError(f"url is no address: {error}") from error
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("url carries more than host, port and database: say `password` apart")
        if parts.scheme == "unix" and not host and parts.path.strip("/"):
            return self._without_tls()
        if parts.scheme not in ("redis", "rediss") or not host:
            raise ValueError("url is none of rediss://host, redis://127.0.0.1, unix:///path")
        if parts.path.strip("/") and not parts.path.strip("/").isdecimal():
            raise ValueError("url names no database by its number")
        if parts.scheme == "rediss":
            return self
        if not _loopback(host):
            raise ValueError(f"url leads to {host} without TLS: say rediss://")
        return self._without_tls()

    def _without_tls(self) -> Self:
        if self.certificate is not None:
            raise ValueError("certificate is shown over TLS alone: say rediss://")
        return self

    @property
    def parts(self) -> SplitResult:
        return urlsplit(self.url)

    @property
    def unix_socket(self) -> str | None:
        """The path where `url` is that of a socket."""
        return unquote(self.parts.path) if self.parts.scheme == "unix" else None

    @property
    def db(self) -> int:
        return 0 if self.unix_socket else int(self.parts.path.strip("/") or 0)


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # a name, not an address
        return False
