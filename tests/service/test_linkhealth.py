"""How links to devices do, as operators see it: a page of them, metrics, events, and whether we are ready."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.service.conftest import NOW, QuietLink
from vpp.service.links.health import LinkHealth
from vpp.service.links.watch import QUIET_S, LinkTeller
from vpp.service.plant import Plant

MQTT = LinkHealth(name="mqtt", connected=True, since=NOW, fault=None, reconnects=0, devices=40)
GATEWAY = LinkHealth(
    name="mill-gateway", connected=True, since=NOW, fault=None, reconnects=2, devices=8
)
CUT = replace(GATEWAY, connected=False, fault="connection lost")


def links(plant: Plant, *found: LinkHealth) -> None:
    plant.links = lambda: found


def told(plant: Plant) -> list[str]:
    return [event.text for event in plant.events.recent() if event.kind == "link"]


def test_each_link_is_shown_with_what_is_wrong(plant: Plant, serving: Any) -> None:
    links(plant, MQTT, CUT)

    async def check() -> None:
        async with serving(plant) as client:
            shown = await (await client.get("/v1/links")).json()
            assert [one["link"] for one in shown["links"]] == ["mqtt", "mill-gateway"]
            assert shown["links"][1] == {
                "link": "mill-gateway",
                "connected": False,
                "since": "2025-12-02T10:00:00Z",
                "fault": "connection lost",
                "reconnects": 2,
                "devices": 8,
            }
            text = await (await client.get("/metrics")).text()
            assert 'vpp_link_connected{link="mill-gateway"} 0.0' in text
            assert 'vpp_link_faulty{link="mill-gateway"} 1.0' in text
            assert 'vpp_link_reconnects{link="mill-gateway"} 2.0' in text
            assert "vpp_broker_connected 1.0" in text

    asyncio.run(check())


def test_a_gateway_that_is_cut_keeps_the_plant_ready_and_a_plant_without_sight_is_not(
    plant: Plant, serving: Any
) -> None:
    async def check() -> None:
        async with serving(plant) as client:
            links(plant, MQTT, CUT)
            assert (await client.get("/readyz")).status == 200
            links(plant, replace(MQTT, connected=False, fault="no route"), GATEWAY)
            plant.source = QuietLink(connected=False)
            problem = await (await client.get("/readyz")).json()
            assert problem["errors"] == [
                {
                    "path": "broker",
                    "what": "40 devices are out of reach: mqtt since 2025-12-02T10:00:00Z: no route",
                }
            ]

    asyncio.run(check())


def test_what_changes_is_told_once_and_a_link_that_flaps_once_a_minute(plant: Plant) -> None:
    teller = LinkTeller()

    def look(at_s: float, *found: LinkHealth) -> None:
        links(plant, *found)
        teller.look(plant, at_s=at_s, now=NOW + timedelta(seconds=at_s))

    look(0, MQTT, GATEWAY)
    assert told(plant) == []
    look(1, MQTT, CUT)
    look(2, MQTT, CUT)
    down = "the link mill-gateway with 8 devices is down: connection lost"
    assert told(plant) == [down]
    for second in range(3, 60):
        look(second, MQTT, GATEWAY if second % 2 else CUT)
    assert told(plant) == [down], "no storm"
    look(1 + QUIET_S, MQTT, GATEWAY)
    assert told(plant) == [down, "the link mill-gateway with 8 devices stands"]


def test_devices_that_are_silent_behind_a_link_that_stands_are_told(plant: Plant) -> None:
    links(plant, MQTT, replace(GATEWAY, fault="bess-8: unit 8 did not answer within 1 s"))
    LinkTeller().look(plant, at_s=0, now=NOW)
    assert told(plant) == [
        "devices behind the link mill-gateway are ill: bess-8: unit 8 did not answer within 1 s"
    ]


@pytest.mark.parametrize("count", [0, 1])
def test_a_plant_with_one_link_says_of_its_broker_what_it_always_said(
    count: int, plant: Plant, serving: Any
) -> None:
    links(plant, *[replace(MQTT, connected=False, fault="away")] * count)
    plant.source = QuietLink(connected=False)

    async def check() -> None:
        async with serving(plant) as client:
            problem = await (await client.get("/readyz")).json()
            assert "service: the broker is away since 2025-12-02T10:00:00Z -> " in problem["detail"]
            park = await (await client.get("/v1/park")).json()
            assert park["broker_connected"] is False

    asyncio.run(check())
