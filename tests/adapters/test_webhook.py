"""Letters as signed requests: what a receiver can check, and what is said of one that redirects, is slow or ill."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapters.webhook import Receiver, Webhook
from tests.adapters.letters import LINK, NOW, a_letter
from vpp.errors import ConfigError, UnavailableError
from vpp.model.message import Handed, Handover, NotYet, Refused, Topic, Unsure
from vpp.model.webhook import key_of

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@dataclass
class Erp:
    """A receiver, and what it is to answer."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    slow: bool = False
    endless: bool = False
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    elsewhere: int = 0
    """Requests to where it redirects."""

    async def hook(self, request: web.Request) -> web.StreamResponse:
        self.got.append((dict(request.headers), await request.read()))
        if self.slow:
            await asyncio.Event().wait()
        if self.endless:
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b"x" * 65_536)
        return web.Response(status=self.status, headers=self.headers)

    async def other(self, request: web.Request) -> web.Response:
        self.elsewhere += 1
        return web.Response()

    @asynccontextmanager
    async def open(self, **more: Any) -> AsyncIterator[Webhook]:
        app = web.Application()
        app.router.add_post("/hook", self.hook)
        app.router.add_route("*", "/other", self.other)
        async with TestServer(app, host="127.0.0.1") as server:
            receiver = Receiver(
                name="erp", url=str(server.make_url("/hook")), **{"secret": lambda: SECRET} | more
            )
            async with Webhook(receiver, now=lambda: NOW) as webhook:
                yield webhook


def handed_over(erp: Erp, topic: Topic = Topic.ASK, **more: Any) -> Handover:
    async def main() -> Handover:
        async with erp.open(**more) as webhook:
            return await webhook.send(a_letter(topic=topic), to="wang")

    return asyncio.run(main())


def test_a_receiver_reads_the_message_in_words_and_numbers() -> None:
    erp = Erp()
    assert handed_over(erp) == Handed(what="answered 204")

    ((headers, body),) = erp.got
    whole = msgspec.json.decode(body)
    assert headers["Content-Type"] == "application/json"
    assert (whole["type"], whole["timestamp"]) == ("instruction.ask", "2026-11-26T04:00:00Z")
    data = whole["data"]
    assert (data["change_kw"], data["answer_by"]) == (120.0, "2026-11-26T06:00:00Z")
    assert data["window"] == {"start": "2026-11-26T07:00:00Z", "end": "2026-11-26T09:00:00Z"}
    assert data["person"] == {"id": "wang", "name": "王工", "language": "zh"}
    assert data["why"] == {"zh": "需求响应", "en": "demand response"}
    assert data["answer_url"] == LINK


def test_a_receiver_reads_of_an_alarm_what_it_is_and_nothing_to_answer() -> None:
    erp = Erp()
    assert handed_over(erp, Topic.ALARM) == Handed(what="answered 204")

    ((_, body),) = erp.got
    whole = msgspec.json.decode(body)
    assert whole["type"] == "alarm"
    told = {"message_id", "alarm_id", "person", "place", "why", "subject", "text"}
    assert whole["data"].keys() == told


def test_the_signature_is_that_of_standard_webhooks() -> None:
    erp = Erp()
    handed_over(erp)

    ((headers, body),) = erp.got
    assert headers["webhook-id"] == "cold-store-1.ask"
    assert headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    signed = f"cold-store-1.ask.{int(NOW.timestamp())}.".encode() + body
    mac = base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{mac}"


def test_what_the_receiver_wants_beside_is_sent_along() -> None:
    erp = Erp()
    handed_over(erp, headers=lambda: {"Authorization": "Bearer hush"})
    assert erp.got[0][0]["Authorization"] == "Bearer hush"


@pytest.mark.parametrize(
    "name", ["Webhook-Id", "webhook-timestamp", "WEBHOOK-SIGNATURE", "content-type", "Host"]
)
def test_a_header_that_is_ours_to_write_is_not_sent_twice(name: str) -> None:
    erp = Erp()
    outcome = handed_over(erp, headers=lambda: {name: "hush"})

    assert isinstance(outcome, NotYet)
    assert f"{name} would stand beside ours" in outcome.what
    assert "hush" not in outcome.what
    assert not erp.got


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_refusal_and_nothing_goes_there(status: int) -> None:
    erp = Erp(status=status, headers={"Location": "/other"})

    assert isinstance(handed_over(erp), Refused)
    assert (len(erp.got), erp.elsewhere) == (1, 0)


def test_a_receiver_that_answers_slowly_may_have_it_and_is_left_in_time() -> None:
    assert handed_over(Erp(slow=True), timeout_s=0.2) == Unsure(what="no answer within 0.2 s")


def test_an_answer_without_end_is_cut() -> None:
    assert isinstance(handed_over(Erp(status=200, endless=True), timeout_s=5.0), Handed)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_a_receiver_that_is_busy_or_ill_is_asked_again_when_it_says(status: int) -> None:
    erp = Erp(status=status, headers={"Retry-After": "90"})
    assert handed_over(erp) == NotYet(
        what=f"answered {status}", retry_at=NOW + timedelta(seconds=90)
    )


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422])
def test_a_receiver_that_looked_and_said_no_is_not_asked_again(status: int) -> None:
    assert handed_over(Erp(status=status)) == Refused(what=f"answered {status}")


def test_a_receiver_that_is_not_there_is_tried_again() -> None:
    async def main() -> Handover:
        receiver = Receiver(name="erp", url="http://127.0.0.1:1/", secret=lambda: SECRET)
        async with Webhook(receiver, now=lambda: NOW) as webhook:
            return await webhook.send(a_letter(), to="wang")

    assert isinstance(asyncio.run(main()), NotYet)


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1/", "ftp://park.example/", "https://us:hush@park.example/"]
)
def test_an_address_in_the_clear_or_with_a_password_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        Webhook(Receiver(name="erp", url=url, secret=lambda: SECRET), now=lambda: NOW)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "hush",
        SECRET.removeprefix("whsec_"),
        "whsec_!!!!",
        "whsec_aGVsbG8=",
        "whsec_" + "A" * 88,
    ],
)
def test_a_secret_that_is_none_sends_nothing_and_is_not_repeated(secret: str) -> None:
    erp = Erp()
    outcome = handed_over(erp, secret=lambda: secret)

    assert isinstance(outcome, NotYet)
    assert not erp.got
    assert not secret or secret not in outcome.what


def test_a_key_of_24_to_64_bytes_is_one() -> None:
    assert key_of("whsec_" + base64.b64encode(b"k" * 24).decode(), where="erp") == b"k" * 24
    assert key_of("whsec_" + base64.b64encode(b"k" * 64).decode(), where="erp") == b"k" * 64
    with pytest.raises(UnavailableError):
        key_of("whsec_" + base64.b64encode(b"k" * 65).decode(), where="erp")
