"""The central system of OCPP against stations that say odd things: wrong clocks, and what comes when it is over."""

from __future__ import annotations

from datetime import time, timedelta
import asyncio
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest

from adapters.memory_journal import MemoryJournal
from tests.adapters.ocppbench import NOON, a_bench, a_park, run, until
from vpp.model.charging import Wish
from vpp.model.time import isoformat


NUMBERS = count(1)


async def says(line: aiohttp.ClientWebSocketResponse, action: str, **payload: Any) -> Any:
    """Call; the answer's payload, or the code that it is refused with."""
    name = f"{action}-{next(NUMBERS)}"
    await line.send_json([2, name, action, payload])
    while (answer := await line.receive_json(timeout=5))[1] != name:
        pass  # it asks something of its own
    return answer[2]


@pytest.mark.parametrize("clock", ["9999-12-31T23:00:00Z", "0001-01-01T00:30:00Z"])
@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York"])
def test_a_start_from_a_clock_in_another_age_ends_nothing_not_even_after_a_restart(
    clock: str, zone: str
) -> None:
    async def check() -> None:
        journal = MemoryJournal()
        place = ZoneInfo(zone)
        wish = Wish(wanted_kwh=20.0, leaves=time(8))
        park = a_park(zone=place, wish=wish)
        async with a_bench(park, journal=journal) as bench:
            line = await bench.raw()
            start = {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": clock}
            begun = await says(line, "StartTransaction", **start)
            assert begun["idTagInfo"] == {"status": "Accepted"}
            assert bench.kinds() == ["charger_fault"]
            assert bench.shown().fault.endswith("its clock is wrong")
            again = await says(line, "StartTransaction", **start)
            assert again["transactionId"] == begun["transactionId"]
            await line.close()
        async with a_bench(park, journal=journal) as bench:
            assert bench.shown().points[0].session == str(begun["transactionId"])
            [point] = bench.shown().points
            assert point.departs_at is not None
            assert timedelta(0) < point.departs_at - NOON <= timedelta(days=1)

    run(check())


def test_of_connections_that_come_at_one_moment_one_alone_is_heard() -> None:
    async def check() -> None:
        async with a_bench() as bench:
            lines = [await bench.raw()]
            reads = [asyncio.create_task(reads_on(lines[0]))]
            lines += await asyncio.gather(*(bench.raw() for _ in range(3)))
            reads += [asyncio.create_task(reads_on(line)) for line in lines[1:]]
            await until(lambda: sum(read.done() for read in reads) >= 3)
            [alive] = [line for line in lines if not line.closed]
            assert bench.link.connected
            await alive.close()
            await asyncio.gather(*reads)

    run(check())


async def reads_on(line: aiohttp.ClientWebSocketResponse) -> None:
    """Until the other side ends it."""
    async for _ in line:
        pass
