"""The journal of tests and of simulations that nobody will ask again: same contract, no disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice

from adapters.sqlite_journal import conflict, require_writable
from vpp.ports import JournalEntry


class MemoryJournal:
    """A `Journal` that lives as long as its object."""

    def __init__(self, written: Callable[[JournalEntry], None] | None = None) -> None:
        """`written` is called with each new entry, where it is given."""
        self._written = written
        self._entries: list[JournalEntry] = []
        self._by_key: dict[tuple[str, str], JournalEntry] = {}

    async def append(self, kind: str, key: str, body: bytes, *, now: datetime) -> JournalEntry:
        await self.append_all([(kind, key, body)], now=now)
        return self._by_key[kind, key]

    async def append_all(self, entries: Sequence[tuple[str, str, bytes]], *, now: datetime) -> None:
        require_writable(entries, now)
        fresh: dict[tuple[str, str], bytes] = {}
        for kind, key, body in entries:
            known = self._by_key.get((kind, key))
            there = fresh.setdefault((kind, key), body) if known is None else known.body
            if there != body:
                raise conflict(kind, key)
        for (kind, key), body in fresh.items():
            entry = JournalEntry(
                number=len(self._entries) + 1, recorded_at=now, kind=kind, key=key, body=body
            )
            self._entries.append(entry)
            self._by_key[kind, key] = entry
            if self._written is not None:
                self._written(entry)

    def find(self, kind: str, key: str) -> JournalEntry | None:
        return self._by_key.get((kind, key))

    def entries(self, *kinds: str) -> Iterator[JournalEntry]:
        return iter([entry for entry in self._entries if entry.kind in kinds])

    def newest(self, *kinds: str, before: int | None, limit: int) -> list[JournalEntry]:
        below = len(self._entries) if before is None else before - 1
        found = (entry for entry in reversed(self._entries[:below]) if entry.kind in kinds)
        return [*islice(found, limit)]

    def greatest_key(self, kind: str) -> str | None:
        return max((key for known, key in self._by_key if known == kind), default=None)
