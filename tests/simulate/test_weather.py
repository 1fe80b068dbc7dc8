"""The weather station tells each quarter-hour once, when it is over, and again after an outage."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from random import Random

import numpy as np
from aiohttp import web
from aiohttp.test_utils import TestServer

from vpp.model.horizon import Horizon, Profile
from vpp.model.time import QUARTER
from vpp.simulate.exchange import HttpExchange
from vpp.simulate.weather import WeatherStation

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
COURSE = Profile(Horizon(NOON, QUARTER, 8), np.arange(8.0))


def test_each_quarter_hour_is_told_when_it_is_over_and_only_once() -> None:
    told: list[tuple[str, float]] = []

    async def take(request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        assert body["unit"] == "degC"
        told.extend((v["interval_start"], v["value"]) for v in body["values"])
        return web.json_response({})

    async def scene() -> None:
        app = web.Application()
        app.router.add_put("/v1/series/outdoor.a", take)
        async with TestServer(app) as server:
            station = WeatherStation(
                HttpExchange(str(server.make_url("")), Random(1), attempts=1),
                {"outdoor.a": COURSE},
                opened_at=NOON - timedelta(minutes=1),
            )
            station.start()
            for minutes in (1, 14, 15, 16, 46):
                await station.act(NOON + timedelta(minutes=minutes))
            await station.stop()

    asyncio.run(scene())
    assert told == [
        ("2025-12-03T12:00:00Z", 0.0),
        ("2025-12-03T12:15:00Z", 1.0),
        ("2025-12-03T12:30:00Z", 2.0),
    ]
