"""One connection of a charging station: our calls one at a time, its answers, and what it may send in a second.

OCPP-J lets each side wait for one answer at a time. An answer that nobody waits for is passed by, and one that
does not come ends the wait, not the connection: after three in a row the connection is given up.
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

import msgspec
from aiohttp import web

from adapters import ocpp_frames as frames
from vpp.errors import AdapterError, RejectedError, UnavailableError

MOST_SILENCES = 3
"""Calls in a row without an answer."""


class Talk:
    """What is said over one websocket."""

    def __init__(self, socket: web.WebSocketResponse, where: str, *, answer_s: float) -> None:
        self._socket, self._where, self._answer_s = socket, where, answer_s
        self._numbers = count(1)
        self._one = asyncio.Lock()
        self._awaited: tuple[str, asyncio.Future[msgspec.Raw]] | None = None
        self._silences = 0

    async def call(self, action: str, payload: Any) -> msgspec.Raw:
        """Ask the station; its answer, as it came.

        Raises:
            UnavailableError: No answer came, or the connection is gone.
            RejectedError: It answers that it cannot.
        """
        async with self._one:
            message_id = f"vpp-{next(self._numbers)}"
            answer: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
            self._awaited = message_id, answer
            try:
                async with asyncio.timeout(self._answer_s):
                    await self.say(frames.call(message_id, action, payload))
                    found = await answer
            except TimeoutError:
                self._silences += 1
                if self._silences >= MOST_SILENCES:
                    await self.close("it does not answer")
                raise self._unavailable(f"no answer to {action}") from None
            finally:
                self._awaited = None
            self._silences = 0
            return found

    def answered(self, frame: frames.Result | frames.Refused) -> None:
        """The station answers; what nobody waits for, or waits for no more, is passed by."""
        if self._awaited is None or self._awaited[0] != frame.message_id:
            return
        answer = self._awaited[1]
        if answer.done():
            return
        match frame:
            case frames.Result():
                answer.set_result(frame.payload)
            case frames.Refused():
                what = f"{frame.code} {frame.what}".strip()
                answer.set_exception(
                    RejectedError(what, where=self._where, fix="See what the station supports")
                )

    async def say(self, text: str) -> None:
        """Put a frame on its way. Raises UnavailableError: the connection is gone."""
        try:
            await self._socket.send_str(text)
        except (ConnectionError, RuntimeError) as error:
            raise self._unavailable("the connection is gone") from error

    async def close(self, why: str) -> None:
        """End the connection; who waits for an answer is told."""
        if self._awaited is not None and not self._awaited[1].done():
            self._awaited[1].set_exception(self._unavailable(why))
        try:
            async with asyncio.timeout(self._answer_s):
                await self._socket.close(message=why.encode()[:100])
        except TimeoutError:
            pass  # it does not say goodbye: the reader ends all the same

    def _unavailable(self, what: str) -> AdapterError:
        return UnavailableError(what, where=self._where, fix="See to the station's network")


class Pace:
    """How fast one side may talk: a budget that fills with time, up to a burst."""

    def __init__(self, per_s: float, burst: int, now_s: float) -> None:
        self._per_s, self._burst = per_s, float(burst)
        self._left, self._at_s = float(burst), now_s

    def wait_s(self, now_s: float) -> float:
        """Take one message; for how long nothing more is read before the next."""
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._per_s) - 1.0
        self._at_s = now_s
        return max(-self._left / self._per_s, 0.0)
