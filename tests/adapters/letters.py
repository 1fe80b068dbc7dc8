"""A letter, and mail servers good and bad: what the tests of ways to people share."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from vpp.model.ids import PersonId
from vpp.model.message import InBoth, Letter, PersonMessage, Topic
from vpp.model.time import Interval

NOW = datetime(2026, 11, 26, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)
LINK = "https://park.example/answer/abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"


def a_letter(
    *, name: str = "王工", subject: str = "请答复：3号冷库", topic: Topic = Topic.ASK
) -> Letter:
    """120 kW less from 15:00 to 17:00 in Shanghai, to be answered by 14:00."""
    message = PersonMessage(
        message_id="cold-store-1.ask",
        instruction_id="cold-store-1",
        person_id=PersonId("wang"),
        topic=topic,
        place="3号冷库",
        change_kw=120.0,
        window=Interval(NOW + 3 * HOUR, NOW + 5 * HOUR),
        answer_by=NOW + 2 * HOUR,
        why=InBoth(zh="需求响应", en="demand response"),
    )
    return Letter(
        message=message,
        name=name,
        language="zh",
        subject=subject,
        text=f"王工，您好：\n请答复 {LINK}\n",
        link=LINK,
        written_at=NOW,
    )


@dataclass
class Mailroom:
    """What a good mail server got, and what it is to say."""

    answers: dict[str, str] = field(default_factory=dict)
    """By `RCPT` and `DATA`, in place of yes."""
    mails: list[bytes] = field(default_factory=list)
    senders: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    arrived: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        answer = self.answers.get("RCPT", "250 OK")
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        answer = self.answers.get("DATA", "250 queued as 42")
        if answer.startswith("2"):
            self.mails.append(envelope.content)
            self.arrived.put_nowait(envelope.content)
            self.senders.append(envelope.mail_from)
            self.recipients += envelope.rcpt_tos
            self.encrypted.append(server.transport.get_extra_info("ssl_object") is not None)
        return answer

    def check(
        self, server: Any, session: Any, envelope: Any, mechanism: str, given: Any
    ) -> AuthResult:
        assert isinstance(given, LoginPassword)
        self.logins.append((given.login.decode(), given.password.decode()))
        return AuthResult(success=self.logins[-1] == ("park", "hush"), handled=False)

    @asynccontextmanager
    async def open(
        self, *, tls: ssl.SSLContext | None = None, implicit: bool = False, login: bool = False
    ) -> AsyncIterator[int]:
        """Serve with aiosmtpd until the block is left; yields the port."""
        loop = asyncio.get_running_loop()

        def speak() -> SMTP:
            return SMTP(
                self,
                hostname="mail.test",
                tls_context=None if implicit else tls,
                require_starttls=tls is not None and not implicit,
                authenticator=self.check,
                auth_required=login,
                auth_require_tls=login and not implicit,
                loop=loop,
            )

        server = await loop.create_server(speak, "127.0.0.1", 0, ssl=tls if implicit else None)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            await server.wait_closed()


WELL: Mapping[str, str] = {
    "": "220 mail.test ESMTP",
    "EHLO": "250 mail.test",
    "MAIL": "250 OK",
    "RCPT": "250 OK",
    "DATA": "354 go on",
    ".": "250 queued",
    "QUIT": "221 bye",
}
"""What a server says to each command; `` is the greeting and `.` the end of the text."""


@dataclass
class Talker:
    """A server that says what it is told to, and at one step what no server should."""

    odd: Mapping[str, str | None]
    """In place of what is in `WELL`; None: it says nothing and keeps the line. `HANGUP` closes it."""
    drips_s: float | None = None
    """Seconds between the bytes of every answer."""
    heard: list[str] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the other side has closed a line at which nothing was said."""

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._say("", reader, writer)
            text = False
            while line := await reader.readline():
                if text:
                    if line == b".\r\n":
                        text = False
                        await self._say(".", reader, writer)
                    continue
                command = line.decode().split(maxsplit=1)[0].upper()
                self.heard.append(command)
                await self._say(command, reader, writer)
                text = command == "DATA"
        except (ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    async def _say(
        self, step: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        answer = self.odd.get(step, WELL.get(step, "500 what?"))
        if answer is None:
            await reader.read()
            self.left.set()
            raise ConnectionResetError
        if answer == "HANGUP":
            raise ConnectionResetError
        if self.drips_s is None:
            writer.write(f"{answer}\r\n".encode())
        else:
            for byte in f"{answer}\r\n":
                writer.write(byte.encode())
                await asyncio.sleep(self.drips_s)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        """Serve until the block is left; yields the port."""
        tasks: set[asyncio.Task[None]] = set()

        def taken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.add(asyncio.create_task(self._talk(reader, writer)))

        server = await asyncio.start_server(taken, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await server.wait_closed()
