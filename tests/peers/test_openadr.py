"""OpenADR as others speak it: the standard's own mock, two foreign sites of 3.0 and 3.1, and a server of 2.0b.

Each foreigner runs in an environment of its own, made here or named by VPP_PEERS_TOADR3, VPP_PEERS_OA3,
VPP_PEERS_OPENLEADR and VPP_PEERS_PRISM (a folder with node_modules). It takes downloads, so it is run where
`VPP_PEERS` says so; the mock needs the Alliance's OpenAPI file of 3.0.1 too, which VPP_PEERS_OPENADR3 names.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

from adapters.http_token import TokenSource
from adapters.openadr3 import OpenAdr3, Vtn
from adapters.openadr3_wire import Version
from tests.contracts.ownvtn import FLEX, OwnVtn, a_setpoint, said, wall
from vpp.model.programme import (
    EventList,
    Payload,
    PayloadUnits,
    ProgrammeReport,
    ReportInterval,
)
from vpp.service.http import reserved_port
from vpp.wire import AckMessage, TelemetryMessage

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent / "openadr"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

pytestmark = pytest.mark.skipif(
    "VPP_PEERS" not in os.environ,
    reason="installs openleadr, toadr3, python-oa3-client and Prism: set VPP_PEERS=1 to run it",
)


def environment(variable: str, package: str, home: Path) -> Path:
    """The folder of an environment that holds `package`, made here or named by `variable`."""
    if (made := os.environ.get(variable)) is not None:
        return Path(made)
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    pip: list[str | Path] = [home / "bin/python", "-m", "pip", "install", "--quiet", "--no-compile"]
    subprocess.run([*pip, package], check=True)
    return home


def result(*command: str | Path, cwd: Path, path: str = "") -> Any:
    """What a script prints after RESULT."""
    ran = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=120,
        env=os.environ | {"PYTHONPATH": path}, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-4000:]
    (line,) = [row for row in ran.stdout.splitlines() if row.startswith("RESULT ")]
    return json.loads(line.removeprefix("RESULT "))


def client_of(url: str, version: Version) -> OpenAdr3:
    source = TokenSource(
        url=f"{url}/auth/token", client_id=lambda: "us", client_secret=lambda: "secret"
    )
    return OpenAdr3(Vtn(url=url, version=version, ven_name="park", token=source), now=lambda: NOW)


def as_read_by_us(listed: EventList) -> list[Any]:
    return [
        [
            event.event_id,
            event.priority,
            [[p.payload_type, list(p.values)] for i in event.intervals for p in i.payloads],
        ]
        for event in listed.events
    ]


# ---------------------------------------------------------------- two strangers are sites of ours


@pytest.mark.parametrize(
    ("version", "variable", "package", "script"),
    [
        ("3.0", "VPP_PEERS_TOADR3", "toadr3==0.29.0", "site_toadr3.py"),
        ("3.1", "VPP_PEERS_OA3", "python-oa3-client[webhooks]==0.5.0", "site_oa3.py"),
    ],
)
def test_a_stranger_is_a_site_it_reads_reports_subscribes_and_is_notified(
    version: Version, variable: str, package: str, script: str, tmp_path: Path
) -> None:
    home = environment(variable, package, tmp_path / "venv")

    async def both() -> tuple[Any, EventList, list[TelemetryMessage | AckMessage]]:
        with reserved_port() as port:
            named = f"http://127.0.0.1:{port}"
            async with OwnVtn.serving(callbacks=(named,)) as vtn:
                link, url = vtn.links["steel"], vtn.root(version)
                await link.send([a_setpoint(-40.0, seq=7, at=wall())])
                async with OpenAdr3(vtn.asked(version), now=wall) as client:
                    ours = await client.events([FLEX])
                theirs = asyncio.create_task(
                    asyncio.to_thread(
                        result, home / "bin/python", SCRIPTS / script, url, str(port), cwd=tmp_path
                    )
                )
                while not link.shelf.subscriptions and not theirs.done():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                await link.send([a_setpoint(-30.0, seq=8, at=wall())])
                return await theirs, ours, await said(link, 3)

    theirs, ours, told = asyncio.run(both())

    assert theirs["programs"] == [FLEX]
    assert theirs["events"] == as_read_by_us(ours)
    assert theirs["notified"] == [["EVENT", {"3.0": "PUT", "3.1": "UPDATE"}[version], 30.0]]
    assert theirs["knocks"] == ["Bearer knock"]
    assert theirs["refused"] == [403, 404, 400]  # to write programs, what is not there, to call
    assert theirs["reports"] == 1
    acks = [one for one in told if isinstance(one, AckMessage)]
    readings = [one for one in told if isinstance(one, TelemetryMessage)]
    assert {one.seq for one in acks} == {7, 8}
    assert [(one.power_kw, one.quality) for one in readings] == [(-40.0, "good")]


# ---------------------------------------------------------------- the standard's own mock


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of Prism, which serves the examples of the Alliance's file and refuses what it forbids."""
    if (specification := os.environ.get("VPP_PEERS_OPENADR3")) is None:
        pytest.skip("no OpenAPI file of OpenADR 3.0.1 -> name one with VPP_PEERS_OPENADR3")
    home = Path(os.environ.get("VPP_PEERS_PRISM", tmp_path_factory.mktemp("prism")))
    if not (home / "node_modules").exists():
        subprocess.run(["npm", "install", "@stoplight/prism-cli@5"], cwd=home, check=True)
    prism = home / "node_modules/.bin/prism"
    with reserved_port() as port:
        command: list[str | Path] = [
            prism,
            "mock",
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
            specification,
        ]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
            wait_for(lambda: answers(f"http://127.0.0.1:{port}/programs"))
            yield f"http://127.0.0.1:{port}"
            running.terminate()


