"""What is left of a simulation: a fingerprint of its journal, its warnings, the requests it was given."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from vpp.model.time import isoformat
from vpp.ports import JournalEntry
from vpp.service.api.routes import AnyRoute
from vpp.service.events import Event, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A request that was done, to be done again by whoever branches off."""

    at: datetime
    route: AnyRoute
    path: dict[str, str]
    body: BaseModel
    refused: str | None
    """The kind of error it was refused with; None where it was answered."""


class Fingerprint:
    """SHA-256 of every entry of a journal, and how many of each kind there were."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.entries: Counter[str] = Counter()

    def add(self, entry: JournalEntry) -> None:
        """Take the next entry."""
        head = f"{entry.number} {isoformat(entry.recorded_at)} {entry.kind} {entry.key}"
        for part in (head.encode(), entry.body):
            self._hash.update(len(part).to_bytes(8, "big") + part)
        self.entries[entry.kind] += 1

    @property
    def digest(self) -> str:
        """Of all so far."""
        return self._hash.hexdigest()


class Warnings:
    """Counts warnings and alarms by kind: where nobody watches, nothing waits for a person."""

    def __init__(self, heard: asyncio.Queue[Event]) -> None:
        self._heard = heard
        self._counts: Counter[str] = Counter()

    def look(self) -> None:
        """Count what came since; often enough that the queue loses none."""
        while not self._heard.empty():
            event = self._heard.get_nowait()
            if event.severity is not Severity.INFO:
                self._counts[event.kind] += 1

    def counts(self) -> dict[str, int]:
        """By kind, in order of name."""
        self.look()
        return dict(sorted(self._counts.items()))


def kind_of(error: Exception) -> str:
    """What tells one refusal from another when a request is done again."""
    code: Any = getattr(error, "code", None)
    return str(code or type(error).__name__)
