"""The park file's section `people`: what may stand there, and the channels that come of it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.service.conftest import NOW
from tests.service.rebuilt import HandClock
from tests.service.test_calendars import demo_with
from vpp.service.park.config import ConfigErrors
from vpp.service.park.parkfile import ParkFile
from vpp.service.people.desk import PeopleDesk
from vpp.service.people.wiring import open_people, receiver_of, server_of

PEOPLE = """\
people:
  page:
    url: https://answers.park.example/
    listen: {port: 8444}
  mail:
    host: smtp.park.example
    from: vpp@park.example
    username: park
    password: {env: VPP_TEST_MAIL}
  webhooks:
    - {id: erp, url: "https://erp.park.example/hook", secret: {env: VPP_TEST_HOOK}}
  persons:
    - {id: wang, name: 王工, language: zh, mail: wang@park.example}
    - {id: anna, name: Anna, language: en, mail: anna@park.example, webhook: erp}
"""


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VPP_TEST_MAIL", "hush")
    monkeypatch.setenv("VPP_TEST_HOOK", "whsec_" + "A" * 32)


def opened(file: ParkFile) -> PeopleDesk:
    async def main() -> PeopleDesk:
        async with AsyncExitStack() as stack:
            return await open_people(file, HandClock(at=NOW), stack)

    return asyncio.run(main())


def test_a_person_is_reached_over_every_way_that_stands_there(tmp_path: Path) -> None:
    desk = opened(demo_with(tmp_path, PEOPLE))

    ways = {
        name: [(address.channel.name, address.to) for address in person.addresses]
        for name, person in desk.persons.items()
    }
    assert ways == {
        "wang": [("mail", "wang@park.example")],
        "anna": [("mail", "anna@park.example"), ("webhook-erp", "anna")],
    }
    assert desk.page_url == "https://answers.park.example"


def test_secrets_are_read_where_they_are_kept_when_they_are_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = demo_with(tmp_path, PEOPLE)
    assert file.people.mail is not None
    server, receiver = server_of(file.people.mail, file), receiver_of(file.people.webhooks[0], file)
    monkeypatch.setenv("VPP_TEST_MAIL", "renewed")

    assert server.password() == "renewed"
    assert receiver.secret().startswith("whsec_")
    assert (server.port, server.tls, server.sender) == (587, "starttls", "vpp@park.example")


def test_nobody_is_asked_for_what_is_not_real(tmp_path: Path) -> None:
    file = demo_with(tmp_path, PEOPLE)
    simulated = replace(file, trading=file.trading.model_copy(update={"mode": "simulated"}))

    assert all(not person.addresses for person in opened(simulated).persons.values())


@pytest.mark.parametrize(
    ("instead_of", "stands", "said"),
    [
        ("    url: https://answers.park.example/\n    listen: {port: 8444}", "", "page"),
        ("mail: wang@park.example", "webhook: nobody", "unknown receiver 'nobody'"),
        (", mail: wang@park.example", "", "cannot be reached"),
        ("id: anna", "id: wang", "person id 'wang' stands in line"),
        ("wang@park.example", '"wang@park.example\\nBcc: all@x.example"', "persons.0.mail"),
        ("mail: wang@park.example", "mail: wang.@park.example", "persons.0.mail"),
        ("mail: wang@park.example", "mail: wang@park..example", "persons.0.mail"),
        ("name: 王工", 'name: "王\\n工"', "persons.0.name"),
        ("language: zh", "language: sv", "language"),
        ("    username: park\n", "", "give username and password, or neither"),
        ("    username: park", "    tls: none\n    username: park", "is not this machine"),
        ("{env: VPP_TEST_MAIL}", "hush", "say where the value is kept"),
        ("{env: VPP_TEST_HOOK}", "{env: VPP_TEST_NONE}", "there is no value"),
        (
            "secret: {env: VPP_TEST_HOOK}",
            "secret: {env: VPP_TEST_HOOK}, headers: {Webhook-Id: {env: VPP_TEST_HOOK}}",
            "Webhook-Id is ours to write",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_its_place(
    tmp_path: Path, instead_of: str, stands: str, said: str
) -> None:
    assert instead_of in PEOPLE
    with pytest.raises(ConfigErrors) as refused:
        demo_with(tmp_path, PEOPLE.replace(instead_of, stands, 1))
    assert said in str(refused.value)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("ours", ["https://answers.park.example/", "https://erp.park.example/hook"])
@pytest.mark.parametrize(
    "url",
    [
        "http://answers.park.example",
        "https://us:hush@park.example",
        "https://park.example/?token=hush",
        "ftp://park.example",
        "https://park.example:hush",
        "park.example",
    ],
)
def test_addresses_are_encrypted_and_hold_no_password(tmp_path: Path, ours: str, url: str) -> None:
    with pytest.raises(ConfigErrors) as refused:
        demo_with(tmp_path, PEOPLE.replace(ours, url))
    (told,) = refused.value.faults
    assert told.path.endswith("url")
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8444/", "http://[::1]:8444", "http://localhost"])
def test_this_machine_is_spoken_to_in_the_clear(tmp_path: Path, url: str) -> None:
    desk = opened(demo_with(tmp_path, PEOPLE.replace("https://answers.park.example/", url)))
    assert desk.page_url == url.rstrip("/")


@pytest.mark.parametrize("secret", ["hush", "whsec_hush", "whsec_aGVsbG8=", "A" * 32])
def test_a_secret_that_signs_nothing_is_told_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("VPP_TEST_HOOK", secret)
    with pytest.raises(ConfigErrors) as refused:
        demo_with(tmp_path, PEOPLE)
    (told,) = refused.value.faults
    assert "receiver erp: the secret is none" in told.what
    assert secret not in str(refused.value)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_authorities_that_are_not_there_or_are_none_are_told(
    tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigErrors) as refused:
        demo_with(
            tmp_path, PEOPLE.replace("    username: park", "    ca: ca.pem\n    username: park")
        )
    (told,) = refused.value.faults
    assert told.path == "people.mail.ca"
    assert "cannot be used as authorities" in told.what