def wait_for(ready: Callable[[], bool], *, timeout_s: float = 60) -> None:
    until = monotonic() + timeout_s
    while not ready():
        assert monotonic() < until, "the mock does not come up"


def answers(url: str) -> bool:
    try:
        urlopen(url, timeout=5).close()
    except HTTPError:
        return True  # without a token it says no, but it says something
    except URLError:
        return False
    return True


def test_the_mock_of_the_standard_takes_our_questions_and_our_report(
    mock: str, tmp_path: Path
) -> None:
    report = ProgrammeReport(
        report_name="r-1",
        program_id="object-999",
        event_id="object-999",
        units=(PayloadUnits(payload_type="USAGE", units="KWH"),),
        intervals=(
            ReportInterval(
                interval_id=0,
                start=NOW,
                duration=timedelta(hours=1),
                payloads=(
                    Payload(payload_type="USAGE", values=(12.5,)),
                    Payload(payload_type="DATA_QUALITY", values=("OK",)),
                ),
            ),
        ),
    )

    async def ask() -> EventList:
        async with client_of(mock, "3.0") as client:
            await client.register()
            listed = await client.events(["ResTOU"])
            await client.send_report(report)
            return listed

    listed = asyncio.run(ask())

    assert as_read_by_us(listed) == [["object-999", None, [["PRICE", [0.17]]]]]
    home = environment("VPP_PEERS_TOADR3", "toadr3==0.29.0", tmp_path / "venv")
    theirs = result(home / "bin/python", SCRIPTS / "read_toadr3.py", mock, cwd=tmp_path)
    assert theirs["events"] == as_read_by_us(listed)


# ---------------------------------------------------------------- 2.0b


def test_the_client_of_2_0b_keeps_the_contract_of_its_port(tmp_path: Path) -> None:
    home = environment("VPP_PEERS_OPENLEADR", "openleadr==0.5.36", tmp_path / "venv")
    (packages,) = home.glob("lib/python3*/site-packages")
    suite = ROOT / "tests/contracts/test_programme_server.py"
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "2.0b", suite],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{packages}"},
    )  # fmt: skip

    assert ran.returncode == 0, ran.stdout[-4000:]
    assert "4 passed" in ran.stdout


def test_a_server_of_2_0b_is_answered_followed_and_told_the_power(tmp_path: Path) -> None:
    home = environment("VPP_PEERS_OPENLEADR", "openleadr==0.5.36", tmp_path / "venv")
    (packages,) = home.glob("lib/python3*/site-packages")
    with reserved_port() as port:
        told = result(
            sys.executable, SCRIPTS / "world2b.py", str(port), cwd=tmp_path, path=f"{ROOT}:{packages}"
        )  # fmt: skip

    start = datetime.fromisoformat(told["start"])
    hour = [(start + n * timedelta(minutes=15)).isoformat() for n in range(4)]
    assert told["opts"][0] == ["e-1", "optIn"]
    assert told["first"] == [[quarter, 200] for quarter in hour]
    assert (told["changes"], told["second"], told["then"]) == (["new"], [], ["cancelled"])
    assert told["asked_for"] == ["RealPower"]
    assert set(told["reported"]) == {700.0}
    assert told["late"] == 0
