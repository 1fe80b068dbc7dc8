"""What every `Messenger` promises, whatever it speaks: an outcome for whatever happens, in a bounded time.

Mail is held against aiosmtpd, a server that shares no code with our client; webhooks against a bare socket here,
and against the reference library of Standard Webhooks in `tests/peers/test_webhook.py`.
"""

from __future__ import annotations

import asyncio
import base64
import email
import email.policy
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import pytest

from adapters.smtp_mail import MailServer, SmtpMail
from adapters.webhook import Receiver, Webhook
from tests.adapters.letters import LINK, NOW, Mailroom, Talker, a_letter
from tests.patience import PATIENCE_S
from vpp.model.message import Handed, NotYet, Refused, Unsure
from vpp.ports import Messenger

TIMEOUT_S = 0.4
SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()

Mood = Literal["well", "refuses", "busy", "hangs", "garbage", "hangs up", "away"]


@dataclass
class Bench:
    """The other side in some mood, and a messenger to it."""

    messenger: Messenger
    to: str
    got: list[bytes] = field(default_factory=list)
    """What arrived, whole."""


Opening = Callable[[Mood], AbstractAsyncContextManager[Bench]]


@asynccontextmanager
async def _mail(mood: Mood) -> AsyncIterator[Bench]:
    room = Mailroom(
        answers={"refuses": {"RCPT": "550 nobody"}, "busy": {"DATA": "451 busy"}}.get(mood, {})
    )
    talkers = {
        "hangs": Talker({".": None}),
        "garbage": Talker({"MAIL": "\x00\x01"}),
        "hangs up": Talker({".": "HANGUP"}),
    }
    opened = talkers[mood].open() if mood in talkers else room.open()
    async with opened as port:
        server = MailServer(
            host="127.0.0.1",
            port=1 if mood == "away" else port,
            tls="none",
            sender="vpp@park.example",
            sender_name="Park",
            origin="park",
            timeout_s=TIMEOUT_S,
        )
        yield Bench(SmtpMail(server), "wang@park.example", room.mails)


@asynccontextmanager
async def _webhook(mood: Mood) -> AsyncIterator[Bench]:
    got: list[bytes] = []
    answers = {
        "well": b"HTTP/1.1 204 No Content\r\n\r\n",
        "refuses": b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n",
        "busy": b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
        "garbage": b"\x00\x01\r\n\r\n",
    }

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.partition(b":")[2])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length:")
            )
            got.append(head + await reader.readexactly(length))
            if mood == "hangs":
                await reader.read()
            elif mood != "hangs up":
                writer.write(answers[mood])
                await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        port = 1 if mood == "away" else server.sockets[0].getsockname()[1]
        receiver = Receiver(
            name="erp",
            url=f"http://127.0.0.1:{port}/hook",
            secret=lambda: SECRET,
            timeout_s=TIMEOUT_S,
        )
        async with Webhook(receiver, now=lambda: NOW) as webhook:
            yield Bench(webhook, "wang", got)


@pytest.fixture(params=[_mail, _webhook], ids=["mail", "webhook"])
def opening(request: pytest.FixtureRequest) -> Opening:
    made: Opening = request.param
    return made


def check(opening: Opening, mood: Mood, story: Callable[[Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        async with opening(mood) as bench, asyncio.timeout(PATIENCE_S):
            await story(bench)

    asyncio.run(main())


def test_what_the_other_side_takes_is_handed(opening: Opening) -> None:
    async def story(bench: Bench) -> None:
        assert isinstance(await bench.messenger.send(a_letter(), to=bench.to), Handed)
        assert len(bench.got) == 1
        assert LINK in _plain(bench.got[0])

    check(opening, "well", story)


def _plain(raw: bytes) -> str:
    """The text of a mail, or a request as it is."""
    if raw.startswith(b"POST"):
        return raw.decode()
    return str(email.message_from_bytes(raw, policy=email.policy.default).get_payload(decode=True))


def test_the_same_letter_again_is_known_by_its_id(opening: Opening) -> None:
    async def story(bench: Bench) -> None:
        for _ in range(2):
            await bench.messenger.send(a_letter(), to=bench.to)
        first, second = bench.got
        assert first == second
        assert b"cold-store-1.ask" in first

    check(opening, "well", story)


@pytest.mark.parametrize(
    ("mood", "outcome"),
    [
        ("refuses", Refused),
        ("busy", NotYet),
        ("away", NotYet),
        ("hangs", Unsure),
        ("hangs up", Unsure),
    ],
)
def test_whatever_the_other_side_does_is_an_outcome(
    opening: Opening, mood: Mood, outcome: type[object]
) -> None:
    async def story(bench: Bench) -> None:
        found = await bench.messenger.send(a_letter(), to=bench.to)
        assert isinstance(found, outcome)
        assert LINK not in found.what

    check(opening, mood, story)


def test_nonsense_is_worth_another_try(opening: Opening) -> None:
    async def story(bench: Bench) -> None:
        found = await bench.messenger.send(a_letter(), to=bench.to)
        assert isinstance(found, NotYet | Unsure)

    check(opening, "garbage", story)


def test_a_side_that_hangs_is_left_in_time_by_all_who_try(opening: Opening) -> None:
    async def story(bench: Bench) -> None:
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(bench.messenger.send(a_letter(), to=bench.to) for _ in range(20)))
        assert asyncio.get_running_loop().time() - began < 10 * TIMEOUT_S

    check(opening, "hangs", story)


def test_who_is_no_longer_wanted_can_be_let_go_amid_a_try(opening: Opening) -> None:
    async def story(bench: Bench) -> None:
        trying = asyncio.create_task(bench.messenger.send(a_letter(), to=bench.to))
        await asyncio.wait({trying}, timeout=TIMEOUT_S / 4)
        trying.cancel()
        (ended,) = await asyncio.gather(trying, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError)

    check(opening, "hangs", story)
