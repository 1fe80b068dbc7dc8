"""Messages on a pipe between our own processes: an 8-byte big-endian length, then that many bytes."""

from __future__ import annotations

import struct
from typing import BinaryIO

HEADER = struct.Struct(">Q")


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next message; None at the end of the stream."""
    header = stream.read(HEADER.size)
    return stream.read(HEADER.unpack(header)[0]) if header else None


def write_frame(stream: BinaryIO, payload: bytes) -> None:
    """Send one message."""
    stream.write(HEADER.pack(len(payload)) + payload)
    stream.flush()
