"""Frames of OCPP-J, the same in 1.6 and 2.0.1: a call, its answer, or its refusal, as a JSON array.

    [2, id, action, payload]      [3, id, payload]      [4, id, code, text, details]

The payload stays as it came: who knows the action reads it. Source: OCPP-J 1.6 and OCPP 2.0.1 part 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

MAX_BYTES = 64 * 1024
"""Of one frame; a longer one ends the connection."""

MAX_ID = 64
"""Characters of a message id; the standard allows 36."""

CALL, RESULT, ERROR = 2, 3, 4


class FrameError(Exception):
    """What came is no frame; `message_id` where it says at least that, so that it can be refused."""

    def __init__(self, what: str, *, message_id: str | None = None) -> None:
        super().__init__(what)
        self.message_id = message_id


@dataclass(frozen=True, slots=True)
class Call:
    message_id: str
    action: str
    payload: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Result:
    message_id: str
    payload: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Refused:
    """The other side answers that it cannot do what was asked."""

    message_id: str
    code: str
    what: str


Frame: TypeAlias = Call | Result | Refused

_array = msgspec.json.Decoder(list[msgspec.Raw])
_number = msgspec.json.Decoder(int)
_text = msgspec.json.Decoder(str)
_encode = msgspec.json.Encoder().encode


def read(text: str) -> Frame:
    """One frame.

    Raises:
        FrameError: It is none.
    """
    try:
        parts = _array.decode(text)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"no JSON array: {error}") from error
    try:
        kind, message_id = _number.decode(parts[0]), _text.decode(parts[1])
    except (IndexError, ValueError) as error:
        raise FrameError("does not begin with its kind and its id") from error
    if not 0 < len(message_id) <= MAX_ID:
        raise FrameError(f"an id of {len(message_id)} characters")
    try:
        if kind == CALL and len(parts) == 4:
            return Call(message_id, _text.decode(parts[2]), parts[3])
        if kind == RESULT and len(parts) == 3:
            return Result(message_id, parts[2])
        if kind == ERROR and len(parts) == 5:
            return Refused(message_id, _text.decode(parts[2]), _text.decode(parts[3])[:200])
    except ValueError as error:
        raise FrameError(f"kind {kind}: {error}", message_id=message_id) from error
    raise FrameError(f"kind {kind} with {len(parts)} parts", message_id=message_id)


def call(message_id: str, action: str, payload: Any) -> str:
    """The text of a call."""
    return _encode((CALL, message_id, action, payload)).decode()


def result(message_id: str, payload: Any) -> str:
    """The text of an answer."""
    return _encode((RESULT, message_id, payload)).decode()


def refusal(message_id: str, code: str, what: str) -> str:
    """The text of a refusal; at most 255 characters of it are read."""
    return _encode((ERROR, message_id, code, what[:255], {})).decode()
