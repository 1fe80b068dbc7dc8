"""A market simulator written by strangers clears a month against a simulation of ours.

ASSUME runs in an environment of its own, as a process of its own, under its own licence (`assume/`). It
asks a simulation for bids at each auction, clears them among thermal plants, and tells the result; then its
books are held against ours. Takes minutes, so it is run where `VPP_PEERS` says so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.scenarios.conftest import write_park

ROOT = Path(__file__).parents[2]
ASSUME = Path(__file__).parent / "assume"
DAYS = int(os.environ.get("VPP_PEERS_DAYS", "30"))

pytestmark = pytest.mark.skipif(
    "VPP_PEERS" not in os.environ,
    reason="installs ASSUME and plays a month twice, some ten minutes: set VPP_PEERS=1 to run it",
)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds ASSUME, made here or named by VPP_PEERS_ASSUME."""
    if (made := os.environ.get("VPP_PEERS_ASSUME")) is not None:
        return Path(made) / "bin/python"
    home = tmp_path_factory.mktemp("assume") / "venv"
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    pip: list[str | Path] = [home / "bin/python", "-m", "pip", "install", "--quiet", "--no-compile"]
    subprocess.run([*pip, "-r", ASSUME / "requirements.txt"], check=True)
    return home / "bin/python"


@pytest.fixture(scope="module")
def parks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`quarters` and `hours`: a small park whose day-ahead product has 96 or 24 intervals a day, in UTC."""
    folder = tmp_path_factory.mktemp("parks")
    park = write_park(
        folder,
        zone="UTC",
        day=date(2025, 12, 3),
        period_s=300,
        area="SE3",
        currency="EUR",
        afterwards=timedelta(days=DAYS + 4),
    )
    text = park.read_text(encoding="utf-8")
    market = (folder / "day_ahead.yaml").read_text(encoding="utf-8")
    hourly = market.replace("delivery_interval: PT15M", "delivery_interval: PT1H")
    (folder / "hourly.yaml").write_text(hourly, encoding="utf-8")
    (folder / "quarters.yaml").write_text(text, encoding="utf-8")
    hours = text.replace("[day_ahead.yaml", "[hourly.yaml")
    (folder / "hours.yaml").write_text(hours, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def service(parks: Path) -> Iterator[str]:
    """The address of a service of simulations, as anybody would start it."""
    command = [sys.executable, "-m", "vpp", "simulate", "--parks", str(parks), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        address = json.loads(running.stderr.readline())["address"]
        yield address
        running.terminate()


def call(method: str, url: str, body: Any = None) -> Any:
    content = None if body is None else json.dumps(body).encode()
    request = Request(url, content, {"Content-Type": "application/json"}, method=method)
    with urlopen(request, timeout=600) as answer:
        return json.load(answer)


@dataclass(frozen=True, kw_only=True)
class Month:
    """What both sides have in their books when it is over."""

    theirs: dict[str, Any]
    ours: list[dict[str, Any]]
    manifest: dict[str, Any]

    @property
    def awards(self) -> list[dict[str, Any]]:
        return [row for row in self.ours if row["record"] == "award"]


@pytest.fixture(scope="module", params=[("hours", 60), ("quarters", 15)], ids=lambda p: p[0])
def month(
    request: pytest.FixtureRequest,
    python: Path,
    service: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Month:
    park, minutes = request.param
    asked = {"park": park, "prices": "caller", "plan_every_minutes": 180}
    made = call("POST", f"{service}/v1/simulations", asked)
    one = f"{service}/v1/simulations/{made['simulation_id']}"
    ran = subprocess.run(
        [python, ASSUME / "world.py", one, "se3-day-ahead", str(DAYS), str(minutes)],
        cwd=tmp_path_factory.mktemp("world"),  # it writes a log where it runs
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    (line,) = [row for row in ran.stdout.splitlines() if row.startswith("RESULT ")]
    theirs = json.loads(line.removeprefix("RESULT "))
    last = datetime(2025, 12, 3, tzinfo=UTC) + timedelta(days=DAYS)
    call("POST", f"{one}/step", {"until": last.isoformat()})
    left = Month(
        theirs=theirs,
        ours=call("GET", f"{one}/table")["rows"],
        manifest=call("GET", f"{one}/manifest"),
    )
    call("DELETE", one)
    return left


def test_every_auction_is_answered_and_every_order_comes_back(month: Month) -> None:
    ledger = month.theirs["ledger"]

    assert len(ledger) == DAYS
    assert len({entry["bid_set_id"] for entry in ledger}) == DAYS
    assert all(entry["orders"] == entry["orders_back"] > 0 for entry in ledger)
    assert {entry["award"] for entry in ledger} == {"booked"}


def test_both_sides_count_the_same_energy(month: Month) -> None:
    hours = month.theirs["ledger"][0]["products"]
    each = Decimal(24) / hours
    sold = sum(
        (Decimal(row["quantity_mw"]) * each for row in month.awards if row["side"] == "sell"),
        Decimal(0),
    )
    bought = sum(
        (Decimal(row["quantity_mw"]) * each for row in month.awards if row["side"] == "buy"),
        Decimal(0),
    )

    assert float(sold - bought) == pytest.approx(month.theirs["net_mwh"], abs=1e-6)
    assert bought > 100 * DAYS / 30


def test_both_sides_count_the_same_money_to_the_cent(month: Month) -> None:
    ours = sum((Decimal(row["money"]) for row in month.awards), Decimal(0))

    assert round(ours, 2) == round(Decimal(str(month.theirs["cashflow"])), 2)
    assert len(month.theirs["prices"]) > 3


def test_what_is_asked_a_day_later_is_answered_from_another_plan_and_another_charge(
    month: Month,
) -> None:
    ledger = month.theirs["ledger"]

    assert len({entry["plan_id"] for entry in ledger}) == DAYS
    assert len({tuple(entry["socs"]) for entry in ledger}) > 1
    one, other = ledger[0], ledger[1]
    apart = datetime.fromisoformat(other["asked_at"]) - datetime.fromisoformat(one["asked_at"])
    assert apart == timedelta(hours=24)
    assert (one["plan_id"], one["socs"]) != (other["plan_id"], other["socs"])


def test_what_is_sold_is_delivered_from_devices_that_lived_the_month(month: Month) -> None:
    delivered = [row for row in month.ours if row["record"] == "delivery"]

    assert len(delivered) >= 96 * DAYS - 1
    assert month.manifest["plans_failed"] == 0
    assert month.manifest["plans_cut_off"] == 0
