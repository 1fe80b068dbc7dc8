"""What keeps strangers out until the service knows who is calling: loopback, Host, Origin, JSON.

There are no credentials yet, so the service listens on loopback only. A page from elsewhere that
runs in a browser on this machine can still reach loopback. Three things stop it:

    it resolves its own name to 127.0.0.1   Host is not a loopback name            421
    it posts a form, or fetches             Origin is another, or not JSON         403, 415
    it frames our page, runs script in it   Content-Security-Policy, frame denial
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import web

from vpp.errors import ConfigError

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})

_CSP = (
    "default-src 'none'; script-src 'self'; style-src {style}; img-src 'self' data:;"
    " font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": _CSP.format(style="'self'"),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""On every answer."""

API_BROWSER_CSP = _CSP.format(style="'self' 'unsafe-inline'")
"""For the API browser alone: RapiDoc styles itself inline. Inline script stays forbidden."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """Why a request may not pass."""

    code: str
    what: str
    fix: str


def require_loopback(host: str) -> None:
    """Refuse to listen where others could connect.

    Raises:
        ConfigError: `host` is neither `localhost` nor an address of 127.0.0.0/8, nor `::1`.
    """
    if not is_loopback(host):
        raise ConfigError(
            f"{host!r} is not loopback, and there are no credentials yet",
            where="--host",
            fix="Use 127.0.0.1, ::1 or localhost; forward the port over SSH to reach it",
        )


def is_loopback(host: str) -> bool:
    """Whether a host name or address (IPv6 with or without brackets) means this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def deny(request: web.Request) -> Denial | None:
    """Why this request may not pass; None where it may."""
    if not _is_ours(request.headers.get("Host", ""), _local_port(request)):
        return Denial(
            code="host_not_allowed",
            what="the Host header names no loopback address with this port",
            fix="Call the service by 127.0.0.1 or localhost and its port",
        )
    if request.method not in WRITES:
        return None
    origin = request.headers.get("Origin")
    if origin is not None and origin.lower() != f"http://{request.headers['Host']}".lower():
        return Denial(
            code="origin_not_allowed",
            what="the request comes from another site",
            fix="Write from the service's own page, or without an Origin header",
        )
    if request.can_read_body or request.method in ("POST", "PUT", "PATCH"):
        return _deny_content(request)
    return None


def _deny_content(request: web.Request) -> Denial | None:
    charset = (request.charset or "utf-8").lower()
    if request.content_type != "application/json" or charset not in ("utf-8", "utf8"):
        return Denial(
            code="unsupported_media_type",
            what="the body is not declared as JSON in UTF-8",
            fix="Send Content-Type: application/json",
        )
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        return Denial(
            code="unsupported_media_type",
            what="the body is compressed",
            fix="Send it as it is",
        )
    return None


def _is_ours(host: str, port: int | None) -> bool:
    """Whether a Host header means us. `port` None: the socket is gone, any port will do."""
    try:
        parts = urlsplit(f"//{host}")
        named = parts.port or 80
    except ValueError:
        return False
    plain = parts.username is None and not (parts.path or parts.query or parts.fragment)
    return plain and is_loopback(parts.hostname or "") and port in (None, named)


def _local_port(request: web.Request) -> int | None:
    address = request.transport.get_extra_info("sockname") if request.transport else None
    return int(address[1]) if isinstance(address, tuple) else None
