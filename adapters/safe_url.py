"""Which addresses may be asked at all: those of the configuration, over TLS or on this machine."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from vpp.errors import ConfigError


def require_safe(url: str, *, where: str, query: bool = False) -> None:
    """Refuse an address that is neither https nor loopback, or that carries a password.

    Raises:
        ConfigError: So, or with a query where none is expected.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise ConfigError(
            f"no address: {error}", where=where, fix="Give an https address"
        ) from error
    try:
        loopback = host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # a name, not an address
        loopback = False
    if (
        not host
        or parts.scheme not in ("http", "https")
        or (parts.scheme == "http" and not loopback)
    ):
        raise ConfigError(
            f"cannot be asked at {parts.scheme}://{host}",
            where=where,
            fix="Give an https address; http only on this machine",
        )
    if parts.username or parts.password or parts.fragment or (parts.query and not query):
        raise ConfigError(
            "carries more than host and path",
            where=where,
            fix="Leave out user, password, fragment" + ("" if query else " and query"),
        )
