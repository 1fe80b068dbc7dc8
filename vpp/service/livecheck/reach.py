"""Whether others answer: a connection, a handshake where it is TLS, and a word where one is harmless.

No credentials are sent but to the park's own broker, and nothing that changes anything: MQTT gets a
CONNECT with a clean session, Redis a PING, HTTP nothing but the head of its root, for the time it tells.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote, urlsplit

from vpp.errors import ConfigError
from vpp.service.livecheck.addresses import Calls
from vpp.service.livecheck.finding import Finding, State

WITHIN_S = 5.0
AT_ONCE = 50
CLOCK_S = 2.0
"""A second is what HTTP tells time in, and a slow answer takes another."""

MQTT_REFUSALS = {
    1: "it speaks another version of MQTT",
    2: "it does not take our name",
    3: "it takes nobody now",
    4: "it does not know user and password",
    5: "user and password may not connect",
}


async def all_reached(every: Iterable[Calls]) -> list[Finding]:
    """Each address, many at once, in their order."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(call: Calls) -> Finding:
        async with room:
            return await reached(call)

    return list(await asyncio.gather(*(one(call) for call in every)))


async def reached(call: Calls) -> Finding:
    """Connect, and say how it went."""
    shown = f"{call.host} port {call.port}"
    try:
        async with asyncio.timeout(WITHIN_S):
            reader, writer = await asyncio.open_connection(
                call.host, call.port, ssl=_tls(call) if call.speaks == "tls" else None
            )
            try:
                said, state, do = await _spoken(call, reader, writer)
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError, EOFError) as error:
        return Finding(call.area, call.name, State.FAULT, f"{shown}: {_why(error)}", _cure(error))
    return Finding(call.area, call.name, state, f"{shown} answers{said}", do)


async def _spoken(
    call: Calls, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> tuple[str, State, str]:
    """What the other side says to a harmless word."""
    if call.speaks == "redis":
        writer.write(b"PING\r\n")
        answer = await reader.readline()
        if answer.startswith((b"+PONG", b"-NOAUTH", b"-DENIED")):
            return "", State.OK, ""
        return ", and is no Redis server", State.FAULT, "Look at redis.url of the park file"
    if call.tells_time:
        return await _time(call, reader, writer)
    return "", State.OK, ""


async def _time(
    call: Calls, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> tuple[str, State, str]:
    """How far a market's clock is from ours, by the Date that any HTTP server tells."""
    writer.write(f"HEAD / HTTP/1.1\r\nHost: {call.host}\r\nConnection: close\r\n\r\n".encode())
    now = datetime.now(UTC)
    head = await reader.read(8192)
    for line in head.split(b"\r\n"):
        if line[:5].lower() == b"date:":
            try:
                told = parsedate_to_datetime(line[5:].strip().decode("ascii", errors="replace"))
            except ValueError:
                break
            off_s = (told - now).total_seconds() if told.tzinfo else 0.0
            if abs(off_s) > CLOCK_S:
                do = "Gates close by the market's clock: see that chrony keeps this one"
                return f"; its clock differs by {off_s:+.0f} s", State.WARNING, do
            return "; its clock is ours", State.OK, ""
    return "; it does not tell the time", State.OK, ""


async def broker(url: str) -> Finding:
    """Whether the park's own broker takes us: a CONNECT with a clean session, and goodbye.

    Raises:
        ConfigError: The address is none.
    """
    parts = urlsplit(url)
    try:
        port = parts.port or 1883
    except ValueError as error:
        raise ConfigError(f"{error}", where="--broker", fix="Say mqtt://user@host:port") from error
    if parts.scheme != "mqtt" or not parts.hostname:
        raise ConfigError("is no broker", where="--broker", fix="Say mqtt://user@host:port")
    shown = f"{parts.hostname} port {port}"
    try:
        async with asyncio.timeout(WITHIN_S):
            reader, writer = await asyncio.open_connection(parts.hostname, port)
            try:
                writer.write(_connect(unquote(parts.username or ""), unquote(parts.password or "")))
                answer = await reader.readexactly(4)
                writer.write(b"\xe0\x00")  # DISCONNECT
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError, EOFError) as error:
        return Finding(
            "broker", url_shown(url), State.FAULT, f"{shown}: {_why(error)}", _cure(error)
        )
    if answer[:2] != b"\x20\x02":
        do = "Look at the port: 1883 is the usual one of MQTT in the clear"
        return Finding("broker", url_shown(url), State.FAULT, f"{shown} is no MQTT broker", do)
    if answer[3]:
        what = MQTT_REFUSALS.get(answer[3], f"it refuses with code {answer[3]}")
        do = "Give the service a user there, and say it in --broker"
        return Finding("broker", url_shown(url), State.FAULT, f"{shown} answers, and {what}", do)
    return Finding("broker", url_shown(url), State.OK, f"{shown} takes us")


def url_shown(url: str) -> str:
    """The address without its password."""
    parts = urlsplit(url)
    user = f"{parts.username}@" if parts.username else ""
    return f"{parts.scheme}://{user}{parts.hostname}:{parts.port or 1883}"


def _connect(user: str, password: str) -> bytes:
    """A CONNECT packet of MQTT 3.1.1 (OASIS, section 3.1): clean session, no will, keep alive of 10 s."""
    flags = 0x02 | (0x80 if user else 0) | (0x40 if user and password else 0)
    body = _text("MQTT") + bytes((4, flags)) + struct.pack("!H", 10) + _text("")
    body += (_text(user) if user else b"") + (_text(password) if user and password else b"")
    length, digits = len(body), bytearray()
    while True:
        length, digit = divmod(length, 128)
        digits.append(digit | (0x80 if length else 0))
        if not length:
            return b"\x10" + bytes(digits) + body


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("!H", len(raw)) + raw


def _tls(call: Calls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=None if call.ca is None else str(call.ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _why(error: Exception) -> str:
    match error:
        case TimeoutError():
            return f"no answer within {WITHIN_S:g} s"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted: {error.verify_message}"
        case ssl.SSLError():
            return f"no TLS: {error.reason}"
        case OSError():
            return error.strerror or str(error)
        case _:
            return "it closed the connection at once"


def _cure(error: Exception) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return "Name its authority in the park file (`ca`), or see whose certificate it shows"
        case ssl.SSLError():
            return "Look at the port, and whether the other side speaks TLS there"
        case ConnectionRefusedError():
            return "See that it runs there, and look at the port"
        case _:
            return (
                "Look at the address, at the network and at what stands between (`ping`, firewall)"
            )
