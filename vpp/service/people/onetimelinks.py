"""One-time links: who holds one may answer one question, once, until its deadline. We keep only a hash of it.

    minted ─▶ hash on disk ─▶ leaves in a letter            the token itself is nowhere on this machine's disk
    opened by its token ─▶ Link (instruction, person, ends) what may be done with it is asked of the instruction

A token is 256 random bits, so a plain SHA-256 of it cannot be turned back, and none can be guessed. That a link
serves once is not kept here: it is spent when its question is answered, and that stands on record with the answer.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from vpp.model.ids import PersonId

LINK = "person_link"
"""Kind of journal entries; the key is the hash."""

KEPT = timedelta(days=7)
"""So long after its end it is known, to tell whoever comes late; later it is as one that never was."""

TOKEN_BYTES = 32
_TOKEN = re.compile(r"^[A-Za-z0-9_-]{43}$")


def random_token() -> str:
    """43 characters that fit into an address."""
    return secrets.token_urlsafe(TOKEN_BYTES)


class Link(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a token stands for."""

    instruction_id: str
    person_id: PersonId
    ends_at: datetime


def hash_of(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(slots=True)
class OneTimeLinks:
    """All links that are known, by the hash of their token."""

    mint: Callable[[], str] = random_token
    links: dict[str, Link] = field(default_factory=dict)

    def find(self, token: str) -> Link | None:
        """What a token stands for; None for any text that is none of ours."""
        return self.links.get(hash_of(token)) if _TOKEN.fullmatch(token) else None

    def forget(self, now: datetime) -> None:
        """Let go of those that ended long ago."""
        for key in [key for key, link in self.links.items() if link.ends_at + KEPT <= now]:
            del self.links[key]
