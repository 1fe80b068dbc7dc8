"""A part of the demo park with the history it begins with, and one naive model so that learning is quick."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.memory_journal import MemoryJournal
from vpp.clock import SimulatedClock
from vpp.service.demo.history import give_history
from vpp.service.forecasting.schema import ForecastsSection, SeriesForecastSection
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.solving.inline import InlineExecutor
from vpp.service.wiring import build_plant

NOW = datetime(2025, 12, 2, 10, tzinfo=UTC)
"""11:00 in Stockholm."""

PART = (
    *("steel-furnaces", "steel-battery", "metal-machining", "metal-pv"),
    *("office-base", "office-cars", "office-heat"),
)


@pytest.fixture
def fed(park_file: ParkFile, tmp_path: Path, a_link: Callable[[], Any]) -> Plant:
    """Just started: it knows its past and has learnt nothing; six series and the price."""
    assert park_file.simulation is not None
    link = a_link()
    resources = tuple(r for r in park_file.park.resources if r.resource_id in PART)
    plant = build_plant(
        replace(
            park_file,
            park=replace(park_file.park, resources=resources),
            forecasts=ForecastsSection(
                series=[SeriesForecastSection(match="*", model="same-weekday")]
            ),
        ),
        clock=SimulatedClock(NOW),
        data=tmp_path,
        journal=MemoryJournal(),
        source=link,
        sink=link,
        venue=None,
        executor=InlineExecutor(),
        record=lambda measurement: True,
    )
    give_history(plant, park_file.simulation, NOW)
    return plant


@pytest.fixture
def told() -> Callable[[Plant, str], list[str]]:
    """The texts of a plant's events of one kind, oldest first."""

    def texts(plant: Plant, kind: str) -> list[str]:
        return [event.text for event in plant.events.recent() if event.kind == kind]

    return texts
