"""A simulated device as a Modbus unit: registers by its map, and set-points out of what is written.

    telemetry ─▶ words of each point        written words ─▶ enabled? ─▶ CommandMessage ─▶ device
                                                 └─ flag cleared, or timer run out ─▶ its default

It answers by the same map that the other side reads by, and keeps no second idea of the device: a device
that somebody holds at its own panel shows its flag cleared, whatever was written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from vpp.errors import DataError
from vpp.model.ids import ResourceId
from vpp.model.registers import Place, Register, RegisterMap, Table, What, Write
from vpp.model.time import isoformat
from vpp.wire import AckMessage, CommandMessage, TelemetryMessage

FOR_EVER = timedelta(days=365)
"""Life of a set-point of a device that has no timer."""

AT_ONCE = timedelta(microseconds=1)

Receive = Callable[[ResourceId, CommandMessage, datetime], AckMessage | None]


class RefusedError(Exception):
    """What a device answers with an exception code of the protocol."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception code {code}")
        self.code = code


NO_SUCH_FUNCTION, NO_SUCH_REGISTER, NOT_THIS_VALUE = 1, 2, 3


class ModbusUnit:
    """One device behind a gateway."""

    def __init__(
        self,
        device_id: ResourceId,
        described: RegisterMap,
        *,
        rated_kw: float,
        receive: Receive,
        local: Callable[[ResourceId], bool],
        now: Callable[[], datetime],
    ) -> None:
        """`receive` takes a set-point to the device; `local` says whether somebody holds it at its panel."""
        self.device_id = device_id
        self._map = described
        self._rated_kw = rated_kw
        self._receive, self._local, self._now = receive, local, now
        self._image: dict[Place, int] = {}
        self._held: dict[Place, int] = {}
        """What was written, or stood there from the beginning."""
        self._seq = 0
        self._ends_at: datetime | None = None
        """When the set-point in force runs out."""
        self.speaks = False
        """Whether it answers: it has told something, and nothing keeps it silent."""
        for write in described.writes:
            value = 0.0 if write.released is None else write.released
            self._hold(write, value if write.what is What.ENABLE else 0.0)

    # ------------------------------------------------------------ telemetry

    def tell(self, told: TelemetryMessage | None) -> None:
        """Show what the device says of the last step; None: it says nothing and does not answer."""
        self.speaks = told is not None
        if told is None:
            return
        values = {name: getattr(told, name, None) for name in self._map.points}
        known = {"rated_kw": self._rated_kw}
        values |= {name: value for name, value in known.items() if name in values}
        for register in self._scaled():
            self._image[register.table, register.scale_at or 0] = 0  # a power of ten of 0
        for name, register in self._map.points.items():
            self._show(register, values[name], known)

    def _scaled(self) -> list[Register]:
        registers = [*self._map.points.values(), *(write.register for write in self._map.writes)]
        return [register for register in registers if register.scale_at is not None]

    def _show(
        self, register: Register, value: float | None, known: Mapping[str, float | None]
    ) -> None:
        factor = register.factor(self._image, known)
        try:
            if value is None or factor is None:
                raise DataError("says nothing", where=self.device_id, fix="None")
            words: Sequence[int] = register.laid_down(float(value), factor)
        except DataError:  # it has no such value, or one that its register cannot hold
            words = _unknown(register)
        for n, word in enumerate(words):
            self._image[register.table, register.at + n] = word

    # ------------------------------------------------------------ the protocol

    def read(self, table: Table, at: int, count: int) -> list[int]:
        """The words asked for.

        Raises:
            RefusedError: One of them is not there.
        """
        places = [(table, at + n) for n in range(count)]
        image = self._image | self._held | self._running()
        if not all(place in image for place in places):
            raise RefusedError(NO_SUCH_REGISTER)
        return [image[place] for place in places]

    def write(self, at: int, words: Sequence[int]) -> None:
        """Take words into holding registers, and do what they come to.

        Raises:
            RefusedError: There is no such register to be written, or the device refuses.
        """
        places = [(Table.HOLDING, at + n) for n in range(len(words))]
        if not all(place in self._held for place in places):
            raise RefusedError(NO_SUCH_REGISTER)
        before = dict(self._held)
        self._held |= dict(zip(places, words, strict=True))
        answer = self._follow()
        if answer is not None and not answer.accepted:
            self._held = before
            raise RefusedError(NOT_THIS_VALUE)

    def _follow(self) -> AckMessage | None:
        """Hand on the set-point that the registers come to, or let the device go."""
        now = self._now()
        if not self._enabled():
            if self._ends_at is not None and now < self._ends_at:
                self._ends_at = None
                return self._send(0.0, now, now + AT_ONCE)
            return None
        power_kw = self._value(What.POWER)
        if power_kw is None:
            return None
        revert_s = self._value(What.REVERT)
        life = FOR_EVER if revert_s is None else timedelta(seconds=revert_s)
        if life <= timedelta(0):
            return None
        self._ends_at = now + life
        return self._send(power_kw, now, self._ends_at)

    def _send(self, power_kw: float, now: datetime, expires_at: datetime) -> AckMessage | None:
        self._seq += 1
        return self._receive(
            self.device_id,
            CommandMessage(
                command_id=f"modbus-{self._seq}",
                seq=self._seq,
                issued_at=isoformat(now),
                expires_at=isoformat(expires_at),
                power_kw=power_kw,
            ),
            now,
        )

    def _running(self) -> dict[Place, int]:
        """Registers that change by themselves: the flag, and the timer that counts down."""
        now, shown = self._now(), dict[Place, int]()
        ends_at = self._ends_at
        over = ends_at is None or now >= ends_at or self._local(self.device_id)
        for write in self._map.writes:
            if write.what is What.REVERT and ends_at is not None:
                left_s = 0.0 if over else (ends_at - now).total_seconds()
                shown |= self._words(write, left_s)
            elif write.what is What.ENABLE and over and ends_at is not None:
                shown |= self._words(write, write.released or 0.0)
        return shown

    def _enabled(self) -> bool:
        flags = [write for write in self._map.writes if write.what is What.ENABLE]
        return all(self._of(write) == write.value for write in flags)

    def _value(self, what: What) -> float | None:
        found = next((write for write in self._map.writes if write.what is what), None)
        return None if found is None else self._of(found)

    def _of(self, write: Write) -> float | None:
        return write.register.value(self._image | self._held, {"rated_kw": self._rated_kw})

    def _hold(self, write: Write, value: float) -> None:
        self._held |= self._words(write, value)

    def _words(self, write: Write, value: float) -> dict[Place, int]:
        register = write.register
        if register.scale_at is not None:
            self._image.setdefault((register.table, register.scale_at), 0)
        factor = register.factor(self._image, {"rated_kw": self._rated_kw})
        words = register.laid_down(value, factor or 1.0)
        return {(register.table, register.at + n): word for n, word in enumerate(words)}


def _unknown(register: Register) -> list[int]:
    """What stands in a register that has nothing to say."""
    marker = min(register.unknown, default=0)
    words = [(marker >> 16 * n) & 0xFFFF for n in reversed(range(register.words))]
    if register.byte_order == "little":
        words = [(word & 0xFF) << 8 | word >> 8 for word in words]
    return words[::-1] if register.word_order == "little" else words
