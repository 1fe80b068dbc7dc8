"""How far something is, on a terminal; a log gets none of it."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from tests.service.conftest import NOW
from vpp.model.time import QUARTER, Interval
from vpp.service.backtest.show import Meter
from vpp.service.cases.case import CaseProgress
from vpp.service.plant import Plant


@pytest.mark.parametrize(("terminal", "shown"), [(True, True), (False, False)])
def test_the_phase_of_a_case_stands_on_a_terminal_alone(terminal: bool, shown: bool) -> None:
    out = StringIO()

    with CaseProgress(Console(file=out, force_terminal=terminal, width=60)) as progress:
        progress.most(3)
        progress.told("solving")
        progress.bar.refresh()

    assert ("solving, at most 3 s" in out.getvalue()) == shown
    assert bool(out.getvalue()) == shown


def test_each_life_of_a_backtest_has_a_bar_with_the_parks_clock(plant: Plant) -> None:
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=100)

    with Meter(plant.file, Interval(NOW, NOW + 2 * QUARTER), console) as meter:
        for name in ("spot", "[bold] candidate"):
            meter.update(name, NOW)
        meter.update("spot", NOW + QUARTER)
        meter.bar.refresh()

    for part in ("spot", "[bold] candidate", "Tue 02 Dec 11:00", "50%"):
        assert part in out.getvalue()
