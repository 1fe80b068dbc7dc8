"""Letters by mail: what arrives, and what is said of a server that refuses, hangs, drips or hangs up."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest

from adapters.smtp_mail import MailServer, SmtpMail, mail_of
from tests.adapters.letters import LINK, NOW, Mailroom, Talker, a_letter
from tests.adapters.papers import Papers
from tests.patience import PATIENCE_S
from vpp.errors import UnavailableError
from vpp.model.message import Handed, Handover, NotYet, Refused, Unsure

SERVER = MailServer(
    host="127.0.0.1",
    port=1,
    tls="none",
    sender="vpp@park.example",
    sender_name="一号园区",
    origin="park-1",
    timeout_s=5.0,
)


def handed_over(opened: AbstractAsyncContextManager[int], server: MailServer = SERVER) -> Handover:
    """What comes of one try with a server that is open as long."""

    async def main() -> Handover:
        async with opened as port:
            mail = SmtpMail(replace(server, port=port))
            return await mail.send(a_letter(), to="wang@park.example")

    return asyncio.run(main())


def read(raw: bytes) -> EmailMessage:
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def test_a_mail_arrives_whole_in_chinese_and_says_that_a_machine_wrote_it() -> None:
    room = Mailroom()
    assert handed_over(room.open()) == Handed(what="250 queued as 42")

    mail = read(room.mails[0])
    assert (room.senders, room.recipients) == (["vpp@park.example"], ["wang@park.example"])
    assert mail["From"] == "一号园区 <vpp@park.example>"
    assert mail["To"] == "王工 <wang@park.example>"
    assert mail["Subject"] == "请答复：3号冷库"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Content-Language"] == "zh"
    assert mail["Date"].datetime == NOW
    assert mail.get_content().splitlines() == ["王工，您好：", f"请答复 {LINK}"]
    assert all(byte < 128 for byte in room.mails[0])  # whatever server is on the way can carry it


def test_each_try_sends_the_same_bytes_under_an_id_of_this_park() -> None:
    first, again = (mail_of(a_letter(), SERVER, "wang@park.example") for _ in range(2))
    other = mail_of(a_letter(), replace(SERVER, origin="park-2"), "wang@park.example")

    assert first == again
    assert read(first)["Message-ID"] == "<cold-store-1.ask.1795676400.park-1@park.example>"
    assert read(other)["Message-ID"] != read(first)["Message-ID"]


def test_a_name_cannot_begin_a_header_of_its_own() -> None:
    letter = a_letter(name="Wang\r\nBcc: all@park.example")
    mail = read(mail_of(letter, SERVER, "wang@park.example"))

    assert mail["Bcc"] is None
    assert mail["To"] == '"Wang Bcc: all@park.example" <wang@park.example>'


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ({"RCPT": "550 no such mailbox"}, Refused(what="RCPT: 550 no such mailbox")),
        ({"RCPT": "450 greylisted"}, NotYet(what="RCPT: 450 greylisted")),
        ({"DATA": "554 spam"}, Refused(what="the text: 554 spam")),
        ({"DATA": "451 busy"}, NotYet(what="the text: 451 busy")),
    ],
)
def test_a_refusal_for_good_is_one_and_a_passing_one_is_tried_again(
    answers: dict[str, str], outcome: Handover
) -> None:
    room = Mailroom(answers=answers)
    assert handed_over(room.open()) == outcome
    assert not room.mails


@pytest.mark.parametrize(
    "odd",
    [
        {"": "554 no"},
        {"EHLO": "550 no", "HELO": "550 no"},
        {"MAIL": "530 log in first"},
        {"": "HANGUP"},
        {"MAIL": "HANGUP"},
        {"": "this is no SMTP"},
        {"MAIL": "\x00" * 100},
    ],
)
def test_what_a_server_says_against_us_before_the_letter_is_worth_another_try(
    odd: dict[str, str | None],
) -> None:
    assert isinstance(handed_over(Talker(odd).open()), NotYet)


def test_an_answer_without_end_is_bounded() -> None:
    outcome = handed_over(Talker({"RCPT": "550 " + "x" * 400}).open())
    assert isinstance(outcome, Refused)
    assert len(outcome.what) < 350


IMPATIENT = replace(SERVER, timeout_s=0.3)


@pytest.mark.parametrize("step", ["", "EHLO", "MAIL", "RCPT", "DATA"])
def test_a_server_that_hangs_before_the_text_has_nothing_and_is_left_in_time(step: str) -> None:
    talker = Talker({step: None})
    outcome = handed_over(talker.open(), IMPATIENT)

    assert isinstance(outcome, NotYet if step != "DATA" else Unsure)
    assert "0.3 s" in outcome.what


def test_a_server_that_hangs_with_the_text_may_have_it() -> None:
    assert isinstance(handed_over(Talker({".": None}).open(), IMPATIENT), Unsure)
    assert isinstance(handed_over(Talker({".": "HANGUP"}).open(), IMPATIENT), Unsure)


def test_a_server_that_drips_its_answers_is_left_in_time_too() -> None:
    outcome = handed_over(Talker({}, drips_s=0.05).open(), IMPATIENT)
    assert isinstance(outcome, NotYet)
    assert "no answer within 0.3 s" in outcome.what


def test_a_server_that_has_the_letter_need_not_say_goodbye() -> None:
    assert isinstance(handed_over(Talker({"QUIT": "HANGUP"}).open()), Handed)


def test_a_server_that_is_not_there_is_tried_again() -> None:
    outcome = asyncio.run(SmtpMail(SERVER).send(a_letter(), to="wang@park.example"))
    assert isinstance(outcome, NotYet)


def test_a_line_that_was_left_is_closed() -> None:
    talker = Talker({"RCPT": None})

    async def main() -> None:
        async with talker.open() as port:
            mail = SmtpMail(replace(IMPATIENT, port=port))
            await mail.send(a_letter(), to="wang@park.example")
            async with asyncio.timeout(PATIENCE_S):
                await talker.left.wait()

    asyncio.run(main())


# ---------------------------------------------------------------- encryption and login


@pytest.fixture(scope="module")
def papers(
    tmp_path_factory: pytest.TempPathFactory, require_program: Callable[[str, str], Path]
) -> Papers:
    openssl = require_program("openssl", "apt-get install openssl")
    made = Papers(tmp_path_factory.mktemp("papers"), openssl)
    made.authority()
    made.make("mail", days=2)
    return made


def context(papers: Papers) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(papers.folder / "mail.pem", papers.folder / "mail.key")
    return made


@pytest.mark.filterwarnings("ignore:Requiring AUTH")  # what aiosmtpd says of implicit TLS
@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_login_is_shown_to_an_encrypted_server_alone(papers: Papers, tls: str) -> None:
    room = Mailroom()
    implicit = tls == "implicit"
    server = replace(
        SERVER, tls="implicit" if implicit else "starttls", ca=papers.folder / "ca.pem",
        username="park", password=lambda: "hush",
    )  # fmt: skip
    opened = room.open(tls=context(papers), implicit=implicit, login=True)

    assert isinstance(handed_over(opened, server), Handed)
    assert room.logins == [("park", "hush")]
    assert room.encrypted == [True]


@pytest.mark.parametrize("username", [None, "park"])
def test_a_server_that_offers_no_encryption_gets_neither_login_nor_letter(
    username: str | None,
) -> None:
    talker = Talker({"EHLO": "250-mail.test\r\n250 AUTH PLAIN LOGIN", "AUTH": "235 welcome"})
    server = replace(SERVER, tls="starttls", username=username, password=lambda: "hush")

    assert isinstance(handed_over(talker.open(), server), NotYet)
    assert not {"AUTH", "MAIL"} & set(talker.heard)


def test_a_server_whose_certificate_is_a_strangers_gets_nothing(papers: Papers) -> None:
    room = Mailroom()
    server = replace(SERVER, tls="starttls", username="park", password=lambda: "hush")

    assert isinstance(handed_over(room.open(tls=context(papers), login=True), server), NotYet)
    assert not room.logins


def test_a_wrong_password_can_be_mended_and_is_not_repeated(papers: Papers) -> None:
    room = Mailroom()
    server = replace(
        SERVER, tls="starttls", ca=papers.folder / "ca.pem", username="park",
        password=lambda: "wrong-word",
    )  # fmt: skip
    outcome = handed_over(room.open(tls=context(papers), login=True), server)

    assert isinstance(outcome, NotYet)
    assert outcome.what.startswith("connecting: 535")
    assert "wrong-word" not in outcome.what


def test_a_password_that_is_not_there_is_said_by_its_place() -> None:
    def missing() -> str:
        raise UnavailableError("there is no value", where="environment variable PW", fix="Set it")

    server = replace(SERVER, username="park", password=missing)
    outcome = asyncio.run(SmtpMail(server).send(a_letter(), to="wang@park.example"))
    assert outcome == NotYet(what="environment variable PW: there is no value -> Set it")
