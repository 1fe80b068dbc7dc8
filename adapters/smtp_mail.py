"""Letters as mails over SMTP: one connection a letter, encrypted or on this machine, over in a bounded time.

    connect ─▶ TLS ─▶ login ─▶ MAIL ─▶ RCPT ─▶ DATA ─▶ the text ─▶ its answer
    └──────── nothing was handed over: NotYet ──────┘   └ nobody knows: Unsure ┘

A refusal for good (5xx) counts as one only where it is about this letter: its recipient or its text. What a server
says against us before that (credentials, sender, policy) a person can mend, and the letter waits for it. Nothing
is sent in the clear beyond this machine: a server that offers no TLS gets nothing, whoever sits between.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vpp.errors import UnavailableError
from vpp.model.message import Handed, Handover, Letter, NotYet, Refused, Unsure

if TYPE_CHECKING:
    import aiosmtplib

BYE_S = 2.0
"""A server that has the letter is waited for so long to say goodbye."""

MOST_ANSWER_CHARS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """A server that takes our mail, and as whom it does."""

    host: str
    port: int
    tls: Literal["starttls", "implicit", "none"]
    """`none` on this machine alone: whoever builds this has checked it."""

    sender: str
    sender_name: str
    origin: str
    """Names this park in the id of each mail, so that two parks of one sender never share one."""

    username: str | None = None
    password: Callable[[], str] = str
    """Asked for each time: it stays where it is kept. Raises UnavailableError where it is not there."""

    ca: Path | None = None
    """Whom we trust instead of the machine's authorities, as PEM."""

    timeout_s: float = 20.0
    """Of one whole try."""


class SmtpMail:
    """A `Messenger`; `to` is the address of a mailbox."""

    def __init__(self, server: MailServer) -> None:
        self._server = server

    async def send(self, letter: Letter, *, to: str) -> Handover:
        server, progress = self._server, _Progress()
        try:
            client = self._client()
        except UnavailableError as error:
            return NotYet(what=str(error))
        try:
            async with asyncio.timeout(server.timeout_s):
                return await _hand_over(client, server, mail_of(letter, server, to), to, progress)
        except TimeoutError:
            what = f"no answer within {server.timeout_s:g} s at {progress.step}"
        except (OSError, EOFError, ssl.SSLError) as error:
            what = f"{progress.step}: {error or type(error).__name__}"
        finally:
            client.close()
        return Unsure(what=what) if progress.text_left else NotYet(what=what)

    def _client(self) -> aiosmtplib.SMTP:
        """Not connected yet. Raises UnavailableError: the password or the authorities cannot be read."""
        import aiosmtplib  # heavy, and needed by few parks

        server = self._server
        return aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls == "implicit",
            start_tls=server.tls == "starttls",
            tls_context=None if server.tls == "none" else self._context(),
            username=server.username,
            password=None if server.username is None else server.password(),
            local_hostname=server.sender.rpartition("@")[2],
            timeout=server.timeout_s,
        )

    def _context(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._server.ca)
        except OSError as error:  # an SSLError is one
            raise UnavailableError(
                f"cannot be used: {error}",
                where=f"authorities {self._server.ca}",
                fix="Put them there as PEM, readable for the service",
            ) from error


@dataclass(slots=True)
class _Progress:
    """How far a try has come."""

    step: str = "connecting"
    text_left: bool = False


async def _hand_over(
    client: aiosmtplib.SMTP, server: MailServer, mail: bytes, to: str, progress: _Progress
) -> Handover:
    """One connection's talk. Raises OSError and TimeoutError where the line fails."""
    from aiosmtplib import SMTPException, SMTPResponseException, SMTPServerDisconnected

    about_us = True
    try:
        await client.connect()
        progress.step = "MAIL"
        await client.mail(server.sender)
        progress.step, about_us = "RCPT", False
        await client.rcpt(to)
        progress.step, progress.text_left = "the text", True
        answer = await client.data(mail)
    except SMTPResponseException as error:
        what = f"{progress.step}: {error.code} {_shown(error.message)}"
        final = 500 <= error.code < 600 and not about_us
        return Refused(what=what) if final else NotYet(what=what)
    except SMTPServerDisconnected as error:
        what = f"{progress.step}: {_shown(str(error))}"
        return Unsure(what=what) if progress.text_left else NotYet(what=what)
    except SMTPException as error:  # no TLS offered, no way to log in, an answer that is none
        return NotYet(what=f"{progress.step}: {_shown(str(error))}")
    with suppress(SMTPException, OSError, TimeoutError):  # it has the letter already
        await client.quit(timeout=BYE_S)
    return Handed(what=f"{answer.code} {_shown(answer.message)}")


def mail_of(letter: Letter, server: MailServer, to: str) -> bytes:
    """The mail of a letter, the same bytes at each try; its id tells a mailbox that has it already."""
    message, domain = letter.message, server.sender.rpartition("@")[2]
    mail = EmailMessage(policy=SMTP)
    mail["From"] = _address(server.sender_name, server.sender)
    mail["To"] = _address(letter.name, to)
    mail["Subject"] = letter.subject
    mail["Date"] = format_datetime(letter.written_at)
    begins = int(message.window.start.timestamp())
    mail["Message-ID"] = f"<{message.message_id}.{begins}.{server.origin}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no absence note comes back
    mail.set_content(letter.text, cte="base64")
    mail["Content-Language"] = letter.language
    return mail.as_bytes()


def _address(name: str, at: str) -> Address:
    shown = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    return Address(display_name=shown, addr_spec=at)


def _shown(answer: str) -> str:
    """What a server said, on one line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in answer).split())
    return line[:MOST_ANSWER_CHARS]
