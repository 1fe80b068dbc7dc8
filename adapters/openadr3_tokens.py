"""Tokens of a server of OpenADR 3: given for a client's secret, known by their hash, and gone in time.

A token is 256 random bits; what is kept is its SHA-256, whose it is, what it may do, and the hash of the secret
that it was given for: where that secret is another one by now, its tokens are worth nothing (within `RELOOK_S`).
Nothing survives a restart: a client is told 401 and asks again, as it must anyway.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from vpp.errors import UnavailableError

MOST_TOKENS = 50
"""Of one client at a time; the oldest gives way."""

RELOOK_S = 5.0
"""How old what is known of a secret may be."""

SCOPES = frozenset(
    {
        *("read_all", "read_targets", "read_ven_objects"),
        *("write_reports", "write_subscriptions", "write_vens"),
    }
)
"""What a site can be given. Programs and events are the plant's: nobody is given the right to write them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a client shows, and what it may do then."""

    client_id: Callable[[], str]
    client_secret: Callable[[], str]
    """Asked for where they are kept; both raise UnavailableError where one is not there."""
    scopes: frozenset[str] = SCOPES


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A new token; it is shown once."""

    token: str
    lifetime: timedelta
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Why none is given, in the words of OAuth 2."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who asks, and what it may do."""

    client: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Kept:
    holder: Holder
    until: datetime
    secret: bytes


_Known: TypeAlias = dict[str, tuple[datetime, bytes | None]]
"""The digest of what a client must show, and when it was looked up; None where it is not there."""


class Tokens:
    """All tokens of one server."""

    def __init__(
        self,
        clients: Mapping[str, Credentials],
        *,
        now: Callable[[], datetime],
        lifetime: timedelta = timedelta(minutes=15),
    ) -> None:
        """`clients` are by our name of each, which every token leads to."""
        self._clients, self._now, self._lifetime = dict(clients), now, lifetime
        self._kept: dict[str, OrderedDict[bytes, _Kept]] = {n: OrderedDict() for n in clients}
        self._ids: _Known = {}
        self._secrets: _Known = {}

    def grant(self, client_id: str, client_secret: str, scope: str) -> Granted | Refused:
        """A token for a client that shows its secret, with those of the rights it asks for that it has."""
        found = self._shown(client_id, client_secret)
        if found is None:
            return Refused(error="invalid_client")
        name, secret = found
        allowed, asked = self._clients[name].scopes, frozenset(scope.split())
        scopes = allowed & asked if asked else allowed
        if not scopes:
            return Refused(error="invalid_scope")
        token = secrets.token_urlsafe(32)
        kept = self._kept[name]
        holder = Holder(client=name, scopes=scopes)
        kept[_digest(token)] = _Kept(holder, self._now() + self._lifetime, secret)
        if len(kept) > MOST_TOKENS:
            kept.popitem(last=False)
        return Granted(token=token, lifetime=self._lifetime, scopes=scopes)

    def holder(self, token: str) -> Holder | None:
        """Whose token it is; None where it is nobody's, over, or given for a secret that is no more."""
        digest = _digest(token)
        for name, kept in self._kept.items():
            if (found := kept.get(digest)) is None:
                continue
            secret = self._lately(self._secrets, name, self._clients[name].client_secret)
            if found.until > self._now() and found.secret == secret:
                return found.holder
            del kept[digest]
        return None

    def valid(self, name: str) -> int:
        """How many tokens of a client have not ended."""
        now = self._now()
        return sum(one.until > now for one in self._kept[name].values())

    def _shown(self, client_id: str, client_secret: str) -> tuple[str, bytes] | None:
        """Whose credentials these are. One secret is read whoever is named: the time tells nothing."""
        shown_id, shown_secret = _digest(client_id), _digest(client_secret)
        named = [
            name
            for name, client in self._clients.items()
            if (known := self._lately(self._ids, name, client.client_id)) is not None
            and hmac.compare_digest(shown_id, known)
        ]
        found = None
        for name in named or list(self._clients)[:1]:
            secret = self._looked_up(self._secrets, name, self._clients[name].client_secret)
            if secret is not None and hmac.compare_digest(shown_secret, secret) and named:
                found = name, secret
        return found

    def _lately(self, known: _Known, name: str, ask: Callable[[], str]) -> bytes | None:
        """A digest as it was at most `RELOOK_S` ago: who guesses must not have us read every file."""
        now, looked = self._now(), known.get(name)
        if looked is None or now - looked[0] >= timedelta(seconds=RELOOK_S) or now < looked[0]:
            return self._looked_up(known, name, ask)
        return looked[1]

    def _looked_up(self, known: _Known, name: str, ask: Callable[[], str]) -> bytes | None:
        try:
            found = _digest(ask())
        except UnavailableError:  # told by `vpp check`, and by the link that is never heard
            found = None
        known[name] = self._now(), found
        return found


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
