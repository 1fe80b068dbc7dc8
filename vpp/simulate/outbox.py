"""What the market has to tell the service: sent in order, again and again, until it is acknowledged or refused."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vpp.errors import UnavailableError
from vpp.simulate.exchange import Exchange
from vpp.simulate.ledger import Ledger

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Post:
    """Something the service must acknowledge."""

    method: str
    path: str
    body: Mapping[str, Any]
    kind: str
    key: str


class Outbox:
    """Posts that wait, and the ledger that notes what became of them."""

    def __init__(self, exchange: Exchange, ledger: Ledger) -> None:
        self._exchange = exchange
        self._ledger = ledger
        self._waiting: deque[Post] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, post: Post) -> None:
        """Let it wait for `send`."""
        self._waiting.append(post)

    def resume(self) -> None:
        """Let wait what a market of before has cleared and, by its ledger, not brought to the service."""
        brought = {key for kind, key in _noted(self._ledger.entries) if kind in _BROUGHT}
        for entry in self._ledger.entries:
            if entry["kind"] == "cleared" and "path" in entry and entry["award_id"] not in brought:
                self.add(Post("POST", entry["path"], entry["award"], "award", entry["award_id"]))

    async def send(self) -> None:
        """Send what waits, in order; stop at the first that the service does not take now."""
        while self._waiting:
            post = self._waiting[0]
            try:
                answer = await self._exchange.request(post.method, post.path, post.body)
            except UnavailableError as error:
                log.warning("%s %s waits: %s", post.kind, post.key, error)
                return
            self._waiting.popleft()
            if answer.status < 300:
                self._ledger.write(f"{post.kind}_acknowledged", key=post.key)
                continue
            log.warning("%s %s was refused: %s", post.kind, post.key, answer.code)
            self._ledger.write(f"{post.kind}_refused", key=post.key, code=answer.code)


_BROUGHT = ("award_acknowledged", "award_refused")


def _noted(entries: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    return ((entry["kind"], entry["key"]) for entry in entries if "key" in entry)
