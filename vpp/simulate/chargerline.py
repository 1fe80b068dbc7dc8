"""The line of a charging station: OCPP-J over a websocket, one CALL at a time, and a backlog that outlives it.

    put ─▶ queue ─▶ CALL ─▶ answered? ─▶ done            CALL of the other side ─▶ answer

What must arrive is kept while nobody answers, and said in order and under its id when the line is back;
everything else is dropped then, as OCPP has it. Nothing but what comes `first` leaves before the station is
admitted.
"""

from __future__ import annotations

import asyncio
import socket
from base64 import b64encode
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import quote
from uuid import UUID

import aiohttp
import msgspec

from vpp.simulate.chargerfaults import BROKEN_FRAMES
from vpp.simulate.chargerwords import Payload, WordsError

CALL, RESULT, ERROR = 2, 3, 4
MOST_KEPT = 10_000
ATTEMPTS = 3
"""How often what must arrive is said to somebody who does not answer it, or finds it faulty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineTiming:
    """How long a station waits for what, in seconds of the wall."""

    first_delay_s: float = 0.5
    longest_delay_s: float = 30.0
    answer_s: float = 30.0


@dataclass(slots=True, kw_only=True, eq=False)
class Said:
    """One CALL on its way."""

    action: str
    payload: Callable[[], Payload]
    """Asked when it leaves: the name of a transaction may be known only then."""

    done: Callable[[Payload | None], None]
    """Told of the answer; None: an error came, or nothing."""

    kept: bool = False
    """Whether it must arrive, if it takes days."""

    first: bool = False
    """Whether it may leave before the station is admitted."""

    unique_id: str = ""
    attempts: int = 0


class ChargerLine:
    """One line to one central system; `run` holds it."""

    def __init__(
        self,
        url: str,
        name: str,
        subprotocol: str,
        session: aiohttp.ClientSession,
        *,
        chance: Random,
        password: str | None,
        timing: LineTiming,
        opened: Callable[[], None],
        answer: Callable[[str, Payload], Payload],
    ) -> None:
        """`url` is that of the central system, to which the station adds its own `name`.

        `opened` is called at each connection, and `answer` for what the other side asks; it may raise `WordsError`.
        """
        self._where = f"{url.rstrip('/')}/{quote(name, safe='')}"
        # Basic authentication with the station's own name as that of the user (security profile 1).
        proof = b64encode(f"{name}:{password or ''}".encode()).decode()
        self._headers = {} if password is None else {"Authorization": f"Basic {proof}"}
        self._subprotocol, self._session = subprotocol, session
        self._chance, self._timing = chance, timing
        self._opened, self._answer = opened, answer
        self.counts: Counter[str] = Counter()
        """What happened: `said`, `answered`, `asked`, `refused`, `dropped`, `connects`, `turned_away` …"""
        self.turned_away: int | None = None
        """The HTTP status with which it was not let in the last time; None while it is."""
        self.admitted = False
        """Whether more than what comes `first` may be said."""
        self.mute = self.twice = self.garbles = False
        """Troubles: it does not answer; it says all twice; a broken frame goes before each."""
        self.connected = asyncio.Event()
        self._queue: deque[Said] = deque()
        self._waiting: dict[str, asyncio.Future[list[Any]]] = {}
        self._changed, self._idle, self._whole = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._whole.set()
        self._ws: aiohttp.ClientWebSocketResponse | None = None

    # ------------------------------------------------------------ what is to be said

    def put(self, said: Said) -> None:
        """Say it when its turn comes."""
        if not said.kept and not (self.connected.is_set() and (self.admitted or said.first)):
            self.counts["dropped"] += 1
            return
        if len(self._queue) >= MOST_KEPT:
            self.counts["dropped"] += 1
            return
        said.unique_id = str(UUID(int=self._chance.getrandbits(128), version=4))
        if said.first:
            if any(one.first for one in self._queue):
                return
            self._queue.appendleft(said)
        else:
            self._queue.append(said)
        self._idle.clear()
        self._changed.set()

    def admit(self, *, admitted: bool) -> None:
        """The central system has accepted the station, or has not."""
        self.admitted = admitted
        self._changed.set()

    async def settled(self) -> None:
        """Wait until all that was to be said has been answered."""
        await self._idle.wait()

    @property
    def waiting(self) -> int:
        """Messages that nobody has answered yet."""
        return len(self._queue)

    def cut(self) -> None:
        """Cut the line; nobody says goodbye."""
        self._whole.clear()
        self.hang_up()

    def mend(self) -> None:
        """The line is whole again."""
        self._whole.set()

    def hang_up(self) -> None:
        """End the connection at once, without the goodbye of the protocol."""
        self.connected.clear()
        if self._ws is not None and (line := self._ws.get_extra_info("socket")) is not None:
            try:
                line.shutdown(socket.SHUT_RDWR)
            except OSError:
                self.counts["hung_up_late"] += 1  # the other side was faster

    # ------------------------------------------------------------ the connection

    async def run(self, stop: asyncio.Event) -> None:
        """Hold the line until `stop` is set: connect, talk, and connect again."""
        stopped = asyncio.create_task(stop.wait(), name="charger-stop")
        delay_s = self._timing.first_delay_s
        try:
            while not stop.is_set():
                whole = asyncio.create_task(self._whole.wait())
                await asyncio.wait((whole, stopped), return_when=asyncio.FIRST_COMPLETED)
                whole.cancel()
                if stop.is_set():
                    break
                if await self._once(stopped):
                    delay_s = self._timing.first_delay_s
                wait_s = self._chance.uniform(0.5, 1.0) * delay_s
                delay_s = min(2 * delay_s, self._timing.longest_delay_s)
                await asyncio.wait((stopped,), timeout=wait_s)
        finally:
            stopped.cancel()

    async def _once(self, stopped: asyncio.Task[Any]) -> bool:
        """One connection, from its beginning to its end; whether it came about."""
        ws = await self._connect()
        if ws is None:
            return False
        self.turned_away, self._ws = None, ws
        self.counts["connects"] += 1
        kept = [said for said in self._queue if said.kept]
        self.counts["dropped"] += len(self._queue) - len(kept)
        self._queue = deque(kept)
        self.connected.set()
        self._opened()
        talk = [asyncio.create_task(self._listen(ws)), asyncio.create_task(self._talk(ws))]
        try:
            await asyncio.wait((*talk, stopped), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.connected.clear()
            self._ws = None
            for task in talk:
                task.cancel()
            ended = await asyncio.gather(*talk, return_exceptions=True)
            await ws.close()
        for end in ended:
            if isinstance(end, Exception) and not isinstance(end, OSError | aiohttp.ClientError):
                raise end
        return True

    async def _connect(self) -> aiohttp.ClientWebSocketResponse | None:
        try:
            ws = await self._session.ws_connect(
                self._where,
                protocols=(self._subprotocol,),
                headers=self._headers,
                max_msg_size=1 << 20,
                timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
            )
        except aiohttp.WSServerHandshakeError as error:
            self.turned_away = error.status
            self.counts["turned_away"] += 1
            return None
        except (aiohttp.ClientError, OSError):
            self.counts["unreachable"] += 1
            return None
        if ws.protocol != self._subprotocol:
            self.counts["no_protocol"] += 1
            await ws.close()
            return None
        return ws

    async def _talk(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        """Say one thing after another; the next when the one before was answered."""
        while True:
            self._changed.clear()
            if not self._queue:
                self._idle.set()
            elif self.admitted or self._queue[0].first:
                said = self._queue[0]
                answer = await self._call(ws, said)
                if self.connected.is_set():  # an answer after the line was cut has not arrived
                    self._answered(said, answer)
                    continue
            await self._changed.wait()

    def _answered(self, said: Said, answer: Payload | None) -> None:
        said.attempts += 1
        if answer is None and said.kept and said.attempts < ATTEMPTS:
            return
        self._queue.remove(said)
        self.counts["refused" if answer is None else "answered"] += 1
        said.done(answer)

    async def _call(self, ws: aiohttp.ClientWebSocketResponse, said: Said) -> Payload | None:
        if self.garbles:
            broken = self._chance.choice(BROKEN_FRAMES)
            await (ws.send_str(broken) if isinstance(broken, str) else ws.send_bytes(broken))
            self.counts["broken"] += 1
        frame = msgspec.json.encode([CALL, said.unique_id, said.action, said.payload()]).decode()
        answered = asyncio.get_running_loop().create_future()
        self._waiting[said.unique_id] = answered
        try:
            await ws.send_str(frame)
            self.counts["said"] += 1
            if self.twice:
                await ws.send_str(frame)
                self.counts["said_twice"] += 1
            async with asyncio.timeout(self._timing.answer_s):  # wait_for may swallow a cancel
                answer = await answered
        except TimeoutError:
            self.counts["unanswered"] += 1
            return None
        finally:
            del self._waiting[said.unique_id]
        if answer[0] == ERROR:
            self.counts["errors"] += 1
            return None
        return answer[2] if isinstance(answer[2], dict) else {}

    # ------------------------------------------------------------ being asked

    async def _listen(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        async for message in ws:
            frame = _frame(message)
            if frame is None:
                self.counts["odd"] += 1
            elif frame[0] == CALL and len(frame) == 4 and isinstance(frame[3], dict):
                self.counts["asked"] += 1
                if not self.mute:
                    await ws.send_str(self._reply(*frame[1:]))
            elif frame[0] in (RESULT, ERROR) and self._awaits(frame[1]):
                self._waiting[frame[1]].set_result(frame)
            else:
                self.counts["unasked"] += 1

    def _awaits(self, unique_id: str) -> bool:
        return unique_id in self._waiting and not self._waiting[unique_id].done()

    def _reply(self, unique_id: str, action: str, asked: Payload) -> str:
        try:
            answer = self._answer(action, asked)
        except WordsError as error:
            self.counts["misunderstood"] += 1
            said: list[Any] = [ERROR, unique_id, error.code, str(error), {}]
        else:
            self.counts[f"asked.{action}"] += 1
            said = [RESULT, unique_id, answer]
        return msgspec.json.encode(said).decode()


def _frame(message: aiohttp.WSMessage) -> list[Any] | None:
    """The frame of a message; None where it is none."""
    if message.type is not aiohttp.WSMsgType.TEXT:
        return None
    try:
        frame = msgspec.json.decode(message.data)
    except (msgspec.DecodeError, RecursionError):
        return None
    sound = isinstance(frame, list) and len(frame) >= 3 and isinstance(frame[1], str)
    return frame if sound else None
