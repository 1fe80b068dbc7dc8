"""The `vpp` command as a person meets it: what it answers, and what it says when it cannot."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PROGRAM_S
from vpp.service.park.config import shipped

DEMO = str(shipped("parks/demo.yaml"))
CASE = str(shipped("cases/demo-day.yaml"))
MEASURED = ("build_s", "solve_s", "ties_s", "validate_s")


def vpp(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vpp", *arguments],
        capture_output=True,
        text=True,
        timeout=PROGRAM_S,
        check=False,
    )


@pytest.fixture(scope="module")
def taken_port() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


@pytest.fixture(scope="module")
def planned() -> dict[str, Any]:
    """The case, planned once for all who ask about its plan."""
    return _plan()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["demo", "--frobnicate"], "--frobnicate", id="a flag that does not exist"),
        pytest.param(["demo", "--for", "tomorrow"], "--for", id="a length that is none"),
        pytest.param(["demo", "--for", "20m"], "Say 15m or 30m", id="no whole quarter-hours"),
        pytest.param(["demo", "--park", "atlantis"], "atlantis", id="a park that is not shipped"),
        pytest.param(["run", DEMO, "--host", "0.0.0.0"], "0.0.0.0", id="a bind beyond loopback"),
        pytest.param(["run", DEMO, "--port", "0"], "trading.mode", id="a live park, simulated"),
        pytest.param(["demo", "--port", "{port}"], "port {port}", id="a port in use"),
        pytest.param(
            ["run", "{live}", "--port", "0", "--data", "{file}/under"],
            "{file}/under",
            id="a data folder that cannot be",
        ),
        pytest.param(["check", "{file}/none.yaml"], "cannot be read", id="a park file that is not"),
        pytest.param(["forecast", "{file}/none.csv"], "cannot be read", id="no series to forecast"),
        pytest.param(["schema", "atlantis"], "atlantis", id="a schema that does not exist"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    arguments: list[str], says: str, taken_port: int, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("no folder", encoding="utf-8")
    live = tmp_path / "live.yaml"
    text = Path(DEMO).read_text(encoding="utf-8").replace("mode: simulated", "mode: shadow")
    for name in ("markets", "series", "strategies"):
        text = text.replace(f"../{name}", str(shipped(name)))
    live.write_text(text, encoding="utf-8")

    done = vpp(*(argument.format(port=taken_port, file=file, live=live) for argument in arguments))

    assert done.returncode in (1, 2)
    assert done.stdout == ""
    assert says.format(port=taken_port, file=file) in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_check_tells_every_fault_of_a_park_file_by_its_place(tmp_path: Path) -> None:
    text = Path(DEMO).read_text(encoding="utf-8")
    for name in ("markets", "series", "strategies"):
        text = text.replace(f"../{name}", str(shipped(name)))
    text = text.replace("capacity_kwh: 4000", "capacity_kwh: -4000", 1)
    text = text.replace("charge_efficiency: 0.96", "charge_efficiency: 96", 1)
    text = text.replace("feeder: feeder-south", "feeder: feeder-west", 1)
    park = tmp_path / "park.yaml"
    park.write_text(text, encoding="utf-8")

    done = vpp("check", str(park))

    assert done.returncode == 2
    assert done.stdout == ""
    faults = done.stderr.strip().splitlines()
    assert len(faults) == 3
    for fault in faults:
        told = re.fullmatch(re.escape(str(park)) + r":(\d+):(\d+): ([a-z_.0-9]+): .+", fault)
        assert told is not None, fault
        line = text.splitlines()[int(told[1]) - 1]
        assert line[int(told[2]) - 1 :].startswith(told[3].rsplit(".", 1)[1])


@pytest.mark.parametrize(
    ("lacks", "where"),
    [
        pytest.param(r"  - \S+/se3_day_ahead\.yaml\n", "markets", id="no day-ahead market"),
        pytest.param(r"(?ms)^bidding_units:.*?(?=^trading:)", "bidding_units", id="no unit"),
    ],
)
def test_a_park_that_nobody_can_price_is_warned_of_and_refused_before_anything_listens(
    tmp_path: Path, lacks: str, where: str
) -> None:
    text = Path(DEMO).read_text(encoding="utf-8").replace("mode: simulated", "mode: shadow")
    for name in ("markets", "series", "strategies"):
        text = text.replace(f"../{name}", str(shipped(name)))
    text = re.sub(r"(?ms)^simulation:.*", "", text).replace("[se3-day-ahead, ", "[")
    text, found = re.subn(lacks, "", text)
    park = tmp_path / "park.yaml"
    park.write_text(text, encoding="utf-8")

    checked = vpp("check", str(park))
    ran = vpp("run", str(park), "--port", "0", "--data", str(tmp_path / "data"))

    assert found == 1
    assert (checked.returncode, ran.returncode) == (0, 2)
    assert f"warning: `vpp run` refuses it: {where}: " in checked.stderr
    assert ran.stderr.startswith(f"{where}: ")
    assert len(ran.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "data").exists()


def test_check_passes_the_shipped_park() -> None:
    done = vpp("check", DEMO, "--json")

    assert done.returncode == 0
    assert json.loads(done.stdout)["park"] == "demo"


def test_check_of_a_newer_market_file_tells_what_changes(tmp_path: Path) -> None:
    old = str(shipped("markets/se3_day_ahead.yaml"))
    newer = tmp_path / "newer.yaml"
    newer.write_text(Path(old).read_text().replace("max: 4000", "max: 5000"), encoding="utf-8")

    done = vpp("check", str(newer), "--diff", old)
    same = vpp("check", old, "--diff", old, "--json")

    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        f"{newer}: in order: se3-day-ahead 1.1.0, 2 unverified fields",
        "se3-day-ahead: offer.price.max (price): 4000 becomes 5000 (+1000)",
    ]
    assert json.loads(same.stdout)["changes"] == []


def test_schema_names_every_schema_and_prints_each() -> None:
    names, park = vpp("schema").stdout.split(), vpp("schema", "park")

    assert "park" in names
    assert json.loads(park.stdout)["properties"]["enterprises"]


def test_a_case_is_planned_the_same_each_time_and_its_costs_add_up(
    planned: dict[str, Any],
) -> None:
    first, second = planned, _plan()

    assert first == second
    assert first["status"] == "optimal"
    plan = first["schedule"]
    assert plan["steps"] == 96
    total = sum(Decimal(cost["cost"]) for cost in plan["cost_by_cause"])
    assert float(total) == pytest.approx(float(plan["cost"]), abs=1e-3)
    for step, net_kw in enumerate(plan["net_kw"]):
        powers = (resource["power_kw"][step] for resource in plan["resources"])
        assert sum(powers) == pytest.approx(net_kw, abs=0.1)


def test_a_plan_says_why_and_what_changed(planned: dict[str, Any], tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    old.write_text(json.dumps(planned), encoding="utf-8")

    why = vpp("plan", CASE, "--explain", "steel-battery@03:15")
    since = vpp("plan", CASE, "--since", str(old))

    assert why.returncode == since.returncode == 0, why.stderr + since.stderr
    assert why.stdout.startswith("steel-battery ")
    assert "solved by HiGHS (" in since.stdout
    assert "Nothing changed since demo-day." in since.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["--explain", "steel-battery"], "Say bess-1@03:15", id="no time"),
        pytest.param(["--explain", "moon@03:15"], "no resource 'moon'", id="a stranger"),
        pytest.param(["--since", DEMO], "is no plan", id="no plan to compare with"),
    ],
)
def test_a_question_that_makes_no_sense_is_bad_input(arguments: list[str], says: str) -> None:
    done = vpp("plan", CASE, *arguments)

    assert done.returncode == 2
    assert done.stdout == ""
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def _plan() -> dict[str, Any]:
    done = vpp("plan", CASE, "--json")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    for name in MEASURED:
        document["schedule"][name] = 0.0
    return document
