"""What devices proved is read at the start of the service: shown, and the bound of what their units bid."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adapters.memory_journal import MemoryJournal
from vpp.account.qualification import TestedPower
from vpp.model.ids import ResourceId
from vpp.service.devicetest.record import keep, on_record
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.solving.inline import InlineExecutor
from vpp.service.wiring import build_plant
from vpp.trade.limits import most_mw

AT = datetime(2025, 12, 2, 9, tzinfo=UTC)
BATTERY = ResourceId("metal-battery")


def proved(up_kw: float | None, down_kw: float | None = None) -> TestedPower:
    return TestedPower(up_kw=up_kw, down_kw=down_kw, at=AT, runs=2)


def started(empty_plant: Plant, file: ParkFile, journal: MemoryJournal, data: Path) -> Plant:
    return build_plant(
        file,
        clock=empty_plant.clock,
        data=data,
        journal=journal,
        source=empty_plant.source,
        sink=empty_plant.sink,
        venue=None,
        executor=InlineExecutor(),
        record=lambda measurement: True,
    )


def test_the_newest_test_of_a_device_counts(empty_plant: Plant) -> None:
    journal, now = MemoryJournal(), empty_plant.clock.now()

    async def both() -> None:
        await keep(journal, BATTERY, proved(1000.0, 900.0), now=now)
        await keep(journal, BATTERY, proved(800.0), now=now.replace(hour=now.hour + 1))

    asyncio.run(both())
    assert on_record(journal) == {BATTERY: proved(800.0)}


def test_a_test_is_shown_and_bounds_what_its_unit_bids_into_products_that_ask_for_one(
    empty_plant: Plant, park_file: ParkFile, serving: Any, tmp_path: Path
) -> None:
    (unit,) = park_file.park.bidding_units
    only = replace(unit, resource_ids=frozenset({BATTERY}), declared_kw=1500.0, tested_kw=1500.0)
    file = replace(park_file, park=replace(park_file.park, bidding_units=(only,)))
    reserve = replace(file.products[0], kind="reserve", max_quantity_mw=None)
    energy = replace(reserve, kind="energy_da")
    journal = MemoryJournal()
    before = started(empty_plant, file, journal, tmp_path)
    assert float(most_mw(reserve, before.file.park.bidding_units[0])) == 1.5

    asyncio.run(keep(journal, BATTERY, proved(1200.0, 1100.0), now=empty_plant.clock.now()))
    after = started(empty_plant, file, journal, tmp_path)

    (bounded,) = after.file.park.bidding_units
    assert float(most_mw(reserve, bounded)) == 1.1
    assert float(most_mw(energy, bounded)) == 1.5  # energy asks for no test

    async def shown() -> dict[str, Any]:
        async with serving(after) as client:
            answer = await client.get("/v1/resources")
            found = (await answer.json())["resources"]
            return {one["resource_id"]: one for one in found}

    resources = asyncio.run(shown())
    names = ("tested_kw", "tested_up_kw", "tested_down_kw", "tested_at")
    assert [resources[BATTERY][name] for name in names] == [
        1100,
        1200,
        1100,
        "2025-12-02T09:00:00Z",
    ]
    assert all(resources["steel-battery"][name] is None for name in names)
