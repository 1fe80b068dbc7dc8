"""One connection of IEC 60870-5-104 as a machine without any input or output: numbers, windows, timers.

    bytes in ──received()──▶ ASDUs            send(asdu) while there is room ──▶ take() ──▶ bytes out
                 │ acknowledges after w, or t2        no more than k unacknowledged
                 └ starts, stops, answers tests       t1 without an answer: LinkDeadError
    tick(now) ─▶ whatever is due; due_s() says when that is

Times are seconds of any clock that never goes back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from math import inf

from adapters.iec104_frames import (
    MODULUS,
    Acknowledgement,
    Frame,
    FrameReader,
    Numbered,
    Word,
    frame_bytes,
)
from vpp.errors import ForeignError, UnavailableError
from vpp.model.telecontrol import LinkTiming


class LinkDeadError(UnavailableError):
    """The other side does not answer any more."""

    def __init__(self, what: str) -> None:
        super().__init__(what, where="IEC 104", fix="Look at the other station and the line")


class Session:
    """One side of one connection, from its first octet to its last."""

    def __init__(self, timing: LinkTiming, *, controlling: bool, now_s: float) -> None:
        self.started = False
        """Whether data may flow."""
        self._timing, self._controlling = timing, controlling
        self._reader, self._out = FrameReader(), bytearray()
        self._next_sent = self._next_received = 0
        self._unacknowledged: deque[float] = deque()
        """When each was sent, the oldest first."""
        self._owed, self._owed_since = 0, inf
        """Frames that came and were not acknowledged, and when the first of them came."""
        self._heard_s = now_s
        self._tested_s = self._asked_s = inf

    # ------------------------------------------------------------ in

    def received(self, data: bytes, now_s: float) -> Iterator[bytes]:
        """Take what came; yield each ASDU.

        Raises:
            ForeignError: It is no frame, or one that must not come now.
        """
        for frame in self._reader.feed(data):
            self._heard_s = now_s
            match frame:
                case Numbered(sent, received, asdu):
                    self._count(sent, now_s)
                    self._acknowledged(received)
                    if (
                        self.started
                    ):  # else it is counted and left aside: some masters ask too early
                        yield asdu
                    if self._owed >= self._timing.w:
                        self._acknowledge()
                case Acknowledgement(received):
                    self._acknowledged(received)
                case Word():
                    self._word(frame)

    def _count(self, sent: int, now_s: float) -> None:
        if sent != self._next_received:
            raise _foreign(f"frame {sent} came where {self._next_received} was due")
        self._next_received = (sent + 1) % MODULUS
        self._owed += 1
        self._owed_since = min(self._owed_since, now_s)

    def _acknowledged(self, received: int) -> None:
        """All before `received` have arrived."""
        waiting = len(self._unacknowledged)
        still = (self._next_sent - received) % MODULUS
        if still > waiting:
            raise _foreign(f"{received} is acknowledged, and nothing so numbered is on its way")
        for _ in range(waiting - still):
            self._unacknowledged.popleft()

    def _word(self, word: Word) -> None:
        match word:
            case Word.START_ACT | Word.STOP_ACT if not self._controlling:
                if self._owed:
                    self._acknowledge()
                self.started = word is Word.START_ACT
                self._put(Word.START_CON if self.started else Word.STOP_CON)
            case Word.START_CON | Word.STOP_CON if self._controlling:
                self.started = word is Word.START_CON
                self._asked_s = inf
            case Word.TEST_ACT:
                self._put(Word.TEST_CON)
            case Word.TEST_CON:
                self._tested_s = inf
            case _:
                raise _foreign(f"{word.name} from the wrong side")

    # ------------------------------------------------------------ out

    @property
    def room(self) -> int:
        """How many more ASDUs may be sent now."""
        return self._timing.k - len(self._unacknowledged) if self.started else 0

    @property
    def unacknowledged(self) -> int:
        """Frames on their way that nobody has confirmed."""
        return len(self._unacknowledged)

    def send(self, asdu: bytes, now_s: float) -> None:
        """Put one ASDU on its way; only where there is room."""
        assert self.room > 0
        self._put(Numbered(self._next_sent, self._next_received, asdu))
        self._next_sent = (self._next_sent + 1) % MODULUS
        self._unacknowledged.append(now_s)
        self._owed, self._owed_since = 0, inf

    def ask(self, word: Word, now_s: float) -> None:
        """Ask the controlled side to start or to stop."""
        self._put(word)
        self._asked_s = now_s

    def take(self) -> bytes:
        """What is to go over the wire, once."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def _acknowledge(self) -> None:
        self._put(Acknowledgement(self._next_received))
        self._owed, self._owed_since = 0, inf

    def _put(self, frame: Frame) -> None:
        self._out += frame_bytes(frame)

    # ------------------------------------------------------------ time

    def due_s(self) -> float:
        """When `tick` has something to do."""
        timing = self._timing
        oldest = self._unacknowledged[0] if self._unacknowledged else inf
        answer = min(oldest, self._tested_s, self._asked_s) + timing.t1_s
        test = inf if self._tested_s < inf else self._heard_s + timing.t3_s
        return min(answer, test, self._owed_since + timing.t2_s)

    def tick(self, now_s: float) -> None:
        """Do what is due.

        Raises:
            LinkDeadError: An answer did not come within t1.
        """
        timing = self._timing
        late = now_s - timing.t1_s
        if self._unacknowledged and self._unacknowledged[0] <= late:
            raise LinkDeadError(
                f"{len(self._unacknowledged)} frames are not acknowledged for {timing.t1_s:g} s"
            )
        if self._tested_s <= late:
            raise LinkDeadError(f"no answer to a test for {timing.t1_s:g} s")
        if self._asked_s <= late:
            raise LinkDeadError(f"no answer to start or stop for {timing.t1_s:g} s")
        if self._owed_since + timing.t2_s <= now_s:
            self._acknowledge()
        if self._tested_s == inf and self._heard_s + timing.t3_s <= now_s:
            self._put(Word.TEST_ACT)
            self._tested_s = now_s


def _foreign(what: str) -> ForeignError:
    fix = "Look at what speaks on this connection"
    return ForeignError(what, where="IEC 104", fix=fix, raw=b"")
