"""Letters as signed requests to a receiver: JSON by POST, signed as Standard Webhooks asks, no redirect followed.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

    webhook-id: m-1                        the same at each try: a receiver knows what it has
    webhook-timestamp: 1764669600          of this try: a request that was recorded is worth nothing later
    webhook-signature: v1,base64(HMAC-SHA-256(secret, id.timestamp.body))

2xx has it; busy and ill (408, 425, 429, 5xx) may have it later; whatever else is answered, a redirect above all, is
a refusal: the body holds a link that lets its holder answer, so it goes to no address but the one of the park file.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import msgspec
from yarl import URL

from adapters.http_exchange import Answered, HttpExchange, NotSent
from adapters.http_get import WORTH_ANOTHER_TRY, Reply, retry_at
from adapters.safe_url import require_safe
from vpp.errors import UnavailableError
from vpp.model.message import Handed, Handover, Letter, NotYet, Refused, Topic, Unsure
from vpp.model.time import isoformat
from vpp.model.webhook import OWN_HEADERS, key_of

MAX_ANSWER_BYTES = 64 * 1024


def no_headers() -> Mapping[str, str]:
    """Of a receiver that wants none."""
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Where requests go, and what is shown there."""

    name: str
    url: str
    secret: Callable[[], str]
    """`whsec_` and Base64; asked for each time. Raises UnavailableError where it is not there."""

    headers: Callable[[], Mapping[str, str]] = field(default=no_headers)
    """What the receiver wants beside the signature; as `secret`."""

    timeout_s: float = 10.0


class Webhook:
    """A `Messenger`, an async context manager; `to` is the id of a person."""

    def __init__(self, receiver: Receiver, *, now: Callable[[], datetime]) -> None:
        """Raises ConfigError: the address is neither https nor loopback, or carries a password."""
        require_safe(receiver.url, where=f"receiver {receiver.name}")
        self._receiver = receiver
        self._now = now
        self._http = HttpExchange()

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.__aexit__(kind, error, traceback)

    async def send(self, letter: Letter, *, to: str) -> Handover:
        receiver, now = self._receiver, self._now()
        body = body_of(letter, to)
        try:
            signed = signed_headers(
                receiver.secret(), letter.message.message_id, body, now, where=receiver.name
            )
            exchange = await self._http.exchange(
                "POST",
                URL(receiver.url),
                headers={**_beside(receiver), **signed, "Content-Type": "application/json"},
                body=body,
                timeout_s=receiver.timeout_s,
                max_bytes=MAX_ANSWER_BYTES,
            )
        except UnavailableError as error:
            return NotYet(what=str(error))
        match exchange:
            case Answered(reply=reply):
                return _outcome(reply, now)
            case NotSent(what=what):
                return NotYet(what=what)
            case _:
                return Unsure(what=exchange.what)


def _beside(receiver: Receiver) -> Mapping[str, str]:
    """What the receiver wants beside the signature. Raises UnavailableError: a header that we alone write."""
    headers = receiver.headers()
    if ours := sorted(name for name in headers if name.lower() in OWN_HEADERS):
        raise UnavailableError(
            f"{', '.join(ours)} would stand beside ours",
            where=f"receiver {receiver.name}",
            fix="Leave it out of headers",
        )
    return headers


def _outcome(reply: Reply, now: datetime) -> Handover:
    status = reply.status
    if 200 <= status < 300:
        return Handed(what=f"answered {status}")
    if status >= 500 or status in WORTH_ANOTHER_TRY:
        return NotYet(what=f"answered {status}", retry_at=retry_at(reply, now))
    if 300 <= status < 400:
        return Refused(what=f"answered {status}: a redirect is not followed")
    return Refused(what=f"answered {status}")


def body_of(letter: Letter, person_id: str) -> bytes:
    """What a receiver reads: the message in words and in numbers, and where to answer."""
    message = letter.message
    if message.topic is Topic.ALARM:
        return _alarm_body(letter, person_id)
    data: dict[str, Any] = {
        "message_id": message.message_id,
        "instruction_id": message.instruction_id,
        "person": {"id": person_id, "name": letter.name, "language": letter.language},
        "place": message.place,
        "change_kw": message.change_kw,
        "window": {
            "start": isoformat(message.window.start),
            "end": isoformat(message.window.end),
        },
        "answer_by": isoformat(message.answer_by),
        "why": asdict(message.why),
        "subject": letter.subject,
        "text": letter.text,
        "answer_url": letter.link,
    }
    whole = {
        "type": f"instruction.{message.topic}",
        "timestamp": isoformat(letter.written_at),
        "data": data,
    }
    return msgspec.json.encode(whole)


def _alarm_body(letter: Letter, person_id: str) -> bytes:
    """Of an alarm: nothing is asked but a look."""
    message = letter.message
    data: dict[str, Any] = {
        "message_id": message.message_id,
        "alarm_id": message.instruction_id,
        "person": {"id": person_id, "name": letter.name, "language": letter.language},
        "place": message.place,
        "why": asdict(message.why),
        "subject": letter.subject,
        "text": letter.text,
    }
    whole = {"type": "alarm", "timestamp": isoformat(letter.written_at), "data": data}
    return msgspec.json.encode(whole)


def signed_headers(
    secret: str, message_id: str, body: bytes, now: datetime, *, where: str
) -> dict[str, str]:
    """What proves that a request is ours and of now.

    Raises:
        UnavailableError: The secret is none; its value is not repeated.
    """
    stamp = str(int(now.timestamp()))
    signed = b".".join((message_id.encode(), stamp.encode(), body))
    mac = hmac.new(key_of(secret, where=where), signed, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }
