"""Select before operate: one selection stands at a time, belongs to who made it, and ends by itself.

    select ─▶ stands for `select_s` ─▶ execute with the same value by the same owner ─▶ spent
                                    └▶ execute with another value: refused, and spent

Pure: times are seconds of any clock that never goes back.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from adapters.iec104_asdu import Element
from vpp.model.telecontrol import OrderPoint, Pace


@dataclass(frozen=True, slots=True)
class _Selection:
    owner: Hashable
    address: int
    value: float
    until_s: float


class Selector:
    """The selection of one station."""

    def __init__(self, select_s: float) -> None:
        """`select_s` is how long a selection lives."""
        self._select_s = select_s
        self._held: _Selection | None = None

    def select(
        self, owner: Hashable, point: OrderPoint, element: Element, now_s: float
    ) -> str | None:
        """Take a selection; why not, or None where it stands."""
        if point.pace is Pace.DIRECT:
            return "this point is not selected"
        if self._standing(now_s) is not None:
            return "another selection stands"
        until_s = now_s + self._select_s
        self._held = _Selection(owner, element.address, element.value, until_s)
        return None

    def execute(
        self, owner: Hashable, point: OrderPoint, element: Element, now_s: float
    ) -> str | None:
        """Spend the selection; why an execution is refused, or None where it is to be done."""
        held = self._standing(now_s)
        if held is None or held.address != element.address:
            return "it was not selected before" if point.pace is Pace.SELECT else None
        if held.owner != owner:
            return "another connection has selected it"
        self._held = None
        return None if held.value == element.value else "another value was selected"

    def cancel(self, owner: Hashable, address: int, now_s: float) -> bool:
        """Whether there was a selection to take back."""
        held = self._standing(now_s)
        if held is None or (held.owner, held.address) != (owner, address):
            return False
        self._held = None
        return True

    def forget(self, owner: Hashable) -> None:
        """Who made it is gone."""
        if self._held is not None and self._held.owner == owner:
            self._held = None

    def _standing(self, now_s: float) -> _Selection | None:
        if self._held is not None and now_s >= self._held.until_s:
            self._held = None
        return self._held
