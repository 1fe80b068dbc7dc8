"""What one connected master of a controlled station is still to be told, most urgent first.

    confirmations ▸ answers to an interrogation ▸ changes of states ▸ measurements that moved ▸ cyclic ones

Bounded whatever the master does: a measurement waits once and leaves with its newest value; states wait one by
one, for each change counts, and beyond `MOST_CHANGES` the oldest gives way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from itertools import islice

from adapters.iec104_asdu import Cause, Type, room_for, told, told_as
from vpp.model.telecontrol import Shown, ShownPoint, StationSpec

MOST_CHANGES = 1000
MOST_CONFIRMATIONS = 64
"""A master that asks so often and takes no answer is let go."""


class Outbox:
    """Of one connection, from its start to its end."""

    def __init__(self, spec: StationSpec, shown: Mapping[int, Shown]) -> None:
        """`shown` is the station's newest picture, by address; it is read when something leaves."""
        self._spec, self._shown = spec, shown
        self._points = {point.address: point for point in spec.points}
        self._confirmations: deque[bytes] = deque()
        self._interrogation: Iterator[bytes] | None = None
        self._changes: deque[tuple[int, Shown]] = deque(maxlen=MOST_CHANGES)
        self._moved: dict[int, None] = {}
        self._cyclic: dict[int, None] = {}
        self.lost = 0
        """Changes of states that gave way."""
        self.late = 0
        """Cyclic values that were due again before they had left."""

    # ------------------------------------------------------------ in

    def confirm(self, asdu: bytes) -> bool:
        """Whether there was room for one more confirmation."""
        if len(self._confirmations) >= MOST_CONFIRMATIONS:
            return False
        self._confirmations.append(asdu)
        return True

    def interrogate(self, end: bytes) -> None:
        """Tell all points; `end` closes the answer."""
        self._interrogation = self._everything(end)

    def stop_interrogation(self) -> None:
        self._interrogation = None

    def changed(self, point: ShownPoint, shown: Shown) -> None:
        """A point is to be told at once."""
        if not point.is_state:
            self._moved[point.address] = None
            return
        if len(self._changes) == MOST_CHANGES:
            self.lost += 1
        self._changes.append((point.address, shown))

    def due(self, addresses: list[int]) -> None:
        """Points whose turn it is."""
        before = len(self._cyclic)
        self._cyclic.update(dict.fromkeys(addresses))
        self.late += before + len(addresses) - len(self._cyclic)

    def clear(self) -> None:
        """The master wants no data: what waits is old when it wants some again."""
        self._interrogation = None
        self._changes.clear()
        self._moved.clear()
        self._cyclic.clear()

    # ------------------------------------------------------------ out

    def next(self) -> bytes | None:
        """The next ASDU; None where there is nothing to tell."""
        if self._confirmations:
            return self._confirmations.popleft()
        if self._interrogation is not None:
            asdu = next(self._interrogation, None)
            if asdu is not None:
                return asdu
            self._interrogation = None
        if self._changes:
            some: list[tuple[int, Shown]] = []
            while self._changes and len(some) < room_for(Type.M_SP_TB_1):
                some.append(self._changes.popleft())
            return self._asdu(some, is_state=True, timed=True, cause=Cause.SPONTANEOUS)
        if self._moved:
            measured = self._taken(self._moved, room_for(Type.M_ME_TF_1))
            return self._asdu(measured, is_state=False, timed=True, cause=Cause.SPONTANEOUS)
        return self._next_cyclic() if self._cyclic else None

    def _next_cyclic(self) -> bytes:
        """As many of one kind as stand together at the head of the queue."""
        timed = self._spec.cyclic_time
        is_state = self._points[next(iter(self._cyclic))].is_state
        some: list[tuple[int, Shown]] = []
        for address in islice(self._cyclic, room_for(told_as(is_state=is_state, timed=timed))):
            if self._points[address].is_state is not is_state:
                break
            some.append((address, self._shown[address]))
        for address, _ in some:
            del self._cyclic[address]
        return self._asdu(some, is_state=is_state, timed=timed, cause=Cause.CYCLIC)

    def _taken(self, waiting: dict[int, None], most: int) -> list[tuple[int, Shown]]:
        some = list(islice(waiting, most))
        for address in some:
            del waiting[address]
        return [(address, self._shown[address]) for address in some]

    def _everything(self, end: bytes) -> Iterator[bytes]:
        for is_state, kind in ((True, Type.M_SP_NA_1), (False, Type.M_ME_NC_1)):
            addresses = [p.address for p in self._spec.points if p.is_state is is_state]
            most = room_for(kind)
            for first in range(0, len(addresses), most):
                some = [(a, self._shown[a]) for a in addresses[first : first + most]]
                yield self._asdu(some, is_state=is_state, timed=False, cause=Cause.INTERROGATED)
        yield end

    def _asdu(
        self, some: list[tuple[int, Shown]], *, is_state: bool, timed: bool, cause: Cause
    ) -> bytes:
        return told(
            some,
            is_state=is_state,
            timed=timed,
            cause=cause,
            common_address=self._spec.common_address,
            zone=self._spec.zone,
        )
