"""What is called of us: activations by id and revision, the highest of each standing.

As with awards the journal comes first; the same revision again changes nothing, with other content it is a
conflict, and one that comes late is kept for the record and moves nothing.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeAlias

from vpp.errors import ConflictError
from vpp.model.activation import Activation
from vpp.model.ids import UnitId
from vpp.model.time import Interval

CallKey: TypeAlias = tuple[str, int]
"""Id and revision."""


class CallBook:
    """All activations of one service, in memory."""

    def __init__(self) -> None:
        self._by_id: dict[str, dict[int, Activation]] = defaultdict(dict)
        self._newest: dict[str, Activation] = {}
        self._numbers: dict[str, int] = {}
        """In which order they came."""
        self._spans: list[tuple[datetime, int, str]] = []
        """Beginning, number and id of each newest revision, by beginning."""
        self._longest = timedelta(0)

    def keys(self) -> frozenset[CallKey]:
        """The newest revision of each, withdrawn ones too."""
        return frozenset((one.activation_id, one.revision) for one in self.standing())

    def first(self, activation_id: str) -> Activation | None:
        """The oldest revision of an activation; None where it is new."""
        history = self._by_id.get(activation_id)
        return None if not history else history[min(history)]

    def newest(self, activation_id: str) -> Activation:
        """The highest revision of an activation that is known."""
        return self._newest[activation_id]

    def known(self, activation_id: str) -> Activation | None:
        """The same; None where nothing came of it yet."""
        return self._newest.get(activation_id)

    def is_new(self, activation: Activation) -> bool:
        """Whether `add` would change something.

        Raises:
            ConflictError: The revision is known with other content, or the id for another product or unit.
        """
        history = self._by_id.get(activation.activation_id, {})
        where = f"activation {activation.activation_id}"
        for other in history.values():
            if (other.product_id, other.unit_id) != (activation.product_id, activation.unit_id):
                raise ConflictError(
                    f"it was one of {other.product_id} before", where=where, fix="Use another id"
                )
        known = history.get(activation.revision)
        if known is None:
            return True
        if not known.same_order(activation):
            raise ConflictError(
                f"revision {activation.revision} came with other numbers",
                where=where,
                fix="Send changes as a higher revision",
            )
        return False

    def add(self, activation: Activation) -> None:
        """Book one revision. Raises as `is_new`."""
        if not self.is_new(activation):
            return
        history = self._by_id[activation.activation_id]
        newest = self._newest.get(activation.activation_id)
        if activation.signal and (newest is None or newest.revision < activation.revision):
            asked = (
                max(activation.received_at, activation.interval.start),
                activation.activated_mw,
            )
            before = () if newest is None else newest.followed
            activation = replace(activation, followed=(*before, asked))
            if newest is not None:  # one copy of the course is enough
                history[newest.revision] = replace(newest, followed=())
        history[activation.revision] = activation
        if newest is None or newest.revision < activation.revision:
            self._stand(newest, activation)

    def thin(self, before: datetime) -> None:
        """Keep of each signal that ended before then its newest revision alone, which knows its course.

        A signal moves every few seconds: twenty thousand revisions a day would fill the memory in weeks.
        """
        for name, history in self._by_id.items():
            newest = self._newest[name]
            if newest.signal and len(history) > 1 and newest.interval.end <= before:
                self._by_id[name] = {newest.revision: newest}

    def stands(self, activation: Activation) -> bool:
        """Whether no higher revision is known."""
        return self._newest[activation.activation_id].revision == activation.revision

    def standing(self, unit_id: UnitId | None = None) -> tuple[Activation, ...]:
        """The newest revision of each, withdrawn ones too, of one unit (None: of all), oldest first."""
        return tuple(one for one in self._newest.values() if unit_id in (None, one.unit_id))

    def standing_in(self, span: Interval) -> tuple[Activation, ...]:
        """Of those the ones that overlap `span`: what a cycle needs, however many there ever were."""
        first = bisect_left(self._spans, (span.start - self._longest, 0, ""))
        last = bisect_left(self._spans, (span.end, 0, ""))
        found = sorted((number, name) for _, number, name in self._spans[first:last])
        newest = (self._newest[name] for _, name in found)
        return tuple(one for one in newest if one.interval.overlaps(span))

    def _stand(self, before: Activation | None, activation: Activation) -> None:
        """Let `activation` be the newest revision, in place of `before`."""
        name, start = activation.activation_id, activation.interval.start
        number = self._numbers.setdefault(name, len(self._numbers))
        self._newest[name] = activation
        if before is None or before.interval.start != start:
            if before is not None:
                del self._spans[bisect_left(self._spans, (before.interval.start, number, name))]
            insort(self._spans, (start, number, name))
        self._longest = max(self._longest, activation.interval.end - start)
