"""How a world in a process of its own is spoken to: length-prefixed messages over a pipe.

    ┌────────────┬──────────────────────────────────────────────┐
    │ 4 bytes,   │ the first frame to the child: a pickled      │
    │ big endian │ WorldSpec; all others, both ways: MessagePack │
    └────────────┴──────────────────────────────────────────────┘

Requests hold `id` and `op`; answers the same `id` and either `result` or `error`, and always
`next_trade`. Only our own child ever reads the pickle, from its own parent.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from vpp import errors
from vpp.errors import UnavailableError, VppError

_LENGTH = 4
_MOST_BYTES = 1 << 30

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder().decode


async def read_frame(reader: asyncio.StreamReader) -> bytes | None:
    """The next frame; None at the end of the pipe.

    Raises:
        UnavailableError: What comes is no frame.
    """
    try:
        size = int.from_bytes(await reader.readexactly(_LENGTH), "big")
        if size > _MOST_BYTES:
            raise UnavailableError(
                f"a frame of {size} bytes", where="world pipe", fix="Let nothing else write to it"
            )
        return await reader.readexactly(size)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def frame(payload: bytes) -> bytes:
    """`payload` with its length in front."""
    return len(payload).to_bytes(_LENGTH, "big") + payload


def pack_error(error: VppError) -> dict[str, str]:
    """An error as plain data."""
    return {
        "type": type(error).__name__,
        "what": error.what,
        "where": error.where,
        "fix": error.fix,
    }


def unpack_error(plain: dict[str, Any]) -> VppError:
    """The error that `pack_error` was given; of a kind we know."""
    kind = getattr(errors, plain["type"], VppError)
    known = kind if isinstance(kind, type) and issubclass(kind, VppError) else VppError
    return known(plain["what"], where=plain["where"], fix=plain["fix"])
