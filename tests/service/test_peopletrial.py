"""`vpp people test`: one message that asks for nothing, over every way, and what came of each."""

from __future__ import annotations

import asyncio
import email
import email.policy
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.adapters.letters import Mailroom
from tests.service.conftest import NOW
from tests.service.rebuilt import HandClock
from tests.service.test_calendars import demo_with
from vpp.cli import main
from vpp.commands.people import people_app
from vpp.errors import ConfigError
from vpp.model.message import Handed, Handover, NotYet, Refused, Unsure
from vpp.service.people import trial as peopletrial

PARK = """\
people:
  page: {{url: "https://park.example/answer", listen: {{port: 8444}}}}
  mail: {{host: 127.0.0.1, port: {port}, tls: none, from: vpp@park.example}}
  webhooks:
    - {{id: erp, url: "http://127.0.0.1:1/", secret: {{env: VPP_TEST_HOOK}}}}
  persons:
    - {{id: wang, name: 王工, language: zh, mail: wang@park.example, webhook: erp}}
"""


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VPP_TEST_HOOK", "whsec_" + "A" * 32)


def tried(folder: Path, room: Mailroom, name: str = "wang") -> dict[str, Handover]:
    async def main() -> dict[str, Handover]:
        async with room.open() as port:
            demo_with(folder, PARK.format(port=port))
            return await peopletrial.try_person(folder / "park.yaml", name, HandClock(at=NOW))

    return asyncio.run(main())


def test_each_way_is_tried_and_a_person_reads_that_nothing_is_asked(tmp_path: Path) -> None:
    room = Mailroom()
    outcomes = tried(tmp_path, room)

    assert outcomes["mail"] == Handed(what="250 queued as 42")
    assert isinstance(outcomes["webhook-erp"], NotYet)
    mail = email.message_from_bytes(room.mails[0], policy=email.policy.default)
    assert mail["Subject"] == "测试消息，无需答复"
    text = mail.get_content()
    assert "您无需执行任何操作" in text
    assert "kW" not in text


def test_a_stranger_to_the_park_file_is_not_written_to(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no person 'li'"):
        tried(tmp_path, Mailroom(), "li")


@pytest.mark.parametrize(
    ("outcomes", "said", "code"),
    [
        (
            {"mail": Handed(what="250 queued"), "webhook-erp": NotYet(what="answered 503")},
            (
                "mail: handed over: 250 queued\n"
                "webhook-erp: not handed over, and worth another try: answered 503\n"
            ),
            0,
        ),
        ({"mail": Refused(what="550 nobody")}, "mail: refused: 550 nobody\n", 1),
        (
            {"mail": Unsure(what="no answer within 20 s")},
            "mail: nobody knows whether it arrived: no answer within 20 s\n",
            1,
        ),
    ],
)
def test_the_command_says_what_came_of_each_way(
    monkeypatch: pytest.MonkeyPatch, outcomes: dict[str, Handover], said: str, code: int
) -> None:
    async def answered(*_: object) -> dict[str, Handover]:
        return outcomes

    monkeypatch.setattr(peopletrial, "try_person", answered)
    ran = CliRunner().invoke(people_app, ["test", "park.yaml", "wang"])

    assert (ran.stdout, ran.exit_code) == (said, code)


@pytest.mark.parametrize(
    ("outcome", "code"), [(Handed(what="250 queued"), 0), (Refused(what="550 nobody"), 1)]
)
def test_the_shell_sees_whether_a_way_worked(
    monkeypatch: pytest.MonkeyPatch, outcome: Handover, code: int
) -> None:
    async def answered(*_: object) -> dict[str, Handover]:
        return {"mail": outcome}

    monkeypatch.setattr(peopletrial, "try_person", answered)
    monkeypatch.setattr("sys.argv", ["vpp", "people", "test", "park.yaml", "wang"])
    monkeypatch.setattr("structlog.configure", lambda **_: None)  # of the whole process
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code


def test_a_trial_in_the_next_second_is_another_message(tmp_path: Path) -> None:
    room = Mailroom()
    tried(tmp_path, room)

    async def again() -> None:
        async with room.open() as port:
            demo_with(tmp_path, PARK.format(port=port))
            clock = HandClock(at=NOW + timedelta(seconds=1))
            await peopletrial.try_person(tmp_path / "park.yaml", "wang", clock)

    asyncio.run(again())
    ids = {email.message_from_bytes(mail)["Message-ID"] for mail in room.mails}
    assert len(ids) == 2
