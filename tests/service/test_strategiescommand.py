"""`vpp strategies` against a running service, as an operator types it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.service.test_strategychanges import BROKEN, FIRST, SECOND, Tuned
from vpp.cli import app
from vpp.errors import RejectedError
from vpp.service.http import serve
from vpp.service.park.config import shipped
from vpp.service.park.parkfile import ParkFile


class Operator:
    """Types commands while the service runs."""

    def __init__(self, tuned: Tuned, folder: Path) -> None:
        self.tuned = tuned
        self.candidate = folder / "candidate.yaml"

    def types(self, *words: str) -> Result:
        """One command; the plan of the next quarter-hour begins after it."""

        async def served() -> Result:
            async with serve(self.tuned.plant, host="127.0.0.1", port=0) as address:
                asked = ["strategies", *words, "--url", address]
                return await asyncio.to_thread(CliRunner().invoke, app, asked)

        result = asyncio.run(served())
        self.tuned.take()
        return result


@pytest.fixture
def operator(park_file: ParkFile, tmp_path: Path) -> Operator:
    tuned = Tuned(park_file, tmp_path)
    tuned.take()
    return Operator(tuned, tmp_path)


def test_a_change_goes_live_and_back_by_four_commands(operator: Operator) -> None:
    operator.candidate.write_text(SECOND)
    name = str(operator.candidate)

    checked = operator.types("validate", name)
    assert "spot: imbalance_spread_per_mwh 40.0 becomes 80.0 (+40)" in checked.output
    applied = operator.types("apply", name, "--by", "Li", "--reason", "deviations are dear")
    assert applied.exit_code == 0, applied.output
    assert operator.tuned.spread == 80
    listed = operator.types("history").output.splitlines()
    assert listed[0].split()[0] == "2"
    assert "Li: deviations are dear" in listed[0]
    back = operator.types("rollback", "1", "--by", "Wang", "--reason", "it cycled too much")
    assert back.exit_code == 0, back.output
    assert operator.tuned.spread == 40
    assert operator.types("show", "2").output == SECOND


def test_a_preview_says_what_changes_and_why_it_has_no_plan(operator: Operator) -> None:
    operator.candidate.write_text(SECOND)
    seen = operator.types("preview", str(operator.candidate), "--days", "0")

    assert seen.exit_code == 0, seen.output
    assert "spot: imbalance_spread_per_mwh 40.0 becomes 80.0 (+40)" in seen.output
    assert "no plan: there is no plan yet" in seen.output
    told = operator.types("preview", str(operator.candidate), "--days", "0", "--json")
    assert json.loads(told.stdout)["no_backtest"] == "none was asked for"


def test_a_broken_file_is_told_fault_by_fault_and_not_applied(operator: Operator) -> None:
    operator.candidate.write_text(BROKEN)
    name = str(operator.candidate)

    checked = operator.types("validate", name)
    assert checked.exit_code == 2
    assert f"{name}:2:5: strategies.0." in checked.output
    applied = operator.types("apply", name, "--by", "Li", "--reason", "a try")
    assert isinstance(applied.exception, RejectedError)
    assert "2:5: strategies.0." in str(applied.exception)
    assert operator.tuned.path.read_text() == FIRST


def test_a_file_is_checked_beside_its_park_without_a_service(tmp_path: Path) -> None:
    park, file = shipped("parks/demo.yaml"), tmp_path / "strategies.yaml"
    file.write_text(SECOND)
    asked = ["strategies", "validate", str(file), "--park", str(park)]
    found = CliRunner().invoke(app, asked)
    assert found.exit_code == 0, found.output
    assert "spot: new, price_arbitrage" in found.output
    file.write_text(BROKEN)
    found = CliRunner().invoke(app, asked)
    assert found.exit_code == 2
    assert ":2:5: strategies.0." in found.output
