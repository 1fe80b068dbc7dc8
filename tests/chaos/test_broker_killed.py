"""Row B1: a real Mosquitto is killed for a moment, a minute, ten and sixty; a whole service lives through it.

Time is the laboratory's: an outage of a moment lies between two control cycles.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp

from tests.patience import PATIENCE_S

MINUTE = timedelta(minutes=1)
SETPOINT_TTL = timedelta(seconds=300)
OUTAGES_MINUTES = (0, 1, 10, 60)
LOST = "vpp_telemetry_lost_messages"


def test_a_killed_broker_releases_devices_at_their_time_to_live_and_every_reading_comes_in_the_end(
    laboratory: Any, mosquitto: Path, capsys: Any
) -> None:
    async def play() -> None:
        async with laboratory(embedded=False) as lab:
            await lab.start()
            for minutes in OUTAGES_MINUTES:
                await steered(lab)
                carried = len(lab.commands)
                await lab.lose_broker()
                last_word = lab.now
                for _ in range(minutes):
                    assert await lab.minute()
                    if lab.now > last_word + SETPOINT_TTL:
                        assert not await lab.in_force()
                        assert await battery_kw(lab) == [0.0, 0.0]
                if minutes:
                    assert "broker" in await lab.not_ready()
                    assert await status(lab, "/healthz") == 200
                    assert await status(lab, "/v1/park") == 200
                assert len(lab.commands) == carried
                await lab.find_broker()
                await lab.until(lab.now + 3 * MINUTE)
                assert lab.state == "normal"
            await steered(lab)
            # Gateways keep what is not confirmed. What a broker confirms before we have subscribed again it
            # forgets: the gap is counted, and asked for until it is closed.
            lost = await metric(lab, LOST)
            async with asyncio.timeout(PATIENCE_S):
                # Messages still come in: the two are compared where none came between.
                before = -1.0
                while before != lost:
                    before, found, lost = lost, await missing(lab), await metric(lab, LOST)
            assert found == lost
            async with asyncio.timeout(PATIENCE_S):
                while await metric(lab, LOST):
                    assert await lab.minute()
            assert await missing(lab) == 0
            assert await metric(lab, "vpp_telemetry_refused_total") == 0
            with capsys.disabled():
                print(  # noqa: T201
                    f"\n{len(OUTAGES_MINUTES)} outages, {sum(lab.seqs.values())} messages:"
                    f" {lost:.0f} were sent to a broker that forgot them, and came when they were asked for"
                )

    asyncio.run(play())


async def steered(lab: Any) -> None:
    """Live on until a device has a set-point that asks for something."""
    async with asyncio.timeout(PATIENCE_S):
        while not any(setpoint[0] for setpoint in (await lab.in_force()).values()):
            assert await lab.minute()


async def missing(lab: Any) -> float:
    """Messages that devices have sent and the service has never had."""
    accepted = await metric(lab, "vpp_telemetry_accepted_total")
    return (
        float(sum(lab.seqs.values()))
        - accepted
        + await metric(lab, "vpp_telemetry_duplicates_total")
    )


async def battery_kw(lab: Any) -> list[float]:
    devices = (await lab.world.snapshot())["devices"]
    return [devices[name]["_power_kw"] for name in ("steel-battery", "office-battery")]


async def status(lab: Any, path: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(lab.service + path) as answer:
        code: int = answer.status
        return code


async def metric(lab: Any, name: str) -> float:
    """The sum of a metric's values over its labels."""
    async with aiohttp.ClientSession() as session, session.get(f"{lab.service}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))
