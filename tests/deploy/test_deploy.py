"""What `deploy/` and the Dockerfile start is what the command line takes, from a place it may write to."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from tests.patience import PATIENCE_S
from vpp.cli import app
from vpp.service.daemon import MOST_GRACE

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "vpp.service"
COMPOSE: dict[str, Any] = yaml.safe_load(
    (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
)["services"]["vpp"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
UNIT_TEXT = UNIT.read_text(encoding="utf-8")


def parsed(words: Sequence[str]) -> dict[str, Any]:
    """What the command would be called with; raises where it does not know a word."""
    command = typer.main.get_command(app)
    name, *arguments = words
    one = command.commands[name]  # type: ignore[attr-defined]
    parameters: dict[str, Any] = one.make_context(name, list(arguments)).params
    return parameters


def in_unit(key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", UNIT_TEXT, re.MULTILINE)


def test_the_unit_starts_what_the_command_line_knows() -> None:
    (start,), (before,) = in_unit("ExecStart"), in_unit("ExecStartPre")
    run, check = start.split()[1:], before.split()[1:]

    assert parsed(run) | {"park": Path("park/park.yaml"), "data": Path("data")} == parsed(run)
    assert parsed(check)["park"] == parsed(run)["park"]


def test_the_image_and_compose_start_the_same_from_folders_they_may_write() -> None:
    (command,) = re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    image, composed = parsed(json.loads(command)), parsed(COMPOSE["command"])
    home = Path("/var/lib/vpp")

    assert f"WORKDIR {home}" in DOCKERFILE
    assert home / image["park"] == composed["park"] == home / "park" / "park.yaml"
    assert home / image["data"] == composed["data"] == home / "data"
    targets = [volume.split(":")[1] for volume in COMPOSE["volumes"]]
    assert targets == [str(home / "park"), str(home / "data")]
    assert (
        COMPOSE["user"] == re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE)[0] == "10001:10001"
    )


def test_the_container_may_do_no_more_than_it_needs() -> None:
    assert COMPOSE["read_only"] is True
    assert COMPOSE["cap_drop"] == ["ALL"]
    assert COMPOSE["security_opt"] == ["no-new-privileges:true"]
    assert COMPOSE["network_mode"] == "host"  # the page listens on loopback
    assert COMPOSE["mem_limit"]
    assert COMPOSE["pids_limit"]


def test_both_wait_longer_for_the_end_than_a_plan_may_take() -> None:
    """`run_daemon` grants the plan under way, of 20 s at the default, five seconds more; that of a fleet no longer."""
    (unit_s,) = in_unit("TimeoutStopSec")
    assert (
        20 + 5 <= MOST_GRACE.total_seconds() < int(unit_s) - 10
    )  # what is open is closed after it
    assert int(unit_s) == int(COMPOSE["stop_grace_period"].rstrip("s")) == 60


@pytest.fixture
def analyze() -> Callable[..., subprocess.CompletedProcess[str]]:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not there -> try on a machine with systemd")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [tool, *words], capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )

    return run


def test_systemd_finds_nothing_wrong_with_the_unit(
    analyze: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """With a program in place of the one that is installed on no build machine."""
    unit = tmp_path / "vpp.service"
    unit.write_text(UNIT_TEXT.replace("/opt/vpp/bin/vpp", "/bin/true"), encoding="utf-8")

    done = analyze("verify", "--man=no", str(unit))

    assert [line for line in done.stderr.splitlines() if "vpp.service" in line] == []


def test_the_unit_is_exposed_to_little(
    analyze: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """systemd's own sum, 0 to 10, of what a unit could do to its machine: below 2.0."""
    done = analyze("security", "--offline=true", "--threshold=20", str(UNIT))

    assert done.returncode == 0, done.stdout[-300:] + done.stderr
