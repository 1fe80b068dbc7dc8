"""A server of openleadr (OpenADR 2.0b) and our client in one process: `world2b.py PORT`, prints what came of it.

An event of level 1 is answered, becomes an order, is cancelled, and is gone; power is reported while it is fresh.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from openleadr import OpenADRServer

from adapters.openadr2b import OpenAdr2b, Vtn2b
from vpp.model.programme import EventList
from vpp.model.time import QUARTER, Interval, latest_boundary
from vpp.trade.programme import Standing, reconcile, schedule
from vpp.trade.programmeorders import CallUse, ChangeOrder, Level, Use

FLEX = "oadr://flex"
USES: dict[str, dict[str, Use]] = {
    FLEX: {"SIMPLE": CallUse(product_id="flex", levels={1: Level(kw=200)})}
}


class World:
    """What the server was told."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/OpenADR2/Simple/2.0b"
        self.opts: list[tuple[str, str]] = []
        self.reported: list[float] = []
        self.asked_for: list[str] = []
        self.server = OpenADRServer(
            vtn_id="grid", http_host="127.0.0.1", http_port=port,
            requested_poll_freq=timedelta(seconds=1), show_fingerprint=False,
        )  # fmt: skip
        self.server.add_handler("on_create_party_registration", self.registered)
        self.server.add_handler("on_register_report", self.report_offered)

    async def registered(self, info: dict[str, Any]) -> tuple[str, str]:
        return "ven-1", "registration-1"

    async def report_offered(
        self,
        ven_id: str,
        resource_id: str,
        measurement: str,
        unit: str,
        scale: str,
        min_sampling_interval: timedelta,
        max_sampling_interval: timedelta,
    ) -> Any:
        self.asked_for.append(measurement)
        return self.taken, min_sampling_interval

    async def taken(self, data: list[tuple[datetime, float]]) -> None:
        self.reported += [value for _, value in data]

    async def opted(self, ven_id: str, event_id: str, opt_type: str) -> None:
        self.opts.append((event_id, opt_type))


def orders(
    polled: EventList, stood: dict[str, Standing]
) -> tuple[Any, dict[str, Standing], list[str]]:
    now = datetime.now(UTC)
    stands, changes = reconcile(polled, stood, now=now, draw=lambda name: 0.0)
    first = latest_boundary(now, QUARTER)
    found, _ = schedule(
        stands, USES, {}, Interval(first, first + timedelta(hours=4)), lambda name: 0.0
    )
    asked = [
        [start.isoformat(), order.change_kw]
        for start, some in found.items()
        for order in some
        if isinstance(order, ChangeOrder)
    ]
    return asked, stands, [change.kind.value for change in changes]


async def main(port: int) -> None:
    world = World(port)
    start = latest_boundary(datetime.now(UTC), QUARTER) + 2 * QUARTER
    world.server.add_event(
        ven_id="ven-1", event_id="e-1", signal_name="SIMPLE", signal_type="level",
        intervals=[{"dtstart": start, "duration": timedelta(hours=1), "signal_payload": 1}],
        callback=world.opted, market_context=FLEX,
    )  # fmt: skip
    await world.server.run()
    told: dict[str, Any] = {"start": start.isoformat()}
    async with OpenAdr2b(Vtn2b(url=world.url, ven_name="park", sample_s=1)) as client:
        client.offer_power(lambda: 700.0)
        told["first"], stood, told["changes"] = orders(await client.events([FLEX]), {})
        await asyncio.sleep(3)
        world.server.cancel_event("ven-1", "e-1")
        told["second"], _, told["then"] = orders(await client.events([FLEX]), stood)
        fresh = len(world.reported)
        client.offer_power(lambda: None)  # no meter is heard any more
        await asyncio.sleep(3)
        told["late"] = len(world.reported) - fresh
    await world.server.stop()
    told |= {"opts": world.opts, "reported": world.reported, "asked_for": world.asked_for}
    sys.stdout.write(f"RESULT {json.dumps(told)}\n")


asyncio.run(main(int(sys.argv[1])))
