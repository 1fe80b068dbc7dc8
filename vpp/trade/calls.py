"""What is called of us: activations by id and revision, the highest of each standing.

As with awards the journal comes first; the same revision again changes nothing, with other content it is a
conflict, and one that comes late is kept for the record and moves nothing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias

from vpp.errors import ConflictError
from vpp.model.activation import Activation
from vpp.model.ids import UnitId

CallKey: TypeAlias = tuple[str, int]
"""Id and revision."""


class CallBook:
    """All activations of one service, in memory."""

    def __init__(self) -> None:
        self._by_id: dict[str, dict[int, Activation]] = defaultdict(dict)

    def keys(self) -> frozenset[CallKey]:
        """The newest revision of each, withdrawn ones too."""
        return frozenset((one.activation_id, one.revision) for one in self.standing())

    def first(self, activation_id: str) -> Activation | None:
        """The oldest revision of an activation; None where it is new."""
        history = self._by_id.get(activation_id)
        return None if not history else history[min(history)]

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
        newest = history[max(history)] if history else None
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

    def thin(self, before: datetime) -> None:
        """Keep of each signal that ended before then its newest revision alone, which knows its course.

        A signal moves every few seconds: twenty thousand revisions a day would fill the memory in weeks.
        """
        for name, history in self._by_id.items():
            newest = history[max(history)]
            if newest.signal and len(history) > 1 and newest.interval.end <= before:
                self._by_id[name] = {newest.revision: newest}

    def stands(self, activation: Activation) -> bool:
        """Whether no higher revision is known."""
        return max(self._by_id[activation.activation_id]) == activation.revision

    def standing(self, unit_id: UnitId | None = None) -> tuple[Activation, ...]:
        """The newest revision of each, withdrawn ones too, of one unit (None: of all), oldest first."""
        newest = (history[max(history)] for history in self._by_id.values())
        return tuple(one for one in newest if unit_id in (None, one.unit_id))
